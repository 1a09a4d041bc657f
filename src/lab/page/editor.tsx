/** A scenario of one's own: mistakes on their line, then every interleaving. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { CellVerdict, Shipped } from '../protocol.js'
import { CodeBox, type Editing } from './codebox.js'
import type { Setting } from './codemirror.js'
import { type Progress, Result, SearchButton, Searching } from './result.js'
import { deflate, hashOf, inflate, route } from './route.js'
import { data, designGroups, words } from './state.js'
import { meaningOf } from './terms.js'
import { ask } from './workers.js'

const FIRST = 'migration/guest-touch-vs-compaction'

/** The text that the address asks for: one that came in the link, one of the project's. */
async function startText({ scenarios, open }: Shipped): Promise<string> {
  const { own, name } = route.value
  if (own !== undefined) return inflate(own)
  if (name === '' && open.text !== undefined) return open.text
  return scenarios.find((s) => s.name === (name || FIRST))?.text ?? ''
}

function settingOf(): Setting {
  const { operations, constants, findings } = words.value
  const designs = designGroups.value.flatMap((g) => g.designs)
  return {
    label: 'scenario',
    language: 'litmus',
    completions: [
      ...operations.map((o) => ({
        label: o.name,
        type: 'function',
        detail: `(${o.parameters.join(', ')})`,
        info: o.doc,
      })),
      ...constants.map((label) => ({ label, type: 'constant' })),
      ...designs.map((d) => ({ label: d.id, type: 'class', info: d.summary })),
      ...findings.map((f) => ({ label: f.id, type: 'enum', info: f.sentence })),
    ],
    meaningOf,
    mistake: (text) => ask('quick', { kind: 'parse', text }),
  }
}

interface Choice {
  readonly label: string
  readonly value: string
  readonly onChange: (value: string) => void
}

/** A choice among all designs. */
export function DesignChoice({ label, value, onChange }: Choice) {
  return (
    <label>
      {label}{' '}
      <select value={value} onChange={(e) => onChange((e.target as HTMLSelectElement).value)}>
        {designGroups.value.map((m) => (
          <optgroup key={m.title} label={m.title}>
            {m.designs.map((d) => (
              <option key={d.id} value={d.id}>
                {d.id}
              </option>
            ))}
          </optgroup>
        ))}
      </select>
    </label>
  )
}

/** A choice among the scenarios that come with the page. */
export function ScenarioChoice({ label, value, onChange }: Choice) {
  return (
    <label>
      {label}{' '}
      <select value={value} onChange={(e) => onChange((e.target as HTMLSelectElement).value)}>
        {(data.value?.scenarios ?? []).map((s) => (
          <option key={s.name} value={s.name}>
            {s.name}
          </option>
        ))}
      </select>
    </label>
  )
}

export function Editor() {
  const shipped = data.value
  if (shipped === undefined) return <p class="page dim">Loading…</p>
  return <Workspace shipped={shipped} />
}

function Workspace({ shipped }: { shipped: Shipped }) {
  const view = useRef<Editing | undefined>(undefined)
  /** The box is there; before that there is no text to do anything with. */
  const [ready, setReady] = useState(false)
  const [text, setText] = useState<string>()
  /** What the file behind the page has become, while something else is being written here. */
  const [newer, setNewer] = useState<string>()
  const [design, setDesign] = useState('upm')
  const [busy, setBusy] = useState(false)
  const [progress, setProgress] = useState<Progress>()
  const [verdict, setVerdict] = useState<CellVerdict>()
  const [said, setSaid] = useState('')
  const [link, setLink] = useState('')
  const setting = useMemo(settingOf, [])
  const { name, own } = route.value
  useEffect(() => {
    startText(shipped).then(
      (next) => {
        const now = view.current?.text()
        const changed = now !== undefined && text !== undefined && now !== text
        if (changed && shipped.open.live === true && name === '' && own === undefined) {
          setNewer(next === now ? undefined : next)
          return
        }
        setText(next)
        setVerdict(undefined)
      },
      (error: Error) => {
        setText('')
        setSaid(error.message)
      },
    )
  }, [shipped, name, own])
  const run = async (): Promise<void> => {
    const written = view.current?.text() ?? ''
    setBusy(true)
    setVerdict(undefined)
    setSaid('')
    setProgress(undefined)
    const start = performance.now()
    try {
      const request = { kind: 'check', text: written, design, code: undefined } as const
      const found = await ask('search', request, (states, depth) =>
        setProgress({ states, depth, seconds: (performance.now() - start) / 1000 }),
      )
      const builtIn = shipped.scenarios.some((s) => s.text === written)
      setLink(builtIn ? '' : await deflate(written))
      setVerdict(found)
    } catch (error) {
      setSaid((error as Error).message)
    }
    setBusy(false)
  }
  const share = async (): Promise<void> => {
    const packed = await deflate(view.current?.text() ?? '')
    history.replaceState(null, '', hashOf({ screen: 'edit', own: packed }))
    try {
      await navigator.clipboard.writeText(location.href)
      setSaid('The link is copied; the scenario travels in it.')
    } catch {
      setSaid('The address of this page is the link; the scenario travels in it.')
    }
  }
  return (
    <section class="edit">
      <h1 class="hidden">Editor</h1>
      <div class="left">
        <div class="bar">
          <DesignChoice label="on" value={design} onChange={setDesign} />
          <SearchButton ready={ready} busy={busy} label="Check every interleaving" onSearch={run} />
          <button type="button" disabled={!ready} onClick={share}>
            Link to this scenario
          </button>
          <ScenarioChoice
            label="begin with"
            value={name || FIRST}
            onChange={(to) => {
              location.hash = hashOf({ screen: 'edit', name: to })
            }}
          />
        </div>
        {newer !== undefined && (
          <p class="notice" role="status">
            The file was written again; what you changed here is kept.{' '}
            <button
              type="button"
              onClick={() => {
                setText(newer)
                setNewer(undefined)
              }}
            >
              Take the file’s text
            </button>
          </p>
        )}
        {text !== undefined && (
          <CodeBox
            text={text}
            setting={setting}
            onReady={(editing) => {
              view.current = editing
              setReady(true)
            }}
          />
        )}
      </div>
      <div class="result" role="status">
        {busy && <Searching progress={progress} />}
        {said !== '' && <p class="notice">{said}</p>}
        {verdict !== undefined && (
          <Result v={verdict} carried={{ own: link || undefined, design: undefined }} />
        )}
        {!busy && verdict === undefined && said === '' && (
          <p class="dim">
            Tasks run in every order that there is. What goes wrong is told here, each finding with
            the shortest execution that shows it.
          </p>
        )}
      </div>
    </section>
  )
}

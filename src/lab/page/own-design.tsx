/** A design of one's own: a patch as TypeScript, compiled here and checked on a scenario. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { CellVerdict, FromPatch, Mistake, Shipped } from '../protocol.js'
import { CodeBox, type Editing } from './codebox.js'
import type { Setting } from './codemirror.js'
import { ScenarioChoice } from './editor.js'
import { type Progress, Result, SearchButton, Searching } from './result.js'
import { deflate, hashOf, inflate, route } from './route.js'
import { shipped as file } from './shipped.js'
import { allow, data, mayRun } from './state.js'
import { meaningOf } from './terms.js'
import { ask } from './workers.js'

const FIRST = 'migration/guest-touch-vs-compaction'

/** What one begins with: the smallest patch that changes something. */
const TEMPLATE = `// A design is a small difference from another one: the functions that a patch replaces.
import { defineDesign } from 'restrictedmem/designs/design.js'
import { upm } from 'restrictedmem/designs/upm.js'
import { EBUSY } from 'restrictedmem/kernel/include/errno.js'
import { moveToNewFolio } from 'restrictedmem/kernel/mm/migrate.js'
import { fn, type Kernel, replace } from 'restrictedmem/machine/fn.js'

export const design = defineDesign({
  id: 'mine',
  summary: 'No page is ever moved.',
  base: upm,
  cite: [],
  replaces: [
    replace(
      moveToNewFolio,
      fn(function* move_to_new_folio(): Kernel<number> {
        return -EBUSY
      }),
    ),
  ],
})
`

/** The text of a design came in a link, and is a program: may it run? */
export function AskToRun({ code }: { code: string }) {
  return (
    <section class="page">
      <h1>This link brings a design</h1>
      <p class="notice" role="alert">
        A design is a program; this one would run in a worker of this page. Nothing of it has run
        yet: read it first.
      </p>
      <p>
        <button type="button" class="primary" onClick={() => allow(code)}>
          Compile and run it
        </button>
      </p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
      <pre class="given" tabIndex={0}>
        {code}
      </pre>
    </section>
  )
}

/** The text that the address asks for, and whether it came in a link. */
async function startText({ open }: Shipped): Promise<{ text: string; foreign: boolean }> {
  const { design } = route.value
  if (design === undefined) return { text: open.code ?? TEMPLATE, foreign: false }
  const text = await inflate(design)
  return { text, foreign: !mayRun(text) }
}

export function OwnDesign() {
  const shipped = data.value
  if (shipped === undefined) return <p class="page dim">Loading…</p>
  return <Bench shipped={shipped} />
}

function Mistakes({ all }: { all: readonly Mistake[] }) {
  return (
    <>
      <p>
        <span class="word bad">does not compile</span>
      </p>
      <ul class="mistakes">
        {all.map((m) => (
          <li key={`${m.line}:${m.column}`}>
            <b>
              line {m.line}, column {m.column}
            </b>{' '}
            {m.message}
          </li>
        ))}
      </ul>
    </>
  )
}

/** Where a mail is pasted; the design of its patch then takes the place of the one in the box. */
function PatchBox({ busy, onMail }: { busy: boolean; onMail: (mail: string) => void }) {
  return (
    <details class="patch">
      <summary>Begin with a patch from a mail</summary>
      <form
        onSubmit={(e) => {
          e.preventDefault()
          onMail(String(new FormData(e.currentTarget as HTMLFormElement).get('mail')))
        }}
      >
        <textarea
          name="mail"
          rows={8}
          spellcheck={false}
          aria-label="mail with a patch"
          placeholder="the mail as it came: with headers or without, quoted, broken"
        />
        <button type="submit" disabled={busy}>
          Make it a design
        </button>
      </form>
    </details>
  )
}

/** What became of each function of a patch. */
function Made({ made }: { made: FromPatch }) {
  return (
    <section class="made">
      <h2>The patch on {made.base}, by its hunks alone</h2>
      {made.nothing !== undefined && (
        <p class="notice">Nothing that is found here says anything of the patch: {made.nothing}.</p>
      )}
      <ul>
        {made.entries.map(({ name, how, reasons }) => (
          <li key={name}>
            <code>{name}</code>: {how}
            {reasons.length > 0 && <small class="dim">{reasons.slice(0, 3).join('; ')}</small>}
          </li>
        ))}
      </ul>
      <p class="dim">
        {made.notes.join('; ')}
        {made.notes.length > 0 && '. '}
        An execution that reaches what is not translated ends in a trap. Whole functions are
        translated, and held to the model first, by{' '}
        <a href="#docs/review">
          <code>restrictedmem review --linux</code>
        </a>
        .
      </p>
    </section>
  )
}

function Bench({ shipped }: { shipped: Shipped }) {
  const view = useRef<Editing | undefined>(undefined)
  /** The box is there; before that there is no text to do anything with. */
  const [ready, setReady] = useState(false)
  const [text, setText] = useState<string>()
  const [foreign, setForeign] = useState(false)
  const [scenario, setScenario] = useState(FIRST)
  const [busy, setBusy] = useState<'reading' | 'compiling' | 'searching'>()
  const [made, setMade] = useState<FromPatch>()
  const [progress, setProgress] = useState<Progress>()
  const [mistakes, setMistakes] = useState<readonly Mistake[]>([])
  const [verdict, setVerdict] = useState<CellVerdict>()
  const [said, setSaid] = useState('')
  const [packed, setPacked] = useState('')
  const setting = useMemo<Setting>(
    () => ({
      label: 'design',
      language: 'typescript',
      completions: [],
      meaningOf,
      mistake: undefined,
    }),
    [],
  )
  const { design } = route.value
  useEffect(() => {
    startText(shipped).then(
      ({ text: next, foreign: came }) => {
        setText(next)
        setForeign(came)
      },
      (error: Error) => {
        setText('')
        setSaid(error.message)
      },
    )
  }, [shipped, design])
  const run = async (): Promise<void> => {
    const code = view.current?.text() ?? ''
    allow(code)
    setForeign(false)
    setMistakes([])
    setVerdict(undefined)
    setSaid('')
    setProgress(undefined)
    try {
      setBusy('compiling')
      const compiled = await ask('search', { kind: 'compile', code })
      setMistakes(compiled.mistakes)
      if (compiled.id !== undefined) {
        setBusy('searching')
        const start = performance.now()
        const written = shipped.scenarios.find((s) => s.name === scenario)?.text ?? ''
        const request = { kind: 'check', text: written, design: compiled.id, code } as const
        const found = await ask('search', request, (states, depth) =>
          setProgress({ states, depth, seconds: (performance.now() - start) / 1000 }),
        )
        setPacked(await deflate(code))
        setVerdict(found)
      }
    } catch (error) {
      setSaid((error as Error).message)
    }
    setBusy(undefined)
  }
  const make = async (mail: string): Promise<void> => {
    setMade(undefined)
    setMistakes([])
    setVerdict(undefined)
    setSaid('')
    setBusy('reading')
    try {
      const parts = await file('patch.json')
      const found = await ask('search', { kind: 'patch', mail, parts })
      view.current?.replace(found.text)
      setForeign(false)
      setMade(found)
    } catch (error) {
      setSaid((error as Error).message)
    }
    setBusy(undefined)
  }
  const share = async (): Promise<void> => {
    const code = view.current?.text() ?? ''
    allow(code)
    history.replaceState(null, '', hashOf({ screen: 'design', design: await deflate(code) }))
    setSaid('The address of this page is the link; the design travels in it.')
  }
  return (
    <section class="edit">
      <h1 class="hidden">A design of your own</h1>
      <div class="left">
        <div class="bar">
          <ScenarioChoice label="on" value={scenario} onChange={setScenario} />
          <SearchButton
            ready={ready}
            busy={busy !== undefined}
            label="Compile and check"
            onSearch={run}
          />
          <button type="button" disabled={!ready} onClick={share}>
            Link to this design
          </button>
        </div>
        <PatchBox busy={busy !== undefined || !ready} onMail={(mail) => void make(mail)} />
        {foreign && (
          <p class="notice" role="status">
            This design came in a link. It is a program, and nothing of it has run: read it first.
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
        {busy === 'reading' && <p>Reading the patch…</p>}
        {busy === 'compiling' && <p>Compiling…</p>}
        {busy === 'searching' && <Searching progress={progress} />}
        {said !== '' && <p class="notice">{said}</p>}
        {mistakes.length > 0 && <Mistakes all={mistakes} />}
        {verdict !== undefined && (
          <Result v={verdict} carried={{ own: undefined, design: packed }} />
        )}
        {made !== undefined && <Made made={made} />}
        {busy === undefined && !made && !verdict && mistakes.length === 0 && said === '' && (
          <p class="dim">
            A patch, written as the functions that it replaces. It is compiled as the command does
            it – in the same subset of TypeScript, against the same kernel – and runs in a worker of
            this page alone. <a href="#docs/designs">How designs are written</a>
          </p>
        )}
      </div>
    </section>
  )
}

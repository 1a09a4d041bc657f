/** A scenario of one's own: mistakes on their line, then every interleaving. */
import { useEffect, useRef, useState } from 'preact/hooks'
import type { CellVerdict } from '../protocol.js'
import { deflate, hashOf, inflate, route } from './route.js'
import { clients, data, hello } from './state.js'

interface Editing {
  text(): string
  destroy(): void
}

const FIRST = 'migration/guest-touch-vs-compaction'

interface Progress {
  readonly states: number
  readonly depth: number
  readonly seconds: number
}

/** The text that the address asks for: one that came in the link, one of the project's. */
async function startText(): Promise<string> {
  const { own, name } = route.value
  if (own !== undefined) return inflate(own)
  const { scenarios, open } = data.value ?? { scenarios: [] }
  if (name === '' && open?.text !== undefined) return open.text
  return scenarios.find((s) => s.name === (name || FIRST))?.text ?? ''
}

export function Editor() {
  const box = useRef<HTMLDivElement>(null)
  const view = useRef<Editing | undefined>(undefined)
  const [design, setDesign] = useState('upm')
  const [busy, setBusy] = useState(false)
  const [progress, setProgress] = useState<Progress>()
  const [verdict, setVerdict] = useState<CellVerdict>()
  const [said, setSaid] = useState('')
  const [link, setLink] = useState('')
  const known = hello.value
  const { name, own } = route.value
  useEffect(() => {
    if (known === undefined || box.current === null) return
    let gone = false
    const parent = box.current
    void (async () => {
      try {
        const [{ edit }, text] = await Promise.all([import('./codemirror.js'), startText()])
        if (gone) return
        view.current = edit(parent, text, known, (t) =>
          clients.quick.ask({ kind: 'parse', text: t }),
        )
      } catch (error) {
        setSaid((error as Error).message)
      }
    })()
    return () => {
      gone = true
      view.current?.destroy()
    }
  }, [known, name, own])
  const run = async (): Promise<void> => {
    const text = view.current?.text() ?? ''
    setBusy(true)
    setVerdict(undefined)
    setSaid('')
    setProgress(undefined)
    const start = performance.now()
    try {
      const found = await clients.search.ask({ kind: 'check', text, design }, (states, depth) =>
        setProgress({ states, depth, seconds: (performance.now() - start) / 1000 }),
      )
      setVerdict(found)
      const builtIn = data.value?.scenarios.some((s) => s.text === text)
      setLink(builtIn === true ? '' : await deflate(text))
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
      <div class="left">
        <div class="bar">
          <label>
            on{' '}
            <select
              value={design}
              onChange={(e) => setDesign((e.target as HTMLSelectElement).value)}
            >
              {(known?.designs ?? []).map((d) => (
                <option key={d.id} value={d.id}>
                  {d.id}
                </option>
              ))}
            </select>
          </label>
          {busy ? (
            <button type="button" class="primary" onClick={() => clients.search.stop()}>
              Stop
            </button>
          ) : (
            <button type="button" class="primary" onClick={run}>
              Check every interleaving
            </button>
          )}
          <button type="button" onClick={share}>
            Link to this scenario
          </button>
          <label>
            begin with{' '}
            <select
              value={name || FIRST}
              onChange={(e) => {
                location.hash = hashOf({
                  screen: 'edit',
                  name: (e.target as HTMLSelectElement).value,
                })
              }}
            >
              {(data.value?.scenarios ?? []).map((s) => (
                <option key={s.name} value={s.name}>
                  {s.name}
                </option>
              ))}
            </select>
          </label>
        </div>
        <div class="code" ref={box} />
      </div>
      <div class="result" role="status">
        <h1 class="hidden">Editor</h1>
        {busy && (
          <p class="progress">
            {progress === undefined
              ? 'Searching…'
              : `${progress.states.toLocaleString('en')} states, ${progress.depth} steps deep, ${progress.seconds.toFixed(1)} s; where it ends is not known`}
          </p>
        )}
        {said !== '' && <p class="notice">{said}</p>}
        {verdict !== undefined && <Verdict v={verdict} own={link} />}
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

function Verdict({ v, own }: { v: CellVerdict; own: string }) {
  const packed = own === '' ? undefined : own
  const word = v.verdict === 'finding' ? 'bad' : v.verdict === 'clean' ? 'good' : ''
  const results = v.outcomes.map((o) => ({
    token: o.token,
    text: Object.entries(o.values)
      .filter(([name]) => name.includes(':'))
      .map(([name, value]) => `${name} = ${hello.value?.errno[String(value)] ?? value}`)
      .join('  '),
  }))
  return (
    <>
      <p>
        <span class={`word ${word}`}>{v.verdict}</span>{' '}
        {v.asExpected === true && 'as the scenario expects'}
        {v.asExpected === false && <b class="bad">not as the scenario expects</b>}
      </p>
      {v.reason !== undefined && <p>{v.reason}</p>}
      <p class="dim">
        {v.proof}
        {v.stopped && ', stopped before the end'}: {v.states.toLocaleString('en')} states,{' '}
        {v.executions.toLocaleString('en')} executions, {Math.round(v.ms)} ms
      </p>
      <ul class="findings">
        {v.findings.map((f) => (
          <li key={f.id}>
            <a href={hashOf({ token: f.token, own: packed })}>✗ {f.id}</a>
            <span>{f.title}</span>
            <small class="dim">
              {f.task} in {f.function}, {f.steps} steps, {f.preemptions}{' '}
              {f.preemptions === 1 ? 'preemption' : 'preemptions'}
              {f.first ? '' : '; follows another finding'}
            </small>
          </li>
        ))}
      </ul>
      {results.some((r) => r.text !== '') && (
        <>
          <h2>Results</h2>
          <ul class="outcomes">
            {results.slice(0, 40).map((r) => (
              <li key={r.token}>
                <a href={hashOf({ token: r.token, own: packed })}>
                  <code>{r.text}</code>
                </a>
              </li>
            ))}
          </ul>
        </>
      )}
    </>
  )
}

/** What a check has come to: the verdict, its findings, and every result of the calls. */
import type { CellVerdict } from '../protocol.js'
import { hashOf } from './route.js'
import { words } from './state.js'
import { Explained } from './term.js'
import { stopSearching } from './workers.js'

/** Results that are listed. */
const MOST_RESULTS = 40

export interface Progress {
  readonly states: number
  readonly depth: number
  readonly seconds: number
}

export function Searching({ progress }: { progress: Progress | undefined }) {
  return (
    <p class="progress">
      {progress === undefined
        ? 'Searching…'
        : `${progress.states.toLocaleString('en')} states, ${progress.depth} steps deep, ${progress.seconds.toFixed(1)} s; where it ends is not known`}
    </p>
  )
}

/** Starts a search, or stops the one that is under way. */
export function SearchButton({
  ready,
  busy,
  label,
  onSearch,
}: {
  /** There is a text to search with. */
  ready: boolean
  busy: boolean
  label: string
  onSearch: () => void
}) {
  return (
    <button
      type="button"
      class="primary"
      disabled={!ready}
      onClick={busy ? stopSearching : onSearch}
    >
      {busy ? 'Stop' : label}
    </button>
  )
}

/** Texts that travel in the links of a verdict: the scenario, if it is the user's own, a design. */
export interface Carried {
  readonly own: string | undefined
  readonly design: string | undefined
}

export function Result({ v, carried }: { v: CellVerdict; carried: Carried }) {
  const word = v.verdict === 'finding' ? 'bad' : v.verdict === 'clean' ? 'good' : ''
  const results = v.outcomes.map((o) => ({
    token: o.token,
    text: Object.entries(o.values)
      .filter(([name]) => name.includes(':'))
      .map(([name, value]) => `${name} = ${words.value.errno[String(value)] ?? value}`)
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
            <a href={hashOf({ token: f.token, ...carried })}>✗ {f.id}</a>
            <span>
              <Explained text={f.title} />
            </span>
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
          <h2>What the calls return</h2>
          <ul class="outcomes">
            {results.slice(0, MOST_RESULTS).map((r) => (
              <li key={r.token}>
                <a href={hashOf({ token: r.token, ...carried })}>
                  <code>{r.text}</code>
                </a>
              </li>
            ))}
          </ul>
          {results.length > MOST_RESULTS && (
            <p class="dim">and {results.length - MOST_RESULTS} more</p>
          )}
        </>
      )}
    </>
  )
}

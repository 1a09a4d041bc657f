/** A campaign: what runs on a queue or ran there, who does it, what was found and what is left. */
import { computed, signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import type { CampaignSeen, Ran, RunStatus, WorkerFacts } from '../protocol.js'
import { hashOf } from './route.js'
import { campaignNow } from './shipped.js'
import { words } from './state.js'

/** Milliseconds between two looks. */
const LOOK = 2000
/** Rows of jobs that are shown. */
const MOST_ROWS = 200

const seen = signal<CampaignSeen | undefined>(undefined)
/** Why nothing newer is known. */
const trouble = signal<string | undefined>(undefined)
/** Which run, by its id; the last one if none was chosen. */
const chosen = signal('')
const filter = signal('')
const onlyFound = signal(false)

const run = computed<RunStatus | undefined>(() => {
  const runs = seen.value?.status?.runs ?? []
  return runs.find((r) => r.id === chosen.value) ?? runs.at(-1)
})

async function look(): Promise<void> {
  try {
    const now = await campaignNow()
    trouble.value = now.trouble
    if (now.status !== undefined) seen.value = now
  } catch {
    trouble.value = 'the lab that served this page does not answer'
  }
}

const seconds = (n: number): string => (n < 10 ? n.toFixed(1) : n.toFixed(0))

function Found({ found }: { found: Readonly<Record<string, number>> }) {
  const all = Object.entries(found).sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))
  if (all.length === 0) return <p>Nothing so far.</p>
  const known = new Set(words.value.findings.map((f) => f.id))
  return (
    <ul class="found">
      {all.map(([word, n]) => (
        <li key={word}>
          {known.has(word) ? <a href={hashOf({ screen: 'glossary', name: word })}>{word}</a> : word}{' '}
          <span class="n">{n}</span>
        </li>
      ))}
    </ul>
  )
}

function Parts({ run, workers }: { run: RunStatus; workers: readonly WorkerFacts[] }) {
  const alive = workers.filter((w) => w.code === run.code)
  const names = [...new Set([...Object.keys(run.by), ...alive.map((w) => w.name)])].sort()
  if (names.length === 0) return <p>No worker of its version yet.</p>
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls on narrow screens
    <section class="wide" tabIndex={0} aria-label="workers">
      <table class="facts">
        <thead>
          <tr>
            <th scope="col">worker</th>
            <th scope="col">answered</th>
            <th scope="col">slices</th>
            <th scope="col">seconds</th>
            <th scope="col">at present</th>
          </tr>
        </thead>
        <tbody>
          {names.map((name) => {
            const part = run.by[name]
            // One process may serve several queues.
            const own = alive.filter((w) => w.name === name)
            const doing = own.flatMap((w) =>
              w.doing.map(([title, s]) => `${title}, ${seconds(s)} s`),
            )
            return (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td class="n">{part?.jobs ?? 0}</td>
                <td class="n">{part?.slices ?? 0}</td>
                <td class="n">{seconds((part?.milliseconds ?? 0) / 1000)}</td>
                <td>{own.length === 0 ? 'gone' : doing.join('; ') || 'idle'}</td>
              </tr>
            )
          })}
        </tbody>
      </table>
    </section>
  )
}

function shownOf(ran: readonly Ran[]): readonly Ran[] {
  const wanted = filter.value.trim()
  return ran
    .filter((r) => !onlyFound.value || r.found.length > 0)
    .filter((r) => wanted === '' || `${r.title} ${r.worker} ${r.found.join(' ')}`.includes(wanted))
    .toSorted((a, b) => b.seconds - a.seconds)
}

function Jobs({ ran }: { ran: readonly Ran[] }) {
  const shown = shownOf(ran)
  return (
    <>
      <p class="tools">
        <input
          type="search"
          aria-label="which jobs"
          placeholder="a scenario, a design, a worker"
          value={filter.value}
          onInput={(e) => {
            filter.value = (e.currentTarget as HTMLInputElement).value
          }}
        />{' '}
        <label>
          <input
            type="checkbox"
            checked={onlyFound.value}
            onChange={(e) => {
              onlyFound.value = (e.currentTarget as HTMLInputElement).checked
            }}
          />{' '}
          only where something was found
        </label>
      </p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls on narrow screens */}
      <section class="wide" tabIndex={0} aria-label="jobs">
        <table class="facts">
          <thead>
            <tr>
              <th scope="col">job, the longest first</th>
              <th scope="col">seconds</th>
              <th scope="col">slices</th>
              <th scope="col">worker</th>
              <th scope="col">found</th>
            </tr>
          </thead>
          <tbody>
            {shown.slice(0, MOST_ROWS).map((r) => (
              <tr key={r.title}>
                <th scope="row">{r.title}</th>
                <td class="n">{seconds(r.seconds)}</td>
                <td class="n">{r.slices}</td>
                <td>{r.worker}</td>
                <td>{r.found.join(', ')}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      {shown.length > MOST_ROWS && <p class="dim">{shown.length - MOST_ROWS} more.</p>}
    </>
  )
}

function Run({ run, workers }: { run: RunStatus; workers: readonly WorkerFacts[] }) {
  const { what, state, why, done, total, host, code, begun, sliced } = run
  const at = begun.replace('T', ' ').replace(/\..*/, ' UTC')
  return (
    <>
      <h2>{what}</h2>
      <p role="status">
        <strong>{state}</strong>
        {why !== undefined && `: ${why}`} · {done} of {total} done in {seconds(run.seconds)} s ·{' '}
        {total - done} left
      </p>
      <progress value={done} max={total} aria-label="jobs that are done" />
      <p class="dim">
        asked on {host}, {at}, version {code}
      </p>
      <h2>Found</h2>
      <Found found={run.found} />
      {sliced.length > 0 && (
        <>
          <h2>In slices</h2>
          <ul>
            {sliced.map((s) => (
              <li key={s.title}>
                {s.title}: {s.slices} done, {seconds(s.seconds)} s, {s.states} states so far
              </li>
            ))}
          </ul>
        </>
      )}
      <h2>Workers</h2>
      <Parts run={run} workers={workers} />
      <h2>Jobs</h2>
      <Jobs ran={run.ran} />
    </>
  )
}

/** The screen. */
export function Campaign() {
  useEffect(() => {
    void look()
    const timer = setInterval(() => void look(), LOOK)
    return () => clearInterval(timer)
  }, [])
  const status = seen.value?.status
  const shown = run.value
  return (
    <section class="page campaign">
      <h1>Campaign</h1>
      {trouble.value !== undefined && <p role="alert">{trouble.value}</p>}
      {status === undefined && trouble.value === undefined && <p>Looking…</p>}
      {status !== undefined && shown === undefined && (
        <p class="none">
          No runs in the last hour, and {status.workers.length} workers. A run begins with{' '}
          <code>restrictedmem check --queue …</code>
        </p>
      )}
      {status !== undefined && status.runs.length > 1 && (
        <select
          aria-label="run"
          value={shown?.id}
          onChange={(e) => {
            chosen.value = (e.currentTarget as HTMLSelectElement).value
          }}
        >
          {status.runs.map((r) => (
            <option key={r.id} value={r.id}>
              {r.what}, {r.state}, {r.begun.slice(11, 19)}
            </option>
          ))}
        </select>
      )}
      {shown !== undefined && <Run run={shown} workers={status?.workers ?? []} />}
    </section>
  )
}

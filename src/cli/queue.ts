/** `queue status`: runs and workers on a server; and who has done what of a run. */
import type { RunStatus, Status } from '../app/host/queue/status.js'
import type { Part, Sliced, WorkerFacts } from '../app/host/queue/wire.js'
import { EXIT } from './exit.js'
import { out, say } from './terminal.js'

export interface StatusFlags {
  readonly queue: string
  readonly patience: number
  readonly json?: boolean
}

/** Print what runs on a queue; returns the exit code. */
export async function queueStatus({ queue, patience, json }: StatusFlags): Promise<number> {
  const { statusOf } = await import('../app/host/queue/status.js')
  const status = await statusOf(queue, { patience, onNotice: say })
  if (json) out(JSON.stringify({ schema: 'restrictedmem-queue-1', ...status }, undefined, 2))
  else out(statusText(status))
  return EXIT.OK
}

function statusText({ runs, workers }: Status): string {
  if (runs.length + workers.length === 0) return 'no runs, and no workers'
  return [...runs.map(runText), ...workers.map(workerText)].join('\n')
}

function runText(run: RunStatus): string {
  const { what, host, code, state, why, seconds, done, total, found, by, sliced } = run
  const words = Object.entries(found).map(([word, n]) => `${word} ${n}`)
  return [
    `run: ${what}, asked on ${host}, version ${code}`,
    `  ${state}${why === undefined ? '' : `: ${why}`}`,
    `  ${done} of ${total} done in ${seconds.toFixed(0)} s, ${total - done} left`,
    `  found: ${words.length === 0 ? 'nothing' : words.sort().join(', ')}`,
    ...sliced.map((s) => `  ${slicedText(s)}`),
    ...partLines(by).map((line) => `  ${line}`),
  ].join('\n')
}

function slicedText({ title, slices, states, seconds }: Sliced): string {
  return `${title}: ${slices} slices, ${seconds.toFixed(0)} s, ${states} states so far`
}

/** Who has done how much of a run. */
export function partLines(by: Readonly<Record<string, Part>>): string[] {
  return Object.entries(by)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { jobs, slices, milliseconds }]) => {
      const more = slices === 0 ? '' : ` and ${slices} slices`
      return `by ${name}: ${jobs}${more} in ${(milliseconds / 1000).toFixed(1)} s`
    })
}

function workerText(w: WorkerFacts): string {
  const doing = w.doing.map(([what, seconds]) => `  ${what}, for ${seconds.toFixed(0)} s`)
  return [
    `worker: ${w.name}, ${w.threads} at a time, version ${w.code}`,
    `  ${w.jobs} done in ${w.seconds.toFixed(0)} s${doing.length === 0 ? ', idle' : ', now:'}`,
    ...doing,
  ].join('\n')
}

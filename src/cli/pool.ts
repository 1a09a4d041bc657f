/** Worker threads that share a list of cells. Verdicts come back in the order of the list. */
import { Worker } from 'node:worker_threads'
import type { Verdict } from '../explore/verdict.js'
import { UserError } from './inputs.js'
import type { Job, Message } from './worker.js'

export interface Progress {
  /** Cells that are done. */
  readonly done: number
  readonly total: number
  /** States of the cells under way and done. */
  readonly states: number
  readonly depth: number
  /** Memory of the visited states of the cell that reported last. */
  readonly bytes: number
}

/** A bug in restrictedmem that a worker ran into. */
export class WorkerBug extends Error {}

/** How a run ended: all verdicts there are, and whether it was interrupted. */
export interface Run {
  /** By position in the list of jobs; undefined for one that was not begun or not answered. */
  readonly verdicts: readonly (Verdict | undefined)[]
  readonly interrupted: boolean
}

/** How long an interrupted worker may take to say what it has, in milliseconds. */
const LAST_WORDS = 3000

/**
 * Check all jobs on `threads` workers. When `interrupted` resolves, the workers stop their
 * searches, no further job is begun, and what there is is returned.
 */
export async function runJobs(
  jobs: readonly Job[],
  threads: number,
  onProgress: (p: Progress) => void,
  interrupted: Promise<void>,
): Promise<Run> {
  const verdicts: (Verdict | undefined)[] = jobs.map(() => undefined)
  const states: number[] = jobs.map(() => 0)
  const placeOf = new Map(jobs.map((j, i) => [j.number, i]))
  let next = 0
  let done = 0
  const stop = new Int32Array(new SharedArrayBuffer(4))
  const workers = Array.from(
    { length: Math.min(threads, jobs.length) },
    () => new Worker(new URL('./worker.js', import.meta.url), { workerData: stop }),
  )
  const work = (worker: Worker): Promise<void> =>
    new Promise((resolve, reject) => {
      const give = (): void => {
        const job = Atomics.load(stop, 0) === 0 ? jobs[next++] : undefined
        if (job === undefined) resolve()
        else worker.postMessage(job)
      }
      worker.on('error', reject)
      worker.on('message', (m: Message) => {
        if (m.kind === 'bug') {
          reject(new WorkerBug(m.text))
          return
        }
        if (m.kind === 'mistake') {
          reject(new UserError(m.text))
          return
        }
        const place = placeOf.get(m.job) as number
        let depth = 0
        let bytes = 0
        if (m.kind === 'progress') {
          states[place] = m.states
          depth = m.depth
          bytes = m.bytes
        } else {
          verdicts[place] = m.verdict
          states[place] = m.verdict.states
          done++
        }
        const sum = states.reduce((a, b) => a + b, 0)
        onProgress({ done, total: jobs.length, states: sum, depth, bytes })
        if (m.kind === 'verdict') give()
      })
      give()
    })
  let timer: NodeJS.Timeout | undefined
  const cutOff = interrupted.then(() => {
    Atomics.store(stop, 0, 1)
    return new Promise<void>((resolve) => {
      timer = setTimeout(resolve, LAST_WORDS)
    })
  })
  try {
    await Promise.race([Promise.all(workers.map(work)), cutOff])
  } finally {
    clearTimeout(timer)
    await Promise.all(workers.map((w) => w.terminate()))
  }
  return { verdicts, interrupted: Atomics.load(stop, 0) !== 0 }
}

/** Worker threads that share a list of cells. Verdicts come back in the order of the list. */
import { Worker } from 'node:worker_threads'
import { UserError } from '../error.js'
import type { Verdict } from '../verdict.js'
import { type Job, type Listener, type Message, type Run, type Start, WorkerBug } from './job.js'
import { CODE } from './package.js'
import { Watch } from './watch.js'

/** Start a worker that stops its search when `stop` is not 0 any more. */
export function startWorker(stop: Int32Array): Worker {
  const workerData: Start = { stop, code: CODE.code }
  return new Worker(new URL('./worker.js', import.meta.url), { workerData })
}

/** What a worker that could not go on has died of. */
export function failureOf(error: Error): Error {
  if ((error as NodeJS.ErrnoException).code !== 'ERR_WORKER_OUT_OF_MEMORY') return error
  return new UserError('a worker has no more memory; --memory limits what a cell may take')
}

/** How long an interrupted worker may take to say what it has, in milliseconds. */
const LAST_WORDS = 10_000

/**
 * Check all jobs on `threads` workers. When the signal comes, the workers stop their searches, no
 * further job is begun, and what there is is returned.
 */
export async function runJobs(
  jobs: readonly Job[],
  threads: number,
  { onProgress, onNotice, signal }: Listener,
): Promise<Run> {
  const verdicts: (Verdict | undefined)[] = jobs.map(() => undefined)
  const states: number[] = jobs.map(() => 0)
  const placeOf = new Map(jobs.map((j, i) => [j.number, i]))
  let next = 0
  let done = 0
  const stop = new Int32Array(new SharedArrayBuffer(4))
  const workers = Array.from({ length: Math.min(threads, jobs.length) }, () => startWorker(stop))
  const watches: Watch[] = []
  const work = (worker: Worker): Promise<void> =>
    new Promise((resolve, reject) => {
      const watch = new Watch(reject)
      watches.push(watch)
      const give = (): void => {
        const job = Atomics.load(stop, 0) === 0 ? jobs[next++] : undefined
        if (job === undefined) {
          watch.end()
          resolve()
          return
        }
        watch.begin(job)
        worker.postMessage(job)
      }
      worker.on('error', (error) => reject(failureOf(error)))
      worker.on('exit', () => reject(new WorkerBug('a worker ended before its work was done')))
      worker.on('message', (m: Message) => {
        watch.heard()
        if (m.kind === 'bug') {
          reject(new WorkerBug(m.text))
          return
        }
        if (m.kind === 'mistake') {
          reject(new UserError(m.text))
          return
        }
        if (m.kind === 'notice') {
          onNotice(m.text)
          return
        }
        const place = placeOf.get(m.job) as number
        let depth = 0
        let bytes = 0
        if (m.kind === 'progress') {
          states[place] = m.states
          depth = m.depth
          bytes = m.bytes
        } else if (m.kind === 'verdict') {
          verdicts[place] = m.verdict
          states[place] = m.verdict.states
          if (m.final) done++
        }
        const sum = states.reduce((a, b) => a + b, 0)
        onProgress({ done, total: jobs.length, states: sum, depth, bytes })
        if (m.kind === 'verdict' && m.final) give()
      })
      give()
    })
  let timer: NodeJS.Timeout | undefined
  const cutOff = new Promise<void>((resolve) => {
    const cut = (): void => {
      Atomics.store(stop, 0, 1)
      timer = setTimeout(resolve, LAST_WORDS)
    }
    if (signal.aborted) cut()
    else signal.addEventListener('abort', cut, { once: true })
  })
  try {
    await Promise.race([Promise.all(workers.map(work)), cutOff])
  } finally {
    clearTimeout(timer)
    for (const w of watches) w.end()
    await Promise.all(workers.map((w) => w.terminate()))
  }
  return { verdicts, interrupted: Atomics.load(stop, 0) !== 0 }
}

/** Several worker threads on one cell, with one table of visited states in shared memory. */
import { Worker } from 'node:worker_threads'
import { CONTROL } from '../explore/shared.js'
import type { ShareResult } from '../explore/shares.js'
import { UserError } from './inputs.js'
import { type Progress, type Run, runJobs, WorkerBug } from './pool.js'
import type { Job, Message } from './worker.js'

/** Bytes of the shared table if the user sets no limit. It can't grow. */
const TABLE_BYTES = 2 ** 30

/** Check one job with `threads` workers; with one, if several can't be sure. */
export async function runTogether(
  job: Job,
  threads: number,
  onProgress: (p: Progress) => void,
  interrupted: Promise<void>,
): Promise<Run> {
  const begun = Date.now()
  const control = new Int32Array(new SharedArrayBuffer(CONTROL.WORDS * 4))
  const bytes = Math.floor((job.effort.memoryBytes ?? TABLE_BYTES) / 8) * 8
  const table = new Int32Array(new SharedArrayBuffer(bytes))
  const stop = new Int32Array(new SharedArrayBuffer(4))
  const workers = Array.from(
    { length: threads },
    () => new Worker(new URL('./worker.js', import.meta.url), { workerData: stop }),
  )
  interrupted.then(() => Atomics.store(stop, 0, 1))
  const states = workers.map(() => 0)
  const hear = (i: number, m: Message): void => {
    if (m.kind !== 'progress') return
    states[i] = m.states
    const sum = states.reduce((a, b) => a + b, 0)
    onProgress({ done: 0, total: 1, states: sum, depth: m.depth, bytes })
  }
  try {
    const shares = await Promise.all(
      workers.map((w, i) => {
        const share = { worker: i, control, table }
        return answer(w, { ...job, share }, (m) => hear(i, m))
      }),
    )
    const results = shares.map((m): ShareResult | undefined =>
      m.kind === 'share' ? m.share : undefined,
    )
    const first = workers[0] as Worker
    const last = await answer(first, { ...job, shares: results, begun }, () => {})
    if (last.kind === 'verdict') {
      return { verdicts: [last.verdict], interrupted: Atomics.load(stop, 0) !== 0 }
    }
  } finally {
    await Promise.all(workers.map((w) => w.terminate()))
  }
  return runJobs([job], 1, onProgress, interrupted)
}

/** Give a worker a job and wait for its last word on it. */
function answer(worker: Worker, job: Job, onProgress: (m: Message) => void): Promise<Message> {
  return new Promise((resolve, reject) => {
    const listen = (m: Message): void => {
      if (m.kind === 'progress') {
        onProgress(m)
        return
      }
      worker.off('message', listen)
      worker.off('error', reject)
      if (m.kind === 'bug') reject(new WorkerBug(m.text))
      else if (m.kind === 'mistake') reject(new UserError(m.text))
      else resolve(m)
    }
    worker.on('message', listen)
    worker.once('error', reject)
    worker.postMessage(job)
  })
}

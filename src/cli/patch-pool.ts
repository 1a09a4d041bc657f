/** Worker threads for comparisons; results come back by the number of the job. */
import { Worker } from 'node:worker_threads'
import { WorkerBug } from '../app/host/job.js'
import type { PatchJob, PatchResult } from './patch-worker.js'

/** Run all jobs on so many threads. */
export async function comparePatches(
  jobs: readonly PatchJob[],
  threads: number,
  onDone: (done: number) => void = () => {},
): Promise<readonly PatchResult[]> {
  const results: PatchResult[] = []
  let next = 0
  const workers = Array.from(
    { length: Math.min(threads, jobs.length) },
    () => new Worker(new URL('./patch-worker.js', import.meta.url)),
  )
  const work = (worker: Worker): Promise<void> =>
    new Promise((resolve, reject) => {
      const give = (): void => {
        const job = jobs[next++]
        if (job === undefined) resolve()
        else worker.postMessage(job)
      }
      worker.on('error', reject)
      worker.on('message', (result: PatchResult) => {
        if (result.bug !== undefined) {
          reject(new WorkerBug(result.bug))
          return
        }
        results[result.number] = result
        onDone(results.length)
        give()
      })
      give()
    })
  try {
    await Promise.all(workers.map(work))
  } finally {
    await Promise.all(workers.map((w) => w.terminate()))
  }
  return results
}

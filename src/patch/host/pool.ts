/** Worker threads for comparisons; results come back by the number of the job. */
import { Worker } from 'node:worker_threads'
import { WorkerBug } from '../../app/host/job.js'
import { failureOf } from '../../app/host/pool.js'
import type { PatchJob, PatchResult } from './worker.js'

export interface PatchPool {
  /** Run all jobs; one call at a time. */
  compare(jobs: readonly PatchJob[]): Promise<readonly PatchResult[]>
  close(): Promise<void>
}

/** So many threads. A job goes to the one that has judged its scenario before, if that is free. */
export function openPool(threads: number): PatchPool {
  const workers: Worker[] = []
  const home = new Map<number, Worker>()
  const takeFrom = (waiting: PatchJob[], worker: Worker): PatchJob | undefined => {
    const own = waiting.findIndex((j) => home.get(j.number) === worker)
    const free = own >= 0 ? own : waiting.findIndex((j) => !home.has(j.number))
    const [job] = waiting.splice(Math.max(0, free), 1)
    if (job !== undefined) home.set(job.number, worker)
    return job
  }
  return {
    async compare(jobs) {
      while (workers.length < Math.min(threads, jobs.length)) {
        const worker = new Worker(new URL('./worker.js', import.meta.url))
        worker.once('exit', () => workers.splice(workers.indexOf(worker), 1))
        workers.push(worker)
      }
      const waiting = [...jobs]
      const results: PatchResult[] = []
      const work = async (worker: Worker): Promise<void> => {
        for (;;) {
          const job = takeFrom(waiting, worker)
          if (job === undefined) return
          const result = (await answerOf(worker, job)) as PatchResult
          if (result.bug !== undefined) throw new WorkerBug(result.bug)
          results[result.number] = result
        }
      }
      await Promise.all(workers.map(work))
      return results
    },
    async close() {
      await Promise.all(workers.map((w) => w.terminate()))
    },
  }
}

/** What a worker says to a message. @throws WorkerBug if it ends instead, or what it dies of */
export function answerOf(worker: Worker, message: unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const vanish = (): void => reject(new WorkerBug('a worker ended before its work was done'))
    const fail = (error: Error): void => reject(failureOf(error))
    worker.once('exit', vanish)
    worker.once('error', fail)
    worker.once('message', (answer) => {
      worker.off('exit', vanish)
      worker.off('error', fail)
      resolve(answer)
    })
    worker.postMessage(message)
  })
}

/** A pool for as long as `f` takes. */
export async function withPool<T>(threads: number, f: (pool: PatchPool) => Promise<T>): Promise<T> {
  const pool = openPool(threads)
  try {
    return await f(pool)
  } finally {
    await pool.close()
  }
}

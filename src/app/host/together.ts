/** Several worker threads on one cell, with one table of visited states in shared memory. */
import type { Worker } from 'node:worker_threads'
import { CONTROL } from '../../explore/states/shared.js'
import { UserError } from '../error.js'
import type { Progress } from '../results.js'
import type { ShareResult } from '../shares.js'
import { type Job, type Listener, type Message, type Run, WorkerBug } from './job.js'
import { failureOf, runJobs, startWorker } from './pool.js'
import { Watch } from './watch.js'

/**
 * Bytes of the first table. It can't grow: when it is full, all begin again with one that is larger
 * by a factor, and what has been lost is a small part of what follows. A table much larger than the
 * states need costs as much, since each of its pages is far away.
 */
const FIRST_BYTES = 2 ** 20
const FACTOR = 8
/** Bytes of the last one if the user sets no limit, and the most that there can be. */
const USUAL_BYTES = 2 ** 30
const MOST_BYTES = 2 ** 33

/** Check one job with `threads` workers; with one, if several can't be sure. */
export async function runTogether(job: Job, threads: number, listener: Listener): Promise<Run> {
  const begun = Date.now()
  const stop = new Int32Array(new SharedArrayBuffer(4))
  const workers = Array.from({ length: threads }, () => startWorker(stop))
  const halt = (): void => {
    Atomics.store(stop, 0, 1)
  }
  if (listener.signal.aborted) halt()
  else listener.signal.addEventListener('abort', halt, { once: true })
  try {
    const results = await exploreTogether(job, workers, begun, listener.onProgress)
    const last = await answer(workers[0] as Worker, { ...job, shares: results, begun }, () => {})
    if (last.kind === 'verdict') {
      return { verdicts: [last.verdict], interrupted: Atomics.load(stop, 0) !== 0 }
    }
  } finally {
    await Promise.all(workers.map((w) => w.terminate()))
  }
  return runJobs([job], 1, listener)
}

type Results = readonly (ShareResult | undefined)[]

/** The shares of all workers, with the first table that has room. */
async function exploreTogether(
  job: Job,
  workers: readonly Worker[],
  begun: number,
  onProgress: (p: Progress) => void,
): Promise<Results> {
  let best: Results | undefined
  const limit = Math.min(job.limits.bytes ?? USUAL_BYTES, MOST_BYTES)
  for (let bytes = Math.min(FIRST_BYTES, limit); ; bytes = Math.min(bytes * FACTOR, limit)) {
    const control = new SharedArrayBuffer(CONTROL.WORDS * 4)
    const table = tableOf(bytes)
    if (table === undefined && best !== undefined) return best
    if (table === undefined) throw new UserError('there is no memory for a table of states')
    const states = workers.map(() => 0)
    const hear = (i: number, m: Message): void => {
      if (m.kind !== 'progress') return
      states[i] = m.states
      const sum = states.reduce((a, b) => a + b, 0)
      onProgress({ done: 0, total: 1, states: sum, depth: m.depth, bytes })
    }
    const limits = { ...job.limits, milliseconds: timeLeft(job, begun) }
    const shares = await Promise.all(
      workers.map((w, worker) => {
        const share = { worker, control, table }
        return answer(w, { ...job, limits, share }, (m) => hear(worker, m))
      }),
    )
    const results = shares.map((m) => (m.kind === 'share' ? m.share : undefined))
    const saw = statesOf(results)
    if (best === undefined || !isCutShort(results) || saw > statesOf(best)) best = results
    else best = best.map(withoutBlame)
    if (bytes === limit || !isOutOfMemory(results)) return best
  }
}

function isOutOfMemory(results: Results): boolean {
  return results.some((r) => r?.result.outOfMemory)
}

/** Has the user or the clock stopped the search? What a smaller table had seen may be more. */
function isCutShort(results: Results): boolean {
  if (isOutOfMemory(results) || results.some((r) => r?.result.unclosed === undefined)) return false
  return results.some((r) => r?.result.finished === false)
}

/** The same share: memory was not what ended the search in the end. */
function withoutBlame(share: ShareResult | undefined): ShareResult | undefined {
  return share && { ...share, result: { ...share.result, outOfMemory: false } }
}

function statesOf(results: Results): number {
  return results.reduce((sum, r) => sum + (r?.result.states ?? 0), 0)
}

/** Undefined if there is not so much memory at once. */
function tableOf(bytes: number): SharedArrayBuffer | undefined {
  try {
    return new SharedArrayBuffer(Math.floor(bytes / 8) * 8)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    return undefined
  }
}

/** Milliseconds that the user's limit leaves to a search that begins now. */
function timeLeft(job: Job, begun: number): number | undefined {
  const limit = job.limits.milliseconds
  return limit === undefined ? undefined : limit - (Date.now() - begun)
}

/** Give a worker a job and wait for its last word on it. */
export function answer(
  worker: Worker,
  job: Job,
  onProgress: (m: Message) => void,
): Promise<Message> {
  return new Promise((resolve, reject) => {
    const watch = new Watch(reject)
    const fail = (error: Error): void => {
      watch.end()
      reject(failureOf(error))
    }
    const listen = (m: Message): void => {
      watch.heard()
      if (m.kind === 'progress') onProgress(m)
      if (m.kind === 'progress' || m.kind === 'notice') return
      if (m.kind === 'verdict' && !m.final) return
      watch.end()
      worker.off('message', listen)
      worker.off('error', fail)
      if (m.kind === 'bug') reject(new WorkerBug(m.text))
      else if (m.kind === 'mistake') reject(new UserError(m.text))
      else resolve(m)
    }
    worker.on('message', listen)
    worker.once('error', fail)
    watch.begin(job)
    worker.postMessage(job)
  })
}

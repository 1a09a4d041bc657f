/** Several worker threads on one cell, with one table of visited states in shared memory. */
import type { Worker } from 'node:worker_threads'
import { divided } from '../../explore/states/room.js'
import { CONTROL, MOST_TABLE_BYTES, type Share, tableOf } from '../../explore/states/shared.js'
import { UserError } from '../error.js'
import type { Progress } from '../results.js'
import { type Explored, exploredBy, type ShareResult } from '../shares.js'
import { type Job, type Listener, type Message, type Run, WorkerBug } from './job.js'
import { failureOf, startWorker } from './pool.js'
import { Watch } from './watch.js'

/**
 * Bytes of the first table. It can't grow: when it is full, all begin again with one that is larger
 * by a factor, and has the states that are finished. A table much larger than the states need costs
 * a lot, since each of its pages is far away.
 */
const FIRST_BYTES = 2 ** 23
const FACTOR = 8

/** Check one job with `threads` workers. */
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
    const explored = await exploreTogether(job, workers, begun, listener.onProgress)
    const last = await answer(workers[0] as Worker, { ...job, explored, begun }, () => {})
    const verdict = last.kind === 'verdict' ? last.verdict : undefined
    return { verdicts: [verdict], interrupted: Atomics.load(stop, 0) !== 0 }
  } finally {
    await Promise.all(workers.map((w) => w.terminate()))
  }
}

/** What all workers have seen, with the first table that has room. */
async function exploreTogether(
  job: Job,
  workers: readonly Worker[],
  begun: number,
  onProgress: (p: Progress) => void,
): Promise<Explored> {
  const rounds: (readonly (ShareResult | undefined)[])[] = []
  const { states: room } = divided(job.limits.bytes, workers.length)
  // For a moment the table before the last one is there too.
  const limit = Math.min(room * (FACTOR / (FACTOR + 1)), MOST_TABLE_BYTES)
  let bytes = Math.min(FIRST_BYTES, limit)
  let table = allocated(bytes)
  if (table === undefined) throw new UserError('there is no memory for a table of states')
  for (let carried = 0; ; ) {
    rounds.push(
      await exploreWith(table, carried, job, workers, timeLeft(job, begun), (states, depth) => {
        onProgress({ done: 0, total: 1, states: carried + states, depth, bytes })
      }),
    )
    const explored = exploredBy(rounds, carried)
    if (!explored.outOfMemory || bytes === limit) return explored
    bytes = Math.min(bytes * FACTOR, limit)
    const larger = allocated(bytes)
    if (larger === undefined) return explored
    carried = await carryTogether(job, table, larger, workers)
    table = larger
  }
}

/** Put the finished states of a table into a larger one; how many. */
async function carryTogether(
  job: Job,
  from: Share['table'],
  to: Share['table'],
  workers: readonly Worker[],
): Promise<number> {
  const parts = workers.length
  const carried = workers.map(async (w, part) => {
    const last = await answer(w, { ...job, carry: { from, to, part, parts } }, () => {})
    return last.kind === 'carried' ? last.states : 0
  })
  return (await Promise.all(carried)).reduce((a, b) => a + b, 0)
}

/** The shares of all workers, with a table that has so many states. */
function exploreWith(
  table: readonly SharedArrayBuffer[],
  carried: number,
  job: Job,
  workers: readonly Worker[],
  milliseconds: number | undefined,
  onProgress: (states: number, depth: number) => void,
): Promise<(ShareResult | undefined)[]> {
  const control = new SharedArrayBuffer(CONTROL.WORDS * 4)
  new Int32Array(control)[CONTROL.STATES] = carried
  const limits = { ...job.limits, milliseconds }
  const states = workers.map(() => 0)
  const ask = async (w: Worker, worker: number): Promise<ShareResult | undefined> => {
    const share = { worker, control, table }
    const last = await answer(w, { ...job, limits, share }, (m) => {
      if (m.kind !== 'progress') return
      states[worker] = m.states
      const sum = states.reduce((a, b) => a + b, 0)
      onProgress(sum, m.depth)
    })
    return last.kind === 'share' ? last.share : undefined
  }
  return Promise.all(workers.map(ask))
}

/** Undefined if there is not so much memory at once. */
function allocated(bytes: number): readonly SharedArrayBuffer[] | undefined {
  try {
    return tableOf(bytes)
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

/** Give a worker a job and wait for its last word on it; `onWay` is told what comes before. */
export function answer(
  worker: Worker,
  job: Job,
  onWay: (m: Message & { readonly kind: 'progress' | 'notice' }) => void,
): Promise<Message> {
  return new Promise((resolve, reject) => {
    const watch = new Watch(reject)
    const fail = (error: Error): void => {
      end()
      reject(failureOf(error))
    }
    const vanish = (): void => fail(new WorkerBug('a worker ended before its work was done'))
    const end = (): void => {
      watch.end()
      worker.off('message', listen)
      worker.off('error', fail)
      worker.off('exit', vanish)
    }
    const listen = (m: Message): void => {
      watch.heard()
      if (m.kind === 'progress' || m.kind === 'notice') {
        onWay(m)
        return
      }
      if (m.kind === 'verdict' && !m.final) return
      end()
      if (m.kind === 'bug') reject(new WorkerBug(m.text))
      else if (m.kind === 'mistake') reject(new UserError(m.text))
      else resolve(m)
    }
    worker.on('message', listen)
    worker.on('error', fail)
    worker.on('exit', vanish)
    watch.begin(job)
    worker.postMessage(job)
  })
}

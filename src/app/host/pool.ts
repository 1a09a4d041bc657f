/** Worker threads that share a list of cells. Verdicts come back in the order of the list. */
import { Worker } from 'node:worker_threads'
import { UserError } from '../error.js'
import type { Progress } from '../results.js'
import type { Story } from '../story.js'
import type { Finding, Verdict } from '../verdict.js'
import { type Job, type Message, type Start, WorkerBug } from './job.js'
import { CODE } from './package.js'

/** How a run ended: all verdicts there are, and whether it was interrupted. */
export interface Run {
  /** By position in the list of jobs; undefined for one that was not begun or not answered. */
  readonly verdicts: readonly (Verdict | undefined)[]
  readonly interrupted: boolean
}

/** What a run tells while it goes on. */
export interface Listener {
  onProgress(p: Progress): void
  /** Something that the user should know. */
  onNotice(text: string): void
  readonly signal: AbortSignal
}

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

/** Give a worker a job and wait for its last word on it. */
export function answer(
  worker: Worker,
  job: Job,
  onProgress: (m: Message) => void,
): Promise<Message> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => reject(failureOf(error))
    const listen = (m: Message): void => {
      if (m.kind === 'progress') onProgress(m)
      if (m.kind === 'progress' || m.kind === 'notice') return
      if (m.kind === 'verdict' && !m.final) return
      worker.off('message', listen)
      worker.off('error', fail)
      if (m.kind === 'bug') reject(new WorkerBug(m.text))
      else if (m.kind === 'mistake') reject(new UserError(m.text))
      else resolve(m)
    }
    worker.on('message', listen)
    worker.once('error', fail)
    worker.postMessage(job)
  })
}

/** Workers that check jobs, and afterwards tell what was found while they know its code. */
export class Pool {
  readonly #stop = new Int32Array(new SharedArrayBuffer(4))
  readonly #workers: readonly Worker[]
  /** By number of a job, who checked it. */
  readonly #by = new Map<number, Worker>()

  constructor(threads: number) {
    this.#workers = Array.from({ length: threads }, () => startWorker(this.#stop))
  }

  /**
   * Check all jobs. When the signal comes, the workers stop their searches, no further job is begun,
   * and what there is is returned.
   */
  async run(jobs: readonly Job[], { onProgress, onNotice, signal }: Listener): Promise<Run> {
    const stop = this.#stop
    const verdicts: (Verdict | undefined)[] = jobs.map(() => undefined)
    const states: number[] = jobs.map(() => 0)
    const placeOf = new Map(jobs.map((j, i) => [j.number, i]))
    let next = 0
    let done = 0
    const work = (worker: Worker): Promise<void> =>
      new Promise((resolve, reject) => {
        const give = (): void => {
          const job = Atomics.load(stop, 0) === 0 ? jobs[next++] : undefined
          if (job === undefined) {
            worker.off('message', hear)
            resolve()
            return
          }
          this.#by.set(job.number, worker)
          worker.postMessage(job)
        }
        const hear = (m: Message): void => {
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
        }
        worker.on('error', (error) => reject(failureOf(error)))
        worker.on('exit', () => reject(new WorkerBug('a worker ended before its work was done')))
        worker.on('message', hear)
        give()
      })
    let timer: NodeJS.Timeout | undefined
    let cut = (): void => {}
    const cutOff = new Promise<void>((resolve) => {
      cut = () => {
        Atomics.store(stop, 0, 1)
        timer = setTimeout(resolve, LAST_WORDS)
      }
    })
    if (signal.aborted) cut()
    else signal.addEventListener('abort', cut, { once: true })
    try {
      await Promise.race([Promise.all(this.#workers.map(work)), cutOff])
    } finally {
      signal.removeEventListener('abort', cut)
      clearTimeout(timer)
    }
    return { verdicts, interrupted: Atomics.load(stop, 0) !== 0 }
  }

  /** A finding of a job that was checked here, told; undefined if another one checked it. */
  async tell(job: Job, finding: Finding): Promise<Story | undefined> {
    const worker = this.#by.get(job.number)
    if (worker === undefined || Atomics.load(this.#stop, 0) !== 0) return undefined
    const said = await answer(worker, { ...job, finding }, () => {})
    return said.kind === 'story' ? said.story : undefined
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((w) => w.terminate()))
  }
}

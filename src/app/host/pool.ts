/**
 * Threads that share a list of cells. Verdicts come back in the order of the list.
 *
 * The thread that asks can be one of them, and for a while the only one: it has loaded the code
 * already, and what it runs is learnt once.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { UserError } from '../error.js'
import type { Verdict } from '../verdict.js'
import { atOnce } from './at-once.js'
import {
  type Job,
  type List,
  type Listener,
  type Message,
  type Run,
  type Start,
  takeNext,
  WorkerBug,
} from './job.js'
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
 * In milliseconds. The thread that asks works alone for a moment; then others join it if what is
 * left would take it so long, going by what it has done. A worker loads and learns the code again:
 * of less it saves little, and costs a lot (docs/decisions/0015-latency.md).
 */
const ALONE = 2000
const WORTH = 4000

/** Who is to check the jobs. */
export interface Hands {
  readonly threads: number
  /** The thread that asks is one of them. */
  readonly here: boolean
}

/**
 * Check all jobs. When the signal comes, the threads stop their searches, no further job is begun,
 * and what there is is returned.
 */
export async function runJobs(
  jobs: readonly Job[],
  { threads, here }: Hands,
  listener: Listener,
): Promise<Run> {
  const pool = new Pool(jobs, listener)
  const count = Math.min(threads, jobs.length)
  const { signal } = listener
  let timer: NodeJS.Timeout | undefined
  const cutOff = new Promise<void>((resolve) => {
    const cut = (): void => {
      pool.stop()
      timer = setTimeout(resolve, LAST_WORDS)
    }
    if (signal.aborted) cut()
    else signal.addEventListener('abort', cut, { once: true })
  })
  try {
    if (here) pool.workHere(count - 1)
    else pool.employ(count)
    await Promise.race([pool.finished, cutOff])
    return { verdicts: pool.verdicts, interrupted: pool.stopped }
  } finally {
    clearTimeout(timer)
    await pool.end()
  }
}

class Pool {
  readonly verdicts: (Verdict | undefined)[]
  /** Everybody has come to the end of the list. */
  readonly finished: Promise<void>
  readonly #list: List
  readonly #listener: Listener
  readonly #places: ReadonlyMap<number, number>
  readonly #states: number[]
  #done = 0
  readonly #stop = new Int32Array(new SharedArrayBuffer(4))
  readonly #workers: Worker[] = []
  readonly #watches: Watch[] = []
  /** Threads that have not come to the end. */
  #busy = 0
  #finish: () => void = () => {}
  #fail: (error: Error) => void = () => {}

  constructor(jobs: readonly Job[], listener: Listener) {
    this.#list = { jobs, taken: new Int32Array(new SharedArrayBuffer(4)) }
    this.#listener = listener
    this.#places = new Map(jobs.map((j, i) => [j.number, i]))
    this.verdicts = jobs.map(() => undefined)
    this.#states = jobs.map(() => 0)
    this.finished = new Promise((resolve, reject) => {
      this.#finish = resolve
      this.#fail = reject
    })
    if (jobs.length === 0) this.#finish()
  }

  get stopped(): boolean {
    return Atomics.load(this.#stop, 0) !== 0
  }

  stop(): void {
    Atomics.store(this.#stop, 0, 1)
  }

  /** Nobody goes on. */
  async end(): Promise<void> {
    this.stop()
    for (const w of this.#watches) w.end()
    await Promise.all(this.#workers.map((w) => w.terminate()))
  }

  /** Have so many workers work, one of them at this job first. */
  employ(count: number, first?: Job): void {
    for (let i = 0; i < count; i++) this.#employ(i === 0 ? first : undefined)
  }

  #employ(first: Job | undefined): void {
    const worker = startWorker(this.#stop)
    const watch = new Watch(this.#fail)
    this.#workers.push(worker)
    this.#watches.push(watch)
    this.#busy++
    worker.on('error', (error) => this.#fail(failureOf(error)))
    worker.on('exit', () => this.#fail(new WorkerBug('a worker ended before its work was done')))
    worker.on('message', (m: Message) => {
      watch.heard()
      if (m.kind === 'bug') this.#fail(new WorkerBug(m.text))
      else if (m.kind === 'mistake') this.#fail(new UserError(m.text))
      else if (m.kind === 'notice') this.#listener.onNotice(m.text)
      else if (m.kind === 'taken') watch.begin(this.#list.jobs[this.#placeOf(m.job)] as Job)
      else if (m.kind === 'progress') this.#tell(m.job, m.states, m.depth, m.bytes)
      else if (m.kind === 'verdict') this.#note(m.job, m.verdict, m.final)
      else if (m.kind === 'done') {
        watch.end()
        this.#atEnd()
      }
    })
    worker.postMessage({ ...this.#list, first })
  }

  /**
   * Work on this thread, with so many others if there is much to do. The first job that takes
   * longer than a moment, or may not be done here, goes to one more worker, which then works in the
   * place of this thread; what was seen of the job is lost.
   */
  async workHere(others: number): Promise<void> {
    const start = performance.now()
    let waiting = others
    this.#busy++
    try {
      while (!this.stopped) {
        const job = takeNext(this.#list)
        if (job === undefined) break
        const verdict = await atOnce(job, () => this.stopped)
        if (verdict === undefined) {
          if (!this.stopped) this.employ(Math.min(waiting, this.#left) + 1, job)
          break
        }
        this.#note(job.number, verdict, true)
        if (waiting > 0 && this.#isWorthIt(performance.now() - start)) {
          this.employ(waiting)
          waiting = 0
        }
        await turn()
      }
      this.#atEnd()
    } catch (error) {
      this.#fail(error as Error)
    }
  }

  /** Jobs that nobody has taken. */
  get #left(): number {
    const { jobs, taken } = this.#list
    return Math.max(0, jobs.length - Atomics.load(taken, 0))
  }

  /** Should others join this thread, which has worked for so many milliseconds alone? */
  #isWorthIt(spent: number): boolean {
    const done = this.#list.jobs.length - this.#left
    return spent > ALONE && (spent / done) * this.#left > WORTH
  }

  #atEnd(): void {
    if (--this.#busy === 0) this.#finish()
  }

  #placeOf(job: number): number {
    return this.#places.get(job) as number
  }

  #note(job: number, verdict: Verdict, final: boolean): void {
    this.verdicts[this.#placeOf(job)] = verdict
    if (final) this.#done++
    this.#tell(job, verdict.states, 0, 0)
  }

  #tell(job: number, states: number, depth: number, bytes: number): void {
    this.#states[this.#placeOf(job)] = states
    const total = this.#states.reduce((a, b) => a + b, 0)
    const { length } = this.#list.jobs
    this.#listener.onProgress({ done: this.#done, total: length, states: total, depth, bytes })
  }
}

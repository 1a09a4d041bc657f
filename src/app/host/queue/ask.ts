/**
 * The asker's side of a queue: jobs go out, answers come back, and what was lost on the way is asked
 * again. Nothing is believed to be on the server because it was put there: a server may have been
 * started again with nothing in it. So every job that has no answer yet is looked for now and then.
 */
import { randomBytes } from 'node:crypto'
import type { Queue } from 'bullmq'
import type { Ending, Part } from '../../campaign.js'
import { UserError } from '../../error.js'
import { WorkerBug } from '../job.js'
import { fromJson, NotAsWritten } from '../narrow.js'
import { Campaign } from './campaign.js'
import type { Kind } from './kind.js'
import { Line, type LineOptions, packages, together, until } from './line.js'
import { dropSnapshot, keepSnapshot } from './snapshots.js'
import {
  ALIVE,
  type Answered,
  BEAT,
  envelope,
  jobId,
  KEPT,
  KEYS,
  living,
  PREFIX,
  placeOf,
  queueName,
  readAnswered,
  readWorker,
  type SliceFacts,
  sweep,
  THIS_CODE,
} from './wire.js'

/** Jobs that are on the server at a time: enough for many workers, and soon taken back. */
const WINDOW = 256
/** Milliseconds between two looks for answers. */
const LOOK = 100
/** How often a job is asked again whose answer was of no use. */
const TRIES = 3
/** Milliseconds after which a missing worker is told. */
const LONELY = 5000

export interface AskOptions<Answer> extends LineOptions {
  readonly url: string
  /** What the run is about, for people. */
  readonly what: string
  readonly signal: AbortSignal
  onAnswer(answer: Answer): void
  /** Called now and then; so many states were seen of jobs that are not finished. */
  onDone(done: number, states: number): void
}

/** What came of a run. */
export interface Asked<Answer> {
  /** By position in the list of jobs. */
  readonly answers: readonly (Answer | undefined)[]
  readonly interrupted: boolean
  readonly by: Readonly<Record<string, Part>>
}

/** Ask for all jobs; `designs` are texts by hash, which workers may fetch. @throws UserError */
export async function askAll<A, R>(
  kind: Kind<A, R>,
  jobs: readonly A[],
  designs: ReadonlyMap<string, string>,
  options: AskOptions<R>,
): Promise<Asked<R>> {
  if (jobs.length === 0) return { answers: [], interrupted: false, by: {} }
  const line = await Line.open(options.url, options)
  const { Queue } = await packages()
  const queue = new Queue(queueName(kind.name), {
    ...{ connection: line.redis, prefix: PREFIX },
    skipMetasUpdate: true,
  })
  queue.on('error', () => {})
  const asker = new Asker(kind, jobs, designs, options, line, queue)
  let ended: Ending = { how: 'interrupted' }
  try {
    await asker.run()
    if (!asker.outcome.interrupted) ended = { how: 'finished' }
    return asker.outcome
  } catch (error) {
    ended = { how: 'failed', why: (error as Error).message }
    throw error
  } finally {
    if (line.isLost) line.close()
    else await asker.clean(ended).finally(() => line.close())
  }
}

class Asker<A, R> {
  readonly #kind: Kind<A, R>
  readonly #jobs: readonly A[]
  readonly #designs: ReadonlyMap<string, string>
  readonly #options: AskOptions<R>
  readonly #line: Line
  readonly #queue: Queue
  readonly #run = randomBytes(16).toString('hex')
  readonly #campaign: Campaign
  readonly #answers: (R | undefined)[]
  /** Jobs on the server, and how often each was asked again for want of a good answer. */
  readonly #out = new Set<number>()
  readonly #tries = new Map<number, number>()
  /** Jobs of which some slices are done, and snapshots that nobody needs any more. */
  readonly #slices = new Map<number, SliceFacts>()
  #spent: SliceFacts[] = []
  #next = 0
  #done = 0
  #beat = Number.NEGATIVE_INFINITY
  #lonely = false

  constructor(
    kind: Kind<A, R>,
    jobs: readonly A[],
    designs: ReadonlyMap<string, string>,
    options: AskOptions<R>,
    line: Line,
    queue: Queue,
  ) {
    this.#kind = kind
    this.#jobs = jobs
    this.#designs = designs
    this.#options = options
    this.#line = line
    this.#queue = queue
    this.#answers = jobs.map(() => undefined)
    this.#campaign = new Campaign(this.#run, options.what, jobs.length)
  }

  get outcome(): Asked<R> {
    return { answers: this.#answers, interrupted: this.#isOver, by: this.#campaign.by }
  }

  get #isOver(): boolean {
    return this.#options.signal.aborted && this.#done < this.#jobs.length
  }

  async run(): Promise<void> {
    const { signal } = this.#options
    while (this.#done < this.#jobs.length && !signal.aborted) {
      // One step may have been done though it was not answered: each bears being done again.
      await this.#line.attempt(async () => {
        const now = performance.now()
        if (now - this.#beat > BEAT * 1000) {
          await this.#sayAlive()
          await this.#lookForLost()
          this.#beat = now
        }
        await this.#putOut()
        await this.#takeIn()
      })
      this.#options.onDone(this.#done, this.#campaign.states)
      if (this.#done < this.#jobs.length) await until(LOOK, signal)
    }
  }

  /** What waits for this run, and what workers see of it. */
  async #sayAlive(): Promise<void> {
    const { redis } = this.#line
    await redis.set(KEYS.run(this.#run), THIS_CODE, 'EX', ALIVE)
    await this.#campaign.tell(redis)
    const keeps = redis.multi()
    for (const slice of this.#slices.values()) keepSnapshot(keeps, this.#run, slice)
    await together(keeps)
    for (const [hash, text] of this.#designs) {
      await redis.set(KEYS.design(this.#run, hash), text, 'EX', KEPT)
    }
    // Whoever was killed while it cleaned up has left it paused.
    await this.#queue.resume()
    if (this.#lonely || this.#campaign.milliseconds < LONELY) return
    const workers = await living(redis, KEYS.workers, KEYS.worker, readWorker)
    if ([...workers.values()].some((w) => w.code === THIS_CODE)) return
    this.#lonely = true
    this.#options.onNotice(
      `${this.#line.label}: no worker of this version (${THIS_CODE}) yet; waiting for one`,
    )
  }

  async #putOut(): Promise<void> {
    const fresh: number[] = []
    while (
      this.#out.size + fresh.length < WINDOW &&
      this.#next + fresh.length < this.#jobs.length
    ) {
      fresh.push(this.#next + fresh.length)
    }
    if (fresh.length === 0) return
    // Noted before: if nothing is heard of them they are looked for.
    for (const n of fresh) this.#out.add(n)
    this.#next += fresh.length
    await this.#put(fresh)
  }

  async #put(numbers: readonly number[]): Promise<void> {
    const run = this.#run
    await this.#queue.addBulk(
      numbers.map((number) => ({
        name: this.#kind.name,
        data: envelope(run, number, this.#jobs[number], this.#slices.get(number)),
        opts: { jobId: this.#idOf(number) },
      })),
    )
  }

  #idOf(number: number): string {
    return jobId({ run: this.#run, number, slice: this.#slices.get(number) })
  }

  async #takeIn(): Promise<void> {
    const { redis } = this.#line
    const key = KEYS.answers(this.#run)
    const said = await redis.hgetall(key)
    const again: number[] = []
    for (const [place, text] of Object.entries(said)) {
      const number = Number.parseInt(place, 10)
      const awaited = placeOf({ number, slice: this.#slices.get(number) })
      if (!this.#out.has(number) || place !== awaited) this.#discard(number, text)
      else if (!this.#take(number, text)) again.push(number)
    }
    const places = Object.keys(said)
    if (places.length > 0) await redis.hdel(key, ...places)
    if (again.length > 0) await this.#put(again)
    for (const slice of this.#spent.splice(0)) await dropSnapshot(redis, this.#run, slice)
  }

  /** Nobody needs the answer: another worker has been faster, or the run ends. */
  #discard(number: number, text: string): void {
    try {
      const { slice } = fromJson(text, readAnswered, 'answer')
      // What was looked at twice may be the one that counts.
      const counts = slice?.snapshot === this.#slices.get(number)?.snapshot
      if (slice !== undefined && !counts) this.#spent.push(slice)
    } catch (error) {
      if (!(error instanceof NotAsWritten)) throw error
    }
  }

  /** Take an answer; false if the job is to be put out again. @throws UserError, WorkerBug */
  #take(number: number, text: string): boolean {
    let said: Answered
    let answer: R | undefined
    try {
      said = fromJson(text, readAnswered, 'answer')
      if (said.code !== THIS_CODE) {
        throw new NotAsWritten(`it is of another version (${said.code}; this is ${THIS_CODE})`)
      }
      this.#mustBeOne(number, said)
      if (said.slice !== undefined) {
        this.#handedOn(number, said, said.slice)
        return false
      }
      answer = this.#kind.readAnswer(said.answer, 'answer')
    } catch (error) {
      if (!(error instanceof NotAsWritten)) throw error
      this.#again(number, `the answer to ${this.#titleOf(number)} is refused: ${error.message}`)
      return false
    }
    this.#answers[number] = answer
    this.#out.delete(number)
    this.#done++
    this.#forget(number)
    this.#options.onAnswer(answer)
    this.#campaign.answered(number, this.#titleOf(number), said, this.#kind.found(answer))
    return true
  }

  #handedOn(number: number, said: Answered, slice: SliceFacts): void {
    this.#forget(number)
    this.#slices.set(number, slice)
    this.#campaign.handedOn(number, this.#titleOf(number), said, slice)
  }

  #forget(number: number): void {
    const slice = this.#slices.get(number)
    if (slice !== undefined) this.#spent.push(slice)
    this.#slices.delete(number)
  }

  #mustBeOne(number: number, { worker, refused, mistake, bug }: Answered): void {
    if (bug !== undefined) throw new WorkerBug(`${worker}: ${bug}`)
    if (mistake !== undefined) throw new UserError(mistake)
    if (refused === undefined) return
    throw new UserError(`${worker} refuses ${this.#titleOf(number)}: ${refused}`)
  }

  #titleOf(number: number): string {
    const job = this.#jobs[number]
    return job === undefined ? `job ${number}` : this.#kind.title(job)
  }

  /** @throws UserError if it has been asked often enough */
  #again(number: number, why: string): void {
    const tries = (this.#tries.get(number) ?? 0) + 1
    this.#tries.set(number, tries)
    if (tries >= TRIES) throw new UserError(why)
    this.#options.onNotice(`${why}; it is asked again`)
  }

  /**
   * A worker leaves its answer before its job is gone from the queue. So a job that is gone, and has
   * no answer after that, is lost.
   */
  async #lookForLost(): Promise<void> {
    const out = [...this.#out]
    if (out.length === 0) return
    const { redis } = this.#line
    const failed = await this.#queue.getFailed()
    for (const job of failed) {
      const number = out.find((n) => job.id === this.#idOf(n))
      if (number === undefined) continue
      await job.remove()
      this.#again(number, `${this.#titleOf(number)} was given up: ${job.failedReason}`)
    }
    const looks = redis.pipeline()
    const ids = out.map((n) => this.#idOf(n))
    for (const id of ids) looks.exists(this.#queue.toKey(id))
    const there = (await looks.exec()) ?? []
    await this.#takeIn()
    const lost = out.filter((n, i) => {
      return there[i]?.[1] === 0 && this.#out.has(n) && ids[i] === this.#idOf(n)
    })
    if (lost.length > 0) await this.#put(lost)
  }

  /**
   * Take back what nobody has begun, and leave no keys but what is told of the run. Workers whose
   * answer comes when the run's key is gone take it back; those that came before are looked for here.
   */
  async clean(ended: Ending): Promise<void> {
    const { redis } = this.#line
    const run = this.#run
    await this.#line.attempt(async () => {
      await redis.del(KEYS.run(run))
      await this.#campaign.tell(redis, ended)
      const late = await redis.hgetall(KEYS.answers(run))
      for (const [place, text] of Object.entries(late)) {
        this.#discard(Number.parseInt(place, 10), text)
      }
      // All at once: one after the other takes too long where much else is done.
      await Promise.all([...this.#out].map((n) => this.#queue.remove(this.#idOf(n))))
      for (const slice of [...this.#slices.values(), ...this.#spent]) {
        await dropSnapshot(redis, run, slice)
      }
      const designs = [...this.#designs.keys()].map((hash) => KEYS.design(run, hash))
      await redis.del(KEYS.answers(run), ...designs)
      await sweep(redis, this.#queue)
    })
  }
}

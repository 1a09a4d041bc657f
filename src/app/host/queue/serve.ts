/**
 * A worker on a queue: takes jobs, finds answers, leaves them for who has asked. It runs nothing
 * that it does not understand, nothing for another version of the code, and nothing for nobody. A
 * job that is lost with its worker goes to another one when its lock runs out: that is BullMQ's. A
 * large one is done in slices, each by whoever is free.
 */
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import type { Job, Worker as QueueWorker } from 'bullmq'
import type { WorkerFacts } from '../../campaign.js'
import { UserError } from '../../error.js'
import { NotAsWritten } from '../narrow.js'
import { assertSameCode } from '../package.js'
import { hashOf } from './cells.js'
import { type Bench, type Hand, HandedOn, type Kind, Refusal } from './kind.js'
import { Line, type LineOptions, NoServer, packages, together, until } from './line.js'
import { dropSnapshot, fetchSnapshot, keepSnapshot, storeSnapshot } from './snapshots.js'
import {
  ALIVE,
  answered,
  BEAT,
  type Envelope,
  KEPT,
  KEYS,
  PREFIX,
  placeOf,
  queueName,
  readEnvelope,
  type Said,
  sweep,
  THIS_CODE,
} from './wire.js'

/** How often a job may lose its worker: one that kills whoever does it is not given out for ever. */
const MOST_LOSSES = 25
/** Seconds, and number, of damaged jobs that are kept on the server to be looked at. */
const DAMAGED = { age: 24 * 3600, count: 100 }

export interface ServeOptions extends LineOptions {
  readonly url: string
  readonly threads: number
  /** Seconds after which a worker that does not renew its lock has lost its job. */
  readonly lostAfter: number
  /** Seconds after which what is not finished is handed on, if it ever is. */
  readonly slice?: number
  /** Run designs that others send: their code is JavaScript, and can do all that this user can. */
  readonly allowDesigns: boolean
  readonly signal: AbortSignal
  onReady(name: string): void
}

/** Serve until the signal comes, or patience is over. @throws UserError */
export async function serve<A, R>(kind: Kind<A, R>, options: ServeOptions): Promise<Served> {
  const line = await Line.open(options.url, options)
  const server = new Server(kind, options, line)
  try {
    await server.run()
  } finally {
    // Whatever goes wrong at the end: a connection that stays open keeps the process alive.
    await server.end().finally(() => line.close())
  }
  return server.served
}

/** What a worker has done. */
export interface Served {
  readonly jobs: number
  readonly milliseconds: number
}

/** A job that is under way. */
interface Doing {
  readonly title: string
  readonly since: number
  readonly run: string
  readonly nobody: AbortController
  /** The asker was not to be seen the last time. */
  missed: boolean
}

class Server<A, R> {
  readonly #kind: Kind<A, R>
  readonly #options: ServeOptions
  readonly #line: Line
  readonly #id = randomBytes(8).toString('hex')
  readonly #name: string
  readonly #begun = performance.now()
  readonly #idle: Hand<A>[]
  readonly #doing = new Set<Doing>()
  /** Aborted when this worker is to end: it was told to, or its code is not what it was. */
  readonly #ending = new AbortController()
  #why: Error | undefined
  #worker: QueueWorker | undefined
  #served = { jobs: 0, milliseconds: 0 }

  constructor(kind: Kind<A, R>, options: ServeOptions, line: Line) {
    this.#kind = kind
    this.#options = options
    this.#line = line
    this.#name = `${hostname()}:${process.pid}`
    this.#idle = Array.from({ length: options.threads }, () => kind.hand(options.threads))
    const end = (): void => this.#ending.abort()
    if (options.signal.aborted) end()
    else options.signal.addEventListener('abort', end, { once: true })
  }

  get served(): Served {
    return this.#served
  }

  async run(): Promise<void> {
    const { threads, lostAfter, onReady } = this.#options
    const { signal } = this.#ending
    await this.#line.ask(() => this.#sayAlive())
    const { Worker, WaitingError } = await packages()
    this.#worker = new Worker(
      queueName(this.#kind.name),
      async (job: Job, token?: string) => {
        if (await this.#process(job)) return
        await job.moveToWait(token)
        throw new WaitingError()
      },
      {
        connection: this.#line.redis,
        prefix: PREFIX,
        concurrency: threads,
        lockDuration: lostAfter * 1000,
        stalledInterval: (lostAfter * 1000) / 2,
        maxStalledCount: MOST_LOSSES,
        removeOnComplete: { count: 0 },
        removeOnFail: DAMAGED,
      },
    )
    // A lost connection is told by the line; a lock that was lost, by the answer that comes twice.
    this.#worker.on('error', () => {})
    onReady(this.#name)
    while (!signal.aborted) {
      await this.#line.attempt(() => this.#beat())
      await until(BEAT * 1000, signal)
    }
    if (this.#why !== undefined) throw this.#why
  }

  async end(): Promise<void> {
    for (const d of this.#doing) d.nobody.abort()
    if (this.#line.isLost) await this.#worker?.close(true)
    else await this.#worker?.close()
    await Promise.all(this.#idle.map((h) => h.end()))
    if (this.#line.isLost) return
    const { redis } = this.#line
    const { Queue } = await packages()
    const name = queueName(this.#kind.name)
    const queue = new Queue(name, { connection: redis, prefix: PREFIX, skipMetasUpdate: true })
    queue.on('error', () => {})
    await this.#line.attempt(async () => {
      await redis.del(KEYS.worker(this.#id))
      await redis.srem(KEYS.workers, this.#id)
      // A job that ends when its asker is gone leaves the name of its queue.
      await sweep(redis, queue)
    })
  }

  async #beat(): Promise<void> {
    await this.#sayAlive()
    for (const d of this.#doing) {
      const gone = !(await this.#isAwaited(d.run))
      // An asker whose server was started again comes back.
      if (gone && d.missed) d.nobody.abort()
      d.missed = gone
    }
  }

  async #sayAlive(): Promise<void> {
    const { redis } = this.#line
    const now = performance.now()
    const facts: WorkerFacts = {
      code: THIS_CODE,
      name: this.#name,
      threads: this.#options.threads,
      seconds: (now - this.#begun) / 1000,
      ...this.#served,
      doing: [...this.#doing].map((d) => [d.title, (now - d.since) / 1000] as const),
    }
    const commands = redis.multi().set(KEYS.worker(this.#id), JSON.stringify(facts), 'EX', ALIVE)
    await together(commands.sadd(KEYS.workers, this.#id).expire(KEYS.workers, KEPT))
  }

  async #isAwaited(run: string): Promise<boolean> {
    return (await this.#line.redis.exists(KEYS.run(run))) === 1
  }

  /**
   * Do a job; false if it is to go back to the queue, since this worker ends.
   *
   * @throws UserError if the job does not even say who has asked
   */
  async #process(job: Job): Promise<boolean> {
    let head: Envelope
    try {
      head = readEnvelope(job.data, 'job')
    } catch (error) {
      if (!(error instanceof NotAsWritten)) throw error
      this.#options.onNotice(
        `a job that is none was refused, and nothing was run: ${error.message}`,
      )
      throw new UserError(error.message)
    }
    try {
      return await this.#do(head)
    } catch (error) {
      if (!(error instanceof NoServer)) throw error
      this.#endWith(error)
      return false
    }
  }

  /** The same, of a job that says who has asked. @throws NoServer */
  async #do(head: Envelope): Promise<boolean> {
    const { signal } = this.#ending
    if (!(await this.#line.ask(() => this.#isAwaited(head.run)))) return true
    try {
      assertSameCode()
    } catch (error) {
      this.#endWith(error as Error)
    }
    if (signal.aborted) return false
    const begun = performance.now()
    const nobody = new AbortController()
    const said = await this.#answer(head, nobody)
    if (nobody.signal.aborted) {
      await this.#drop(head, said)
      return !signal.aborted
    }
    await this.#leave(head, said, performance.now() - begun)
    return true
  }

  /** This worker can't go on. */
  #endWith(error: Error): void {
    this.#why ??= error
    this.#ending.abort()
  }

  /**
   * Leave an answer for who has asked. An asker that ends says so before it looks for answers a last
   * time; so what comes after that is taken back here, and what comes before is found there. If
   * another worker has answered, its answer stays: the asker may be taking it in.
   */
  async #leave(head: Envelope, said: Said, milliseconds: number): Promise<void> {
    const { run } = head
    const { redis } = this.#line
    const [key, place] = [KEYS.answers(run), placeOf(head)]
    const text = JSON.stringify(answered(this.#name, milliseconds, said), this.#kind.packed)
    const [, , there, isAwaited] = await this.#line.ask(() => {
      const commands = redis.multi().hsetnx(key, place, text).expire(key, KEPT)
      commands.hget(key, place).exists(KEYS.run(run))
      return together(said.slice === undefined ? commands : keepSnapshot(commands, run, said.slice))
    })
    const isOurs = there === text
    if (isOurs && isAwaited === 0) await this.#line.ask(() => redis.hdel(key, place))
    if (!isOurs || isAwaited === 0) {
      await this.#drop(head, said)
      return
    }
    if (said.slice === undefined) this.#served.jobs++
    this.#served.milliseconds += milliseconds
  }

  /** Nobody hears what would have been said. */
  async #drop({ run }: Envelope, { slice }: Said): Promise<void> {
    if (slice === undefined) return
    await this.#line.ask(() => dropSnapshot(this.#line.redis, run, slice))
  }

  /** What is to be said to a job. @throws NoServer */
  async #answer(head: Envelope, nobody: AbortController): Promise<Said> {
    const { code, run, asked } = head
    const hand = this.#idle.pop()
    if (hand === undefined) throw new Error('more jobs at a time than threads')
    let doing: Doing | undefined
    try {
      if (code !== THIS_CODE) {
        throw new Refusal(`the job is for another version (${code}; this is ${THIS_CODE})`)
      }
      const job = this.#kind.readAsked(asked, 'job')
      doing = {
        ...{ title: this.#kind.title(job), since: performance.now(), run },
        ...{ nobody, missed: false },
      }
      this.#doing.add(doing)
      return await this.#work(hand, job, head, nobody.signal)
    } catch (error) {
      const { message, stack } = error as Error
      if (error instanceof NoServer) throw error
      if (error instanceof UserError) return { mistake: message }
      if (!(error instanceof Refusal || error instanceof NotAsWritten)) {
        return { bug: stack ?? message }
      }
      this.#options.onNotice(`a job was refused, and nothing was run: ${message}`)
      return { refused: message }
    } finally {
      if (doing !== undefined) this.#doing.delete(doing)
      this.#idle.push(hand)
    }
  }

  /** A slice of a job, or all that is left of it where it can't be handed on. */
  async #work(hand: Hand<A>, job: A, head: Envelope, signal: AbortSignal): Promise<Said> {
    const { run, slice: before } = head
    const { onNotice } = this.#options
    const title = this.#kind.title(job)
    let milliseconds = (this.#options.slice ?? Number.POSITIVE_INFINITY) * 1000
    let from = before && (await fetchSnapshot(this.#line, run, before))
    if (before !== undefined && from === undefined) {
      onNotice(`${title}: its snapshot is not on the server any more; it begins again`)
    }
    let spent = from === undefined ? 0 : (before?.milliseconds ?? 0)
    for (;;) {
      const begun = performance.now()
      const design = (hash: string): Promise<string> => this.#design(run, hash)
      const slice = { milliseconds, spent, from }
      const bench: Bench = { design, signal, slice, onNotice }
      const answer = await hand.answer(job, bench)
      if (!(answer instanceof HandedOn)) return { answer }
      spent += performance.now() - begun
      const { snapshot, states } = answer
      const stored = await storeSnapshot(this.#line, run, snapshot)
      if (typeof stored === 'object') {
        const slices = (before?.slices ?? 0) + 1
        return { slice: { ...stored, slices, milliseconds: spent, states } }
      }
      onNotice(`${title}: its snapshot does not fit on the server (${stored}); it goes on here`)
      from = snapshot
      milliseconds = Number.POSITIVE_INFINITY
    }
  }

  async #design(run: string, hash: string): Promise<string> {
    if (!this.#options.allowDesigns) {
      throw new Refusal('it runs no designs of others unless it is started with --allow-designs')
    }
    const text = await this.#line.ask(() => this.#line.redis.get(KEYS.design(run, hash)))
    if (typeof text !== 'string' || hashOf(text) !== hash) {
      throw new Refusal('the text of the design is not there, or is not what its hash says')
    }
    return text
  }
}

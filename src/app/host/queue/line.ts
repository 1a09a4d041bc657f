/**
 * A connection to a Redis server that may be lost: what is asked is asked again for as long as there
 * is patience, and the user is told when it is lost and when it is back. Passwords are in no message.
 */
import type { ChainableCommander, Redis } from 'ioredis'
import { UserError } from '../../error.js'
import { WorkerBug } from '../job.js'

/** Milliseconds that one request may take, and between two attempts. */
const REQUEST = 20_000
const PAUSE = 200

/** Seconds without a server, if the user does not say. */
export const PATIENCE = 60

export interface LineOptions {
  /** Seconds that the server may be gone for. */
  readonly patience: number
  onNotice(text: string): void
}

/** Answers with which a server says that it can't be asked at the moment. */
const PASSING: readonly string[] = ['LOADING', 'BUSY', 'TRYAGAIN', 'MASTERDOWN', 'READONLY']

class NoAnswer extends Error {}

/** There is no connection, for longer than there is patience, or the server refuses what is asked. */
export class NoServer extends UserError {}

export class Line {
  readonly redis: Redis
  /** The server, for people. */
  readonly label: string
  readonly #patience: number
  readonly #say: (text: string) => void
  /** Since when nothing is answered, by `performance.now()`. */
  #lost: number | undefined
  #why = ''
  #closed = false

  private constructor(redis: Redis, label: string, { patience, onNotice }: LineOptions) {
    this.redis = redis
    this.label = label
    this.#patience = patience * 1000
    this.#say = onNotice
    redis.on('error', (error: Error) => {
      this.#why = error.message
    })
    redis.on('close', () => {
      if (!this.#closed) this.#isGone('it was closed')
    })
    redis.on('ready', () => this.#isBack())
  }

  /** @throws UserError if the URL is none, or the packages for it are not installed */
  static async open(url: string, options: LineOptions): Promise<Line> {
    const label = labelOf(url)
    const { Redis } = await packages()
    const redis = new Redis(url, {
      // BullMQ wants that commands wait for as long as it takes; `ask` has an end.
      maxRetriesPerRequest: null,
      retryStrategy: (times) => Math.min(times * 100, 1000),
    })
    return new Line(redis, label, options)
  }

  get isLost(): boolean {
    return this.#lost !== undefined
  }

  /**
   * Ask once: undefined if there is no connection at the moment. What is asked may have been done
   * all the same, so it must bear being done twice.
   *
   * @throws NoServer when patience is over, or the server refuses; what `act` throws
   */
  async attempt<T>(act: () => Promise<T>): Promise<{ readonly answer: T } | undefined> {
    try {
      const answer = await within(Math.min(REQUEST, this.#left), act())
      this.#isBack()
      return { answer }
    } catch (error) {
      this.#failed(error as Error)
      await new Promise((resolve) => setTimeout(resolve, PAUSE))
      return undefined
    }
  }

  /** Ask until there is an answer. @throws NoServer as above */
  async ask<T>(act: () => Promise<T>): Promise<T> {
    for (;;) {
      const got = await this.attempt(act)
      if (got !== undefined) return got.answer
    }
  }

  #failed(error: Error): void {
    const refusal = refusalIn(error)
    if (refusal !== undefined && !PASSING.includes(wordOf(refusal))) {
      throw new NoServer(`${this.label}: the server refuses: ${refusal}`)
    }
    // What goes wrong while there is a connection has nothing to do with it.
    const isOurs = refusal === undefined && !(error instanceof NoAnswer)
    if (isOurs && this.redis.status === 'ready') throw error
    if (error instanceof UserError || error instanceof WorkerBug) throw error
    this.#isGone(error.message)
    if (!this.#closed && this.#left > PAUSE) return
    throw new NoServer(
      `${this.label}: no connection for ${this.#patience / 1000} s (${this.#why || error.message})`,
    )
  }

  /** Milliseconds of patience. */
  get #left(): number {
    const gone = this.#lost === undefined ? 0 : performance.now() - this.#lost
    return Math.max(0, this.#patience - gone)
  }

  /** There is no connection. */
  #isGone(why: string): void {
    if (this.#lost !== undefined) return
    this.#lost = performance.now()
    this.#say(
      `${this.label}: no connection (${this.#why || why}); trying for ${this.#patience / 1000} s`,
    )
  }

  #isBack(): void {
    if (this.#lost !== undefined) this.#say(`${this.label}: the connection is back`)
    this.#lost = undefined
    this.#why = ''
  }

  close(): void {
    this.#closed = true
    this.redis.disconnect()
  }
}

/** What a server says that does not do what it is asked; undefined for any other error. */
function refusalIn(error: Error): string | undefined {
  if (error.name !== 'ReplyError') return undefined
  // Of a transaction that is given up, the command because of which it is.
  const [first = error] = (error as Error & { previousErrors?: Error[] }).previousErrors ?? []
  return first.message
}

const wordOf = (refusal: string): string => refusal.split(' ')[0] ?? ''

/** Why a server has no room for something; undefined if that is not what it says. */
export function fullness(error: Error): string | undefined {
  const refusal = refusalIn(error)
  if (refusal === undefined) return undefined
  const isFull = wordOf(refusal) === 'OOM' || TOO_LONG.test(refusal)
  return isFull ? refusal : undefined
}

/** What a server with a limit of its own says of a value; there is no word for it. */
const TOO_LONG = /exceeds maximum allowed size|invalid bulk length/

/** All commands or none; what each says. */
export async function together(commands: ChainableCommander): Promise<readonly unknown[]> {
  const said = (await commands.exec()) ?? []
  for (const [error] of said) if (error) throw error
  return said.map(([, answer]) => answer)
}

/** The value, unless it takes too long. */
async function within<T>(milliseconds: number, value: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    // On a machine with too much to do the answer may be there, and not have been read.
    const giveUp = (): void => reject(new NoAnswer('no answer'))
    timer = setTimeout(() => setImmediate(giveUp), milliseconds)
  })
  try {
    return await Promise.race([value, late])
  } finally {
    clearTimeout(timer)
  }
}

/** What a URL names, without user and password. @throws UserError */
export function labelOf(url: string): string {
  if (!URL.canParse(url)) throw new UserError('--queue takes a URL such as redis://host:6379')
  const { protocol, hostname, port } = new URL(url)
  if (!['redis:', 'rediss:'].includes(protocol) || hostname === '') {
    throw new UserError(`--queue takes redis://… or, with TLS, rediss://…, not ${protocol}//…`)
  }
  return `${protocol}//${hostname}:${port || 6379}`
}

/** The packages that only a queue needs. @throws UserError if they are not there */
export async function packages() {
  try {
    const [{ Redis }, bullmq] = await Promise.all([import('ioredis'), import('bullmq')])
    const { Queue, Worker, WaitingError } = bullmq
    return { Redis, Queue, Worker, WaitingError }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error
    throw new UserError(
      'a queue needs the packages bullmq and ioredis, which are optional and not installed here',
    )
  }
}

/** So long, or until the signal comes. */
export function until(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, milliseconds)
    signal.addEventListener('abort', end, { once: true })
  })
}

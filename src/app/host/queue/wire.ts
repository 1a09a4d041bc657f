/**
 * What askers and workers say to each other, as data in a Redis server. `docs/jobs.schema.json`
 * describes it. A run is what one asker asks; its answers wait for it under the run's name.
 *
 * Everything but BullMQ's own keys expires, so that whoever is killed leaves nothing for long.
 */
import type { Queue } from 'bullmq'
import type { Redis } from 'ioredis'
import * as is from '../narrow.js'
import { CODE } from '../package.js'

/** Before all keys. */
export const PREFIX = 'restrictedmem'

/** Seconds after which an asker or a worker that says nothing is taken for gone. */
export const ALIVE = 30
/** Seconds between two signs of life. */
export const BEAT = 3
/** Seconds that answers, and designs of the user's, wait. */
export const KEPT = 3600

/** The queue of a kind of jobs. Different code has different queues. */
export function queueName(kind: string): string {
  return `${kind}-${CODE.version}-${CODE.code}`
}

export const KEYS = {
  /** Sets of runs and workers that may be alive. */
  runs: `${PREFIX}:runs`,
  workers: `${PREFIX}:workers`,
  /** What a run says of itself: there as long as somebody waits for its answers. */
  run: (run: string): string => `${PREFIX}:run:${run}`,
  /** A hash: answers by number. */
  answers: (run: string): string => `${PREFIX}:answers:${run}`,
  /** The text of a design of the user's, by its hash. */
  design: (run: string, hash: string): string => `${PREFIX}:design:${run}:${hash}`,
  worker: (worker: string): string => `${PREFIX}:worker:${worker}`,
  /** There while somebody sweeps. */
  sweeping: `${PREFIX}:sweeping`,
}

/** One job, whatever it asks for. */
export interface Envelope {
  readonly schema: typeof JOB
  /** Version and hash of the code that is to answer. */
  readonly code: string
  readonly run: string
  /** Of the job in its run, from 0. */
  readonly number: number
  readonly asked: unknown
}

const JOB = 'restrictedmem-job-1'
const ANSWER = 'restrictedmem-answer-1'

/** What code this is, in one word. */
export const THIS_CODE = `${CODE.version} ${CODE.code}`

const name = is.matching(/^[0-9a-f]{32}$/, 'a name of 32 hexadecimal digits')
const anything: is.Read<unknown> = (value) => value

export const readEnvelope = is.fields<Envelope>({
  schema: is.oneOf(JOB),
  code: is.text,
  run: name,
  number: is.count,
  asked: anything,
})

export function envelope(run: string, number: number, asked: unknown): Envelope {
  return { schema: JOB, code: THIS_CODE, run, number, asked }
}

/** BullMQ's name for a job: the same job twice is one. */
export function jobId({ run, number }: Pick<Envelope, 'run' | 'number'>): string {
  return `${run}-${number}`
}

/** What a worker says to a job: one of `answer`, `refused`, `mistake` and `bug`. */
export interface Answered {
  readonly schema: typeof ANSWER
  readonly code: string
  readonly worker: string
  readonly milliseconds: number
  readonly answer?: unknown
  /** Why the worker ran nothing. */
  readonly refused?: string | undefined
  /** What the user did wrong. */
  readonly mistake?: string | undefined
  /** A bug of ours. */
  readonly bug?: string | undefined
}

export const readAnswered = is.fields<Answered>({
  schema: is.oneOf(ANSWER),
  code: is.text,
  worker: is.text,
  milliseconds: is.real,
  answer: anything,
  refused: is.maybe(is.text),
  mistake: is.maybe(is.text),
  bug: is.maybe(is.text),
})

export function answered(
  worker: string,
  milliseconds: number,
  said: Pick<Answered, 'answer' | 'refused' | 'mistake' | 'bug'>,
): Answered {
  return { schema: ANSWER, code: THIS_CODE, worker, milliseconds, ...said }
}

/** What a worker has done of a run. */
export interface Part {
  readonly jobs: number
  readonly milliseconds: number
}

/** A run, for `queue status`. */
export interface RunFacts {
  readonly code: string
  /** What is asked, for people. */
  readonly what: string
  readonly host: string
  readonly seconds: number
  readonly done: number
  readonly total: number
  /** What was found so far, by its word. */
  readonly found: Readonly<Record<string, number>>
  readonly by: Readonly<Record<string, Part>>
}

export const readRun = is.fields<RunFacts>({
  code: is.text,
  what: is.text,
  host: is.text,
  seconds: is.real,
  done: is.count,
  total: is.count,
  found: is.byName(is.count),
  by: is.byName(is.fields<Part>({ jobs: is.count, milliseconds: is.real })),
})

/** A worker, for `queue status`. */
export interface WorkerFacts {
  readonly code: string
  readonly name: string
  readonly threads: number
  readonly seconds: number
  readonly jobs: number
  readonly milliseconds: number
  /** Jobs under way, for people, and for how many seconds. */
  readonly doing: readonly (readonly [string, number])[]
}

export const readWorker = is.fields<WorkerFacts>({
  code: is.text,
  name: is.text,
  threads: is.count,
  seconds: is.real,
  jobs: is.count,
  milliseconds: is.real,
  doing: is.list(is.pair(is.text, is.real)),
})

/** What those that are alive say of themselves; who is gone is struck off the list. */
export async function living<T>(
  redis: Redis,
  list: string,
  keyOf: (name: string) => string,
  read: is.Read<T>,
): Promise<readonly T[]> {
  const alive: T[] = []
  for (const name of (await redis.smembers(list)).sort()) {
    const text = await redis.get(keyOf(name))
    if (typeof text !== 'string') await redis.srem(list, name)
    else {
      try {
        alive.push(is.fromJson(text, read, name))
      } catch (error) {
        // Another version says other things.
        if (!(error instanceof is.NotAsWritten)) throw error
      }
    }
  }
  return alive
}

/** Milliseconds that who sweeps may take, and that others wait before they look again. */
const SWEEPING = 5000
const TURN = 20

/**
 * Take away what BullMQ keeps about a queue, if nobody asks anything any more. One at a time: it is
 * paused first, and the pause goes with all the rest.
 */
export async function sweep(redis: Redis, queue: Queue): Promise<void> {
  const runs = await living(redis, KEYS.runs, KEYS.run, readRun)
  if (runs.length > 0) return
  while ((await redis.set(KEYS.sweeping, '1', 'PX', SWEEPING, 'NX')) !== 'OK') {
    await new Promise((resolve) => setTimeout(resolve, TURN))
  }
  try {
    await queue.obliterate({ force: true })
  } catch (error) {
    // Somebody asks again, and has resumed it.
    if (await queue.isPaused()) throw error
  } finally {
    await redis.del(KEYS.sweeping)
  }
}

/**
 * What askers and workers say to each other, as data in a Redis server. `docs/jobs.schema.json`
 * describes it. A run is what one asker asks; its answers wait for it under the run's name.
 *
 * Everything but BullMQ's own keys expires, so that whoever is killed leaves nothing for long.
 */
import type { Queue } from 'bullmq'
import type { Redis } from 'ioredis'
import {
  type Ending,
  type Part,
  type Ran,
  type RunFacts,
  type RunStatus,
  type Sliced,
  STATUS_SCHEMA,
  type Status,
  type WorkerFacts,
} from '../../campaign.js'
import * as is from '../narrow.js'
import { CODE } from '../package.js'

/** Before all keys. */
export const PREFIX = 'restrictedmem'

/** Seconds after which an asker or a worker that says nothing is taken for gone. */
export const ALIVE = 30
/** Seconds between two signs of life. */
export const BEAT = 3
/** Seconds that answers, designs of the user's and snapshots wait, and what a run was is known. */
export const KEPT = 3600

/** The queue of a kind of jobs. Different code has different queues. */
export function queueName(kind: string): string {
  return `${kind}-${CODE.version}-${CODE.code}`
}

export const KEYS = {
  /** Sets of runs and workers that may be alive. */
  runs: `${PREFIX}:runs`,
  workers: `${PREFIX}:workers`,
  /** There as long as somebody waits for the run's answers. */
  run: (run: string): string => `${PREFIX}:run:${run}`,
  /** What a run says of itself, for people. With `ran` and `runs` it stays for a while. */
  told: (run: string): string => `${PREFIX}:told:${run}`,
  /** A hash: of each job that was answered, who did it and what was found. */
  ran: (run: string): string => `${PREFIX}:ran:${run}`,
  /** A hash: answers by place. */
  answers: (run: string): string => `${PREFIX}:answers:${run}`,
  /** A hash: the pieces of a snapshot by number. */
  snapshot: (run: string, name: string): string => `${PREFIX}:snapshot:${run}:${name}`,
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
  /** What has been done of it. */
  readonly slice?: SliceFacts | undefined
}

/** A job of which some slices are done: what they have seen, and what they took. */
export interface SliceFacts {
  /** Slices that are done. */
  readonly slices: number
  /** The name of the snapshot. */
  readonly snapshot: string
  readonly pieces: number
  /** Of the snapshot before it was compressed. */
  readonly bytes: number
  readonly milliseconds: number
  /** Seen so far. */
  readonly states: number
}

const JOB = 'restrictedmem-job-1'
const ANSWER = 'restrictedmem-answer-1'

/** What code this is, in one word. */
export const THIS_CODE = `${CODE.version} ${CODE.code}`

const name = is.matching(/^[0-9a-f]{32}$/, 'a name of 32 hexadecimal digits')
const anything: is.Read<unknown> = (value) => value

const readSlice = is.fields<SliceFacts>({
  slices: is.count,
  snapshot: name,
  pieces: is.count,
  bytes: is.count,
  milliseconds: is.real,
  states: is.count,
})

export const readEnvelope = is.fields<Envelope>({
  schema: is.oneOf(JOB),
  code: is.text,
  run: name,
  number: is.count,
  asked: anything,
  slice: is.maybe(readSlice),
})

export function envelope(
  run: string,
  number: number,
  asked: unknown,
  slice?: SliceFacts | undefined,
): Envelope {
  const job = { schema: JOB, code: THIS_CODE, run, number, asked } as const
  return slice === undefined ? job : { ...job, slice }
}

type Named = Pick<Envelope, 'run' | 'number' | 'slice'>

/** Where the answer to a job waits: each slice has a place of its own. */
export function placeOf({ number, slice }: Omit<Named, 'run'>): string {
  return slice === undefined ? String(number) : `${number}.${slice.slices}`
}

/** BullMQ's name for a job: the same job twice is one. */
export function jobId(job: Named): string {
  return `${job.run}-${placeOf(job)}`
}

/** What a worker says to a job: one of `answer`, `slice`, `refused`, `mistake` and `bug`. */
export interface Answered {
  readonly schema: typeof ANSWER
  readonly code: string
  readonly worker: string
  readonly milliseconds: number
  readonly answer?: unknown
  /** There is more to be done. */
  readonly slice?: SliceFacts | undefined
  /** Why the worker ran nothing. */
  readonly refused?: string | undefined
  /** What the user did wrong. */
  readonly mistake?: string | undefined
  /** A bug of ours. */
  readonly bug?: string | undefined
}

/** The one thing that is said. */
export type Said = Pick<Answered, 'answer' | 'slice' | 'refused' | 'mistake' | 'bug'>

export const readAnswered = is.fields<Answered>({
  schema: is.oneOf(ANSWER),
  code: is.text,
  worker: is.text,
  milliseconds: is.real,
  answer: anything,
  slice: is.maybe(readSlice),
  refused: is.maybe(is.text),
  mistake: is.maybe(is.text),
  bug: is.maybe(is.text),
})

export function answered(worker: string, milliseconds: number, said: Said): Answered {
  return { schema: ANSWER, code: THIS_CODE, worker, milliseconds, ...said }
}

export const readRan = is.fields<Ran>({
  title: is.text,
  worker: is.text,
  slices: is.count,
  seconds: is.real,
  found: is.list(is.text),
})

/** What the server has of a run. */
export interface RunTold extends RunFacts {
  readonly ended?: Ending | undefined
}

const facts = {
  code: is.text,
  what: is.text,
  host: is.text,
  begun: is.text,
  seconds: is.real,
  done: is.count,
  total: is.count,
  found: is.byName(is.count),
  by: is.byName(is.fields<Part>({ jobs: is.count, slices: is.count, milliseconds: is.real })),
  sliced: is.list(
    is.fields<Sliced>({ title: is.text, slices: is.count, states: is.count, seconds: is.real }),
  ),
}

const how = is.oneOf('finished', 'interrupted', 'failed')

export const readRun = is.fields<RunTold>({
  ...facts,
  ended: is.maybe(is.fields<Ending>({ how, why: is.maybe(is.text) })),
})

export const readWorker = is.fields<WorkerFacts>({
  code: is.text,
  name: is.text,
  threads: is.count,
  seconds: is.real,
  jobs: is.count,
  milliseconds: is.real,
  doing: is.list(is.pair(is.text, is.real)),
})

/** What `queue status --json` printed. */
export const readStatus = is.fields<Status>({
  schema: is.oneOf(STATUS_SCHEMA),
  runs: is.list(
    is.fields<RunStatus>({
      id: is.text,
      ...facts,
      state: is.oneOf('running', 'gone', 'finished', 'interrupted', 'failed'),
      why: is.maybe(is.text),
      ran: is.list(readRan),
    }),
  ),
  workers: is.list(readWorker),
})

/** What those on a list say of themselves, by name; who is gone is struck off. */
export async function living<T>(
  redis: Redis,
  list: string,
  keyOf: (name: string) => string,
  read: is.Read<T>,
): Promise<ReadonlyMap<string, T>> {
  const alive = new Map<string, T>()
  for (const name of (await redis.smembers(list)).sort()) {
    const text = await redis.get(keyOf(name))
    if (typeof text !== 'string') await redis.srem(list, name)
    else {
      try {
        alive.set(name, is.fromJson(text, read, name))
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
  for (const run of await redis.smembers(KEYS.runs)) {
    if ((await redis.exists(KEYS.run(run))) === 1) return
  }
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

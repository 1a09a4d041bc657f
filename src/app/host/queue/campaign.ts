/**
 * What a run tells people: what ran, where, how long, what it found and what is left. It is on the
 * server while the run goes on, and for a while after it.
 */
import { hostname } from 'node:os'
import type { Redis } from 'ioredis'
import type { Ending, Part, Ran } from '../../campaign.js'
import { together } from './line.js'
import { type Answered, KEPT, KEYS, type RunTold, type SliceFacts, THIS_CODE } from './wire.js'

export class Campaign {
  readonly #run: string
  readonly #what: string
  readonly #total: number
  readonly #begun = new Date()
  readonly #start = performance.now()
  readonly #by: Record<string, { jobs: number; slices: number; milliseconds: number }> = {}
  readonly #found: Record<string, number> = {}
  /** By the number of the job. */
  readonly #sliced = new Map<number, { readonly title: string; readonly slice: SliceFacts }>()
  /** By the number of the job, as text. */
  readonly #ran = new Map<string, string>()
  /** Those of them that the server has heard of. */
  #told = 0

  constructor(run: string, what: string, total: number) {
    this.#run = run
    this.#what = what
    this.#total = total
  }

  get by(): Readonly<Record<string, Part>> {
    return this.#by
  }

  /** States that were seen of jobs that are not finished. */
  get states(): number {
    return [...this.#sliced.values()].reduce((sum, { slice }) => sum + slice.states, 0)
  }

  get milliseconds(): number {
    return performance.now() - this.#start
  }

  #partOf({ worker, milliseconds }: Answered) {
    const part = (this.#by[worker] ??= { jobs: 0, slices: 0, milliseconds: 0 })
    part.milliseconds += milliseconds
    return part
  }

  /** A slice of a job is done. */
  handedOn(number: number, title: string, said: Answered, slice: SliceFacts): void {
    this.#partOf(said).slices++
    this.#sliced.set(number, { title, slice })
  }

  /** A job is answered. */
  answered(number: number, title: string, said: Answered, found: readonly string[]): void {
    this.#partOf(said).jobs++
    for (const word of found) this.#found[word] = (this.#found[word] ?? 0) + 1
    const before = this.#sliced.get(number)?.slice
    this.#sliced.delete(number)
    const seconds = ((before?.milliseconds ?? 0) + said.milliseconds) / 1000
    const slices = (before?.slices ?? 0) + 1
    const ran: Ran = { title, worker: said.worker, slices, seconds, found }
    this.#ran.set(String(number), JSON.stringify(ran))
  }

  /** Tell the server, which may have been started again with nothing in it. */
  async tell(redis: Redis, ended?: Ending): Promise<void> {
    const facts: RunTold = {
      code: THIS_CODE,
      what: this.#what,
      host: hostname(),
      begun: this.#begun.toISOString(),
      seconds: this.milliseconds / 1000,
      done: this.#ran.size,
      total: this.#total,
      found: this.#found,
      by: this.#by,
      sliced: [...this.#sliced.values()].map(
        ({ title, slice: { slices, states, milliseconds } }) => {
          return { title, slices, states, seconds: milliseconds / 1000 }
        },
      ),
      ended,
    }
    const ran = KEYS.ran(this.#run)
    if ((await redis.hlen(ran)) < this.#told) this.#told = 0
    const fresh = [...this.#ran].slice(this.#told)
    const commands = redis.multi().set(KEYS.told(this.#run), JSON.stringify(facts), 'EX', KEPT)
    commands.sadd(KEYS.runs, this.#run).expire(KEYS.runs, KEPT)
    if (fresh.length > 0) commands.hset(ran, Object.fromEntries(fresh))
    await together(commands.expire(ran, KEPT))
    this.#told += fresh.length
  }
}

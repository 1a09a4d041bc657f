/** What runs on a server and what ran there a while ago, as far as this code's words say it. */
import { type Ran, type RunStatus, STATUS_SCHEMA, type Status } from '../../campaign.js'
import { fromJson, NotAsWritten } from '../narrow.js'
import { Line, type LineOptions } from './line.js'
import { KEYS, living, readRan, readRun, readWorker } from './wire.js'

/** Look at a server once. @throws UserError */
export async function statusOf(url: string, options: LineOptions): Promise<Status> {
  const lookout = await Lookout.open(url, options)
  try {
    return await lookout.look()
  } finally {
    lookout.close()
  }
}

/** Looks at a server again and again, by one connection. */
export class Lookout {
  readonly #line: Line
  /** Rows of each run by the number of the job: one that was read is not asked for again. */
  #rows = new Map<string, Map<string, readonly Ran[]>>()

  private constructor(line: Line) {
    this.#line = line
  }

  static async open(url: string, options: LineOptions): Promise<Lookout> {
    return new Lookout(await Line.open(url, options))
  }

  close(): void {
    this.#line.close()
  }

  /** @throws UserError */
  look(): Promise<Status> {
    return this.#line.ask(() => this.#look())
  }

  async #look(): Promise<Status> {
    const { redis } = this.#line
    const runs: RunStatus[] = []
    const told = await living(redis, KEYS.runs, KEYS.told, readRun)
    this.#rows = new Map([...told.keys()].map((id) => [id, this.#rows.get(id) ?? new Map()]))
    for (const [id, { ended, ...facts }] of told) {
      const isAwaited = (await redis.exists(KEYS.run(id))) === 1
      const state = ended?.how ?? (isAwaited ? 'running' : 'gone')
      runs.push({ id, ...facts, state, why: ended?.why, ran: await this.#ranOf(id) })
    }
    runs.sort((a, b) => (a.begun < b.begun ? -1 : 1))
    const workers = await living(redis, KEYS.workers, KEYS.worker, readWorker)
    return { schema: STATUS_SCHEMA, runs, workers: [...workers.values()] }
  }

  /** In the order of the jobs. */
  async #ranOf(id: string): Promise<Ran[]> {
    const { redis } = this.#line
    const known = this.#rows.get(id) ?? new Map<string, readonly Ran[]>()
    const there = await redis.hkeys(KEYS.ran(id))
    const fresh = there.filter((number) => !known.has(number))
    const texts = fresh.length === 0 ? [] : await redis.hmget(KEYS.ran(id), ...fresh)
    for (const [i, number] of fresh.entries()) known.set(number, read(texts[i] ?? ''))
    there.sort((a, b) => Number(a) - Number(b))
    return there.flatMap((number) => known.get(number) ?? [])
  }
}

/** None if it is not as this version writes it. */
function read(text: string): readonly Ran[] {
  try {
    return [fromJson(text, readRan, 'ran')]
  } catch (error) {
    if (!(error instanceof NotAsWritten)) throw error
    return []
  }
}

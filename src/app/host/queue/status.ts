/** What runs on a server, and what ran there a while ago, whatever code it is of. */
import type { Redis } from 'ioredis'
import { fromJson, NotAsWritten } from '../narrow.js'
import { Line, type LineOptions } from './line.js'
import {
  type Ending,
  KEYS,
  living,
  type Ran,
  type RunFacts,
  readRan,
  readRun,
  readWorker,
  type WorkerFacts,
} from './wire.js'

export interface RunStatus extends Omit<RunFacts, 'ended'> {
  /** `gone` if nobody waits for it any more and it has not said why. */
  readonly state: 'running' | 'gone' | Ending['how']
  /** Why it failed. */
  readonly why?: string | undefined
  /** In the order of the jobs. */
  readonly ran: readonly Ran[]
}

export interface Status {
  readonly runs: readonly RunStatus[]
  readonly workers: readonly WorkerFacts[]
}

/** Look at a server. @throws UserError */
export async function statusOf(url: string, options: LineOptions): Promise<Status> {
  const line = await Line.open(url, options)
  try {
    return await line.ask(() => statusIn(line.redis))
  } finally {
    line.close()
  }
}

async function statusIn(redis: Redis): Promise<Status> {
  const runs: RunStatus[] = []
  for (const [run, { ended, ...facts }] of await living(redis, KEYS.runs, KEYS.told, readRun)) {
    const isAwaited = (await redis.exists(KEYS.run(run))) === 1
    const state = ended?.how ?? (isAwaited ? 'running' : 'gone')
    const ran = Object.entries(await redis.hgetall(KEYS.ran(run)))
      .sort(([a], [b]) => Number(a) - Number(b))
      .flatMap(([, text]) => read(text))
    runs.push({ ...facts, state, why: ended?.why, ran })
  }
  runs.sort((a, b) => (a.begun < b.begun ? -1 : 1))
  const workers = await living(redis, KEYS.workers, KEYS.worker, readWorker)
  return { runs, workers: [...workers.values()] }
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

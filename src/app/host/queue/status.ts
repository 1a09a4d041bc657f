/** What runs on a server, whatever code it is of. */
import { Line, type LineOptions } from './line.js'
import { KEYS, living, type RunFacts, readRun, readWorker, type WorkerFacts } from './wire.js'

export interface Status {
  readonly runs: readonly RunFacts[]
  readonly workers: readonly WorkerFacts[]
}

/** Look at a server. @throws UserError */
export async function statusOf(url: string, options: LineOptions): Promise<Status> {
  const line = await Line.open(url, options)
  try {
    const { redis } = line
    return await line.ask(async () => ({
      runs: await living(redis, KEYS.runs, KEYS.run, readRun),
      workers: await living(redis, KEYS.workers, KEYS.worker, readWorker),
    }))
  } finally {
    line.close()
  }
}

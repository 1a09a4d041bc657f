/** `worker`: answers what is asked on a queue, until it is interrupted. */
import { availableParallelism } from 'node:os'
import { UserError } from '../app/error.js'
import { CELLS } from '../app/host/queue/cells.js'
import { serve } from '../app/host/queue/serve.js'
import { THIS_CODE } from '../app/host/queue/wire.js'
import { MOST_WORKERS } from '../app/host/run.js'
import { EXIT } from './exit.js'
import { Interruption, say } from './terminal.js'

export interface WorkerFlags {
  readonly queue: string
  readonly workers?: number
  readonly lostAfter: number
  readonly patience: number
  readonly allowDesigns?: boolean
}

/** Serve; returns the exit code, which is that of an interruption if there is no mistake. */
export async function worker(flags: WorkerFlags): Promise<number> {
  const { queue, workers = availableParallelism(), allowDesigns = false, ...rest } = flags
  if (workers > MOST_WORKERS) {
    throw new UserError(`there can be 1 to ${MOST_WORKERS} workers, not ${workers}`)
  }
  const interruption = new Interruption()
  const served = await serve(CELLS, {
    ...rest,
    url: queue,
    threads: workers,
    allowDesigns,
    signal: interruption.signal,
    onNotice: say,
    onReady: (name) => say(`${name}: ready, ${workers} at a time, version ${THIS_CODE}`),
  })
  say(`${served.jobs} jobs in ${(served.milliseconds / 1000).toFixed(1)} s`)
  return EXIT.SIGNAL + interruption.number
}

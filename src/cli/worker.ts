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
  readonly slice: number
  readonly patience: number
  readonly allowDesigns?: boolean
  readonly live?: boolean
}

/** Serve; returns the exit code, which is that of an interruption if there is no mistake. */
export async function worker(flags: WorkerFlags): Promise<number> {
  const { queue, workers = availableParallelism(), allowDesigns = false, live = false } = flags
  const { lostAfter, slice, patience } = flags
  if (workers > MOST_WORKERS) {
    throw new UserError(`there can be 1 to ${MOST_WORKERS} workers, not ${workers}`)
  }
  const programs = live ? await (await import('../live/elsewhere.js')).programsHere() : undefined
  const interruption = new Interruption()
  // One that has to end takes the others along.
  const ending = new AbortController()
  const signal = AbortSignal.any([interruption.signal, ending.signal])
  const usual = { url: queue, lostAfter, slice, patience, allowDesigns, signal, onNotice: say }
  const onReady = (name: string): void => {
    say(`${name}: ready, ${workers} at a time, version ${THIS_CODE}`)
  }
  const servers = [
    serve(CELLS, { ...usual, threads: workers, onReady }),
    ...(programs ? [serve(programs, { ...usual, threads: 1, onReady: () => {} })] : []),
  ]
  for (const s of servers) s.catch(() => ending.abort())
  const all = await Promise.allSettled(servers)
  const failed = all.find((s) => s.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  const served = all.flatMap((s) => (s.status === 'fulfilled' ? [s.value] : []))
  const jobs = served.reduce((sum, s) => sum + s.jobs, 0)
  const milliseconds = served.reduce((sum, s) => sum + s.milliseconds, 0)
  say(`${jobs} jobs in ${(milliseconds / 1000).toFixed(1)} s`)
  return EXIT.SIGNAL + interruption.number
}

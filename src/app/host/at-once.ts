/**
 * A small cell is checked where it is asked for. A worker thread has modules of its own and has to
 * learn the code; to start one costs more than most cells do.
 */
import { UserError } from '../error.js'
import type { Verdict } from '../verdict.js'
import type { Job } from './job.js'
import { mistakeIn, perform } from './perform.js'

/** Milliseconds for which nothing else happens on this thread. */
const A_MOMENT = 1000

/** May a job be tried here? */
function mayBeHere({ design, limits, question, checkpoint }: Job): boolean {
  // A design of the user's may never give the thread back, and a limit of time is spent once.
  if (design.module !== undefined || limits.milliseconds !== undefined) return false
  // Nor does SPIN, while it runs; and who interrupts a second search wants the first one's verdict.
  return question.cross === undefined && checkpoint === undefined
}

/**
 * The verdict on a cell that takes no more than a moment; undefined for one that takes longer, or
 * that may not be tried here.
 *
 * @throws UserError
 */
export async function atOnce(job: Job, isStopped: () => boolean): Promise<Verdict | undefined> {
  if (!mayBeHere(job)) return undefined
  const end = performance.now() + A_MOMENT
  const stopped = (): boolean => isStopped() || performance.now() > end
  const answer = await perform(job, { send: () => {}, stopped }).catch((error: Error) => {
    const text = mistakeIn(error, job)
    throw text === undefined ? error : new UserError(text)
  })
  return answer.kind === 'verdict' && !stopped() ? answer.verdict : undefined
}

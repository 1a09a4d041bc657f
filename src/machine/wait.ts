/**
 * Wait queues, with the two halves of Linux: a waiter queues itself, looks at its condition again
 * and only then sleeps; a waker takes everybody off the queue. A condition that is tested before
 * queueing loses a wake-up, and the sleeper then shows as a deadlock.
 *
 * Queueing does not sleep. Who tests a condition under a spinlock queues under it too, and drops
 * it only then: that is what keeps the waker, who changes the condition under it, from coming in
 * between.
 */
import { alsoWrites, rmw, untilElement } from './effects.js'
import { fn, type Kernel } from './fn.js'
import { type Obj, type Struct, struct, type Vec, vec } from './struct.js'
import { current, MAX_TASKS, mightSleep } from './task.js'

export interface WaitQueueHead extends Obj {
  /** For each task: 1 while it is queued and has not been woken. */
  waiting: Vec
}

export const WaitQueueHead: Struct<WaitQueueHead> = struct<WaitQueueHead>(
  'WaitQueueHead',
  { waiting: vec(MAX_TASKS) },
  { role: 'machine', quiet: true },
)

/**
 * prepare_to_wait(), or set_current_state() of who is queued already: from here on a wake-up is not
 * lost. Part of the step that tested the condition, under the lock that guards it.
 */
export function prepareToWait(wq: WaitQueueHead): void {
  alsoWrites(wq, 'waiting')
  wq.waiting.set(current().number, 1)
}

/** schedule(): sleep until somebody wakes the queue. No spinlock may be held. */
export const schedule = fn(function* schedule(wq: WaitQueueHead): Kernel<void> {
  mightSleep('schedule')
  yield untilElement(wq, 'waiting', current().number, 0)
})

/** finish_wait(). */
export function finishWait(wq: WaitQueueHead): void {
  wq.waiting.set(current().number, 0)
}

/** wake_up_all(). */
export const wakeUpAll = fn(function* wake_up_all(wq: WaitQueueHead): Kernel<void> {
  yield rmw(wq, 'waiting')
  for (let t = 0; t < MAX_TASKS; t++) wq.waiting.set(t, 0)
})

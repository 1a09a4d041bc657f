/**
 * Deferred work. Task work runs in its own task on the way back to user mode; a work item runs in
 * the kworker, a task of the machine that starts when something is queued.
 */
import { untilNot } from './effects.js'
import { LimitError } from './fault.js'
import { fn, type Kernel } from './fn.js'
import { handleAt, num, type Obj, type Struct, struct, type Vec, vec } from './struct.js'
import { current, MAX_TASK_WORKS } from './task.js'

/** Queue for the running task; `work` is handled by the machine's task-work function. */
export function taskWorkAdd(work: Obj): void {
  const me = current()
  if (me.workCount >= MAX_TASK_WORKS)
    throw new LimitError(`a task has room for ${MAX_TASK_WORKS} task works`)
  me.works.set(me.workCount, work.at)
  me.workCount++
}

/** Items that the running task has queued. */
export function taskWorkCount(): number {
  return current().workCount
}

/** Take the item that was queued as number `n` of those that there are, counted from 0. */
export function taskWorkTake(n: number): Obj {
  const me = current()
  const at = me.works.get(n)
  for (let i = n + 1; i < me.workCount; i++) me.works.set(i - 1, me.works.get(i))
  me.workCount--
  me.works.set(me.workCount, 0)
  return handleAt(at) as Obj
}

/** Items that wait for the kworker at a time. */
export const MAX_WORKS = 16

export interface Workqueue extends Obj {
  count: number
  items: Vec
}

export const Workqueue: Struct<Workqueue> = struct<Workqueue>(
  'Workqueue',
  { count: num(), items: vec(MAX_WORKS) },
  { capacity: 1, role: 'machine' },
)

/** system_wq; the machine constructs it when it boots. */
export function systemWq(): Workqueue {
  return Workqueue.at(Workqueue.base) as Workqueue
}

export function queueWork(work: Obj): void {
  const wq = systemWq()
  if (wq.count >= MAX_WORKS) throw new LimitError(`the workqueue has room for ${MAX_WORKS} items`)
  wq.items.set(wq.count, work.at)
  wq.count++
}

/** Wait for an item and take it. */
export const takeWork = fn(function* worker_thread(): Kernel<Obj | null> {
  const wq = systemWq()
  yield untilNot(wq, 'count', 0)
  const at = wq.items.get(0)
  for (let i = 1; i < wq.count; i++) wq.items.set(i - 1, wq.items.get(i))
  wq.count--
  wq.items.set(wq.count, 0)
  return handleAt(at)
})

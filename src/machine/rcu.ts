/**
 * RCU and SRCU. A task reads under RCU while its `rcuDepth` or its `preemptCount` is not zero:
 * disabling preemption is a read-side section too, as in Linux since 4.20. A grace period waits
 * for the sections that exist when it starts, not for later ones.
 *
 * kfree_rcu() frees at the earliest legal moment, when the last such section ends. Freeing later
 * would only hide uses of freed memory.
 */
import { kfree } from './alloc.js'
import { until, untilElement } from './effects.js'
import { LimitError, remark } from './fault.js'
import { fn, type Kernel } from './fn.js'
import { handleAt, isAlive, num, type Obj, type Struct, struct, type Vec, vec } from './struct.js'
import { current, MAX_TASKS, mightSleep, Task, taskNumber } from './task.js'

const MAX_CALLBACKS = 16

/** Callbacks waiting for readers; the machine has one. */
interface RcuState extends Obj {
  /** Tasks in synchronize_rcu(). */
  waiters: number
  count: number
  /** Addresses of the objects to free, each with the mask of tasks it still waits for. */
  objects: Vec
  masks: Vec
}

const RcuState: Struct<RcuState> = struct<RcuState>(
  'RcuState',
  { waiters: num(), count: num(), objects: vec(MAX_CALLBACKS), masks: vec(MAX_CALLBACKS) },
  { capacity: 1, role: 'machine', quiet: true },
)

/** Address at which the machine constructs its RCU state when it boots. */
export const RCU_STATE: Struct<Obj> = RcuState as unknown as Struct<Obj>

function state(): RcuState {
  return RcuState.at(RcuState.base) as RcuState
}

function reads(task: Task): boolean {
  return task.rcuDepth > 0 || task.preemptCount > 0
}

/** Bit mask of the tasks other than the running one that are in a read-side section. */
function readers(): number {
  const me = current().number
  let mask = 0
  for (let n = 0; n < MAX_TASKS; n++) {
    const task = taskNumber(n)
    if (n !== me && isAlive(Task, task) && reads(task)) mask |= 1 << n
  }
  return mask
}

export function rcuReadLock(): void {
  current().rcuDepth++
}

export function rcuReadUnlock(): void {
  const me = current()
  mustRead(me.rcuDepth, 'rcu_read_unlock')
  me.rcuDepth--
  if (!reads(me)) leaveReadSide(me)
}

export function preemptDisable(): void {
  current().preemptCount++
}

function mustRead(depth: number, where: string): void {
  if (depth <= 0) remark('unlock-by-other', `${where} of a section that this task is not in`)
}

export function preemptEnable(): void {
  const me = current()
  me.preemptCount--
  if (!reads(me)) leaveReadSide(me)
}

function leaveReadSide(me: Task): void {
  const rcu = state()
  const bit = 1 << me.number
  if (rcu.waiters > 0) {
    for (let n = 0; n < MAX_TASKS; n++) {
      const task = taskNumber(n)
      if (isAlive(Task, task) && task.gpWait & bit) task.gpWait &= ~bit
    }
  }
  for (let i = rcu.count - 1; i >= 0; i--) {
    const mask = rcu.masks.get(i) & ~bit
    rcu.masks.set(i, mask)
    if (mask === 0) runCallback(rcu, i)
  }
}

function runCallback(rcu: RcuState, i: number): void {
  const at = rcu.objects.get(i)
  const last = rcu.count - 1
  rcu.objects.set(i, rcu.objects.get(last))
  rcu.masks.set(i, rcu.masks.get(last))
  rcu.objects.set(last, 0)
  rcu.masks.set(last, 0)
  rcu.count = last
  kfree(handleAt(at))
}

/** synchronize_rcu(): returns when every reader that was there has left. */
export const synchronizeRcu = fn(function* synchronize_rcu(): Kernel<void> {
  mightSleep('synchronize_rcu')
  yield until(current(), 'gpWait', 0)
  current().gpWait = readers()
  state().waiters++
  yield until(current(), 'gpWait', 0)
  state().waiters--
})

/** kfree_rcu(): frees `object` when the readers of now have left. */
export function kfreeRcu(object: Obj): void {
  const mask = readers()
  if (mask === 0) {
    kfree(object)
    return
  }
  const rcu = state()
  if (rcu.count >= MAX_CALLBACKS)
    throw new LimitError(`RCU has room for ${MAX_CALLBACKS} callbacks`)
  rcu.objects.set(rcu.count, object.at)
  rcu.masks.set(rcu.count, mask)
  rcu.count++
}

/** A sleepable RCU domain; the machine counts for each task how deeply it reads. */
export interface SrcuStruct extends Obj {
  depth: Vec
  /** For each task in synchronize_srcu(): bit mask of the readers it still waits for. */
  gpWait: Vec
  /** Tasks in synchronize_srcu(). */
  waiters: number
}

export const SrcuStruct: Struct<SrcuStruct> = struct<SrcuStruct>(
  'SrcuStruct',
  { depth: vec(MAX_TASKS), gpWait: vec(MAX_TASKS), waiters: num() },
  { capacity: 16, role: 'machine', quiet: ['depth', 'gpWait', 'waiters'] },
)

export function srcuReadLock(ssp: SrcuStruct): void {
  const n = current().number
  ssp.depth.set(n, ssp.depth.get(n) + 1)
}

export function srcuReadUnlock(ssp: SrcuStruct): void {
  const n = current().number
  mustRead(ssp.depth.get(n), 'srcu_read_unlock')
  const depth = ssp.depth.get(n) - 1
  ssp.depth.set(n, depth)
  if (depth > 0 || ssp.waiters === 0) return
  for (let t = 0; t < MAX_TASKS; t++) ssp.gpWait.set(t, ssp.gpWait.get(t) & ~(1 << n))
}

/** synchronize_srcu(): returns when every reader of the domain that was there has left. */
export const synchronizeSrcu = fn(function* synchronize_srcu(ssp: SrcuStruct): Kernel<void> {
  mightSleep('synchronize_srcu')
  const me = current().number
  yield untilElement(ssp, 'gpWait', me, 0)
  let mask = 0
  for (let t = 0; t < MAX_TASKS; t++) if (ssp.depth.get(t) > 0) mask |= 1 << t
  ssp.gpWait.set(me, mask)
  ssp.waiters++
  yield untilElement(ssp, 'gpWait', me, 0)
  ssp.waiters--
})

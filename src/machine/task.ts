/**
 * Tasks. A task is a thread on a CPU of its own; it runs a fixed list of operations, one after
 * the other, and has a stack of frames in the arena. Everything in a task is its own; others
 * write only `gpWait`.
 */
import { type Addr, mem } from './arena.js'
import { LimitError } from './fault.js'
import { num, type Obj, type Struct, struct, type Vec, vec } from './struct.js'

export const MAX_TASKS = 8
export const STACK_WORDS = 640
export const MAX_HELD = 12
/** As many files as a task can close at once, and what it maps besides. */
export const MAX_TASK_WORKS = 64
/** Classes of locks: bits of a word of lockdep's graph. */
export const MAX_LOCK_CLASSES = 31

export const TASK = {
  RUNNING: 0,
  /** All operations have returned. */
  DONE: 1,
  /** Killed by an oops; its locks stay held. */
  DEAD: 2,
} as const

export interface Task extends Obj {
  /** 0 to MAX_TASKS - 1. */
  number: number
  state: number
  /** 1 once the first operation has been started. */
  started: number
  /** Index of the operation that runs or comes next. */
  op: number
  /** Address of the topmost frame, or 0. */
  sp: number
  /**
   * The effect announced: what is waited for is part of the state. The frames do not say it, since
   * a local that is not read any more is not kept in them.
   */
  pending: number
  /** True while task work runs on the way back to user mode. */
  exiting: number
  preemptCount: number
  rcuDepth: number
  /** Tasks (bit mask) that must leave their RCU sections before synchronize_rcu() returns. */
  gpWait: number
  heldCount: number
  /** Addresses of the lock words held, in order of acquisition, and their classes. */
  heldAddr: Vec
  heldClass: Vec
  /** Objects whose deferred work runs on the way back to user mode, oldest first. */
  workCount: number
  works: Vec
  stack: Vec
}

export const Task: Struct<Task> = struct<Task>(
  'Task',
  {
    number: num(),
    state: num(),
    started: num(),
    op: num(),
    sp: num(),
    pending: num(),
    exiting: num(),
    preemptCount: num(),
    rcuDepth: num(),
    gpWait: num(),
    heldCount: num(),
    heldAddr: vec(MAX_HELD),
    heldClass: vec(MAX_HELD),
    workCount: num(),
    works: vec(MAX_TASK_WORKS),
    stack: vec(STACK_WORDS),
  },
  { capacity: MAX_TASKS, role: 'machine' },
)

let running: Task | undefined
/** Address of the running task. */
export let currentAt = 0

/** The task whose step is being executed; `current` of the kernel. */
export function current(): Task {
  if (running === undefined) throw new Error('no task is running')
  return running
}

export function setCurrent(task: Task | undefined): void {
  running = task
  currentAt = task === undefined ? 0 : task.at
}

/** Number of the running task, or 0 while the machine boots. */
export function currentTaskNumber(): number {
  return running === undefined ? 0 : running.number
}

const handlesByNumber: Task[] = []

/** The task with this number. */
export function taskNumber(n: number): Task {
  const known = handlesByNumber[n]
  if (known !== undefined) return known
  const task = Task.at(Task.base + n * Task.words) as Task
  handlesByNumber[n] = task
  return task
}

function offsetOf(field: keyof Task & string): number {
  return Task.fields.get(field)?.offset as number
}

const STATE = offsetOf('state')
const STARTED = offsetOf('started')
const PENDING = offsetOf('pending')
const STACK = offsetOf('stack')

/** What the scheduler asks of every task before every step, without a handle. */
export function stateOf(n: number): number {
  return mem[Task.base + n * Task.words + STATE] as number
}

export function hasStarted(n: number): boolean {
  return mem[Task.base + n * Task.words + STARTED] !== 0
}

export function pendingOf(n: number): number {
  return mem[Task.base + n * Task.words + PENDING] as number
}

/** First word of a task's stack. */
export function stackBase(task: Task): Addr {
  return (task.at + STACK) as Addr
}

/** What listeners hear of locking; none of it is state. */
export interface LockTap {
  /** The running task acquired a lock; called before it joins the held ones. */
  acquired(task: Task, lockClass: number, addr: Addr, trylock: boolean): void
  /** The running task reached a point at which it may sleep. */
  mightSleep(task: Task, where: string): void
}

let tap: LockTap | undefined

export function setLockTap(next: LockTap | undefined): void {
  tap = next
}

/** Of the kernel, by number from 1; those of the machine that has booted stand behind. */
const classNames: string[] = []
let kernelClasses = 0

/** The classes of the kernel's locks, in the order of their numbers; before any machine boots. */
export function declareLockClasses(names: readonly string[]): void {
  classNames.push(...names)
  kernelClasses = classNames.length
}

/** A machine boots: besides the kernel's classes there are those of its host and its design. */
export function setLockClasses(names: readonly string[]): void {
  classNames.length = kernelClasses
  classNames.push(...names.filter((name) => !classNames.includes(name)))
  if (classNames.length > MAX_LOCK_CLASSES) {
    throw new LimitError(`lockdep has room for ${MAX_LOCK_CLASSES} classes of locks`)
  }
}

/**
 * The number of a lock class, the name under which lockdep knows all locks of a kind. It comes from
 * what was declared, so it is the same whichever lock is initialised first.
 */
export function lockClass(name: string): number {
  const number = classNames.indexOf(name) + 1
  if (number > 0) return number
  throw new LimitError(
    `a lock of class "${name}" is initialised, but no design says so: locks: ['${name}']`,
  )
}

export function lockClassName(number: number): string {
  return classNames[number - 1] ?? '?'
}

const pairs = new Set<string>()

/** A judge has met a lock of one class taken under one of another: for the page about the order. */
export function notePair(held: number, taken: number): void {
  pairs.add(`${lockClassName(held)} > ${lockClassName(taken)}`)
}

/** The pairs that were met since the thread began, as `held > taken`. */
export function pairsNoted(): ReadonlySet<string> {
  return pairs
}

/** Note that the running task now holds a lock. */
export function holdLock(addr: Addr, cls: number, trylock: boolean): void {
  const me = current()
  tap?.acquired(me, cls, addr, trylock)
  if (me.heldCount >= MAX_HELD) throw new LimitError(`a task can hold ${MAX_HELD} locks at once`)
  me.heldAddr.set(me.heldCount, addr)
  me.heldClass.set(me.heldCount, cls)
  me.heldCount++
}

/** Note that the running task no longer holds a lock. */
export function dropLock(addr: Addr): void {
  const me = current()
  let i = me.heldCount - 1
  while (i >= 0 && me.heldAddr.get(i) !== addr) i--
  if (i < 0) return
  for (; i < me.heldCount - 1; i++) {
    me.heldAddr.set(i, me.heldAddr.get(i + 1))
    me.heldClass.set(i, me.heldClass.get(i + 1))
  }
  me.heldCount--
  me.heldAddr.set(me.heldCount, 0)
  me.heldClass.set(me.heldCount, 0)
}

export function holdsLock(task: Task, addr: Addr): boolean {
  for (let i = 0; i < task.heldCount; i++) if (task.heldAddr.get(i) === addr) return true
  return false
}

/** What a task has taken and not given back, in words; '' for nothing. */
export function leftBehind(task: Task): string {
  if (task.heldCount > 0) return `${lockClassName(task.heldClass.get(task.heldCount - 1))} held`
  if (task.preemptCount !== 0) return 'preemption off'
  return task.rcuDepth !== 0 ? 'an RCU section open' : ''
}

/** might_sleep(). */
export function mightSleep(where: string): void {
  tap?.mightSleep(current(), where)
}

/**
 * The machine: tasks that run programs of kernel calls, one step at a time. A step is what a task
 * does from one announcement to the next. Who steps next is the caller's decision; the machine
 * has no clock and no randomness of its own.
 *
 * The same kernel code runs in two ways. `lowered` keeps frames in the arena, so a state can be
 * taken back; `direct` runs the generators as they are written and can only go forward.
 */
import { forgetUndo, resetArena, takeDirty } from './arena.js'
import { EFFECT, type Effect, effectArg, effectKind, isEnabled } from './effects.js'
import {
  asNullDereference,
  KernelFault,
  LimitError,
  type Remark,
  remark,
  takeRemarks,
} from './fault.js'
import { bodyOf, type FnTag, type Kernel, numberFunctions } from './fn.js'
import { lastResult, runFrames, startFrames } from './frames.js'
import type { Operation, Program } from './program.js'
import { RCU_STATE } from './rcu.js'
import {
  constructAt,
  num,
  type Obj,
  placeStructs,
  type Struct,
  struct,
  type Vec,
  vec,
} from './struct.js'
import {
  hasStarted,
  leftBehind,
  MAX_TASKS,
  pendingOf,
  setCurrent,
  setLockClasses,
  stateOf,
  TASK,
  Task,
  taskNumber,
} from './task.js'
import { Workqueue } from './work.js'

export type { Arg, Operation, Program, TaskProgram } from './program.js'

export type Mode = 'lowered' | 'direct'

export const MAX_VARIABLES = 64

interface Variables extends Obj {
  values: Vec
  faultsLeft: number
  /**
   * What a value has beyond its low 32 bits and their sign: 0 for all but addresses and offsets.
   */
  high: Vec
}

const Variables: Struct<Variables> = struct<Variables>(
  'Variables',
  { values: vec(MAX_VARIABLES), faultsLeft: num(), high: vec(MAX_VARIABLES) },
  // What an operation returned is its own task's.
  { capacity: 1, role: 'harness', commutes: ['values', 'high'], quiet: true },
)

let program: Program = { tasks: [], faults: 0 }
/** Of the program: how many tasks, by task its phase, and as bits those that serve others. */
let tasks = 0
const phases = new Int32Array(MAX_TASKS)
let daemons = 0
let mode: Mode = 'lowered'
let generators: (Kernel<unknown> | undefined)[] = []

function variables(): Variables {
  return Variables.at(Variables.base) as Variables
}

let boots = 0

/** Which boot the present machine is of. There is one machine in a thread. */
export function bootNumber(): number {
  return boots
}

/**
 * Is the machine still the one of this boot? What another one is asked, it would answer as itself.
 */
export function mustBeOf(boot: number): void {
  if (boot === boots) return
  throw new LimitError('another kernel has been booted in this thread since: one at a time')
}

/**
 * Number what has been declared until now: what is declared later comes behind. Each boot does so,
 * and who loads a design that somebody brings, before it is there: the project's own states do not
 * depend on it.
 */
export function numberDeclared(): void {
  placeStructs()
  numberFunctions()
}

/**
 * Empty machine: no task, no kernel object. `init` then builds the kernel, as task 0. `locks` are
 * the classes of locks that this machine has besides the kernel's.
 */
export function boot(how: Mode, init: () => void, locks: readonly string[] = []): void {
  boots++
  numberDeclared()
  setLockClasses(locks)
  resetArena()
  mode = how
  setProgram({ tasks: [], faults: 0 })
  for (const s of [RCU_STATE, Workqueue, Variables] as unknown as Struct<Obj>[]) {
    constructAt(s, s.base, 0)
  }
  setCurrent(undefined)
  makeTask(0)
  setCurrent(taskNumber(0))
  init()
  setCurrent(undefined)
}

function makeTask(n: number): void {
  const task = taskNumber(n)
  constructAt(Task as unknown as Struct<Obj>, task.at, 0)
  task.number = n
}

function setProgram(next: Program): void {
  program = next
  generators = []
  tasks = next.tasks.length
  daemons = 0
  next.tasks.forEach((t, n) => {
    if (t.daemon === true) daemons |= 1 << n
    phases[n] = t.phase ?? 0
  })
}

/**
 * Give the machine a program. A task's first step starts its first operation. Variables and
 * kernel objects stay, so that a set-up and the scenario proper can follow one another.
 */
export function load(next: Program): void {
  checkSize(next)
  setProgram(next)
  variables().faultsLeft = next.faults
  next.tasks.forEach((_, n) => {
    makeTask(n)
  })
  takeDirty()
  forgetUndo()
}

function checkSize({ tasks }: Program): void {
  if (tasks.length > MAX_TASKS) {
    throw new LimitError(`the machine has room for ${MAX_TASKS} tasks, the exit among them`)
  }
  for (const { variable } of tasks.flatMap((t) => t.operations)) {
    if (variable !== undefined && variable >= MAX_VARIABLES) {
      throw new LimitError(`a scenario can have ${MAX_VARIABLES} variables`)
    }
  }
}

/** The program that the machine runs. */
export function loadedProgram(): Program {
  return program
}

export function taskCount(): number {
  return tasks
}

export function taskName(n: number): string {
  return program.tasks[n]?.name ?? `task${n}`
}

export function isDaemon(n: number): boolean {
  return ((daemons >> n) & 1) !== 0
}

/** The operation that a task runs or will run next. */
export function operationOf(n: number): Operation | undefined {
  return program.tasks[n]?.operations[taskNumber(n).op]
}

export function variable(i: number): number {
  const { values, high } = variables()
  const low = values.get(i)
  const beyond = high.get(i)
  return beyond === 0 ? low : low + beyond * 2 ** 32
}

/** Exact, whatever 64 bits it has. */
function setVariable(i: number, value: number | bigint): void {
  const low = Number(BigInt.asIntN(32, BigInt(value)))
  const beyond = low === value ? 0 : Number(BigInt.asIntN(32, (BigInt(value) - BigInt(low)) >> 32n))
  variables().values.set(i, low)
  variables().high.set(i, beyond)
}

/** A variable as an argument: its low 32 bits, a number, or all 64 bits. */
function passed(i: number, as: 'int' | 'wide' | 'bytes'): number | bigint {
  const { values, high } = variables()
  if (as === 'int') return values.get(i)
  return as === 'wide' ? variable(i) : BigInt(values.get(i)) + (BigInt(high.get(i)) << 32n)
}

/** Could a fault still be injected? */
export function faultsLeft(): number {
  return variables().faultsLeft
}

/** May task `n` take a step now? */
export function canStep(n: number): boolean {
  if (stateOf(n) !== TASK.RUNNING || !isEnabled(pendingOf(n))) return false
  return phases[n] === 0 || hasStarted(n) || endedBelow(phaseOf(n))
}

/** The tasks that may take a step now, as bits. */
export function readyTasks(): number {
  let ready = 0
  for (let n = 0; n < tasks; n++) if (canStep(n)) ready |= 1 << n
  return ready
}

/** The tasks that serve others, as bits. */
export function daemonTasks(): number {
  return daemons
}

export function phaseOf(n: number): number {
  return phases[n] as number
}

/** Have all tasks of the phases before this one ended? A dead task never lets the next begin. */
export function endedBelow(phase: number): boolean {
  for (let n = 0; n < tasks; n++) {
    if ((phases[n] as number) < phase && !isDaemon(n) && stateOf(n) !== TASK.DONE) return false
  }
  return true
}

/** How many ways the next step of task `n` can go: the caller picks 0 to this - 1. */
export function alternatives(n: number): number {
  const pending = pendingOf(n)
  switch (effectKind(pending)) {
    case EFFECT.CHOOSE:
      return effectArg(pending)
    case EFFECT.INJECT:
      return faultsLeft() > 0 ? 2 : 1
    default:
      return 1
  }
}

/** What a step led to, beyond the new state. */
export interface StepResult {
  fault: KernelFault | undefined
  remarks: readonly Remark[]
  /** Sanitizer bits whose watched fields were written. */
  dirty: number
  /** Result of the last operation that returned in this step, if one did. */
  returned: number | undefined
}

const outcome: StepResult = { fault: undefined, remarks: [], dirty: 0, returned: undefined }

/** Let task `n` take one step. The result is valid until the next step. */
export function step(n: number, choice: number): StepResult {
  const task = taskNumber(n)
  setCurrent(task)
  let fault: KernelFault | undefined
  returned = undefined
  try {
    if (effectKind(task.pending) === EFFECT.INJECT && choice > 0) variables().faultsLeft--
    advance(task, choice)
  } catch (error) {
    fault = error instanceof KernelFault ? error : asNullDereference(error)
    if (fault === undefined) throw error
    task.state = TASK.DEAD
  }
  setCurrent(undefined)
  outcome.fault = fault
  outcome.remarks = takeRemarks()
  outcome.dirty = takeDirty()
  outcome.returned = returned
  return outcome
}

function advance(task: Task, choice: number): void {
  if (task.started === 0) {
    task.started = 1
    startNext(task)
    return
  }
  if (mode === 'lowered') {
    if (runFrames(choice, true)) finishOperation(task, lastResult())
    return
  }
  const generator = generators[task.number]
  if (generator === undefined) throw new Error('a task without a generator was stepped')
  const next = generator.next(choice)
  if (next.done) finishOperation(task, next.value)
  else task.pending = next.value
}

/** An operation has returned: task work first, then the next operation up to its first yield. */
function finishOperation(task: Task, value: unknown): void {
  if (task.exiting === 0) {
    deliver(task, value)
    task.exiting = 1
  }
  if (task.workCount > 0 && program.exitWork !== undefined) {
    if (!startCall(task, program.exitWork, [])) finishOperation(task, undefined)
    return
  }
  task.exiting = 0
  leave(task)
  startNext(task)
}

/** Back in user mode, where nobody holds anything of the kernel's. */
function leave(task: Task): void {
  const left = leftBehind(task)
  const call = operationOf(task.number)?.text ?? 'the task'
  if (left !== '') remark('lock-held-on-return', `${call} returns with ${left}`)
  task.op++
}

let returned: number | undefined

function deliver(task: Task, value: unknown): void {
  const operation = operationOf(task.number)
  if (operation === undefined) return
  const exact = asResult(value)
  const result = Number(exact)
  returned = result
  if (operation.variable !== undefined) setVariable(operation.variable, exact)
  if (operation.expected !== undefined && operation.expected !== result) {
    remark('unexpected-result', `${operation.text} returned ${result}`)
  }
}

function asResult(value: unknown): number | bigint {
  if (typeof value === 'bigint') return value
  if (typeof value !== 'number') return Number(value === true)
  if (Number.isSafeInteger(value)) return value
  throw new LimitError(`a call can return whole numbers up to 53 bits, not ${value}`)
}

/**
 * Announce the start of the next operation. Its first step is everything up to its first yield,
 * so between two operations a task stands at an announcement like any other.
 */
function startNext(task: Task): void {
  for (;;) {
    const operation = operationOf(task.number)
    if (operation === undefined) {
      task.state = TASK.DONE
      task.pending = 0
      return
    }
    const args = operation.args.map((a) =>
      'value' in a ? a.value : passed(a.variable, a.as ?? 'int'),
    )
    if (startCall(task, operation.fn, args)) return
    // The call returned without ever yielding.
    const value = mode === 'lowered' ? lastResult() : directResult
    deliver(task, value)
    if (task.workCount > 0 && program.exitWork !== undefined) {
      task.exiting = 1
      if (startCall(task, program.exitWork, [])) return
      task.exiting = 0
    }
    leave(task)
  }
}

let directResult: unknown

/** Start a call and run it to its first yield; false if it has returned already. */
function startCall(task: Task, f: FnTag, args: readonly unknown[]): boolean {
  if (mode === 'lowered') {
    startFrames(f, args)
    return !runFrames(undefined, false)
  }
  const generator = bodyOf(f).direct(...args) as Kernel<unknown>
  generators[task.number] = generator
  const next = generator.next()
  if (next.done) {
    directResult = next.value
    return false
  }
  task.pending = next.value as Effect
  return true
}

/** Is task `n` through with its program, or dead? */
export function hasEnded(n: number): boolean {
  return stateOf(n) !== TASK.RUNNING
}

/** Has it died? Read through its struct, since judges ask: what they depend on is heard. */
export function hasDied(n: number): boolean {
  return taskNumber(n).state === TASK.DEAD
}

/** Has nobody an operation under way? Daemons do not count. */
export function allEnded(): boolean {
  for (let n = 0; n < tasks; n++) if (!isDaemon(n) && !hasEnded(n)) return false
  return true
}

/**
 * Frames of lowered kernel code. A task's stack holds frames of this form:
 *
 *   fp + 0   number of the function
 *   fp + 1   program counter: where it goes on
 *   fp + 2   address of the caller's frame, or 0
 *   fp + 3…  parameters and locals that live across a yield
 *
 * A step function returns SUSPEND after it has announced an effect, CALL after it has pushed a
 * callee, or RETURN; only the first ends the task's step.
 */
import { mem, note, noting, poke, pokeFrame } from './arena.js'
import { LimitError } from './fault.js'
import { type Body, bodyNumber, bodyOf, type FnTag } from './fn.js'
import { currentAt, STACK_WORDS, Task, taskNumber } from './task.js'

export const SUSPEND = 0
export const CALL = 1
export const RETURN = 2

let result: unknown
let calleeFp = 0
/** The frame that ran last. */
let lastFp = 0

/** Told which function returned what, and where its frame was; frames of callees lie higher. */
export type ReturnWatcher = (cName: string, fp: number, value: unknown) => void

let returnWatcher: ReturnWatcher | undefined

/** Have every return of lowered code reported, or none. */
export function watchReturns(watcher: ReturnWatcher | undefined): void {
  returnWatcher = watcher
}

/** Announce an effect and stop at `pc` until the scheduler comes back. */
export function suspend(fp: number, pc: number, effect: number): number {
  pokeFrame(fp + 1, pc)
  poke(currentAt + PENDING, effect)
  return SUSPEND
}

/**
 * Whether plain accesses are announced with their address. A search needs only the waits; a judge
 * of accesses wants all of them.
 */
export const announced = { all: false }

export function announceAll(all: boolean): void {
  announced.all = all
}

function offsetOf(field: keyof Task & string): number {
  return Task.fields.get(field)?.offset as number
}

const SP = offsetOf('sp')
const PENDING = offsetOf('pending')
const STACK = offsetOf('stack')

/** Call a kernel function from the frame at `fp`, which goes on at `pc` with its result. */
export function call(fp: number, words: number, pc: number, f: FnTag, args: unknown[]): number {
  const body = bodyOf(f)
  if (body.lowered === undefined) {
    result = body.direct(...args)
    throw new Error(`${body.cName} was called with yield* but has not been lowered`)
  }
  pokeFrame(fp + 1, pc)
  calleeFp = fp + words
  push(body, calleeFp, fp, args)
  return CALL
}

/** Return a value to the caller's frame. */
export function ret(value: unknown): number {
  result = value
  return RETURN
}

function push(body: Body, fp: number, caller: number, args: readonly unknown[]): void {
  const lowered = body.lowered
  if (lowered === undefined) throw new Error(`${body.cName} has not been lowered`)
  if (fp + lowered.words > currentAt + STACK + STACK_WORDS)
    throw new LimitError(`a task's stack has ${STACK_WORDS} words; does ${body.cName} call itself?`)
  pokeFrame(fp, body.number)
  pokeFrame(fp + 1, 0)
  pokeFrame(fp + 2, caller)
  lowered.enter(fp, args)
}

/** Push the first frame of an operation. */
export function startFrames(f: FnTag, args: readonly unknown[]): void {
  const base = currentAt + STACK
  push(bodyOf(f), base, 0, args)
  poke(currentAt + SP, base)
}

/**
 * Run the current task's frames to its next announcement: those that it left at the last one, or
 * the first of an operation. Returns true if the outermost frame has returned; its result is then
 * in `lastResult`.
 */
export function runFrames(value: unknown, resumes: boolean): boolean {
  if (noting && resumes) note(currentAt + SP)
  let fp = mem[currentAt + SP] as number
  /** Below this frame nothing has been touched; 0 when the step has pushed all that there is. */
  let oldest = resumes ? Number.POSITIVE_INFINITY : 0
  let incoming = value
  for (;;) {
    lastFp = fp
    const { lowered } = bodyNumber(mem[fp] as number)
    if (lowered === undefined) throw new Error('a frame of a function that was not lowered')
    if (noting && fp < oldest) {
      noteFrame(fp, lowered.words)
      oldest = fp
    }
    const outcome = lowered.step(fp, mem[fp + 1] as number, incoming)
    if (outcome === SUSPEND) {
      poke(currentAt + SP, fp)
      return false
    }
    if (outcome === CALL) {
      fp = calleeFp
      incoming = undefined
      continue
    }
    if (returnWatcher !== undefined) returnWatcher(functionName(mem[fp] as number), fp, result)
    const caller = mem[fp + 2] as number
    for (let i = 0; i < lowered.words; i++) pokeFrame(fp + i, 0)
    incoming = result
    if (caller === 0) {
      poke(currentAt + SP, 0)
      return true
    }
    fp = caller
  }
}

/** Note a frame that was there before the step. */
function noteFrame(fp: number, words: number): void {
  for (let i = 0; i < words; i++) note(fp + i)
}

/** Where a task stands, as a number of few bits: the same place gives the same number. */
export function placeHash(n: number): number {
  const sp = mem[taskNumber(n).at + SP] as number
  if (sp === 0) return 0
  return Math.imul(mem[sp] as number, 31) + (mem[sp + 1] as number)
}

/** The function that ran last, in C's spelling: where a fault has just happened. */
export function faultingFunction(): string {
  return functionName(mem[lastFp] as number)
}

/** Which function a task stands in, innermost, as a number for `functionName`; 0 for none. */
export function standsIn(n: number): number {
  const sp = mem[taskNumber(n).at + SP] as number
  return sp === 0 ? 0 : (mem[sp] as number)
}

/** In C's spelling; '' before a task's first operation. */
export function functionName(number: number): string {
  return number === 0 ? '' : bodyNumber(number).cName
}

export function lastResult(): unknown {
  return result
}

/** One level of a backtrace. */
export interface Level {
  readonly cName: string
  readonly file: string
  readonly line: number
  readonly text: string
}

/** The call stack of a task that runs lowered code, innermost first. */
export function backtrace(n: number): Level[] {
  return levelsFrom(taskNumber(n).sp)
}

/** The call stack in which a fault has just happened, innermost first. */
export function faultingStack(): Level[] {
  return levelsFrom(lastFp)
}

/** The innermost level of task `n`; undefined in user mode. */
export function innermost(n: number): Level | undefined {
  const { sp } = taskNumber(n)
  return sp === 0 ? undefined : levelAt(sp)
}

function levelsFrom(sp: number): Level[] {
  const levels: Level[] = []
  for (let fp = sp; fp !== 0; fp = mem[fp + 2] as number) levels.push(levelAt(fp))
  return levels
}

function levelAt(fp: number): Level {
  const { cName, lowered, place } = bodyNumber(mem[fp] as number)
  const site = lowered?.sites[mem[fp + 1] as number]
  const file = place.slice(0, place.lastIndexOf(':'))
  return { cName, file, line: site?.line ?? 0, text: site?.text ?? '' }
}

/** Write a 32-bit number into a frame. */
export function saveNum(at: number, value: number): void {
  if ((value | 0) !== value) throw new LimitError(`${value} does not fit a 32-bit local`)
  pokeFrame(at, value)
}

export function saveFlag(at: number, value: boolean): void {
  pokeFrame(at, value ? 1 : 0)
}

/** Write a whole number of at most 53 bits and a sign into two words of a frame. */
export function saveWide(at: number, value: number): void {
  if (!Number.isSafeInteger(value)) throw new LimitError(`${value} does not fit a 53-bit local`)
  pokeFrame(at, Math.floor(value / 0x100000000))
  pokeFrame(at + 1, value | 0)
}

export function loadWide(at: number): number {
  return (mem[at] as number) * 0x100000000 + ((mem[at + 1] as number) >>> 0)
}

/**
 * Write a bigint into three words of a frame. C's words of 64 bits, with a sign or without, are
 * all bigints here, and so are sums of two that have not been cut yet: two words are too few.
 */
export function saveBig(at: number, value: bigint): void {
  const high = Number(value >> 64n)
  if ((high | 0) !== high) throw new LimitError(`${value} does not fit a 96-bit local`)
  pokeFrame(at, high)
  pokeFrame(at + 1, Number(BigInt.asIntN(32, value >> 32n)))
  pokeFrame(at + 2, Number(BigInt.asIntN(32, value)))
}

export function loadBig(at: number): bigint {
  const high = (BigInt(mem[at] as number) << 32n) | BigInt((mem[at + 1] as number) >>> 0)
  return (high << 32n) | BigInt((mem[at + 2] as number) >>> 0)
}

/** Write a pointer into a frame. */
export function savePtr(at: number, value: { readonly at: number } | null): void {
  pokeFrame(at, value === null || value === undefined ? 0 : value.at)
}

/**
 * Effects: what a step announces before it happens. Kernel code yields one, other tasks may run,
 * and then the announced access happens together with the local code behind it, up to the next
 * yield.
 *
 * The rule for kernel code: announce every access that no lock orders. Data guarded by a held
 * lock may be touched freely between two announcements; taking a lock is itself announced.
 * A debug run finds what was forgotten (see `explore/listen/undeclared.ts`).
 *
 * An effect is one 32-bit number: kind (4 bits), argument (6 bits), address (21 bits).
 */
import { mem } from './arena.js'
import { LimitError } from './fault.js'
import { addressOf, type Obj } from './struct.js'

export type Effect = number & { readonly __effect: never }

export const EFFECT = {
  /** Accesses: always enabled. */
  READ: 0,
  WRITE: 1,
  RMW: 2,
  /** Waits: enabled when the word has, or has not, the value in the argument. */
  UNTIL: 3,
  UNTIL_NOT: 4,
  /** Lock acquisitions. The word is the owner (task number + 1) or, for the `RW` forms, the
   * writer, followed by the number of readers and, for a sleeping lock, of waiting writers. */
  LOCK: 5,
  LOCK_SHARED: 6,
  LOCK_EXCLUSIVE: 7,
  /** Legal nondeterminism: the argument is the number of alternatives. */
  CHOOSE: 8,
  /** A fault that may be injected while the scenario's budget lasts; 0 or 1. */
  INJECT: 9,
} as const

function effect(kind: number, arg: number, addr: number): Effect {
  return (kind | (arg << 4) | (addr << 10)) as Effect
}

export function effectKind(e: number): number {
  return e & 15
}

export function effectArg(e: number): number {
  return (e >>> 4) & 63
}

export function effectAddr(e: number): number {
  return e >>> 10
}

/** The next step reads this field, which others may write. */
export function read<S extends Obj>(object: S | null, field: keyof S & string): Effect {
  return effect(EFFECT.READ, 0, addressOf(object, field))
}

/** The next step writes this field, which others may read. */
export function write<S extends Obj>(object: S | null, field: keyof S & string): Effect {
  return effect(EFFECT.WRITE, 0, addressOf(object, field))
}

/** The next step reads and writes this field atomically. */
export function rmw<S extends Obj>(object: S | null, field: keyof S & string): Effect {
  return effect(EFFECT.RMW, 0, addressOf(object, field))
}

const MOST_ARG = 63

/** An effect has room for a number of 6 bits beside the address. */
function fitting(value: number, least: number, what: string): number {
  if (value >= least && value <= MOST_ARG && Number.isInteger(value)) return value
  throw new LimitError(`${what} takes ${least} to ${MOST_ARG}, not ${value}`)
}

/** Wait until the field has this value (0 to 63; a flag is 0 or 1, NULL is 0). */
export function until<S extends Obj>(object: S, field: keyof S & string, value: number): Effect {
  return effect(EFFECT.UNTIL, fitting(value, 0, 'until()'), addressOf(object, field))
}

/** Wait until the field has another value than this one. */
export function untilNot<S extends Obj>(object: S, field: keyof S & string, value: number): Effect {
  return effect(EFFECT.UNTIL_NOT, fitting(value, 0, 'untilNot()'), addressOf(object, field))
}

/** Wait until one element of a vector has this value. */
export function untilElement<S extends Obj>(
  object: S,
  field: keyof S & string,
  i: number,
  value: number,
): Effect {
  const at = addressOf(object, field) + i
  return effect(EFFECT.UNTIL, fitting(value, 0, 'untilElement()'), at)
}

/** Acquire a lock whose owner word this is. */
export function acquire<S extends Obj>(object: S | null, field: keyof S & string): Effect {
  return effect(EFFECT.LOCK, 0, addressOf(object, field))
}

export function acquireShared<S extends Obj>(object: S | null, field: keyof S & string): Effect {
  return effect(EFFECT.LOCK_SHARED, 0, addressOf(object, field))
}

export function acquireExclusive<S extends Obj>(object: S | null, field: keyof S & string): Effect {
  return effect(EFFECT.LOCK_EXCLUSIVE, 0, addressOf(object, field))
}

/** One of `n` legal outcomes (1 to 63), 0 to n - 1; the yield returns which. */
export function choose(n: number): Effect {
  return effect(EFFECT.CHOOSE, fitting(n, 1, 'choose()'), 0)
}

/** 1 if the fault named by the calling function strikes here, else 0. */
export function inject(): Effect {
  return effect(EFFECT.INJECT, 0, 0)
}

/** Who hears of accesses that belong to a step besides the announced one. */
export type TogetherTap = (addr: number, write: boolean) => void

let together: TogetherTap | undefined

export function setTogetherTap(tap: TogetherTap | undefined): void {
  together = tap
}

/**
 * The step under way also reads this field, which others may write: hardware, or a recheck, of
 * which a comment says why it is one step with what was announced.
 */
export function alsoReads<S extends Obj>(object: S, field: keyof S & string): void {
  if (together !== undefined) together(addressOf(object, field), false)
}

/** The step under way also writes this field. */
export function alsoWrites<S extends Obj>(object: S, field: keyof S & string): void {
  if (together !== undefined) together(addressOf(object, field), true)
}

/** May a task with this pending effect take its step now? */
export function isEnabled(e: number): boolean {
  switch (e & 15) {
    case EFFECT.UNTIL:
      return mem[e >>> 10] === ((e >>> 4) & 63)
    case EFFECT.UNTIL_NOT:
      return mem[e >>> 10] !== ((e >>> 4) & 63)
    case EFFECT.LOCK:
      return mem[e >>> 10] === 0
    case EFFECT.LOCK_SHARED:
      return mem[e >>> 10] === 0 && mem[(e >>> 10) + 2] === 0
    case EFFECT.LOCK_EXCLUSIVE:
      return mem[e >>> 10] === 0 && mem[(e >>> 10) + 1] === 0
    default:
      return true
  }
}

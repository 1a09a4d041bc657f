/** What tasks run: lists of calls of kernel functions. */
import type { FnTag } from './fn.js'

/** An argument of an operation: a constant, or the result of an earlier operation. */
export type Arg =
  | { readonly value: unknown }
  | { readonly variable: number; readonly as?: 'int' | 'wide' | 'bytes' }

/** One call that a task makes. */
export interface Operation {
  readonly fn: FnTag
  readonly args: readonly Arg[]
  /** Where the result goes. */
  readonly variable?: number
  /** What the result must be, if the scenario says so in place. */
  readonly expected?: number
  /** How reports name the call. */
  readonly text: string
}

export interface TaskProgram {
  readonly name: string
  readonly operations: readonly Operation[]
  /** A task that serves others: it never ends, and waiting for ever is its normal state. */
  readonly daemon?: boolean
  /** A task of a later phase starts when all of the earlier phases have ended; 0 by default. */
  readonly phase?: number
}

export interface Program {
  readonly tasks: readonly TaskProgram[]
  /** How many faults may strike. */
  readonly faults: number
  /** Runs on the way back to user mode when task work is queued. */
  readonly exitWork?: FnTag
}

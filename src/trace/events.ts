/**
 * A replay as data: one event for each step. Every view and every report is a fold over these.
 */

export const TRACE_VERSION = 1

/** One level of a task's call stack, innermost first. */
export interface Level {
  /** C's spelling. */
  readonly cName: string
  /** Where it stands: a file of the project, or of the user's design, and a line in it. */
  readonly file: string
  readonly line: number
  /** The effect or call at which this level stands, as written. */
  readonly text: string
}

/** A field that a step changed. */
export interface Change {
  /** E.g. `folio 3`. */
  readonly object: string
  /** C's spelling, e.g. `refcount`. */
  readonly field: string
  readonly before: string
  readonly after: string
  /** Is the word the kernel's own? Else it is a lock's, the harness's, or a list's of waiters. */
  readonly own: boolean
}

/** What went wrong in a step. */
export interface TraceFinding {
  readonly id: string
  readonly message: string
  /** Objects of which it speaks, named as in `Change`, and numbers by name. */
  readonly facts: {
    readonly about: readonly string[]
    readonly values: Readonly<Record<string, number>>
  }
}

export interface TraceStep {
  /** From 1. */
  readonly n: number
  readonly task: string
  /** The alternative that was chosen, if there was one to choose. */
  readonly choice: number | undefined
  /** Where the task stood when it was scheduled: what this step performs. */
  readonly stack: readonly Level[]
  /** The operation that the step belongs to, as written in the scenario. */
  readonly operation: string
  readonly changes: readonly Change[]
  /** Operations that returned in this step, e.g. `migrate(fd, page=0) = -EBUSY`. */
  readonly returned: readonly string[]
  /** Another task that could have gone on was put aside for this step. */
  readonly preempts: boolean
  /** Findings of this step: the moment it went wrong. */
  readonly findings: readonly TraceFinding[]
}

export interface Trace {
  readonly version: typeof TRACE_VERSION
  readonly scenario: string
  readonly design: string
  readonly tasks: readonly string[]
  /** Findings of the set-up, behind which every execution begins. */
  readonly setUp: readonly TraceFinding[]
  readonly steps: readonly TraceStep[]
  /** Tasks that can never go on, with what they wait for and who holds it. */
  readonly stuck: readonly { readonly task: string; readonly waitsFor: string }[]
  /** How many of the last steps have led back to a state that was there before; 0 for none. */
  readonly repeats: number
  /** Two lanes of the fingerprint after the last step. */
  readonly fingerprint: readonly [number, number]
}

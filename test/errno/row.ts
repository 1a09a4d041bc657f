/**
 * One row of the table of errors: a call, what is wrong with it, and what the kernel answers. Where
 * two things are wrong, the answer says which is looked at first.
 */
import type { Int, Op } from '../../src/conform/program.js'
import type { Profile } from '../../src/designs/design.js'
import type { FnTag } from '../../src/machine/fn.js'

/**
 * How we know: seen on a running kernel of the row's version; part of a recording in transcripts/
 * or of the recorded kernel runs; or read in the source of that version.
 */
export type Source = 'live' | 'recorded' | 'read'

export const PROFILES: readonly Profile[] = ['6.2', '6.18']

/** Makes a call of the process on the model. */
export type Call = (f: FnTag, ...args: readonly unknown[]) => number

export interface Row {
  /** The call in C's spelling. */
  readonly call: string
  readonly condition: string
  /** `-ERRNO`, a number, or what a program's call answers, such as `fd`; for each version. */
  readonly answer: Readonly<Partial<Record<Profile, string | Int>>>
  /** How the answer is known; for each version. */
  readonly source: Readonly<Partial<Record<Profile, Source>>>
  /** Calls as in a transcript, of which the last is the row's, … */
  readonly ops?: readonly Op[]
  /** … or, for what transcripts have no call for, the calls themselves. */
  readonly run?: (call: Call) => number
}

/** A row whose answer is the same in both versions, seen on 6.18 and read in 6.2. */
export function same(
  call: string,
  condition: string,
  answer: string | Int,
  what: readonly Op[] | ((call: Call) => number),
  source: Source = 'live',
): Row {
  return {
    call,
    condition,
    answer: { '6.2': answer, '6.18': answer },
    source: { '6.2': 'read', '6.18': source },
    ...how(what),
  }
}

/** A row that the versions answer differently; undefined: the version has no such call. */
export function differs(
  call: string,
  condition: string,
  old: string | Int,
  now: string | Int,
  what: readonly Op[] | ((call: Call) => number),
  source: Source = 'live',
): Row {
  return {
    call,
    condition,
    answer: { '6.2': old, '6.18': now },
    source: { '6.2': 'read', '6.18': source },
    ...how(what),
  }
}

/** A row of a call that 6.2 does not have. */
export function now(
  call: string,
  condition: string,
  answer: string | Int,
  what: readonly Op[] | ((call: Call) => number),
  source: Source = 'live',
): Row {
  return { call, condition, answer: { '6.18': answer }, source: { '6.18': source }, ...how(what) }
}

function how(what: readonly Op[] | ((call: Call) => number)): Pick<Row, 'ops' | 'run'> {
  return typeof what === 'function' ? { run: what } : { ops: what }
}

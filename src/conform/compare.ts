/** Two results of the same program side by side. */
import type { Recorded, Result, Transcript } from './program.js'

/** Something that runs programs, such as the model. */
export interface Runner {
  run(ops: Recorded['ops']): Result[]
}

/** A program on which two kernels disagree, from the first call to the first that differs. */
export interface Difference {
  readonly program: Recorded
  /** Index of the call. */
  readonly call: number
  /** What the second kernel answered, call by call. */
  readonly other: readonly Result[]
}

function same(a: Result | undefined, b: Result | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  if (a.r !== b.r || a.h !== b.h) return false
  return a.s?.[0] === b.s?.[0] && a.s?.[1] === b.s?.[1]
}

/** Index of the first call that gave two results, or -1. */
export function firstDifference(a: readonly Result[], b: readonly Result[]): number {
  const length = Math.max(a.length, b.length)
  for (let i = 0; i < length; i++) if (!same(a[i], b[i])) return i
  return -1
}

/** Programs with the results of one kernel, and the results of another. */
export function compareAll(
  programs: readonly Recorded[],
  others: readonly (readonly Result[])[],
): Difference[] {
  return programs.flatMap((program, i): Difference[] => {
    const other = others[i] ?? []
    const call = firstDifference(program.res, other)
    return call < 0 ? [] : [{ program, call, other }]
  })
}

/** Run every program of a transcript. */
export function compareTranscript({ programs }: Transcript, runner: Runner): Difference[] {
  return compareAll(
    programs,
    programs.map((p) => runner.run(p.ops)),
  )
}

/** What a check of one scenario on one design says. Plain data. */
import type { Move } from '../cell/schedule.js'
import type { SamplerResult } from '../explore/sample/sample.js'
import type { Certificate } from './cross.js'

/**
 * `clean` and `vacuous` are said only of what was explored to its end; `failed`, where the set-up did
 * not come to its own: the scenario has not begun.
 */
export type VerdictWord = 'clean' | 'finding' | 'inconclusive' | 'vacuous' | 'skipped' | 'failed'

/** How much was explored: everything, everything up to a bound, or some runs. */
export type Proof = 'exhaustive' | 'bounded' | 'sampled'

/** A finding, with the execution that shows it with the fewest preemptions. */
export interface Finding {
  /** Stable id, e.g. `stale-secondary-mapping`. */
  readonly id: string
  /** One sentence with the values. */
  readonly title: string
  readonly task: string
  /** The kernel function in C's spelling. */
  readonly function: string
  /** Steps of the execution up to the finding. */
  readonly steps: number
  readonly preemptions: number
  /** Nothing had gone wrong before it; otherwise it only follows another finding. */
  readonly first: boolean
  readonly schedule: readonly Move[]
}

/** One distinct result of the scenario's variables and memory, with a witness. */
export interface Outcome {
  readonly values: Readonly<Record<string, number>>
  readonly schedule: readonly Move[]
}

/**
 * In what a verdict is not what the scenario expects: a finding is missing, or there is one too
 * many, an outcome is not as it should be, or what must happen never does.
 */
export type Difference = 'missing' | 'unexpected' | 'condition' | 'vacuous'

export interface Verdict {
  readonly scenario: string
  readonly design: string
  readonly verdict: VerdictWord
  /** Undefined if it was skipped, or has failed. */
  readonly proof: Proof | undefined
  /** Preemptions, when the proof is `bounded`. */
  readonly bound: number | undefined
  /** With `bound`, of a search for the first finding: choices out of the ordinary. */
  readonly surprises?: number | undefined
  /** The search was stopped, by a limit or by the user, before it had seen all. */
  readonly stopped: boolean
  /** For each finding, the execution that was looked for has as few preemptions as there can be. */
  readonly fewest?: boolean
  /** It was stopped because the visited states had no more room. */
  readonly outOfMemory?: boolean
  /** Expected number of states that were taken for another one with the same fingerprint. */
  readonly omissions?: number
  /** Whole states were compared, so that none was omitted. */
  readonly exact?: boolean
  /** Memory of the visited states and the stack. */
  readonly bytes?: number
  /** Distinct states visited. */
  readonly states: number
  /** Complete executions seen. */
  readonly executions: number
  /** How long the check took; if it was reused, how long it took then. */
  readonly ms: number
  /** The verdict is that of an earlier run with the same code, scenario, design and effort. */
  readonly reused?: boolean
  readonly findings: readonly Finding[]
  readonly outcomes: readonly Outcome[]
  /** The scenario says what it expects of this design. */
  readonly expects: boolean
  /** Undefined if it does not, or it can't be told. */
  readonly asExpected: boolean | undefined
  readonly difference: Difference | undefined
  /** Accesses that the code was seen not to announce, so that interleavings may be missing. */
  readonly unannounced?: readonly string[]
  /** What a second, independent search says of the cell, if it was asked. */
  readonly cross?: Certificate
  /** What was run, when the proof is `sampled`. */
  readonly samplers?: readonly SamplerResult[]
  readonly seed?: number
  /** Random executions that were cut off after so many steps, if some were. */
  readonly cut?: { readonly runs: number; readonly steps: number }
  /** Why it is not as expected, inconclusive, vacuous, skipped or has failed. */
  readonly reason: string | undefined
}

/** A cell, for people. */
export function cellTitle(of: { readonly scenario: string; readonly design: string }): string {
  return `${of.scenario} on ${of.design}`
}

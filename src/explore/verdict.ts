/** What a check of one scenario on one design says. The JSON report prints these as they are. */

import type { Difference } from '../litmus/expect.js'
import type { Certificate } from './cross.js'
import type { SamplerResult } from './sample/sample.js'
import type { Hindsight } from './tell/hindsight.js'

/** `clean` is a claim only together with its proof. */
export type VerdictWord = 'clean' | 'finding' | 'inconclusive' | 'vacuous' | 'skipped'

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
  readonly token: string
  /** Where it was lost and what would have saved it; in the JSON of a check of one scenario. */
  readonly hindsight?: Hindsight | undefined
}

/** One distinct result of the scenario's variables and memory, with a witness. */
export interface Outcome {
  readonly values: Readonly<Record<string, number>>
  readonly token: string
}

export interface Verdict {
  readonly scenario: string
  readonly design: string
  readonly verdict: VerdictWord
  /** Undefined if it was skipped. */
  readonly proof: Proof | undefined
  /** Preemptions, when the proof is `bounded`. */
  readonly bound: number | undefined
  /** With `bound`, of a search for the first finding: choices out of the ordinary. */
  readonly surprises?: number | undefined
  /** The search was stopped, by a limit or by the user, before it had seen all. */
  readonly stopped: boolean
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
  /** Undefined if the scenario expects nothing of this design. */
  readonly asExpected: boolean | undefined
  /** In what it is not as expected; undefined if it is, or nothing is expected. */
  readonly difference?: Difference | undefined
  /** What a second, independent search says of the cell, if it was asked. */
  readonly cross?: Certificate
  /** What was run, when the proof is `sampled`. */
  readonly samplers?: readonly SamplerResult[]
  readonly seed?: number
  /** Why it is not as expected, inconclusive, vacuous or skipped. */
  readonly reason: string | undefined
}

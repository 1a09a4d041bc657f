/** How a verdict stands to what was to be shown. Every report and the exit code ask here. */
import type { Verdict } from './verdict.js'

/**
 * `expected`: explored to its end and as the scenario says, or clean where it says nothing.
 * `finding`: a finding where it says nothing. `open`: not explored to its end, and nothing that
 * contradicts the scenario was seen. `unexpected`: something was that does. `failed`: the set-up did.
 */
export type Standing = 'expected' | 'finding' | 'open' | 'unexpected' | 'skipped' | 'failed'

export function standingOf(v: Verdict): Standing {
  if (v.verdict === 'skipped' || v.verdict === 'failed') return v.verdict
  if (v.asExpected === false) return 'unexpected'
  if (v.proof !== 'exhaustive') return hasOwn(v) ? 'finding' : 'open'
  if (v.asExpected === true || v.verdict === 'clean') return 'expected'
  return v.verdict === 'vacuous' ? 'unexpected' : 'finding'
}

/** Findings of a cell of which the scenario says nothing: however little was explored, they are. */
function hasOwn(v: Verdict): boolean {
  return !v.expects && v.findings.some((f) => f.first)
}

/** Is it all that was to be shown? */
export function isGood(v: Verdict): boolean {
  return standingOf(v) === 'expected'
}

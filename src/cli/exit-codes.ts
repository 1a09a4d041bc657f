/** What the process exits with; the contract is in the README. */
import type { Verdict } from '../explore/verdict.js'
import { findingKind } from '../sanitizers/index.js'

export const EXIT = {
  OK: 0,
  USAGE: 2,
  BUG: 3,
  SKIPPED: 4,
  FINDING: 10,
  STUCK: 11,
  MISSING: 13,
  DIFFERS: 14,
  PARTLY: 15,
  INCONCLUSIVE: 20,
  VACUOUS: 21,
  STALE: 22,
  INTERRUPTED: 130,
} as const

/** The exit code for a set of verdicts: the worst first. */
export function exitCodeOf(verdicts: readonly Verdict[]): number {
  // Two searches that disagree: one of them is wrong.
  if (verdicts.some((v) => v.cross?.outcome === 'differs')) return EXIT.BUG
  const codes = verdicts.map(codeOf)
  const worst = [EXIT.FINDING, EXIT.STUCK, EXIT.MISSING, EXIT.VACUOUS, EXIT.INCONCLUSIVE].find(
    (c) => codes.includes(c),
  )
  if (worst !== undefined) return worst
  return codes.length > 0 && codes.every((c) => c === EXIT.SKIPPED) ? EXIT.SKIPPED : EXIT.OK
}

function codeOf(v: Verdict): number {
  if (v.verdict === 'skipped') return EXIT.SKIPPED
  if (v.verdict === 'vacuous') return EXIT.VACUOUS
  if (v.verdict === 'inconclusive') return EXIT.INCONCLUSIVE
  if (v.asExpected === true) return v.proof === 'exhaustive' ? EXIT.OK : EXIT.INCONCLUSIVE
  const first = v.findings.filter((f) => f.first)
  if (v.difference === 'missing') return EXIT.MISSING
  if (first.length === 0) return v.asExpected === undefined ? EXIT.OK : EXIT.FINDING
  return first.every((f) => isOfProgress(f.id)) ? EXIT.STUCK : EXIT.FINDING
}

/** Does it say that tasks do not come to an end? */
function isOfProgress(finding: string): boolean {
  return findingKind(finding)?.judgement === 'progress'
}

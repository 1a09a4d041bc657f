/** What the process exits with; the contract is in the README. */
import type { Verdict } from '../explore/verdict.js'

export const EXIT = {
  OK: 0,
  USAGE: 2,
  BUG: 3,
  SKIPPED: 4,
  FINDING: 10,
  STUCK: 11,
  MISSING: 13,
  DIFFERS: 14,
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
  const asks = v.asExpected !== undefined
  if (v.asExpected === true) return v.proof === 'exhaustive' ? EXIT.OK : EXIT.INCONCLUSIVE
  const first = v.findings.filter((f) => f.first)
  if (asks && (v.reason ?? '').startsWith('expected and not found')) return EXIT.MISSING
  if (first.length === 0) return asks ? EXIT.FINDING : EXIT.OK
  return first.every((f) => f.id === 'deadlock' || f.id === 'livelock') ? EXIT.STUCK : EXIT.FINDING
}

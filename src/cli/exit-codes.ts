/** What the process exits with; the contract is in the README. */
import { standingOf } from '../app/standing.js'
import type { Verdict } from '../app/verdict.js'
import { findingKind } from '../sanitizers/index.js'
import { EXIT } from './exit.js'

const WORST_FIRST = [
  EXIT.FINDING,
  EXIT.STUCK,
  EXIT.SETUP,
  EXIT.MISSING,
  EXIT.VACUOUS,
  EXIT.INCONCLUSIVE,
]

/** The exit code for a set of verdicts: the worst first. */
export function exitCodeOf(verdicts: readonly Verdict[]): number {
  // Two searches that disagree: one of them is wrong.
  if (verdicts.some((v) => v.cross?.outcome === 'differs')) return EXIT.BUG
  const codes = verdicts.map(codeOf)
  const worst = WORST_FIRST.find((c) => codes.includes(c))
  if (worst !== undefined) return worst
  return codes.every((c) => c === EXIT.SKIPPED) ? EXIT.SKIPPED : EXIT.OK
}

function codeOf(v: Verdict): number {
  switch (standingOf(v)) {
    case 'skipped':
      return EXIT.SKIPPED
    case 'failed':
      return EXIT.SETUP
    case 'expected':
      return EXIT.OK
    case 'open':
      return EXIT.INCONCLUSIVE
  }
  if (v.verdict === 'vacuous') return EXIT.VACUOUS
  if (v.difference === 'missing') return EXIT.MISSING
  const first = v.findings.filter((f) => f.first)
  // They say that tasks do not come to an end.
  const stuck = first.every((f) => findingKind(f.id)?.judgement === 'progress')
  return first.length > 0 && stuck ? EXIT.STUCK : EXIT.FINDING
}

/**
 * Is a verdict what the scenario expects? Every finding that it lists must be there, and every
 * finding with which an execution first goes wrong must be listed; what only follows another
 * finding may be listed, and need not be.
 */
import type { Outcome, Verdict } from '../explore/verdict.js'
import type { Condition } from './conditions.js'
import type { Expectation, Scenario, Variable } from './scenario.js'

/**
 * In what a verdict differs: a finding of the row is missing, one came first that it doesn't have,
 * a condition of it does not hold, nothing was reached, or the search was not through.
 */
export type Difference = 'missing' | 'unexpected' | 'condition' | 'vacuous' | 'inconclusive'

export interface Judgement {
  /** Undefined if the scenario says nothing about the design. */
  readonly asExpected: boolean | undefined
  /** Undefined if it is as expected. */
  readonly difference: Difference | undefined
  /** The same in words. */
  readonly reason: string | undefined
}

/**
 * The row that speaks of a design, which may be one on a host, as `upm@snp`: one that names both,
 * else all others on this host, else the design wherever it runs, else all others.
 */
export function expectationFor(scenario: Scenario, design: string): Expectation | undefined {
  const [own, host = 'sw'] = design.split('@')
  for (const name of [`${own}@${host}`, `*@${host}`, own as string, '*']) {
    const row = scenario.expect.find((e) => e.designs.includes(name))
    if (row !== undefined) return row
  }
  return undefined
}

export function judgeExpectation(scenario: Scenario, verdict: Verdict): Judgement {
  const row = expectationFor(scenario, verdict.design)
  if (row === undefined) return { asExpected: undefined, difference: undefined, reason: undefined }
  const [difference, reason] = disagreement(scenario, row, verdict) ?? []
  return { asExpected: difference === undefined, difference, reason }
}

function disagreement(
  scenario: Scenario,
  row: Expectation,
  verdict: Verdict,
): [Difference, string | undefined] | undefined {
  if (row.outcome === 'skip') return undefined
  if (verdict.verdict === 'vacuous') return ['vacuous', verdict.reason]
  if (verdict.verdict === 'inconclusive') {
    return ['inconclusive', 'the search did not come to its end']
  }
  const found = new Set(verdict.findings.map((f) => f.id))
  const missing = row.findings.filter((id) => !found.has(id))
  if (missing.length > 0) return ['missing', `expected and not found: ${missing.join(', ')}`]
  const extra = verdict.findings.filter((f) => f.first && !row.findings.includes(f.id))
  if (extra.length > 0) {
    return ['unexpected', `not expected: ${extra.map((f) => f.id).join(', ')}`]
  }
  const failed = row.conditions.find(
    (c) => !conditionHolds(c, scenario.variables, verdict.outcomes),
  )
  return failed && ['condition', `${failed.kind} ${failed.text} does not hold`]
}

/** A condition is about the outcomes: all of them, or some if it says so. */
export function conditionHolds(
  c: Condition,
  variables: readonly Variable[],
  outcomes: readonly Outcome[],
): boolean {
  const holds = outcomes.map((o) =>
    c.holds((index) => o.values[variables.find((v) => v.index === index)?.name ?? ''] ?? 0),
  )
  return c.kind === 'sometimes' ? holds.some(Boolean) : holds.every(Boolean)
}

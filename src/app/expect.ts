/**
 * Is a verdict what the scenario expects? Every finding that it lists must be there, and every
 * finding with which an execution first goes wrong must be listed; what only follows another
 * finding may be listed, and need not be. Of a cell that was not explored to its end, only what is
 * too much can be told, not what is missing.
 */
import { DESIGNS } from '../designs/index.js'
import { blame } from '../litmus/blame.js'
import type { Condition } from '../litmus/conditions.js'
import type { Expectation, Scenario, Variable } from '../litmus/scenario.js'
import type { Difference, Outcome, Verdict } from './verdict.js'

export interface Judgement {
  /** The scenario says something about the design. */
  readonly expects: boolean
  /** Undefined if it does not, or it can't be told. */
  readonly asExpected: boolean | undefined
  readonly difference: Difference | undefined
  readonly reason: string | undefined
}

/** A design, what it is a diff of, and where it runs. */
export interface Lineage {
  readonly id: string
  readonly base: Lineage | undefined
  readonly host: { readonly id: string; readonly machine: string } | undefined
  readonly asBase: boolean
  readonly onlyNamed: boolean
}

/** Of a design that a scenario is not about. */
const NOT_NAMED: Expectation = {
  designs: [],
  outcome: 'skip',
  findings: [],
  why: 'it is not about this design',
  conditions: [],
}

const BUILT_IN: ReadonlySet<string> = new Set(DESIGNS.map((d) => d.id))

/**
 * The row that speaks of a design, which may be one on a host, as `upm@snp`: one that names both,
 * else all others on this host, else the design wherever it runs, else all others. A host that is a
 * version of a machine goes by its own name before it goes by the machine's.
 *
 * A design that says so is skipped where no row names it; a scenario without rows is about all.
 *
 * A design that says so goes as its base where no row names it, unless all others are skipped. One
 * that does not come with the project, so that no scenario can name it, goes as its base as well; but
 * what the base shows is nothing to expect of it: most are written to mend that, and one that does
 * not is told so.
 */
export function expectationFor(scenario: Scenario, design: Lineage): Expectation | undefined {
  const [own = ''] = design.id.split('@')
  const { base, host, onlyNamed } = design
  const places = host === undefined ? ['sw'] : [...new Set([host.id, host.machine])]
  const rowOf = (...names: readonly string[]): Expectation | undefined =>
    names.map((n) => scenario.expect.find((e) => e.designs.includes(n))).find((e) => e)
  const ofBase = (): Expectation | undefined => base && expectationFor(scenario, { ...base, host })
  const amongOthers = (others: Expectation | undefined): Expectation | undefined =>
    design.asBase && base !== undefined && others?.outcome !== 'skip' ? ofBase() : others

  const here = rowOf(...places.map((p) => `${own}@${p}`))
  if (here !== undefined) return here
  const othersHere = onlyNamed ? undefined : rowOf(...places.map((p) => `*@${p}`))
  if (othersHere !== undefined) return amongOthers(othersHere)
  const anywhere = rowOf(own)
  if (anywhere !== undefined) return anywhere
  if (onlyNamed && base?.onlyNamed !== true && scenario.expect.length > 0) return NOT_NAMED
  const others = rowOf('*')
  if (base === undefined || BUILT_IN.has(own) || design.asBase) return amongOthers(others)
  const inherited = ofBase()
  return inherited?.outcome === 'finds' ? undefined : inherited
}

/** `design` is the verdict's. */
export function judgeExpectation(scenario: Scenario, verdict: Verdict, design: Lineage): Judgement {
  const row = expectationFor(scenario, design)
  const differs =
    row === undefined || row.outcome === 'skip' ? undefined : difference(scenario, row, verdict)
  if (differs !== undefined) return { expects: true, asExpected: false, ...differs }
  const expects = row !== undefined
  const asExpected = expects && verdict.proof === 'exhaustive' ? true : undefined
  return { expects, asExpected, difference: undefined, reason: undefined }
}

type Differs = { readonly difference: Difference; readonly reason: string | undefined }

function difference(scenario: Scenario, row: Expectation, verdict: Verdict): Differs | undefined {
  const extra = verdict.findings.filter((f) => f.first && !row.findings.includes(f.id))
  const found = new Set(verdict.findings.map((f) => f.id))
  const missing = row.findings.filter((id) => !found.has(id))
  const whole = verdict.proof === 'exhaustive'
  if (whole && verdict.verdict === 'vacuous')
    return { difference: 'vacuous', reason: verdict.reason }
  if (whole && missing.length > 0) {
    return { difference: 'missing', reason: `expected and not found: ${missing.join(', ')}` }
  }
  if (extra.length > 0) {
    return {
      difference: 'unexpected',
      reason: `not expected: ${extra.map((f) => f.id).join(', ')}`,
    }
  }
  const failed = row.conditions.find(
    (c) =>
      (whole || c.kind !== 'sometimes') && !conditionHolds(c, scenario.variables, verdict.outcomes),
  )
  if (failed === undefined) return undefined
  const reason = `${failed.kind} ${failed.text} does not hold${against(failed, scenario, verdict)}`
  return { difference: 'condition', reason }
}

/** What an outcome has that a condition of all outcomes does not allow. */
function against(c: Condition, { variables }: Scenario, { outcomes }: Verdict): string {
  if (c.kind === 'sometimes') return ''
  const wrong = outcomes.find((o) => !conditionHolds(c, variables, [o]))
  return wrong === undefined ? '' : `: ${blame(c, variables, readerOf(variables, wrong))}`
}

function readerOf(variables: readonly Variable[], { values }: Outcome): (index: number) => number {
  return (index) => values[variables.find((v) => v.index === index)?.name ?? ''] ?? 0
}

/** A condition is about the outcomes: all of them, or some if it says so. */
export function conditionHolds(
  c: Condition,
  variables: readonly Variable[],
  outcomes: readonly Outcome[],
): boolean {
  const holds = outcomes.map((o) => c.holds(readerOf(variables, o)))
  if (c.kind === 'never') return !holds.some(Boolean)
  return c.kind === 'sometimes' ? holds.some(Boolean) : holds.every(Boolean)
}

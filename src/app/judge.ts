/** From what was seen of a cell to a verdict: the one place that chooses the word. */
import { Cell } from '../cell/cell.js'
import type { Design } from '../designs/design.js'
import type { Witness } from '../explore/listen/witnesses.js'
import { gather } from '../explore/tell/gather.js'
import type { Scenario } from '../litmus/scenario.js'
import { conditionHolds, judgeExpectation } from './expect.js'
import type { Finding, Outcome, Proof, Verdict, VerdictWord } from './verdict.js'

/** What exploring a cell has shown, besides what the cell itself has noted. */
export interface Explored {
  readonly proof: Proof
  readonly stopped: boolean
  readonly states: number
  readonly executions: number
  readonly witnesses: ReadonlyMap<string, Witness>
  readonly ms: number
}

/** The verdict on a cell of which so much was explored. */
export function verdictOn(
  cell: Cell,
  scenario: Scenario,
  design: Design,
  { witnesses, ...explored }: Explored,
): Verdict {
  const findings = [...witnesses.values()].map(findingOf)
  findings.sort((a, b) => Number(b.first) - Number(a.first) || (a.id < b.id ? -1 : 1))
  const outcomes: Outcome[] = [...cell.outcomes.all].map(([key, schedule]) => ({
    values: JSON.parse(key) as Record<string, number>,
    schedule,
  }))
  const missing = neverReached(scenario, cell.judges.marks, outcomes)
  const facts: Verdict = {
    scenario: scenario.name,
    design: design.id,
    verdict: wordFor(findings, explored.proof, missing),
    bound: undefined,
    ...explored,
    findings,
    outcomes,
    expects: false,
    asExpected: undefined,
    difference: undefined,
    reason: reasonFor(explored, missing),
  }
  const judged = judgeExpectation(scenario, facts, design)
  return { ...facts, ...judged, reason: judged.reason ?? facts.reason }
}

/** A finding is one, however little was explored; that there is none needs a proof. */
function wordFor(
  findings: readonly Finding[],
  proof: Proof,
  missing: readonly string[],
): VerdictWord {
  if (findings.length > 0) return 'finding'
  if (proof !== 'exhaustive') return 'inconclusive'
  return missing.length > 0 ? 'vacuous' : 'clean'
}

function reasonFor({ proof }: { proof: Proof }, missing: readonly string[]): string | undefined {
  if (missing.length === 0) return undefined
  const never = proof === 'exhaustive' ? 'never reached' : 'not reached so far'
  return `${never}: ${missing.join(', ')}`
}

/** What the scenario says some execution does, and none did. */
function neverReached(
  scenario: Scenario,
  marks: ReadonlySet<string>,
  outcomes: readonly Outcome[],
): string[] {
  const never = scenario.conditions.filter(
    (c) => c.kind === 'sometimes' && !conditionHolds(c, scenario.variables, outcomes),
  )
  return [...scenario.reach.filter((m) => !marks.has(m)), ...never.map((c) => c.text)]
}

function findingOf(w: Witness): Finding {
  return {
    id: w.id,
    title: w.message,
    task: w.task,
    function: w.function,
    steps: w.schedule.length,
    preemptions: w.preemptions,
    first: w.first,
    schedule: w.schedule,
  }
}

/** The same findings, told in few blocks; those that only follow another one stay as they are. */
export function gathered(
  scenario: Scenario,
  design: Design,
  findings: readonly Finding[],
): readonly Finding[] {
  if (!findings.some((f) => f.first)) return findings
  const cell = new Cell(scenario, design)
  cell.boot('lowered')
  const told = inFewBlocks(cell, findings)
  cell.judges.detach()
  return told
}

/** The same, of a cell that stands in its initial state; it does so again afterwards. */
export function inFewBlocks({ judges, memo }: Cell, findings: readonly Finding[]): Finding[] {
  return findings.map((finding) => {
    if (!finding.first) return finding
    const { schedule, preemptions } = gather(judges, finding, memo)
    return { ...finding, schedule, preemptions, steps: schedule.length }
  })
}

/** The scenario says that it is not about the design. */
export function skipped(scenario: Scenario, design: Design, reason: string): Verdict {
  return { ...nothingOf(scenario, design, reason), verdict: 'skipped' }
}

/** The set-up did not come to its end. */
export function failed(scenario: Scenario, design: Design, reason: string, ms: number): Verdict {
  return { ...nothingOf(scenario, design, reason), verdict: 'failed', ms }
}

function nothingOf(scenario: Scenario, design: Design, reason: string): Omit<Verdict, 'verdict'> {
  return {
    scenario: scenario.name,
    design: design.id,
    proof: undefined,
    bound: undefined,
    stopped: false,
    states: 0,
    executions: 0,
    ms: 0,
    findings: [],
    outcomes: [],
    expects: false,
    asExpected: undefined,
    difference: undefined,
    reason,
  }
}

/**
 * Check one scenario on one design. First an exhaustive search says what can go wrong; then, for
 * each finding, searches bounded to 0, 1, 2… preemptions give an execution with as few of them as
 * there can be.
 */
import type { Design } from '../designs/design.js'
import { conditionHolds, expectationFor, judgeExpectation } from '../litmus/expect.js'
import type { Scenario } from '../litmus/scenario.js'
import { SetupFailure } from './boot.js'
import { Cell } from './cell.js'
import { type Move, type SearchResult, search, type Witness } from './search.js'
import { encodeToken } from './token.js'
import type { Finding, Outcome, Proof, Verdict } from './verdict.js'

/** How far to look. */
export interface Effort {
  /** Most preemptions on an execution; undefined for all. */
  readonly bound: number | undefined
  /** Also find, for each finding, an execution with the fewest preemptions. */
  readonly minimise: boolean
  /** Called now and then with states and depth; false stops the search. */
  readonly keepGoing: (states: number, depth: number) => boolean
  /** Milliseconds from some fixed point; the core has no clock of its own. */
  readonly now: () => number
}

/**
 * The verdict on a cell. Never throws for what the modelled kernel does; a scenario whose set-up
 * fails is `skipped` with the reason.
 */
export function checkScenario(
  scenario: Scenario,
  design: Design,
  hash: string,
  effort: Effort,
): Verdict {
  const start = effort.now()
  const row = expectationFor(scenario, design.id)
  if (row?.outcome === 'skip') return skipped(scenario, design, row.why, 0)
  const cell = new Cell(scenario, design)
  try {
    cell.boot('lowered')
  } catch (error) {
    if (!(error instanceof SetupFailure)) throw error
    return skipped(scenario, design, error.message, effort.now() - start)
  }
  const result = run(cell, effort, effort.bound)
  const witnesses = new Map(result.witnesses)
  if (effort.minimise && result.finished) minimise(cell, effort, witnesses)
  cell.judges.detach()
  const verdict = verdictOf(scenario, design, hash, cell, result, witnesses, effort.now() - start)
  return verdict.proof === 'bounded' ? { ...verdict, bound: effort.bound } : verdict
}

function run(
  cell: Cell,
  effort: Effort,
  bound: number | undefined,
  wanted?: ReadonlyMap<string, boolean>,
): SearchResult {
  return search(cell.judges, {
    bound,
    keepGoing: effort.keepGoing,
    atRest: (schedule) => cell.atRest(schedule),
    ...(wanted === undefined ? {} : { wanted }),
  })
}

/**
 * Replace each witness by one with fewer preemptions, as long as there is one: everything with at
 * most n is searched before n + 1. An execution on which a finding comes first is the better one,
 * whatever the bound. Livelocks are facts about the whole graph; a bounded search can't see them.
 */
function minimise(cell: Cell, effort: Effort, witnesses: Map<string, Witness>): void {
  for (let bound = 0; ; bound++) {
    const wanted = new Map<string, boolean>()
    for (const [id, w] of witnesses) {
      if (id !== 'livelock' && w.preemptions > bound) wanted.set(id, w.first)
    }
    if (wanted.size === 0) return
    const { witnesses: found, finished } = run(cell, effort, bound, wanted)
    for (const [id, first] of wanted) {
      const witness = found.get(id)
      if (witness?.first === first) witnesses.set(id, witness)
    }
    if (!finished) return
  }
}

function verdictOf(
  scenario: Scenario,
  design: Design,
  hash: string,
  cell: Cell,
  result: SearchResult,
  witnesses: ReadonlyMap<string, Witness>,
  ms: number,
): Verdict {
  const token = (schedule: readonly Move[]): string =>
    encodeToken({ scenario: scenario.name, design: design.id, hash, schedule })
  const findings = [...witnesses.values()].map((w) => findingOf(w, token))
  findings.sort((a, b) => Number(b.first) - Number(a.first) || a.id.localeCompare(b.id))
  const outcomes: Outcome[] = [...cell.outcomes].map(([key, schedule]) => ({
    values: JSON.parse(key) as Record<string, number>,
    token: token(schedule),
  }))
  const missing = neverReached(scenario, cell.judges.marks, outcomes)
  const proof: Proof = result.finished && !result.cut ? 'exhaustive' : 'bounded'
  const word =
    findings.length > 0
      ? 'finding'
      : !result.finished
        ? 'inconclusive'
        : missing.length > 0
          ? 'vacuous'
          : 'clean'
  const facts: Verdict = {
    scenario: scenario.name,
    design: design.id,
    verdict: word,
    proof,
    bound: undefined,
    stopped: !result.finished,
    states: result.states,
    executions: result.executions,
    ms,
    findings,
    outcomes,
    asExpected: undefined,
    reason: missing.length > 0 ? `never reached: ${missing.join(', ')}` : undefined,
  }
  const judged = judgeExpectation(scenario, facts)
  return { ...facts, asExpected: judged.asExpected, reason: judged.reason ?? facts.reason }
}

/** What the scenario says some execution does, and none did. */
export function neverReached(
  scenario: Scenario,
  marks: ReadonlySet<string>,
  outcomes: readonly Outcome[],
): string[] {
  const never = scenario.conditions.filter(
    (c) => c.kind === 'sometimes' && !conditionHolds(c, scenario.variables, outcomes),
  )
  return [...scenario.reach.filter((m) => !marks.has(m)), ...never.map((c) => c.text)]
}

export function findingOf(w: Witness, token: (schedule: readonly Move[]) => string): Finding {
  return {
    id: w.id,
    title: w.message,
    task: w.task,
    function: w.function,
    steps: w.schedule.length,
    preemptions: w.preemptions,
    first: w.first,
    token: token(w.schedule),
  }
}

export function skipped(scenario: Scenario, design: Design, reason: string, ms: number): Verdict {
  return {
    scenario: scenario.name,
    design: design.id,
    verdict: 'skipped',
    proof: undefined,
    bound: undefined,
    stopped: false,
    states: 0,
    executions: 0,
    ms,
    findings: [],
    outcomes: [],
    asExpected: undefined,
    reason,
  }
}

/** A verdict from a sample: what some random executions show of a cell. */

import { SetupFailure } from '../cell/boot.js'
import { Cell } from '../cell/cell.js'
import type { Move } from '../cell/schedule.js'
import type { Design } from '../designs/design.js'
import { expectationFor, judgeExpectation } from '../litmus/expect.js'
import type { Scenario } from '../litmus/scenario.js'
import { announceAll } from '../machine/frames.js'
import { findingOf, neverReached, skipped } from './check.js'
import { type SampleResult, sample } from './sample/sample.js'
import { type Draw, PartialOrder, Pct, RandomWalk, SelectivelyUniform } from './sample/samplers.js'
import { encodeToken } from './token.js'
import type { Outcome, Verdict } from './verdict.js'

export interface SampleEffort {
  readonly runs: number
  readonly draw: Draw
  readonly keepGoing: (runs: number) => boolean
  /** Milliseconds from some fixed point. */
  readonly now: () => number
}

/** All samplers, in turn: none of them is best for every bug. */
function portfolio() {
  const pct = [2, 3, 4].map((depth) => new Pct(depth))
  return [...pct, new PartialOrder(), new RandomWalk(), new SelectivelyUniform()]
}

/**
 * The verdict of some random executions. `clean` says only that these showed nothing; a scenario
 * that they do not bring to what it must reach is inconclusive.
 */
export function sampleScenario(
  scenario: Scenario,
  design: Design,
  hash: string,
  effort: SampleEffort,
): Verdict {
  const start = effort.now()
  const row = expectationFor(scenario, design.id)
  if (row?.outcome === 'skip') return skipped(scenario, design, row.why, 0)
  const cell = new Cell(scenario, design)
  announceAll(true)
  try {
    cell.boot('lowered')
    const result = sample(cell.judges, {
      ...effort,
      samplers: portfolio(),
      atRest: (schedule) => cell.atRest(schedule),
    })
    cell.judges.detach()
    return verdictOf(scenario, design, hash, cell, result, effort.now() - start)
  } catch (error) {
    if (!(error instanceof SetupFailure)) throw error
    return skipped(scenario, design, error.message, effort.now() - start)
  } finally {
    announceAll(false)
  }
}

function verdictOf(
  scenario: Scenario,
  design: Design,
  hash: string,
  cell: Cell,
  result: SampleResult,
  ms: number,
): Verdict {
  const token = (schedule: readonly Move[]): string =>
    encodeToken({ scenario: scenario.name, design: design.id, hash, schedule })
  const findings = [...result.witnesses.values()].map((w) => findingOf(w, token))
  findings.sort((a, b) => Number(b.first) - Number(a.first) || a.id.localeCompare(b.id))
  const outcomes: Outcome[] = [...cell.outcomes].map(([key, schedule]) => ({
    values: JSON.parse(key) as Record<string, number>,
    token: token(schedule),
  }))
  const missing = neverReached(scenario, cell.judges.marks, outcomes)
  const nothing = missing.length > 0 ? 'inconclusive' : 'clean'
  const facts: Verdict = {
    scenario: scenario.name,
    design: design.id,
    verdict: findings.length > 0 ? 'finding' : nothing,
    proof: 'sampled',
    bound: undefined,
    stopped: !result.finished,
    states: 0,
    executions: result.runs,
    ms,
    findings,
    outcomes,
    samplers: result.samplers,
    asExpected: undefined,
    reason: missing.length > 0 ? `not reached in these runs: ${missing.join(', ')}` : undefined,
  }
  const judged = judgeExpectation(scenario, facts)
  return { ...facts, ...judged, reason: facts.reason ?? judged.reason }
}

/** A verdict from a sample: what some random executions show of a cell. */

import { SetupFailure } from '../cell/boot.js'
import { Cell } from '../cell/cell.js'
import type { Design } from '../designs/design.js'
import { MOST_STEPS, sample } from '../explore/sample/sample.js'
import {
  type Draw,
  PartialOrder,
  Pct,
  RandomWalk,
  SelectivelyUniform,
} from '../explore/sample/samplers.js'
import type { Scenario } from '../litmus/scenario.js'
import { announceAll } from '../machine/frames.js'
import { expectationFor } from './expect.js'
import { failed, skipped, verdictOn } from './judge.js'
import type { Verdict } from './verdict.js'

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
 * The verdict of some random executions: a finding, or inconclusive.
 */
export function sampleScenario(scenario: Scenario, design: Design, effort: SampleEffort): Verdict {
  const start = effort.now()
  const row = expectationFor(scenario, design)
  if (row?.outcome === 'skip') return skipped(scenario, design, row.why)
  const cell = new Cell(scenario, design)
  announceAll(true)
  try {
    cell.boot('lowered')
    const result = sample(cell.judges, {
      ...effort,
      samplers: portfolio(),
      listeners: [cell.outcomes],
    })
    cell.judges.detach()
    const verdict = verdictOn(cell, scenario, design, {
      proof: 'sampled',
      stopped: !result.finished,
      states: 0,
      executions: result.runs,
      witnesses: result.witnesses,
      ms: effort.now() - start,
    })
    const cut = result.samplers.reduce((n, s) => n + s.cut, 0)
    return {
      ...verdict,
      ...(cut > 0 ? { cut: { runs: cut, steps: MOST_STEPS } } : {}),
      samplers: result.samplers,
    }
  } catch (error) {
    if (!(error instanceof SetupFailure)) throw error
    return failed(scenario, design, error.message, effort.now() - start)
  } finally {
    announceAll(false)
  }
}

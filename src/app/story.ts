/** Executions that show what a verdict says, told step by step. */
import type { Move } from '../cell/schedule.js'
import type { Design } from '../designs/design.js'
import { type Hindsight, LOOK_BACK, lookBack } from '../explore/tell/hindsight.js'
import { replayScenario } from '../explore/tell/replay.js'
import type { Scenario } from '../litmus/scenario.js'
import type { Trace } from '../trace/events.js'
import type { CellResult } from './results.js'
import { encodeToken } from './token.js'
import type { Finding } from './verdict.js'

/** The token of an execution of a cell, by which it can be replayed. */
export function tokenOf(cell: CellResult, schedule: readonly Move[]): string {
  const { file, design, hash } = cell
  return encodeToken({ scenario: file.scenario.name, design: design.id, hash, schedule })
}

/** What happened on the execution of a finding. */
export interface Story {
  readonly trace: Trace
  /** Where it was lost and what would have saved it, if that can be said. */
  readonly hindsight: Hindsight | undefined
}

/** Tell a finding of a cell. */
export function tell({ file, design }: CellResult, finding: Finding): Story {
  return storyOf(file.scenario, design.design, finding)
}

/** Tell a finding of a scenario on a design. */
export function storyOf(
  scenario: Scenario,
  design: Design,
  { id, schedule }: Pick<Finding, 'id' | 'schedule'>,
): Story {
  const { trace } = replayScenario(scenario, design, schedule, 'lowered')
  return { trace, hindsight: lookBack(scenario, design, schedule, id, LOOK_BACK) }
}

/** Executions that show what a verdict says, told step by step. */
import type { Move } from '../cell/schedule.js'
import { type Hindsight, LOOK_BACK, lookBack } from '../explore/tell/hindsight.js'
import { replayScenario } from '../explore/tell/replay.js'
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

/** Tell a finding of a cell; `keepGoing` is asked whether there is time to look back. */
export function tell(
  cell: CellResult,
  finding: Finding,
  keepGoing: () => boolean = () => true,
): Story {
  const { scenario } = cell.file
  const { design } = cell.design
  const { trace } = replayScenario(scenario, design, finding.schedule, 'lowered')
  const limits = { ...LOOK_BACK, keepGoing }
  return { trace, hindsight: lookBack(scenario, design, finding.schedule, finding.id, limits) }
}

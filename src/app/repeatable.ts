/**
 * Does the code of a design do the same when it does something again? A search takes that for
 * granted. What is kept outside the arena, in an object of the module, say, makes it untrue.
 */
import { Cell } from '../cell/cell.js'
import type { Execution } from '../cell/execution.js'
import type { Move } from '../cell/schedule.js'
import type { Design } from '../designs/design.js'
import type { Draw } from '../explore/sample/samplers.js'
import type { Scenario } from '../litmus/scenario.js'
import { taskName } from '../machine/machine.js'

const RUNS = 4
const STEPS = 400

/** What some random executions do differently when they are repeated; undefined if nothing. */
export function notRepeated(scenario: Scenario, design: Design, draw: Draw): string | undefined {
  for (let run = 0; run < RUNS; run++) {
    const states: string[] = []
    const moves: Move[] = []
    again(scenario, design, (execution) => {
      states.push(stateOf(execution))
      const all = execution.over || moves.length === STEPS ? [] : execution.moves()
      const move = all[draw(Math.max(1, all.length))]
      if (move !== undefined) moves.push(move)
      return move
    })
    let wrong: string | undefined
    let at = 0
    again(scenario, design, (execution) => {
      if (states[at] !== stateOf(execution)) wrong = whereIs(at, moves)
      const move = moves[at++]
      if (wrong !== undefined || move === undefined) return undefined
      if (!execution.allows(move)) wrong = whereIs(at, moves)
      return wrong === undefined ? move : undefined
    })
    if (wrong !== undefined) return wrong
  }
  return undefined
}

/** An execution from the beginning, as long as there is a next move. */
function again(
  scenario: Scenario,
  design: Design,
  next: (execution: Execution) => Move | undefined,
): void {
  const cell = new Cell(scenario, design)
  const execution = cell.begin('lowered')
  for (let move = next(execution); move !== undefined; move = next(execution)) {
    execution.take(move.task, move.choice)
  }
  cell.judges.detach()
}

function stateOf({ lo, hi }: Execution): string {
  return `${lo},${hi}`
}

function whereIs(steps: number, moves: readonly Move[]): string {
  const last = moves[steps - 1]
  return last === undefined ? 'the set-up' : `step ${steps}, of ${taskName(last.task)},`
}

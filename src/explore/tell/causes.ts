/** One execution with what happens before what: each step's footprint and vector clock. */

import { EXIT_PHASE } from '../../cell/boot.js'
import { Cell } from '../../cell/cell.js'
import { describeStuck } from '../../cell/deadlock.js'
import type { Observed } from '../../cell/judges.js'
import type { Move } from '../../cell/schedule.js'
import type { Design } from '../../designs/design.js'
import type { Scenario } from '../../litmus/scenario.js'
import {
  allEnded,
  alternatives,
  canStep,
  endedBelow,
  isDaemon,
  phaseOf,
  step,
  taskCount,
} from '../../machine/machine.js'
import { MAX_TASKS, taskNumber } from '../../machine/task.js'
import { Recorder } from '../stateless/footprint.js'
import { Dependence, type Footprint } from '../stateless/independence.js'

export interface Caused {
  readonly move: Move
  readonly footprint: Footprint
  /** Number of the step among those of its task, from 1. */
  readonly number: number
  /** By task: how many of its steps happen before this one, itself included. */
  readonly clock: Int32Array
  /** Findings of the step itself, and those of the end that it led to. */
  readonly found: readonly string[]
  readonly foundAtEnd: readonly string[]
  /** Another task was put aside that could have gone on. */
  readonly preempts: boolean
}

/** Does one step of an execution happen before another? */
export function before(one: Caused, other: Caused): boolean {
  return one.number <= (other.clock[one.move.task] as number)
}

/** Judge the ends that a step can lead to: of the tasks, of everything, or of all hope. */
export function judgeEnds(cell: Cell): readonly Observed[] {
  const observed: Observed[] = []
  if (endedBelow(EXIT_PHASE)) {
    const exit = taskCount() - 1
    if (phaseOf(exit) === EXIT_PHASE && taskNumber(exit).started === 0) {
      observed.push(...cell.atRest(() => []))
    } else if (allEnded()) observed.push(...cell.judges.atEnd())
  }
  for (let n = 0; n < taskCount(); n++) if (canStep(n) && !isDaemon(n)) return observed
  const stuck = describeStuck()
  if (stuck !== undefined) observed.push(...cell.judges.stuck('deadlock', stuck.message))
  return observed
}

/** Run a schedule; undefined if it cannot be followed to its end. */
export function causesOf(
  scenario: Scenario,
  design: Design,
  schedule: readonly Move[],
): readonly Caused[] | undefined {
  const cell = new Cell(scenario, design)
  cell.boot('lowered')
  const steps = follow(cell, schedule)
  cell.judges.detach()
  return steps
}

function follow(cell: Cell, schedule: readonly Move[]): readonly Caused[] | undefined {
  const recorder = new Recorder()
  const dependence = new Dependence()
  const steps: Caused[] = []
  let running = -1
  for (const move of schedule) {
    const { task, choice } = move
    if (task >= taskCount() || !canStep(task) || alternatives(task) !== move.alternatives) {
      return undefined
    }
    const preempts = running >= 0 && running !== task && !isDaemon(running) && canStep(running)
    recorder.begin(task)
    const result = step(task, choice)
    recorder.judging()
    const found = cell.judges.afterStep(result).map((o) => o.id)
    const halts = result.fault?.kind === 'undefined'
    const footprint = recorder.end(halts)
    const foundAtEnd = halts ? [] : judgeEnds(cell).map((o) => o.id)
    steps.push({
      move,
      footprint,
      ...timeOf(task, footprint, steps, dependence),
      found,
      foundAtEnd,
      preempts,
    })
    running = task
  }
  return steps
}

function timeOf(
  task: number,
  footprint: Footprint,
  steps: readonly Caused[],
  dependence: Dependence,
): Pick<Caused, 'number' | 'clock'> {
  const clock = new Int32Array(MAX_TASKS)
  let number = 1
  for (const s of steps) {
    const own = s.move.task === task
    if (own) number++
    if (!own && phaseOf(task) === 0 && !dependence.dependent(footprint, s.footprint)) continue
    for (let t = 0; t < MAX_TASKS; t++)
      clock[t] = Math.max(clock[t] as number, s.clock[t] as number)
  }
  clock[task] = number
  return { number, clock }
}

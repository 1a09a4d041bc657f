/** One execution with what happens before what: each step's footprint and vector clock. */

import { Cell } from '../../cell/cell.js'
import type { Listener, Sighting } from '../../cell/execution.js'
import type { Move } from '../../cell/schedule.js'
import type { Design } from '../../designs/design.js'
import type { Scenario } from '../../litmus/scenario.js'
import { phaseOf } from '../../machine/machine.js'
import { MAX_TASKS } from '../../machine/task.js'
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

/** Run a schedule; undefined if it cannot be followed to its end. */
export function causesOf(
  scenario: Scenario,
  design: Design,
  schedule: readonly Move[],
): readonly Caused[] | undefined {
  const cell = new Cell(scenario, design)
  const recorder = new Recorder()
  const heard = new Heard()
  const run = cell.begin('lowered', [recorder, heard])
  const dependence = new Dependence()
  const steps: Caused[] = []
  for (const move of schedule) {
    if (!run.allows(move)) break
    const preempts = run.preempts(move.task)
    heard.forget()
    run.take(move.task, move.choice)
    run.ready()
    const { footprint } = recorder
    const time = timeOf(move.task, footprint, steps, dependence)
    steps.push({ move, footprint, ...time, ...heard.now(), preempts })
  }
  cell.judges.detach()
  return steps.length === schedule.length ? steps : undefined
}

/** Keeps apart what a step shows and what the end shows that it leads to. */
class Heard implements Listener {
  #found: string[] = []
  #foundAtEnd: string[] = []

  forget(): void {
    this.#found = []
    this.#foundAtEnd = []
  }

  now(): Pick<Caused, 'found' | 'foundAtEnd'> {
    return { found: this.#found, foundAtEnd: this.#foundAtEnd }
  }

  found({ observed, moment }: Sighting): void {
    const list = moment === 'step' ? this.#found : this.#foundAtEnd
    list.push(...observed.map((o) => o.id))
  }
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

/** One execution with what happens before what: each step's footprint and vector clock. */

import { Execution, type Listener, type Sighting } from '../../cell/execution.js'
import type { Judges } from '../../cell/judges.js'
import type { Move } from '../../cell/schedule.js'
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
}

/** Does one step of an execution happen before another? */
export function before(one: Caused, other: Caused): boolean {
  return one.number <= (other.clock[one.move.task] as number)
}

/**
 * Run a schedule from the machine's present state, and go back there; undefined if it cannot be
 * followed to its end.
 */
export function causesOf(judges: Judges, schedule: readonly Move[]): readonly Caused[] | undefined {
  const recorder = new Recorder()
  const heard = new Heard()
  const run = new Execution(judges, [recorder, heard])
  const past = new Past()
  const steps: Caused[] = []
  for (const move of schedule) {
    if (!run.allows(move)) break
    heard.forget()
    run.take(move.task, move.choice)
    run.ready()
    const { footprint } = recorder
    const time = past.timeOf(move.task, footprint)
    const step = { move, footprint, ...time, ...heard.now() }
    past.add(step)
    steps.push(step)
  }
  run.backTo(0)
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

/**
 * What the steps so far have touched. Of the steps of one task that a new one depends on, the last
 * one has all others behind it; so for each place and mode that one is enough.
 */
class Past {
  readonly #dependence = new Dependence()
  readonly #last: (Caused | undefined)[] = []
  /** By place, then by task and bit of the mode. */
  readonly #touched = new Map<number, (Caused | undefined)[]>()

  /** When a step of a task comes that has this footprint. */
  timeOf(task: number, footprint: Footprint): Pick<Caused, 'number' | 'clock'> {
    const clock = new Int32Array(MAX_TASKS)
    const behind = (s: Caused | undefined): void => {
      s?.clock.forEach((n, t) => {
        clock[t] = Math.max(clock[t] as number, n)
      })
    }
    const own = this.#last[task]
    behind(own)
    if (footprint.halts || phaseOf(task) > 0) this.#last.forEach(behind)
    for (const [place, modes] of footprint.modes) {
      const steps = this.#touched.get(place)
      if (steps === undefined) continue
      for (let rest = this.#dependence.against(modes); rest !== 0; rest &= rest - 1) {
        for (let t = 0; t < MAX_TASKS; t++) if (t !== task) behind(steps[slotOf(t, rest)])
      }
    }
    const number = (own?.number ?? 0) + 1
    clock[task] = number
    return { number, clock }
  }

  add(step: Caused): void {
    const { task } = step.move
    this.#last[task] = step
    for (const [place, modes] of step.footprint.modes) {
      const steps = this.#touched.get(place) ?? []
      for (let rest = modes; rest !== 0; rest &= rest - 1) steps[slotOf(task, rest)] = step
      this.#touched.set(place, steps)
    }
  }
}

/** Of the lowest bit of some modes. */
function slotOf(task: number, modes: number): number {
  return (31 - Math.clz32(modes & -modes)) * MAX_TASKS + task
}

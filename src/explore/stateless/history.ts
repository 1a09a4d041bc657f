/**
 * The steps of one execution with what happens before what, by vector clocks, and the races in it:
 * pairs of dependent steps of two tasks that nothing orders, which some other execution has the
 * other way round.
 */
import type { Execution } from '../../cell/execution.js'
import type { Move } from '../../cell/schedule.js'
import { valueAt } from '../../machine/arena.js'
import { phaseOf } from '../../machine/machine.js'
import { MAX_TASKS } from '../../machine/task.js'
import { enabledWith } from './footprint.js'
import { type Dependence, type Footprint, MODE } from './independence.js'

/** A step of the execution. */
export interface Event {
  readonly move: Move
  readonly footprint: Footprint
  /** What was announced before the step. */
  readonly pending: number
  /** Number of the step among those of its task, from 1. */
  readonly number: number
  /** By task: how many of its steps happen before this one, itself included. */
  readonly clock: Int32Array
  /** Something was found: re-running it must judge it again. */
  readonly found: boolean
}

/** A step that has just been taken, or would be if it could. */
export interface Next {
  readonly task: number
  readonly pending: number
  /** Undefined for a step that was not taken. */
  readonly footprint: Footprint | undefined
  /** By task: how many of its steps happen before this one, by what this task did before. */
  readonly clock: Int32Array
  /** How many steps come before it, and the undo mark there. */
  readonly position: number
  readonly mark: number
}

/** The last event that touches a place, and those before it. */
interface Touch {
  readonly position: number
  readonly modes: number
  /** What this one and those before it do there. */
  readonly all: number
  readonly before: Touch | undefined
}

export class History {
  readonly #run: Execution
  readonly #dependence: Dependence
  readonly #events: Event[] = []
  /** By place: who touched it last. Most places are only read, by the sanitizers, at every step. */
  readonly #touched = new Map<number, Touch | undefined>()

  constructor(run: Execution, dependence: Dependence) {
    this.#run = run
    this.#dependence = dependence
  }

  get events(): readonly Event[] {
    return this.#events
  }

  at(i: number): Event {
    return this.#events[i] as Event
  }

  /** A step has been taken. Returns it with the earlier ones that it depends on, last first. */
  push(step: Pick<Event, 'move' | 'footprint' | 'pending' | 'found'>): readonly [Event, number[]] {
    const { task } = step.move
    const before = this.clockOf(task)
    const number = (before[task] as number) + 1
    const clock = before.slice()
    clock[task] = number
    const against = this.dependents(task, step.footprint)
    const event = { ...step, number, clock }
    const position = this.#events.push(event) - 1
    for (const [place, modes] of step.footprint.modes) {
      const before = this.#touched.get(place)
      const all = modes | (before?.all ?? 0)
      this.#touched.set(place, { position, modes, all, before })
    }
    return [event, against]
  }

  /** Take the last step out of the execution. */
  pop(): void {
    const event = this.#events.pop() as Event
    for (const place of event.footprint.modes.keys()) {
      this.#touched.set(place, this.#touched.get(place)?.before)
    }
  }

  /** What happens before the steps at these positions happens before `event`. */
  order(event: Event, against: readonly number[]): void {
    for (const i of against) join(event.clock, this.at(i).clock)
  }

  /** By task: how many of its steps happen before the next step of task `n`. */
  clockOf(n: number): Int32Array {
    const clock = new Int32Array(MAX_TASKS)
    const own = this.#events.findLast((e) => e.move.task === n)
    if (own !== undefined) clock.set(own.clock)
    // A task of a later phase begins when those of the earlier ones have ended.
    else if (phaseOf(n) > 0) for (const e of this.#events) join(clock, e.clock)
    return clock
  }

  /** Positions of steps of other tasks that a step depends on, last first. */
  dependents(task: number, footprint: Footprint): number[] {
    const found = new Set<number>()
    const add = (i: number): void => {
      if (this.at(i).move.task !== task) found.add(i)
    }
    if (footprint.halts && this.#dependence.follows('halt')) {
      for (let i = 0; i < this.#events.length; i++) add(i)
    }
    for (const [place, modes] of footprint.modes) {
      const against = this.#dependence.against(modes)
      let there = this.#touched.get(place)
      for (; there !== undefined && (against & there.all) !== 0; there = there.before) {
        if ((against & there.modes) !== 0) add(there.position)
      }
    }
    return [...found].sort((a, b) => b - a)
  }

  /**
   * Which of these steps the new one races with, last first. If the new step was not possible
   * before one, because that one or what comes before it holds the lock, the race is further back.
   */
  races(next: Next, against: readonly number[]): number[] {
    const covered = next.clock.slice()
    const races: number[] = []
    for (const i of against) {
      const earlier = this.at(i)
      if (earlier.number <= (covered[earlier.move.task] as number)) continue
      if (!this.#possibleBefore(i, next)) continue
      races.push(i)
      join(covered, earlier.clock)
    }
    return races
  }

  /** Is an announced step possible before step `i` and without what happens after it? */
  #possibleBefore(i: number, next: Next): boolean {
    if (!this.#dependence.follows('enabling')) return true
    return enabledWith(next.pending, (at) => {
      for (let k = i; k < next.position; k++) {
        const event = this.at(k)
        if (!((event.footprint.modes.get(at) ?? 0) & MODE.WRITE)) continue
        if (this.#happensBefore(i, event)) return valueAt(this.#run.markBefore(k), at)
      }
      return valueAt(next.mark, at)
    })
  }

  #happensBefore(i: number, event: Event): boolean {
    const { move, number } = this.at(i)
    return number <= (event.clock[move.task] as number)
  }

  /**
   * Tasks that can come first in the steps after `i` that do not happen after it, and the new one.
   * The new one is counted only if it is alone: taken without step `i`, it may read something else
   * and then depend on steps on which it does not depend here.
   */
  initials(i: number, next: Next): number {
    let seen = 0
    let initials = 0
    const before: number[] = []
    for (let k = i + 1; k < next.position; k++) {
      const event = this.at(k)
      if (this.#happensBefore(i, event)) continue
      const bit = 1 << event.move.task
      if (!(seen & bit) && !before.some((b) => this.#happensBefore(b, event))) initials |= bit
      seen |= bit
      before.push(k)
    }
    return before.length > 0 ? initials : 1 << next.task
  }
}

function join(into: Int32Array, from: Int32Array): void {
  for (let t = 0; t < MAX_TASKS; t++) {
    if ((from[t] as number) > (into[t] as number)) into[t] = from[t] as number
  }
}

/**
 * Tell a finding's execution again with as few changes of task as can be: steps that do not
 * depend on each other change places, and what does not happen before the finding is left out.
 * The result is run again and must show the same finding.
 */

import { Execution, type Sighting } from '../../cell/execution.js'
import type { Judges } from '../../cell/judges.js'
import type { Move } from '../../cell/schedule.js'
import type { Memo } from '../../machine/memo.js'
import { MAX_TASKS } from '../../machine/task.js'
import { before, type Caused, causesOf } from './causes.js'

/** A finding and an execution that shows it. */
export interface Shown {
  readonly id: string
  readonly schedule: readonly Move[]
  readonly preemptions: number
}

/**
 * The same finding, told in fewer blocks; as it was if that cannot be. The machine stands in the
 * initial state, and does so again afterwards. `memo`: what steps from there do.
 */
export function gather(judges: Judges, shown: Shown, memo: Memo): Shown {
  const { id } = shown
  const steps = causesOf(judges, shown.schedule)
  if (steps === undefined) return shown
  const at = steps.findIndex((s) => s.found.includes(id))
  const whole = at < 0 ? steps : steps.slice(0, at + 1)
  const last = whole.at(-1) as Caused
  // A finding of an end needs all that was done; one of a step, what happens before it.
  const needed = at < 0 ? whole : whole.filter((s) => before(s, last))
  for (const kept of [needed, whole]) {
    const schedule = fewestBlocks(kept)
    const preemptions = preemptionsOf(judges, schedule, id, memo)
    if (preemptions === undefined || preemptions > shown.preemptions) continue
    return { id, schedule, preemptions }
  }
  return shown
}

/** Run a schedule: its preemptions, or undefined if it does not end in the finding. */
function preemptionsOf(
  judges: Judges,
  schedule: readonly Move[],
  id: string,
  memo: Memo,
): number | undefined {
  let shows = false
  const found = ({ observed }: Sighting): void => {
    shows ||= observed.some((o) => o.id === id)
  }
  const run = new Execution(judges, [{ found }], memo)
  const possible = schedule.every((move) => {
    if (!run.allows(move)) return false
    shows = false
    run.take(move.task, move.choice)
    run.ready()
    return true
  })
  const { preemptions } = run
  run.backTo(0)
  return possible && shows ? preemptions : undefined
}

/** How many times the task changes, plus one. */
export function blocksOf(schedule: readonly Move[]): number {
  return schedule.filter((m, i) => m.task !== schedule[i - 1]?.task).length
}

/**
 * An order of the steps that keeps what happens before what, with few changes of task: each task
 * goes on as long as it can, and the best of all first tasks is taken at each change.
 */
function fewestBlocks(steps: readonly Caused[]): Move[] {
  const firsts = [...new Set(steps.map((s) => s.move.task))]
  const orders = firsts.map((first) => new Order(steps).from(first))
  orders.push(steps.map((s) => s.move))
  return orders.reduce((a, b) => (blocksOf(b) < blocksOf(a) ? b : a))
}

class Order {
  readonly #steps: readonly Caused[]
  /** By task: positions of its steps, and how many of them have been laid. */
  readonly #positions: number[][] = Array.from({ length: MAX_TASKS }, () => [])
  readonly #laid: number[] = new Array<number>(MAX_TASKS).fill(0)
  readonly #moves: Move[] = []

  constructor(steps: readonly Caused[]) {
    this.#steps = steps
    steps.forEach((s, i) => {
      this.#positions[s.move.task]?.push(i)
    })
  }

  from(first: number): Move[] {
    this.#lay(first)
    while (this.#moves.length < this.#steps.length) {
      const tasks = this.#left()
      this.#lay(tasks.reduce((a, b) => (this.#run(b) > this.#run(a) ? b : a)))
    }
    return this.#moves
  }

  /** Tasks with steps that have not been laid, the one whose step was earliest first. */
  #left(): number[] {
    const next = (task: number): number =>
      this.#positions[task]?.[this.#laid[task] as number] ?? Number.POSITIVE_INFINITY
    const tasks = this.#positions.map((_, task) => task).filter((t) => Number.isFinite(next(t)))
    return tasks.sort((a, b) => next(a) - next(b))
  }

  /** Lay the steps of a task that can come next. */
  #lay(task: number): void {
    const from = this.#laid[task] as number
    const to = from + this.#run(task)
    for (const i of this.#positions[task]?.slice(from, to) ?? []) {
      this.#moves.push((this.#steps[i] as Caused).move)
    }
    this.#laid[task] = to
  }

  /** How many steps of a task can come next, one after the other. */
  #run(task: number): number {
    const positions = this.#positions[task] as readonly number[]
    const from = this.#laid[task] as number
    let to = from
    while (to < positions.length && this.#isFree(task, positions[to] as number)) to++
    return to - from
  }

  /** Has everything been laid that happens before a step, but for its own task's? */
  #isFree(task: number, i: number): boolean {
    const { clock } = this.#steps[i] as Caused
    return clock.every((n, t) => t === task || n <= (this.#laid[t] as number))
  }
}

/**
 * Tell a finding's execution again with as few changes of task as can be: steps that do not
 * depend on each other change places, and what does not happen before the finding is left out.
 * The result is run again and must show the same finding.
 */

import type { Move } from '../../cell/schedule.js'
import type { Design } from '../../designs/design.js'
import type { Scenario } from '../../litmus/scenario.js'
import { before, type Caused, causesOf } from './causes.js'

/** A finding and an execution that shows it. */
export interface Shown {
  readonly id: string
  readonly schedule: readonly Move[]
  readonly preemptions: number
}

/** The same finding, told in fewer blocks; as it was if that cannot be. */
export function gather(scenario: Scenario, design: Design, shown: Shown): Shown {
  const { id } = shown
  const steps = causesOf(scenario, design, shown.schedule)
  if (steps === undefined) return shown
  const at = steps.findIndex((s) => s.found.includes(id))
  const whole = at < 0 ? steps : steps.slice(0, at + 1)
  const last = whole.at(-1) as Caused
  // A finding of an end needs all that was done; one of a step, what happens before it.
  const needed = at < 0 ? whole : whole.filter((s) => before(s, last))
  for (const kept of [needed, whole]) {
    const schedule = fewestBlocks(kept)
    const preemptions = preemptionsOf(scenario, design, schedule, id)
    if (preemptions === undefined || preemptions > shown.preemptions) continue
    return { id, schedule, preemptions }
  }
  return shown
}

/** Run a schedule: its preemptions, or undefined if it does not end in the finding. */
function preemptionsOf(
  scenario: Scenario,
  design: Design,
  schedule: readonly Move[],
  id: string,
): number | undefined {
  const steps = causesOf(scenario, design, schedule)
  const last = steps?.at(-1)
  if (steps === undefined || last === undefined) return undefined
  if (![...last.found, ...last.foundAtEnd].includes(id)) return undefined
  return steps.filter((s) => s.preempts).length
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
  const orders = [...new Set(steps.map((s) => s.move.task))].map((first) => greedy(steps, first))
  orders.push(steps.map((s) => s.move))
  return orders.reduce((a, b) => (blocksOf(b) < blocksOf(a) ? b : a))
}

function greedy(steps: readonly Caused[], first: number): Move[] {
  const left = [...steps]
  const order: Move[] = []
  let task = first
  while (left.length > 0) {
    const run = longestRun(left, task)
    if (run.length === 0) {
      const tasks = [...new Set(left.map((s) => s.move.task))]
      task = tasks.reduce((a, b) =>
        longestRun(left, b).length > longestRun(left, a).length ? b : a,
      )
      continue
    }
    for (const s of run) {
      order.push(s.move)
      left.splice(left.indexOf(s), 1)
    }
  }
  return order
}

/** The steps of a task that can come next, one after the other. */
function longestRun(left: readonly Caused[], task: number): Caused[] {
  const run: Caused[] = []
  for (const s of left) {
    if (s.move.task !== task) continue
    const waits = left.some((o) => o !== s && before(o, s) && !run.includes(o))
    if (waits) break
    run.push(s)
  }
  return run
}

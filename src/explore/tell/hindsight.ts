/**
 * What can be said when an execution is known to have gone wrong: up to which step it could still
 * have ended well, and which single order, or which exclusion of two calls, would have prevented
 * it in every interleaving. Both are facts about the state graph, not guesses.
 */

import { Cell } from '../../cell/cell.js'
import { describeStuck } from '../../cell/deadlock.js'
import type { Move } from '../../cell/schedule.js'
import type { Design } from '../../designs/design.js'
import type { Scenario } from '../../litmus/scenario.js'
import { fingerprintHi, fingerprintLo, undoMark, undoTo } from '../../machine/arena.js'
import { backtrace } from '../../machine/frames.js'
import {
  alternatives,
  canStep,
  operationOf,
  step,
  taskCount,
  taskName,
} from '../../machine/machine.js'
import { taskNumber } from '../../machine/task.js'
import { Dependence } from '../stateless/independence.js'
import { type Caused, causesOf, judgeEnds } from './causes.js'

export interface Hindsight {
  /**
   * Number of the step after which the finding could no longer be avoided, from 1; 0 if every
   * execution of the scenario shows it.
   */
  readonly pointOfNoReturn: number
  /** What would have prevented it in every interleaving, if one thing does. */
  readonly prevention: string | undefined
}

export interface HindsightLimits {
  /** States after which a question is given up. */
  readonly states: number
}

/** What is enough for every built-in scenario. */
export const LOOK_BACK: HindsightLimits = { states: 100_000 }

/** A restriction on who may step; `key` tells states apart that differ in what it remembers. */
interface Rule {
  readonly text: string
  key: number
  allows(task: number): boolean
  /** A task has taken a step that began at `from`. */
  passed(task: number, from: Site): void
}

/** Where a task stands: which of its calls, and where in the code. */
interface Site {
  readonly task: number
  readonly op: number
  /** Function and line, to tell places apart. */
  readonly at: string
  /** For people: the call, and the function with what it announces. */
  readonly call: string
  readonly where: string
}

const FREE: Rule = { text: '', key: 0, allows: () => true, passed: () => {} }

/** Look back at a schedule that ends in a finding; undefined if it can't be told in the limits. */
export function lookBack(
  scenario: Scenario,
  design: Design,
  schedule: readonly Move[],
  id: string,
  limits: HindsightLimits,
): Hindsight | undefined {
  // A livelock is a fact about loops; here only ends are looked at.
  const steps = id === 'livelock' ? undefined : causesOf(scenario, design, schedule)
  if (steps === undefined) return undefined
  const cell = new Cell(scenario, design)
  cell.boot('lowered')
  const root = undoMark()
  const places: Site[] = []
  const marks: number[] = []
  for (const { task, choice } of schedule) {
    marks.push(undoMark())
    places.push(siteOf(task))
    cell.judges.afterStep(step(task, choice))
  }
  const look = new Look(cell, id, limits.states)
  const pointOfNoReturn = noReturn(marks, schedule, cell, look)
  undoTo(root)
  const prevention = pointOfNoReturn === 0 ? undefined : prevented(look, steps, places, schedule)
  cell.judges.detach()
  if (pointOfNoReturn === undefined) return undefined
  return { pointOfNoReturn, prevention }
}

function siteOf(task: number): Site {
  const top = backtrace(task)[0]
  return {
    task,
    op: taskNumber(task).op,
    at: top ? `${top.cName}:${top.line}` : '',
    call: `${taskName(task)}'s ${operationOf(task)?.text ?? 'start'}`,
    where: `${taskName(task)} in ${top ? `${top.cName} (${top.text})` : 'user mode'}`,
  }
}

/** The first step after which no good end can be reached. Once lost, it stays lost. */
function noReturn(
  marks: number[],
  schedule: readonly Move[],
  cell: Cell,
  look: Look,
): number | undefined {
  let lost = schedule.length
  let good = -1
  let position = schedule.length
  while (lost - good > 1) {
    const middle = (lost + good) >> 1
    // The state behind `middle` steps.
    for (; position < middle; position++) {
      const { task, choice } = schedule[position] as Move
      marks[position] = undoMark()
      cell.judges.afterStep(step(task, choice))
    }
    if (position > middle) undoTo(marks[middle] as number)
    position = middle
    const ends = look.canEndWell()
    if (ends === undefined) return undefined
    if (ends) good = middle
    else lost = middle
  }
  return lost
}

/** Questions about the part of the state graph that can be reached from the present state. */
class Look {
  readonly #cell: Cell
  readonly #id: string
  readonly #most: number
  #seen = new Set<string>()
  #ended = false

  constructor(cell: Cell, id: string, most: number) {
    this.#cell = cell
    this.#id = id
    this.#most = most
  }

  /** Is there an end without the finding? Undefined if the question was too large. */
  canEndWell(): boolean | undefined {
    this.#seen = new Set()
    const found = this.#visit(FREE, 'end')
    return this.#seen.size >= this.#most && !found ? undefined : found
  }

  /** Does the finding never come up under a rule, though some execution ends? */
  isPreventedBy(rule: Rule): boolean {
    this.#seen = new Set()
    this.#ended = false
    const found = this.#visit(rule, 'finding')
    return !found && this.#ended && this.#seen.size < this.#most
  }

  /** Depth first; true as soon as the goal is met. */
  #visit(rule: Rule, goal: 'end' | 'finding'): boolean {
    let moved = false
    for (let task = 0; task < taskCount(); task++) {
      if (!canStep(task)) continue
      moved = true
      if (!rule.allows(task)) continue
      const ways = alternatives(task)
      for (let choice = 0; choice < ways; choice++) {
        if (this.#take(task, choice, rule, goal)) return true
      }
    }
    if (moved || describeStuck() !== undefined) return false
    this.#ended = true
    return goal === 'end'
  }

  #take(task: number, choice: number, rule: Rule, goal: 'end' | 'finding'): boolean {
    const mark = undoMark()
    const from = siteOf(task)
    const { key } = rule
    const result = step(task, choice)
    const found = this.#cell.judges.afterStep(result).map((o) => o.id)
    const halts = result.fault?.kind === 'undefined'
    if (!halts) found.push(...judgeEnds(this.#cell).map((o) => o.id))
    rule.passed(task, from)
    let met = false
    if (found.includes(this.#id)) met = goal === 'finding'
    else if (!halts && this.#isNew(rule)) met = this.#visit(rule, goal)
    undoTo(mark)
    rule.key = key
    return met
  }

  #isNew(rule: Rule): boolean {
    const key = `${fingerprintLo()},${fingerprintHi()},${rule.key}`
    if (this.#seen.has(key) || this.#seen.size >= this.#most) return false
    this.#seen.add(key)
    return true
  }
}

/** Orders of two steps, and exclusions of two calls, that are tried. */
const MOST_TRIED = 24

function prevented(
  look: Look,
  steps: readonly Caused[],
  places: readonly Site[],
  schedule: readonly Move[],
): string | undefined {
  const tasks = new Set(schedule.map((m) => m.task))
  if (tasks.size < 2) return undefined
  const rules = [...exclusions(places), ...orders(steps, places)].slice(0, MOST_TRIED)
  return rules.find((r) => look.isPreventedBy(r))?.text
}

/** Two calls of two tasks that overlap on the execution: one lock around both. */
function exclusions(places: readonly Site[]): Rule[] {
  const rules = new Map<string, Rule>()
  places.forEach((p, i) => {
    const next = places[i + 1]
    if (next === undefined || next.task === p.task) return
    const one = places.slice(0, i + 1).findLast((q) => q.task === p.task) as Site
    const key = [`${one.task}.${one.op}`, `${next.task}.${next.op}`].sort().join(' ')
    if (!rules.has(key)) rules.set(key, exclusion(one, next))
  })
  return [...rules.values()]
}

function exclusion(one: Site, other: Site): Rule {
  const inside = (p: Site, bit: number): number => (taskNumber(p.task).op === p.op ? bit : 0)
  const rule: Rule = {
    text: `one lock around both ${one.call} and ${other.call}`,
    key: 0,
    allows: (task) => {
      if (task === one.task) return !((rule.key & 2) !== 0 && inside(one, 1) !== 0)
      if (task === other.task) return !((rule.key & 1) !== 0 && inside(other, 2) !== 0)
      return true
    },
    passed: (task, from) => {
      for (const [p, bit] of [
        [one, 1],
        [other, 2],
      ] as const) {
        if (task !== p.task || from.op !== p.op) continue
        rule.key = (rule.key & ~bit) | inside(p, bit)
      }
    },
  }
  return rule
}

/** Two steps of two tasks that depend on each other: the later one first. */
function orders(steps: readonly Caused[], places: readonly Site[]): Rule[] {
  const dependence = new Dependence()
  const rules: Rule[] = []
  for (let j = steps.length - 1; j >= 0; j--) {
    for (let i = j - 1; i >= 0; i--) {
      const [a, b] = [steps[i] as Caused, steps[j] as Caused]
      if (a.move.task === b.move.task) continue
      if (!dependence.dependent(a.footprint, b.footprint)) continue
      rules.push(order(places[j] as Site, places[i] as Site))
    }
  }
  return rules
}

function order(first: Site, second: Site): Rule {
  const isAt = (p: Site, q: Site): boolean => p.task === q.task && p.op === q.op && p.at === q.at
  const rule: Rule = {
    text: `${first.where} always before ${second.where}`,
    key: 0,
    allows: (task) => rule.key !== 0 || !isAt(siteOf(task), second),
    passed: (_task, from) => {
      if (isAt(from, first)) rule.key = 1
    },
  }
  return rule
}

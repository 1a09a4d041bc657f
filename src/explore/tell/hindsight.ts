/**
 * What can be said when an execution is known to have gone wrong: up to which step it could still
 * have ended well, and which single order, or which exclusion of two calls, would have prevented
 * it in every interleaving. Both are facts about the state graph, not guesses.
 */

import { Cell } from '../../cell/cell.js'
import { describeStuck } from '../../cell/deadlock.js'
import { Execution, type Listener, type Sighting } from '../../cell/execution.js'
import type { Move } from '../../cell/schedule.js'
import { walk } from '../../cell/walk.js'
import type { Design } from '../../designs/design.js'
import type { Scenario } from '../../litmus/scenario.js'
import { innermost } from '../../machine/frames.js'
import { operationOf, taskName } from '../../machine/machine.js'
import { taskNumber } from '../../machine/task.js'
import { Dependence } from '../stateless/independence.js'
import { VisitedTable } from '../states/visited.js'
import { type Caused, causesOf } from './causes.js'

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
  /** False gives up all questions. */
  readonly keepGoing: () => boolean
}

/** What is enough for every built-in scenario. */
export const LOOK_BACK: HindsightLimits = { states: 100_000, keepGoing: () => true }

type Goal = 'end' | 'finding'

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
}

/** A site of the execution; for people, the call, and the function with what it announces. */
interface ToldSite extends Site {
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
  if (id === 'livelock') return undefined
  const cell = new Cell(scenario, design)
  cell.boot('lowered')
  const steps = causesOf(cell.judges, schedule)
  const told = steps && toldOf(cell, schedule, id, limits, steps)
  cell.judges.detach()
  return told
}

function toldOf(
  { judges, memo }: Cell,
  schedule: readonly Move[],
  id: string,
  limits: HindsightLimits,
  steps: readonly Caused[],
): Hindsight | undefined {
  const ids = new Ids()
  // The same steps come up in one question after the other.
  const run = new Execution(judges, [ids], memo)
  const look = new Look(run, ids, id, limits)
  const pointOfNoReturn = noReturn(run, schedule, look)
  run.backTo(0)
  const sites = schedule.map((move) => {
    const site = tell(siteOf(move.task))
    run.take(move.task, move.choice)
    return site
  })
  run.backTo(0)
  const prevention =
    pointOfNoReturn === undefined || pointOfNoReturn === 0
      ? undefined
      : prevented(look, steps, sites, schedule)
  return pointOfNoReturn === undefined ? undefined : { pointOfNoReturn, prevention }
}

/** The findings since it was asked to forget. */
class Ids implements Listener {
  readonly seen = new Set<string>()

  found({ observed }: Sighting): void {
    for (const { id } of observed) this.seen.add(id)
  }
}

function siteOf(task: number): Site {
  const top = innermost(task)
  return { task, op: taskNumber(task).op, at: top ? `${top.cName}:${top.line}` : '' }
}

/** The site at which its task stands, for people. */
function tell(site: Site): ToldSite {
  const { task } = site
  const top = innermost(task)
  return {
    ...site,
    call: `${taskName(task)}'s ${operationOf(task)?.text ?? 'start'}`,
    where: `${taskName(task)} in ${top ? `${top.cName} (${top.text})` : 'user mode'}`,
  }
}

/**
 * The first step after which no good end can be reached. Once lost, it stays lost: from the end
 * backwards, states that a later step could reach need not be looked at again.
 */
function noReturn(run: Execution, schedule: readonly Move[], look: Look): number | undefined {
  run.follow(schedule)
  for (let good = schedule.length - 1; good >= 0; good--) {
    run.backTo(good)
    const ends = look.canEndWell()
    if (ends === undefined) return undefined
    if (ends) return good + 1
  }
  return 0
}

/** Questions about the part of the state graph that can be reached from the present state. */
class Look {
  readonly #run: Execution
  readonly #ids: Ids
  readonly #id: string
  readonly #limits: HindsightLimits
  #seen = new VisitedTable()
  /** What the questions about good ends have seen: all without one, up to the first that met one. */
  readonly #lost = new VisitedTable()
  #met = false
  #tooLarge = false
  #ended = false

  constructor(run: Execution, ids: Ids, id: string, limits: HindsightLimits) {
    this.#run = run
    this.#ids = ids
    this.#id = id
    this.#limits = limits
  }

  /** Is there an end without the finding? Undefined if the question was too large. */
  canEndWell(): boolean | undefined {
    const met = this.#meets(FREE, 'end', this.#lost)
    return this.#tooLarge && !met ? undefined : met
  }

  /** Does the finding never come up under a rule, though some execution ends? */
  isPreventedBy(rule: Rule): boolean {
    return !this.#meets(rule, 'finding', new VisitedTable()) && this.#ended && !this.#tooLarge
  }

  /** Is there such an end, or such a step, in what follows? */
  #meets(rule: Rule, goal: Goal, seen: VisitedTable): boolean {
    this.#seen = seen
    this.#met = this.#tooLarge = this.#ended = false
    if (this.#run.ready() === 0) return this.#endsWell() && goal === 'end'
    const keys: number[] = []
    const froms: Site[] = []
    walk(this.#run, {
      choose: (moves) => moves.filter((m) => rule.allows(m.task)),
      leaving: ({ task }) => {
        keys.push(rule.key)
        if (rule !== FREE) froms.push(siteOf(task))
        this.#ids.seen.clear()
      },
      arrived: ({ task }) => {
        if (rule !== FREE) rule.passed(task, froms.pop() as Site)
        if (!this.#limits.keepGoing()) {
          this.#tooLarge = true
          return 'stop'
        }
        const goesOn = this.#judge(rule, goal)
        return this.#met ? 'stop' : goesOn ? 'on' : 'back'
      },
      returned: () => {
        rule.key = keys.pop() as number
      },
    })
    return this.#met
  }

  /** A step has been taken: is there anything to be learnt from what follows? */
  #judge(rule: Rule, goal: Goal): boolean {
    const ready = this.#run.ready()
    if (this.#ids.seen.has(this.#id)) {
      this.#met = goal === 'finding'
      return false
    }
    if (this.#run.over) return false
    if (ready === 0) {
      this.#met = this.#endsWell() && goal === 'end'
      return false
    }
    if (this.#seen.size >= this.#limits.states) this.#tooLarge = true
    const salted = this.#run.lo ^ Math.imul(rule.key + 1, 0x9e3779b1)
    return !this.#tooLarge && this.#seen.insert(salted, this.#run.hi)
  }

  /** Nobody can go on: is nobody stuck? */
  #endsWell(): boolean {
    const well = describeStuck() === undefined
    if (well) this.#ended = true
    return well
  }
}

/** Orders of two steps, and exclusions of two calls, that are tried. */
const MOST_TRIED = 24

function prevented(
  look: Look,
  steps: readonly Caused[],
  sites: readonly ToldSite[],
  schedule: readonly Move[],
): string | undefined {
  const tasks = new Set(schedule.map((m) => m.task))
  if (tasks.size < 2) return undefined
  const excluding = exclusions(sites).slice(0, MOST_TRIED)
  const rules = [...excluding, ...orders(steps, sites, MOST_TRIED - excluding.length)]
  return rules.find((r) => look.isPreventedBy(r))?.text
}

/** Two calls of two tasks that overlap on the execution: one lock around both. */
function exclusions(sites: readonly ToldSite[]): Rule[] {
  const rules = new Map<string, Rule>()
  sites.forEach((one, i) => {
    const next = sites[i + 1]
    if (next === undefined || next.task === one.task) return
    const key = [`${one.task}.${one.op}`, `${next.task}.${next.op}`].sort().join(' ')
    if (!rules.has(key)) rules.set(key, exclusion(one, next))
  })
  return [...rules.values()]
}

function exclusion(one: ToldSite, other: ToldSite): Rule {
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
function orders(steps: readonly Caused[], sites: readonly ToldSite[], most: number): Rule[] {
  const dependence = new Dependence()
  const rules: Rule[] = []
  for (let j = steps.length - 1; j >= 0; j--) {
    for (let i = j - 1; i >= 0 && rules.length < most; i--) {
      const [a, b] = [steps[i] as Caused, steps[j] as Caused]
      if (a.move.task === b.move.task) continue
      if (!dependence.dependent(a.footprint, b.footprint)) continue
      rules.push(order(sites[j] as ToldSite, sites[i] as ToldSite))
    }
  }
  return rules
}

function order(first: ToldSite, second: ToldSite): Rule {
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

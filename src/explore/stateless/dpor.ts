/**
 * A second opinion: stateless search over the generators as they are written. It stores no states
 * and shares with `search.ts` only the machine and the sanitizers. Executions that differ only in
 * the order of independent steps are one class; source sets and sleep sets see to it that each
 * class is run, most of them once (Abdulla and others, POPL 2014).
 *
 * An execution is re-run from the initial state; the sanitizers' reads belong to the step that
 * they judge, so what they see is fixed by the class. Nothing here may be combined with pruning at
 * states that were seen before: it would hide the races behind them.
 */

import { EXIT_PHASE } from '../../cell/boot.js'
import { describeStuck } from '../../cell/deadlock.js'
import type { Judges, Observed } from '../../cell/judges.js'
import type { Move } from '../../cell/schedule.js'
import { undoMark, undoTo, valueAt } from '../../machine/arena.js'
import {
  allEnded,
  alternatives,
  canStep,
  endedBelow,
  hasEnded,
  phaseOf,
  type StepResult,
  step,
  taskCount,
} from '../../machine/machine.js'
import { MAX_TASKS, taskNumber } from '../../machine/task.js'
import { enabledWith, Recorder, waitFootprint } from './footprint.js'
import { Dependence, type Footprint, MODE } from './independence.js'

export interface DporOptions {
  /** As for a search: judges a state in which the scenario's tasks have ended. */
  readonly atRest: () => readonly Observed[]
  /** Called in each state in which nobody can go on. */
  readonly atFinal: () => void
  /** Called before each execution; false stops the search. */
  readonly keepGoing: (executions: number) => boolean
  /** An execution of more steps ends the search unfinished; 2,000 by default. */
  readonly mostSteps?: number
  readonly dependence?: Dependence
}

export interface DporResult {
  /** Executions run to their end. */
  readonly executions: number
  /** Executions given up because every continuation had been seen: wasted work. */
  readonly blocked: number
  readonly steps: number
  /** Why the search did not come to its end, if it did not. */
  readonly unfinished: string | undefined
  /** Findings by id, with the first schedule that showed them; `first` if on some execution. */
  readonly findings: ReadonlyMap<string, { readonly first: boolean; readonly schedule: Move[] }>
}

/** A step of the present execution. */
interface Event {
  readonly move: Move
  readonly footprint: Footprint
  /** What was announced before the step. */
  readonly pending: number
  /** Number of the step among those of its task, from 1. */
  readonly number: number
  /** By task: how many of its steps happen before this one, itself included. */
  readonly clock: Int32Array
  /** Undo mark before the step, as of its last run. */
  mark: number
  /** Something was found: re-running it must judge it again. */
  readonly found: boolean
}

/** A state of the present execution, and what is still to be tried from it. */
interface Node {
  readonly enabled: number
  /** Tasks to try, and tasks of which every alternative has been tried, as bits. */
  wanted: number
  done: number
  /** Tasks whose next step was explored elsewhere, with its footprint. */
  readonly sleep: Map<number, Footprint>
  /** The task being tried, its next alternative, and the footprints of those tried. */
  task: number
  choice: number
  ways: number
  tried: Footprint[]
  event: Event | undefined
}

/** A step that has just been taken, or would be if it could. */
interface Next {
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

const MOST_STEPS = 2000

class Dpor {
  readonly #judges: Judges
  readonly #options: DporOptions
  readonly #dependence: Dependence
  readonly #recorder = new Recorder()
  readonly #root = undoMark()
  readonly #nodes: Node[] = []
  /** By place: positions of the events of this execution that touch it. */
  readonly #touching = new Map<number, number[]>()
  readonly #findings = new Map<string, { first: boolean; schedule: Move[] }>()
  /** The machine stands behind this many events of the present execution. */
  #position = 0
  #executions = 0
  #blocked = 0
  #steps = 0
  #unfinished: string | undefined

  constructor(judges: Judges, options: DporOptions) {
    this.#judges = judges
    this.#options = options
    this.#dependence = options.dependence ?? new Dependence()
  }

  run(): DporResult {
    this.#open(new Map())
    while (this.#nodes.length > 0 && this.#unfinished === undefined) {
      const node = this.#nodes[this.#nodes.length - 1] as Node
      this.#dropEvent(node)
      if (this.#nextMove(node)) this.#take(node)
      else this.#nodes.pop()
    }
    undoTo(this.#root)
    return {
      executions: this.#executions,
      blocked: this.#blocked,
      steps: this.#steps,
      unfinished: this.#unfinished,
      findings: this.#findings,
    }
  }

  /** A new state at the end of the execution: pick whom to try first. */
  #open(sleep: Map<number, Footprint>): void {
    let enabled = 0
    let first = -1
    const last = this.#nodes[this.#nodes.length - 1]?.event?.move.task ?? -1
    for (let n = 0; n < taskCount(); n++) {
      if (!canStep(n)) continue
      enabled |= 1 << n
      if (!sleep.has(n) && (first < 0 || n === last)) first = n
    }
    if (enabled === 0) this.#final()
    else if (first < 0) {
      this.#blocked++
      this.#pendingRaces(undefined)
    }
    this.#nodes.push({
      enabled,
      wanted: first < 0 ? 0 : 1 << first,
      done: 0,
      sleep,
      task: -1,
      choice: 0,
      ways: 0,
      tried: [],
      event: undefined,
    })
  }

  /** Set a node's next task and alternative; false if nothing is left to try. */
  #nextMove(node: Node): boolean {
    if (node.task >= 0 && node.choice + 1 < node.ways) {
      node.choice++
      return true
    }
    if (node.task >= 0) {
      node.done |= 1 << node.task
      node.sleep.set(node.task, union(node.tried))
    }
    for (let n = 0; n < taskCount(); n++) {
      const bit = 1 << n
      if (!(node.wanted & bit) || node.done & bit || node.sleep.has(n)) continue
      node.task = n
      node.choice = 0
      node.ways = 0
      node.tried = []
      return true
    }
    return false
  }

  #take(node: Node): void {
    this.#return()
    const { task, choice } = node
    if (node.ways === 0) node.ways = alternatives(task)
    const event = this.#perform({ task, choice, alternatives: node.ways })
    node.event = event
    node.tried.push(event.footprint)
    this.#findRaces(event)
    for (const place of event.footprint.modes.keys()) {
      const there = this.#touching.get(place)
      if (there === undefined) this.#touching.set(place, [this.#nodes.length - 1])
      else there.push(this.#nodes.length - 1)
    }
    if (event.footprint.halts) this.#halted()
    else if (this.#nodes.length > (this.#options.mostSteps ?? MOST_STEPS)) {
      this.#unfinished = `an execution of more than ${this.#nodes.length - 1} steps`
    } else this.#open(this.#awake(node.sleep, event))
  }

  /** Bring the machine to the last state of the execution, from the initial one if need be. */
  #return(): void {
    const wanted = this.#nodes.length - 1
    if (this.#position === wanted) return
    if (!this.#options.keepGoing(this.#executions)) this.#unfinished = 'stopped'
    undoTo(this.#root)
    for (let i = 0; i < wanted; i++) {
      const event = this.#eventAt(i)
      event.mark = undoMark()
      const result = step(event.move.task, event.move.choice)
      if (event.found) this.#judge(result)
    }
    this.#position = wanted
  }

  #perform(move: Move): Event {
    const { task } = move
    const { pending } = taskNumber(task)
    const mark = undoMark()
    this.#steps++
    this.#recorder.begin(task)
    const result = step(task, move.choice)
    this.#recorder.judging()
    const observed = [...this.#judges.afterStep(result)]
    const halts = result.fault?.kind === 'undefined'
    const footprint = this.#recorder.end(halts)
    if (!halts) observed.push(...this.#atEnds())
    this.#position++
    this.#note(observed, move)
    const before = this.#clockOf(task)
    const number = (before[task] as number) + 1
    const clock = before.slice()
    clock[task] = number
    return { move, footprint, pending, number, clock, mark, found: observed.length > 0 }
  }

  #judge(result: StepResult): void {
    this.#judges.afterStep(result)
    if (result.fault?.kind !== 'undefined') this.#atEnds()
  }

  /** Judge the two moments at which all tasks of the scenario, and then all tasks, have ended. */
  #atEnds(): readonly Observed[] {
    if (!endedBelow(EXIT_PHASE)) return []
    const exit = taskCount() - 1
    if (phaseOf(exit) === EXIT_PHASE && taskNumber(exit).started === 0)
      return this.#options.atRest()
    return allEnded() ? this.#judges.atEnd() : []
  }

  #note(observed: readonly Observed[], last: Move | undefined): void {
    for (const { id, first } of observed) {
      const known = this.#findings.get(id)
      if (known !== undefined && (known.first || !first)) continue
      const schedule = this.#nodes.flatMap((n) => (n.event === undefined ? [] : [n.event.move]))
      this.#findings.set(id, { first, schedule: last ? [...schedule, last] : schedule })
    }
  }

  /** Nobody can go on. */
  #final(): void {
    this.#executions++
    const stuck = describeStuck()
    if (stuck !== undefined) {
      const mark = undoMark()
      this.#note(this.#judges.stuck('deadlock', stuck.message), undefined)
      undoTo(mark)
    }
    this.#options.atFinal()
    this.#pendingRaces(undefined)
  }

  /** The execution ended in undefined behaviour: everybody else could have stepped before. */
  #halted(): void {
    this.#executions++
    this.#pendingRaces(this.#nodes.length - 1)
  }

  /**
   * Races of the steps that were announced and never taken, because somebody holds the lock, or
   * because the execution ended with step `halt`.
   */
  #pendingRaces(halt: number | undefined): void {
    if (halt === undefined && !this.#dependence.follows('blocked')) return
    if (halt !== undefined && !this.#dependence.follows('halt')) return
    const halting = halt === undefined ? -1 : (this.#nodes[halt]?.event?.move.task ?? -1)
    for (let n = 0; n < taskCount(); n++) {
      if (n === halting || hasEnded(n)) continue
      if (taskNumber(n).started === 0 && phaseOf(n) > 0) continue
      // Who could step and sleeps was looked at where it was put to sleep.
      if (halt === undefined && canStep(n)) continue
      const { pending } = taskNumber(n)
      const against = this.#dependents(n, waitFootprint(pending))
      if (halt !== undefined) against.unshift(halt)
      const next = {
        task: n,
        pending,
        footprint: undefined,
        clock: this.#clockOf(n),
        mark: undoMark(),
      }
      this.#reverse({ ...next, position: this.#nodes.length }, [...new Set(against)])
    }
  }

  /** By task: how many of its steps happen before the next step of task `n`. */
  #clockOf(n: number): Int32Array {
    const clock = new Int32Array(MAX_TASKS)
    let own = false
    for (let i = this.#nodes.length - 1; i >= 0 && !own; i--) {
      const event = this.#nodes[i]?.event
      if (event?.move.task !== n) continue
      clock.set(event.clock)
      own = true
    }
    // A task of a later phase begins when those of the earlier ones have ended.
    if (!own && phaseOf(n) > 0) {
      for (const { event } of this.#nodes) if (event !== undefined) join(clock, event.clock)
    }
    return clock
  }

  /** Positions of earlier steps of other tasks that a step depends on, last first. */
  #dependents(task: number, footprint: Footprint): number[] {
    const found = new Set<number>()
    const add = (i: number): void => {
      if (this.#nodes[i]?.event?.move.task !== task) found.add(i)
    }
    if (footprint.halts && this.#dependence.follows('halt')) {
      for (let i = 0; i < this.#nodes.length - 1; i++) add(i)
    }
    for (const [place, modes] of footprint.modes) {
      for (const i of this.#touching.get(place) ?? []) {
        const there = this.#nodes[i]?.event?.footprint.modes.get(place) as number
        if (this.#dependence.conflict(modes, there)) add(i)
      }
    }
    return [...found].sort((a, b) => b - a)
  }

  #findRaces(event: Event): void {
    const { task } = event.move
    const { pending, mark } = event
    const position = this.#nodes.length - 1
    const against = this.#dependents(task, event.footprint)
    const clock = event.clock.slice()
    clock[task] = event.number - 1
    this.#reverse({ task, pending, footprint: event.footprint, clock, mark, position }, against)
    for (const i of against) join(event.clock, this.#eventAt(i).clock)
  }

  #eventAt(i: number): Event {
    return this.#nodes[i]?.event as Event
  }

  /**
   * For each step that the new one races with, see to it that some execution has them the other
   * way round. If the new step was not possible before the other one, because that one or what
   * comes before it holds the lock, the search goes on further back.
   */
  #reverse(next: Next, against: readonly number[]): void {
    const covered = next.clock.slice()
    for (const i of against) {
      const earlier = this.#eventAt(i)
      const { task } = earlier.move
      if (earlier.number <= (covered[task] as number)) continue
      if (!this.#possibleBefore(i, next)) continue
      this.#wantReversed(i, next)
      if (this.#learns(next, earlier)) this.#wantAll(i)
      join(covered, earlier.clock)
    }
  }

  /**
   * Did the new step look at what the earlier one changed? Then it may do something else without
   * it, and depend on steps that it does not depend on here: no smaller choice is known to do.
   */
  #learns(next: Next, earlier: Event): boolean {
    if (next.footprint === undefined || !this.#dependence.follows('learning')) return false
    return this.#dependence.learns(next.footprint, earlier.footprint)
  }

  #wantAll(i: number): void {
    const node = this.#nodes[i] as Node
    node.wanted |= node.enabled
  }

  /** Is an announced step possible before step `i` and without what happens after it? */
  #possibleBefore(i: number, next: Next): boolean {
    if (!this.#dependence.follows('enabling')) return true
    return enabledWith(next.pending, (at) => {
      for (let k = i; k < next.position; k++) {
        const event = this.#eventAt(k)
        if (!((event.footprint.modes.get(at) ?? 0) & MODE.WRITE)) continue
        if (this.#happensBefore(i, event)) return valueAt(event.mark, at)
      }
      return valueAt(next.mark, at)
    })
  }

  #happensBefore(i: number, event: Event): boolean {
    const { move, number } = this.#eventAt(i)
    return number <= (event.clock[move.task] as number)
  }

  /** Want a first step, before step `i`, of what does not happen after it and the new step. */
  #wantReversed(i: number, next: Next): void {
    const initials = this.#initials(i, next)
    const node = this.#nodes[i] as Node
    if (node.wanted & initials) return
    for (const asleep of node.sleep.keys()) if (initials & (1 << asleep)) return
    const own = initials & (1 << next.task)
    const pick = own !== 0 ? own : initials & -initials
    if (!(node.enabled & pick)) throw new Error('the first step of a reversal is not possible')
    node.wanted |= pick
  }

  /**
   * Tasks that can come first in the steps after `i` that do not happen after it, and the new one.
   * The new one is counted only if it is alone: taken without step `i`, it may read something else
   * and then depend on steps on which it does not depend here.
   */
  #initials(i: number, next: Next): number {
    let seen = 0
    let initials = 0
    const before: number[] = []
    for (let k = i + 1; k < next.position; k++) {
      const event = this.#eventAt(k)
      if (this.#happensBefore(i, event)) continue
      const bit = 1 << event.move.task
      if (!(seen & bit) && !before.some((b) => this.#happensBefore(b, event))) initials |= bit
      seen |= bit
      before.push(k)
    }
    return before.length > 0 ? initials : 1 << next.task
  }

  /** Who still sleeps behind a step: those whose own step does not depend on it. */
  #awake(sleep: ReadonlyMap<number, Footprint>, event: Event): Map<number, Footprint> {
    const still = new Map<number, Footprint>()
    for (const [task, footprint] of sleep) {
      if (task === event.move.task) continue
      if (!this.#dependence.dependent(footprint, event.footprint)) still.set(task, footprint)
    }
    return still
  }

  /** Take the event of a node out of the execution; another one takes its place. */
  #dropEvent(node: Node): void {
    if (node.event === undefined) return
    for (const place of node.event.footprint.modes.keys()) this.#touching.get(place)?.pop()
    node.event = undefined
    this.#position = -1
  }
}

function join(into: Int32Array, from: Int32Array): void {
  for (let t = 0; t < MAX_TASKS; t++) {
    if ((from[t] as number) > (into[t] as number)) into[t] = from[t] as number
  }
}

function union(footprints: readonly Footprint[]): Footprint {
  const modes = new Map<number, number>()
  for (const f of footprints) {
    for (const [place, mode] of f.modes) modes.set(place, (modes.get(place) ?? 0) | mode)
  }
  return { modes, halts: footprints.some((f) => f.halts) }
}

/**
 * Search from the machine's present state, which must have been booted for `direct`; the machine
 * is in that state again afterwards.
 */
export function exploreClasses(judges: Judges, options: DporOptions): DporResult {
  return new Dpor(judges, options).run()
}

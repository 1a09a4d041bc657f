/**
 * A second opinion: stateless search over the generators as they are written. It stores no states
 * and shares with `prove/search.ts` only the machine and the judges. Executions that differ only in
 * the order of independent steps are one class; source sets and sleep sets see to it that each
 * class is run, most of them once (Abdulla and others, POPL 2014).
 *
 * An execution is re-run from the initial state; the sanitizers' reads belong to the step that
 * they judge, so what they see is fixed by the class. Nothing here may be combined with pruning at
 * states that were seen before: it would hide the races behind them.
 */
import { Execution, type Listener } from '../../cell/execution.js'
import type { Judges } from '../../cell/judges.js'
import { undoMark } from '../../machine/arena.js'
import { alternatives, canStep, hasEnded, phaseOf, taskCount } from '../../machine/machine.js'
import { hasStarted, pendingOf } from '../../machine/task.js'
import { type Witness, Witnesses } from '../listen/witnesses.js'
import { Recorder, waitFootprint } from './footprint.js'
import { type Event, History, type Next } from './history.js'
import { Dependence, type Footprint } from './independence.js'

export interface DporOptions {
  /** Hear of findings, of states at rest and of final states. */
  readonly listeners?: readonly Listener[]
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
  readonly findings: ReadonlyMap<string, Witness>
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
}

const MOST_STEPS = 2000

class Dpor {
  readonly #options: DporOptions
  readonly #dependence: Dependence
  readonly #recorder = new Recorder()
  readonly #witnesses = new Witnesses()
  readonly #run: Execution
  /** What led to the last node; a node has no event while its next move is sought. */
  readonly #history: History
  readonly #nodes: Node[] = []
  #found = false
  #executions = 0
  #blocked = 0
  #steps = 0
  #unfinished: string | undefined

  constructor(judges: Judges, options: DporOptions) {
    this.#options = options
    this.#dependence = options.dependence ?? new Dependence()
    const noticing = {
      found: () => {
        this.#found = true
      },
    }
    const { listeners = [] } = options
    this.#run = new Execution(judges, [this.#recorder, this.#witnesses, noticing, ...listeners])
    this.#history = new History(this.#run, this.#dependence)
  }

  run(): DporResult {
    this.#open(new Map())
    while (this.#nodes.length > 0 && this.#unfinished === undefined) {
      const node = this.#nodes[this.#nodes.length - 1] as Node
      if (this.#history.events.length === this.#nodes.length) this.#history.pop()
      if (this.#nextMove(node)) this.#take(node)
      else this.#nodes.pop()
    }
    this.#run.backTo(0)
    return {
      executions: this.#executions,
      blocked: this.#blocked,
      steps: this.#steps,
      unfinished: this.#unfinished,
      findings: this.#witnesses.all,
    }
  }

  /** A new state at the end of the execution: pick whom to try first. */
  #open(sleep: Map<number, Footprint>): void {
    const { running } = this.#run
    const enabled = this.#run.ready()
    const awake = [...bitsOf(enabled)].filter((n) => !sleep.has(n))
    const first = awake.includes(running) ? running : awake[0]
    if (enabled === 0) this.#executions++
    else if (first === undefined) this.#blocked++
    if (first === undefined) this.#racesOfWaiting(undefined)
    this.#nodes.push({
      enabled,
      wanted: first === undefined ? 0 : 1 << first,
      done: 0,
      sleep,
      task: -1,
      choice: 0,
      ways: 0,
      tried: [],
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
    for (const n of bitsOf(node.wanted & ~node.done)) {
      if (node.sleep.has(n)) continue
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
    const { task } = node
    if (node.ways === 0) node.ways = alternatives(task)
    const event = this.#perform(node)
    node.tried.push(event.footprint)
    if (event.footprint.halts) {
      // Everybody else could have stepped before the execution ended.
      this.#executions++
      this.#racesOfWaiting(this.#nodes.length - 1)
    } else if (this.#nodes.length > (this.#options.mostSteps ?? MOST_STEPS)) {
      this.#unfinished = `an execution of more than ${this.#nodes.length - 1} steps`
    } else this.#open(this.#awake(node.sleep, event))
  }

  /** Bring the machine to the last state of the execution, from the initial one if need be. */
  #return(): void {
    const run = this.#run
    if (run.depth === this.#nodes.length - 1) return
    if (!this.#options.keepGoing(this.#executions)) this.#unfinished = 'stopped'
    run.backTo(0)
    for (const { move, found } of this.#history.events) {
      if (found) run.take(move.task, move.choice)
      else run.retrace(move)
    }
  }

  /** Take the node's move, and see to it that what races with it is tried the other way round. */
  #perform({ task, choice, ways }: Node): Event {
    const pending = pendingOf(task)
    this.#steps++
    this.#found = false
    this.#run.take(task, choice)
    const { footprint } = this.#recorder
    const move = { task, choice, alternatives: ways }
    const clock = this.#history.clockOf(task)
    const [event, against] = this.#history.push({ move, footprint, pending, found: this.#found })
    const position = this.#nodes.length - 1
    const mark = this.#run.markBefore(position)
    this.#reverse({ task, pending, footprint, clock, mark, position }, against)
    this.#history.order(event, against)
    return event
  }

  /**
   * Races of the steps that were announced and never taken, because somebody holds the lock, or
   * because the execution ended with step `halt`.
   */
  #racesOfWaiting(halt: number | undefined): void {
    if (!this.#dependence.follows(halt === undefined ? 'blocked' : 'halt')) return
    const halting = halt === undefined ? -1 : this.#history.at(halt).move.task
    for (let n = 0; n < taskCount(); n++) {
      if (n === halting || hasEnded(n)) continue
      if (!hasStarted(n) && phaseOf(n) > 0) continue
      // Who could step and sleeps was looked at where it was put to sleep.
      if (halt === undefined && canStep(n)) continue
      const pending = pendingOf(n)
      const against = this.#history.dependents(n, waitFootprint(pending))
      if (halt !== undefined) against.unshift(halt)
      const clock = this.#history.clockOf(n)
      const here = { mark: undoMark(), position: this.#history.events.length }
      const next = { task: n, pending, footprint: undefined, clock, ...here }
      this.#reverse(next, [...new Set(against)])
    }
  }

  /** For each step that the new one races with: some execution has them the other way round. */
  #reverse(next: Next, against: readonly number[]): void {
    for (const i of this.#history.races(next, against)) {
      this.#wantReversed(i, next)
      if (this.#learns(next, this.#history.at(i))) this.#wantAll(i)
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

  /** Want a first step, before step `i`, of what does not happen after it and the new step. */
  #wantReversed(i: number, next: Next): void {
    const initials = this.#history.initials(i, next)
    const node = this.#nodes[i] as Node
    if (node.wanted & initials) return
    for (const asleep of node.sleep.keys()) if (initials & (1 << asleep)) return
    const own = initials & (1 << next.task)
    const pick = own !== 0 ? own : initials & -initials
    if (!(node.enabled & pick)) throw new Error('the first step of a reversal is not possible')
    node.wanted |= pick
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
}

function* bitsOf(tasks: number): Generator<number> {
  for (let rest = tasks; rest !== 0; rest &= rest - 1) yield 31 - Math.clz32(rest & -rest)
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

/**
 * Cycles of the state graph, noticed while a search enters states, meets known ones again and
 * leaves them. An operation that has returned does not come back, so a cycle is one in which nobody
 * gets anywhere; whether that can go on for ever is a question for `fairness.ts`.
 *
 * A search finds the strongly connected components of the graph (Tarjan). Of several workers each
 * finds those that nobody has finished before (`states/shared.ts`).
 *
 * Of each component two sets of tasks are gathered on the way: who moves inside it, and who can step
 * in all of its states. Who always could and never does is passed over by every loop in there, so
 * no loop is fair, and the component need not be walked through again. Most that go round wait for
 * somebody who can step.
 */
import type { Execution } from '../../cell/execution.js'
import { LEVEL } from '../../cell/path.js'
import type { Move } from '../../cell/schedule.js'
import { allEnded, taskName } from '../../machine/machine.js'
import type { KnownStates } from '../states/known.js'
import { OpenStates, type SavedStates } from '../states/open.js'
import type { SharedStates } from '../states/shared.js'
import { fairLoop } from './fairness.js'
import { KEPT } from './kept.js'

const FLAG = {
  /** Some step leads to a state outside this state's component, or the state is final. */
  EXITS: 1,
  /** Some step leads to this state itself or back to it. */
  CYCLE: 2,
} as const

/** Told of every state of the search; `known` has what the state in question is known as. */
export class Components {
  readonly #run: Execution
  readonly #known: KnownStates
  readonly #shared: SharedStates | undefined
  readonly #open: OpenStates
  readonly #afresh: boolean
  /** Of several workers: executions that end in each open state. */
  readonly #ends: number[] = []

  /** `afresh`: walk through all components with a cycle. */
  constructor(run: Execution, known: KnownStates, afresh = false) {
    this.#run = run
    this.#afresh = afresh
    this.#known = known
    this.#shared = known.shared
    this.#open = known.shared?.open ?? new OpenStates()
  }

  get bytes(): number {
    return this.#open.bytes
  }

  /** A new state is the topmost one now. */
  enter(): void {
    const place = this.#open.push(this.#known.lo, this.#known.hi)
    const { words, top } = this.#run.path
    words[top + KEPT.PLACE] = place
    words[top + KEPT.LOW] = place
    words[top + KEPT.FLAGS] = 0
    words[top + KEPT.MOVING] = 0
    words[top + KEPT.ALWAYS] = -1
    if (this.#shared !== undefined) this.#ends[place] = 0
  }

  /**
   * A task's step from the topmost state leads to a known one. An open one is of this component:
   * some state before this one can be reached from it.
   */
  meet(task: number): void {
    const { path } = this.#run
    const place = this.#open.placeOf(this.#known.lo, this.#known.hi)
    const isOpen = place >= 0
    path.set(KEPT.FLAGS, path.get(KEPT.FLAGS) | (isOpen ? FLAG.CYCLE : FLAG.EXITS))
    if (!isOpen) return
    path.set(KEPT.MOVING, path.get(KEPT.MOVING) | (1 << task))
    if (place < path.get(KEPT.LOW)) path.set(KEPT.LOW, place)
  }

  /** A step of the topmost state leads nowhere. */
  end(): void {
    const { path } = this.#run
    path.set(KEPT.FLAGS, path.get(KEPT.FLAGS) | FLAG.EXITS)
    if (this.#shared !== undefined) (this.#ends[path.get(KEPT.PLACE)] as number)++
  }

  /**
   * All steps of the topmost state have been tried; the machine still stands there. A component is
   * complete when its root is left.
   */
  leave(): void {
    const { path } = this.#run
    const low = path.get(KEPT.LOW)
    const flags = path.get(KEPT.FLAGS)
    const moving = path.get(KEPT.MOVING)
    const always = path.get(KEPT.ALWAYS) & this.#run.ready()
    if (low < path.get(KEPT.PLACE)) {
      this.#handDown(low, flags, moving | (1 << path.get(LEVEL.TASK)), always)
      return
    }
    const cycle = (flags & FLAG.CYCLE) !== 0
    const mayBeFair = cycle && (this.#afresh || (always & ~moving) === 0)
    if (mayBeFair && !allEnded() && !this.#wasJudged(low)) this.#judgeLoops(low, flags)
    if (this.#shared !== undefined) this.#finish(this.#shared, low, cycle)
    this.#open.popTo(low)
    // A step leads out of the component below, if there is another one.
    if (path.top > 0) this.#handDown(low, FLAG.EXITS, 0, -1)
  }

  /** What the state below the topmost one learns from it. */
  #handDown(low: number, flags: number, moving: number, always: number): void {
    const { words, top, width } = this.#run.path
    const below = top - width
    words[below + KEPT.LOW] = Math.min(words[below + KEPT.LOW] as number, low)
    words[below + KEPT.FLAGS] = (words[below + KEPT.FLAGS] as number) | flags
    words[below + KEPT.MOVING] = (words[below + KEPT.MOVING] as number) | moving
    words[below + KEPT.ALWAYS] = (words[below + KEPT.ALWAYS] as number) & always
  }

  /**
   * Has another worker finished this component? Then it may have taken a part of it from this one,
   * and has judged the whole. States of a cycle are finished together.
   */
  #wasJudged(low: number): boolean {
    const shared = this.#shared
    if (shared === undefined) return false
    shared.waitForCycles()
    const open = this.#open
    for (let place = low; place < open.count; place++) {
      if (shared.isFinished(open.loOf(place), open.hiOf(place))) return true
    }
    return false
  }

  /** Nobody has to look at the states from a place on again. */
  #finish(shared: SharedStates, low: number, cycle: boolean): void {
    const open = this.#open
    if (!cycle) {
      shared.leave(open.loOf(low), open.hiOf(low), this.#ends[low] as number)
      return
    }
    shared.beginCycle()
    for (let place = low; place < open.count; place++) {
      shared.finish(open.loOf(place), open.hiOf(place), this.#ends[place] as number)
    }
    shared.endCycle()
  }

  /** The open states, and back. */
  save(): SavedStates {
    return this.#open.save()
  }

  load(saved: SavedStates): void {
    this.#open.load(saved)
  }

  /** The execution stands in the root of a component with a cycle in it. */
  #judgeLoops(low: number, flags: number): void {
    const loop = fairLoop(this.#run, () => {
      this.#known.identify(this.#run.mark)
      const place = this.#open.placeOf(this.#known.lo, this.#known.hi)
      return place < low ? -1 : place
    })
    if (loop === undefined) return
    const { task } = loop.round[0] as Move
    const message = `${taskName(task)} runs for ever and gets nowhere: the last ${loop.round.length} steps repeat`
    const hopeless = (flags & FLAG.EXITS) === 0
    const facts = { about: [], values: { steps: loop.round.length } }
    this.#run.blame('livelock', message, task, [...loop.approach, ...loop.round], hopeless, facts)
  }
}

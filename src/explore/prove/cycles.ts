/**
 * Cycles of the state graph, noticed while a search enters states, meets known ones again and
 * leaves them. An operation that has returned does not come back, so a cycle is one in which nobody
 * gets anywhere; whether that can go on for ever is a question for `fairness.ts`.
 *
 * One worker sees the whole graph, and finds its strongly connected components (Tarjan). Of
 * several, each sees a part: they only learn whether there is any cycle at all (`states/shared.ts`).
 */
import type { Execution } from '../../cell/execution.js'
import type { Move } from '../../cell/schedule.js'
import { allEnded, taskName } from '../../machine/machine.js'
import type { KnownStates } from '../states/known.js'
import { OpenStates, type SavedStates } from '../states/open.js'
import { ARRIVED, type SharedStates, type Unclosed } from '../states/shared.js'
import { fairLoop } from './fairness.js'
import { KEPT } from './kept.js'

/** Told of every state of the search; `known` has what the state in question is known as. */
export interface Cycles {
  readonly bytes: number
  /** A new state is the topmost one now. */
  enter(): void
  /** A step of the topmost state leads to a known one; false if there is no use in going on. */
  meet(arrived: number): boolean
  /** A step of the topmost state leads nowhere. */
  end(): void
  /** All steps of the topmost state have been tried; the machine still stands there. */
  leave(): void
}

const FLAG = {
  /** Some step leads to a state outside this state's component, or the state is final. */
  EXITS: 1,
  /** Some step leads to this state itself or back to it. */
  CYCLE: 2,
} as const

/** Of a search by one worker. */
export class Components implements Cycles {
  readonly #run: Execution
  readonly #known: KnownStates
  readonly #open = new OpenStates()

  constructor(run: Execution, known: KnownStates) {
    this.#run = run
    this.#known = known
  }

  get bytes(): number {
    return this.#open.bytes
  }

  enter(): void {
    const place = this.#open.push(this.#known.lo, this.#known.hi)
    const { words, top } = this.#run.path
    words[top + KEPT.PLACE] = place
    words[top + KEPT.LOW] = place
    words[top + KEPT.FLAGS] = 0
  }

  meet(): boolean {
    const { path } = this.#run
    const place = this.#open.placeOf(this.#known.lo, this.#known.hi)
    const flags = path.get(KEPT.FLAGS)
    path.set(KEPT.FLAGS, flags | (place < 0 ? FLAG.EXITS : FLAG.CYCLE))
    if (place >= 0 && place < path.get(KEPT.LOW)) path.set(KEPT.LOW, place)
    return true
  }

  end(): void {
    const { path } = this.#run
    path.set(KEPT.FLAGS, path.get(KEPT.FLAGS) | FLAG.EXITS)
  }

  /** A component is complete when its root is left. */
  leave(): void {
    const { path } = this.#run
    const low = path.get(KEPT.LOW)
    const flags = path.get(KEPT.FLAGS)
    const isRoot = low === path.get(KEPT.PLACE)
    if (isRoot) {
      if ((flags & FLAG.CYCLE) !== 0 && !allEnded()) this.#judgeLoops(low, flags)
      this.#open.popTo(low)
    }
    if (path.top === 0) return
    const { words } = path
    const before = path.top - path.width
    const flagsBefore = words[before + KEPT.FLAGS] as number
    words[before + KEPT.FLAGS] = flagsBefore | (isRoot ? FLAG.EXITS : flags)
    if (low < (words[before + KEPT.LOW] as number)) words[before + KEPT.LOW] = low
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

/** Of one worker among several. */
export class SharedCycles implements Cycles {
  readonly #run: Execution
  readonly #known: KnownStates
  readonly #shared: SharedStates
  readonly #open = new OpenStates()
  #found = false

  constructor(run: Execution, known: KnownStates, shared: SharedStates) {
    this.#run = run
    this.#known = known
    this.#shared = shared
  }

  get bytes(): number {
    return this.#open.bytes
  }

  enter(): void {
    this.#open.push(this.#known.lo, this.#known.hi)
    this.#run.path.set(KEPT.SLOT, this.#shared.slot)
  }

  meet(arrived: number): boolean {
    if (arrived === ARRIVED.CLOSED) return true
    if (this.#open.placeOf(this.#known.lo, this.#known.hi) < 0) {
      // Some other worker is still busy with the state.
      this.#shared.waitFor(this.#run.path.depth)
      return true
    }
    // A cycle, for certain: loops are judged on the whole graph, by one worker.
    this.#found = true
    this.#shared.stop()
    return false
  }

  end(): void {}

  leave(): void {
    const { path } = this.#run
    this.#open.popTo(path.depth - 1)
    this.#shared.leave(path.depth, path.get(KEPT.SLOT))
  }

  /** States that never closed; undefined if there is a cycle. */
  unclosed(): readonly Unclosed[] | undefined {
    return this.#found ? undefined : this.#shared.unclosed()
  }
}

/**
 * Cycles of the state graph, noticed while a search enters states, meets known ones again and
 * leaves them. An operation that has returned does not come back, so a cycle is one in which nobody
 * gets anywhere; whether that can go on for ever is a question for `fairness.ts`.
 *
 * One worker sees the whole graph, and finds its strongly connected components (Tarjan). Of
 * several, each sees a part: they only learn whether there is any cycle at all (`states/shared.ts`).
 */
import type { Execution } from '../../cell/execution.js'
import { Levels } from '../../cell/levels.js'
import type { Move } from '../../cell/schedule.js'
import { allEnded, taskName } from '../../machine/machine.js'
import type { KnownStates } from '../states/known.js'
import { OpenStates } from '../states/open.js'
import { ARRIVED, type SharedStates, type Unclosed } from '../states/shared.js'
import { fairLoop } from './fairness.js'

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

const COMPONENT = {
  /** Place among the open states, and the lowest place that is reached from here. */
  PLACE: 0,
  LOW: 1,
  /** Bits of `FLAG`. */
  FLAGS: 2,
  WORDS: 3,
} as const

const FLAG = {
  /** Some step leads to a state outside this state's component, or the state is final. */
  EXITS: 1,
  /** Some step leads to this state itself or back to it. */
  CYCLE: 2,
} as const

/** The components that the topmost states may still belong to. Plain data. */
export interface SavedComponents {
  readonly levels: Int32Array
  readonly lo: Int32Array
  readonly hi: Int32Array
}

/** Of a search by one worker. */
export class Components implements Cycles {
  readonly #run: Execution
  readonly #known: KnownStates
  readonly #open = new OpenStates()
  readonly #levels = new Levels(COMPONENT.WORDS)

  constructor(run: Execution, known: KnownStates) {
    this.#run = run
    this.#known = known
  }

  get bytes(): number {
    return this.#open.bytes + this.#levels.bytes
  }

  enter(): void {
    const place = this.#open.push(this.#known.lo, this.#known.hi)
    this.#levels.push()
    this.#levels.set(COMPONENT.PLACE, place)
    this.#levels.set(COMPONENT.LOW, place)
    this.#levels.set(COMPONENT.FLAGS, 0)
  }

  meet(): boolean {
    const place = this.#open.placeOf(this.#known.lo, this.#known.hi)
    if (place < 0) this.#flag(FLAG.EXITS)
    else {
      this.#flag(FLAG.CYCLE)
      this.#reaches(place)
    }
    return true
  }

  end(): void {
    this.#flag(FLAG.EXITS)
  }

  /** A component is complete when its root is left. */
  leave(): void {
    const levels = this.#levels
    const low = levels.get(COMPONENT.LOW)
    const flags = levels.get(COMPONENT.FLAGS)
    const isRoot = low === levels.get(COMPONENT.PLACE)
    if (isRoot) {
      if ((flags & FLAG.CYCLE) !== 0 && !allEnded()) this.#judgeLoops(low, flags)
      this.#open.popTo(low)
    }
    levels.pop()
    if (levels.depth === 0) return
    if (isRoot) this.#flag(FLAG.EXITS)
    else {
      this.#flag(flags)
      this.#reaches(low)
    }
  }

  save(): SavedComponents {
    return { levels: this.#levels.save(), ...this.#open.save() }
  }

  load(saved: SavedComponents): void {
    this.#levels.load(saved.levels)
    this.#open.load(saved)
  }

  #flag(bits: number): void {
    this.#levels.set(COMPONENT.FLAGS, this.#levels.get(COMPONENT.FLAGS) | bits)
  }

  #reaches(place: number): void {
    if (place < this.#levels.get(COMPONENT.LOW)) this.#levels.set(COMPONENT.LOW, place)
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
    this.#run.blame('livelock', message, task, [...loop.approach, ...loop.round], hopeless)
  }
}

/** Of one worker among several. */
export class SharedCycles implements Cycles {
  readonly #known: KnownStates
  readonly #shared: SharedStates
  readonly #open = new OpenStates()
  /** The topmost states' slots in the table that all share. */
  readonly #slots = new Levels(1)
  #found = false

  constructor(known: KnownStates, shared: SharedStates) {
    this.#known = known
    this.#shared = shared
  }

  get bytes(): number {
    return this.#open.bytes + this.#slots.bytes
  }

  enter(): void {
    this.#open.push(this.#known.lo, this.#known.hi)
    this.#slots.push()
    this.#slots.set(0, this.#shared.slot)
  }

  meet(arrived: number): boolean {
    if (arrived === ARRIVED.CLOSED) return true
    if (this.#open.placeOf(this.#known.lo, this.#known.hi) < 0) {
      // Some other worker is still busy with the state.
      this.#shared.waitFor(this.#slots.depth)
      return true
    }
    // A cycle, for certain: loops are judged on the whole graph, by one worker.
    this.#found = true
    this.#shared.stop()
    return false
  }

  end(): void {}

  leave(): void {
    const { depth } = this.#slots
    this.#open.popTo(depth - 1)
    this.#shared.leave(depth, this.#slots.get(0))
    this.#slots.pop()
  }

  /** States that never closed; undefined if there is a cycle. */
  unclosed(): readonly Unclosed[] | undefined {
    return this.#found ? undefined : this.#shared.unclosed()
  }
}

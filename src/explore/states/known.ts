/** The states that a search has met, whichever way it keeps them. */
import { fingerprintHi, fingerprintLo } from '../../machine/arena.js'
import { ExactStates } from './exact.js'
import { type Share, SharedStates } from './shared.js'
import { BoundedTable, omissions, VisitedTable } from './visited.js'

/** How states are kept. */
export interface Keeping {
  /** Most preemptions on an execution; undefined for no bound. */
  readonly bound: number | undefined
  /** Keep whole states instead of fingerprints. */
  readonly exact?: boolean | undefined
  /** Most bytes for the visited set. */
  readonly memory?: number | undefined
  /** One of several workers of an exhaustive search. */
  readonly share?: Share | undefined
}

export class KnownStates {
  readonly #bounded: BoundedTable | undefined
  readonly #exact: ExactStates | undefined
  readonly #visited: VisitedTable
  readonly shared: SharedStates | undefined
  /** What the state that was asked about last is known as. */
  lo = 0
  hi = 0

  constructor({ bound, exact, memory, share }: Keeping) {
    this.#bounded = bound === undefined ? undefined : new BoundedTable()
    this.#exact = exact === true && bound === undefined ? new ExactStates() : undefined
    this.#visited = new VisitedTable(memory)
    this.shared = share === undefined ? undefined : new SharedStates(share)
  }

  /** Distinct states; of a bounded search, counted once for each task that ran last. */
  get size(): number {
    const { size } = this.#bounded ?? this.#exact ?? this.shared ?? this.#visited
    return size
  }

  get bytes(): number {
    return (this.#bounded ?? this.#visited).bytes + (this.#exact?.bytes ?? 0)
  }

  /** There is no room for another one. */
  get full(): boolean {
    return (this.shared ?? this.#visited).full
  }

  /** Are fingerprints kept, of all states, by this search alone? */
  get isPlain(): boolean {
    return this.#bounded === undefined && this.#exact === undefined && this.shared === undefined
  }

  /** Expected number of states that were taken for another one. */
  get omissions(): number {
    return this.#exact === undefined ? omissions(this.size) : 0
  }

  /** What the present state is known as; by whole states, also whether it is new. */
  identify(mark: number): boolean | undefined {
    if (this.#exact === undefined) {
      this.lo = fingerprintLo()
      this.hi = fingerprintHi()
      return undefined
    }
    const { number, isNew } = this.#exact.numberOf(mark)
    this.lo = number
    this.hi = number
    return isNew
  }

  /**
   * Put the present state in; false if there is no need to go on from it. With a bound, states that
   * differ in their salt are different ones, and a state is new if it was never reached with so few
   * preemptions.
   */
  insert(mark: number, salt: number, preemptions: number): boolean {
    const isNew = this.identify(mark)
    const { lo, hi } = this
    if (this.#bounded !== undefined) return this.#bounded.insert(lo, hi, salt, preemptions)
    if (this.shared !== undefined) return this.shared.insert(lo, hi)
    return isNew ?? this.#visited.insert(lo, hi)
  }

  /** Would a state with this fingerprint be no new one? Not for whole states. */
  has(lo: number, hi: number, salt: number, preemptions: number): boolean {
    if (this.#bounded !== undefined) return this.#bounded.has(lo, hi, salt, preemptions)
    return this.shared === undefined ? this.#visited.has(lo, hi) : this.shared.has(lo, hi)
  }

  /** Fetch what `has` will look at first, ahead of it. */
  glance(lo: number, hi: number): number {
    return this.shared === undefined ? this.#visited.glance(lo) : this.shared.glance(lo, hi)
  }

  /** Of a plain search: the fingerprints, and back. */
  save(): { visited: Int32Array; states: number } {
    return { visited: this.#visited.save(), states: this.#visited.size }
  }

  load(visited: Int32Array, states: number): void {
    this.#visited.load(visited, states)
  }
}

/** What a search is asked, and what it answers. */
import type { Listener } from '../../cell/execution.js'
import type { Move } from '../../cell/schedule.js'
import type { Memo } from '../../machine/memo.js'
import type { Sought, Witness } from '../listen/witnesses.js'
import type { Keeping } from '../states/known.js'
import type { SavedStates } from '../states/open.js'

/** What a caller may ask while the search goes on. */
export interface Probe {
  /** Distinct states so far. */
  readonly states: number
  readonly depth: number
  /** Of the visited set and the stacks. */
  readonly bytes: number
  /** Everything that is needed to go on later; only of an exhaustive search by fingerprints. */
  readonly snapshot: (() => Snapshot) | undefined
}

/** A search that was stopped in the middle. Plain data. */
export interface Snapshot {
  readonly visited: Int32Array
  readonly states: number
  /** The execution under way, the fingerprint of the state behind it, what is kept on the path. */
  readonly schedule: readonly Move[]
  readonly fingerprint: readonly [number, number]
  readonly kept: Int32Array
  readonly open: SavedStates
  readonly witnesses: ReadonlyMap<string, Witness>
  readonly steps: number
  readonly executions: number
}

export interface SearchOptions extends Keeping, Sought {
  /** With a bound: most choices other than the ordinary one, 0, on an execution. */
  readonly surprises?: number | undefined
  /** Called after so many steps, 10,000 by default; returning false interrupts the search. */
  readonly keepGoing: (states: number, depth: number, probe: Probe) => boolean
  readonly askEvery?: number | undefined
  /** Hear what is found, and of states at rest and final states; of steps only with `afresh`. */
  readonly listeners?: readonly Listener[]
  /** Run the code of every step, and walk through every component with a cycle: infer nothing. */
  readonly afresh?: boolean | undefined
  /** What steps do, as learnt by other searches of this machine since it was booted. */
  readonly memo?: Memo | undefined
  /** Go on from here. The machine must stand in the initial state. */
  readonly resume?: Snapshot | undefined
}

export interface SearchResult {
  readonly states: number
  readonly steps: number
  readonly executions: number
  /** False if it was stopped, by `keepGoing` or because memory ran out. */
  readonly finished: boolean
  readonly outOfMemory: boolean
  /** The bound cut something off, or what was wanted had been found. */
  readonly cut: boolean
  readonly witnesses: ReadonlyMap<string, Witness>
  /** Expected number of states that were taken for another one. */
  readonly omissions: number
  readonly bytes: number
}

/** A snapshot belongs to another scenario, design or version. */
export class SnapshotError extends Error {}

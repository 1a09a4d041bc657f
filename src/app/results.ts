/** What a check of scenarios on designs has brought: the material of every report. */
import type { Design } from '../designs/design.js'
import type { Scenario } from '../litmus/scenario.js'
import type { Verdict } from './verdict.js'

export interface ScenarioFile {
  /** As the user named it, or where it lies in the package. */
  readonly path: string
  /** It came with the package. */
  readonly builtIn: boolean
  readonly text: string
  readonly scenario: Scenario
}

/** A design that is loaded in this thread. */
export interface LoadedDesign {
  readonly id: string
  readonly design: Design
  /** Its lowered text, by which another thread can load it too, and where it lies; not built in. */
  readonly module: string | undefined
  /** What the design is, wherever it and the project lie: tokens are bound to it. */
  readonly identity: string
  readonly path: string | undefined
}

/** A scenario on a design, and what the check says of it. */
export interface CellResult {
  readonly file: ScenarioFile
  readonly design: LoadedDesign
  readonly verdict: Verdict
  /** What tokens of this cell are bound to: code, scenario and design. */
  readonly hash: string
}

export interface Results {
  /** Of restrictedmem. */
  readonly version: string
  /** In the order of scenarios, then designs; without those that were not begun. */
  readonly cells: readonly CellResult[]
  /** Cells that were asked for. */
  readonly asked: number
  readonly interrupted: boolean
  readonly seconds: number
}

/** How far a run is. */
export interface Progress {
  /** Cells that are done. */
  readonly done: number
  readonly total: number
  /** States of the cells under way and done. */
  readonly states: number
  readonly depth: number
  /** Memory of the visited states of the cell that reported last. */
  readonly bytes: number
}

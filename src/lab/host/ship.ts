/** What the page is given: the files of the build, scenarios, verdicts. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { builtInDesigns } from '../../app/host/designs.js'
import { builtInFiles, headOf, readText } from '../../app/host/files.js'
import { CODE, packagedFile } from '../../app/host/package.js'
import { check } from '../../app/host/run.js'
import { builtInScenarios, readScenarios } from '../../app/host/scenarios.js'
import type { CellResult, ScenarioFile } from '../../app/results.js'
import { PLAIN_LOOK } from '../../report/format.js'
import { format as json } from '../../report/formats/json.js'
import { type CellVerdict, MOST_OUTCOMES, type ScenarioText } from '../protocol.js'

/** What the page is opened with. */
export interface Opening {
  readonly token?: string
  readonly text?: string
}

/** What the page begins with. */
export interface ShippedData {
  readonly version: string
  readonly code: string
  readonly scenarios: readonly ScenarioText[]
  readonly open: Opening
}

/** Scenarios that are checked before a reader hears of them. */
const AT_ONCE = 8

/** The file of the build with this name. */
export function builtFile(name: string): Buffer {
  return readFileSync(join(packagedFile('dist/lab'), name))
}

/** Names of the files that the build made. */
export function builtFiles(): string[] {
  return readdirSync(packagedFile('dist/lab'))
}

/** What `shipped('data.json')` of the page reads. */
export function dataOf(open: Opening): ShippedData {
  const scenarios = builtInFiles().map(
    (path): ScenarioText => ({ ...headOf(path), text: readText(path) }),
  )
  return { ...CODE, scenarios, open }
}

function verdictsOf(cells: readonly CellResult[]): CellVerdict[] {
  const results = { version: CODE.version, cells, asked: 0, interrupted: false, seconds: 0 }
  const { results: all } = JSON.parse(json.render(results, new Map(), PLAIN_LOOK)) as {
    results: CellVerdict[]
  }
  return all.map((v) => ({ ...v, outcomes: v.outcomes.slice(0, MOST_OUTCOMES) }))
}

/**
 * The verdicts on the whole matrix, from earlier runs as far as there are some, else by checking some
 * scenarios after the others. What there is can be read at any time.
 */
export class Verdicts {
  readonly #cells: CellVerdict[] = []
  #pending: number
  readonly #signal: AbortSignal
  readonly #files: readonly ScenarioFile[]

  /** Of all scenarios that come with the project, or of those that are named. */
  constructor(signal: AbortSignal, only?: readonly string[]) {
    this.#signal = signal
    this.#files = only === undefined ? builtInScenarios() : readScenarios(only)
    this.#pending = this.#files.length * builtInDesigns().length
  }

  /** Until all are known, or the signal comes. */
  async all(onProgress: (pending: number) => void = () => {}): Promise<void> {
    const designs = builtInDesigns()
    for (let i = 0; i < this.#files.length; i += AT_ONCE) {
      if (this.#signal.aborted) return
      const scenarios = this.#files.slice(i, i + AT_ONCE)
      const { cells } = await check({ scenarios, designs, signal: this.#signal })
      this.#cells.push(...verdictsOf(cells))
      this.#pending -= scenarios.length * designs.length
      onProgress(this.#pending)
    }
  }

  now(): { readonly cells: readonly CellVerdict[]; readonly pending: number } {
    return { cells: this.#cells, pending: this.#pending }
  }
}

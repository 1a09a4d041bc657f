/** What the page is given: the files of the build, scenarios, verdicts. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { resolveDesigns } from '../../app/host/designs.js'
import { builtInFiles, headOf, hostFiles, readText } from '../../app/host/files.js'
import { CODE, packagedFile } from '../../app/host/package.js'
import { check } from '../../app/host/run.js'
import { builtInScenarios, hostScenarios, readScenarios } from '../../app/host/scenarios.js'
import type { CellResult, ScenarioFile } from '../../app/results.js'
import { PLAIN_LOOK } from '../../report/format.js'
import { format as json } from '../../report/formats/json.js'
import {
  type CellVerdict,
  MOST_OUTCOMES,
  type Opening,
  type ScenarioText,
  type Shipped,
} from '../protocol.js'
import { DESIGN_IDS, TABLES, WORDS } from '../words.js'

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

/** What is the same whatever a page is opened with. */
let always: Omit<Shipped, 'open'> | undefined

/** What `shipped('data.json')` of the page reads. */
export function dataOf(open: Opening): Shipped {
  always ??= dataOfAll()
  return { ...always, open }
}

function dataOfAll(): Omit<Shipped, 'open'> {
  const textOf = (path: string): ScenarioText => ({ ...headOf(path), text: readText(path) })
  const main = builtInFiles().map(textOf)
  const ofHosts = hostScenarios(DESIGN_IDS)
  const matrices = TABLES.map(({ machine, ...table }) => ({
    ...table,
    scenarios:
      machine === undefined ? main.map((s) => s.name) : about(ofHosts, machine).map(nameIn),
  }))
  const scenarios = [...main, ...hostFiles().map(textOf)]
  return { ...CODE, scenarios, matrices, designs: DESIGN_IDS, words: WORDS }
}

function about(files: readonly ScenarioFile[], machine: string): readonly ScenarioFile[] {
  return files.filter((f) => f.scenario.hosts.some((h) => h === machine))
}

const nameIn = (f: ScenarioFile): string => f.scenario.name

function verdictsOf(cells: readonly CellResult[]): CellVerdict[] {
  const results = { version: CODE.version, cells, asked: 0, interrupted: false, seconds: 0 }
  const { results: all } = JSON.parse(json.render(results, new Map(), PLAIN_LOOK)) as {
    results: CellVerdict[]
  }
  return all.map((v) => ({ ...v, outcomes: v.outcomes.slice(0, MOST_OUTCOMES) }))
}

/**
 * The verdicts on one matrix, from earlier runs as far as there are some, else by checking some
 * scenarios after the others. What there is can be read at any time.
 */
export class Verdicts {
  readonly #cells: CellVerdict[] = []
  #pending: number
  readonly #signal: AbortSignal
  readonly #files: readonly ScenarioFile[]
  readonly #designs: readonly string[]

  /** Of all scenarios of the matrix, or of those that are named. */
  constructor(signal: AbortSignal, only?: readonly string[], id = 'main') {
    const { designs, machine } = tableOf(id)
    this.#signal = signal
    this.#designs = designs.map((d) => d.id)
    const named = only === undefined ? undefined : readScenarios(only, DESIGN_IDS)
    const all = machine === undefined ? builtInScenarios : () => hostScenarios(DESIGN_IDS)
    const files = named ?? all()
    this.#files = machine === undefined ? files : about(files, machine)
    this.#pending = this.#files.length * this.#designs.length
  }

  /** Until all are known, or the signal comes. */
  async all(onProgress: (pending: number) => void = () => {}): Promise<void> {
    const designs = await resolveDesigns(this.#designs)
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

function tableOf(id: string): (typeof TABLES)[number] {
  const table = TABLES.find((t) => t.id === id)
  if (table === undefined) throw new Error(`there is no matrix "${id}"`)
  return table
}

/** Ids of all matrices. */
export const MATRICES: readonly string[] = TABLES.map((t) => t.id)

/** The name of the file in which the page finds the verdicts on a matrix. */
export const verdictFile = (id: string): string => `verdicts-${id}.json`

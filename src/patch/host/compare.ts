/** The functions of a kernel tree, translated, in the place of the model's: which of them are equal? */
import { availableParallelism } from 'node:os'
import type { Design } from '../../designs/design.js'
import { type Candidate, candidates, type TreeFile } from '../calibrate.js'
import { scopeOf } from '../facts.js'
import type { Dictionary } from '../model/dictionary.js'
import { type Calibration, calibrate } from './calibration.js'
import { withPool } from './pool.js'

/** What is compared, and by how many threads. */
export interface Asked {
  /** Only these functions, by C name; all if there are none. */
  readonly function: readonly string[]
  readonly workers?: number
  /** Take what an earlier run has found. */
  readonly cache?: boolean
}

/** What became of one function. */
export interface FidelityRow {
  readonly c: string
  readonly file: string
  readonly design: string
  readonly target: string
  readonly result: 'equal' | 'differs' | 'not translated' | 'not reached'
  /** Scenarios that reach it, and final states of these. */
  readonly cells: number
  readonly states: number
  /** The first difference, or why it was not translated. */
  readonly detail: string
  /** An earlier run has found it. */
  readonly reused?: boolean
}

/** The designs that stand for a kernel version each. */
export const KERNELS = ['upm', 'gmem-6.18']

/** Compare the functions of a tree with those that run in a design. */
export async function compareTree(
  files: readonly TreeFile[],
  design: Design,
  words: Dictionary,
  asked: Asked,
): Promise<FidelityRow[]> {
  const scope = scopeOf(design, words)
  const wanted = (c: string): boolean => asked.function.length === 0 || asked.function.includes(c)
  const all = candidates(files, scope, wanted)
  const able = all.filter((c) => c.reason === undefined)
  const calibrands = able.map((alone) => ({
    alone,
    company: able.filter((d) => d !== alone && d.file === alone.file && alone.calls.has(d.c)),
  }))
  const { workers = availableParallelism(), cache = true } = asked
  const found = await withPool(workers, (pool) => calibrate(calibrands, { scope, pool, cache }))
  const of = new Map(able.map((c, i) => [c, found[i] as Calibration]))
  return all.map((c) => rowOf(c, design, of.get(c)))
}

function rowOf(c: Candidate, design: Design, found: Calibration | undefined): FidelityRow {
  const base = { c: c.c, file: c.file, design: design.id, target: c.target.ts }
  if (found === undefined) {
    const detail = `line ${c.reason?.line}: ${c.reason?.reason}`
    return { ...base, cells: 0, states: 0, result: 'not translated', detail }
  }
  const { cells, states, reused, company } = found
  const result = found.result === 'refused' ? 'not translated' : found.result
  const detail = company.length > 0 ? `together with ${company.join(', ')}` : found.detail
  return { ...base, cells, states, result, detail, ...(reused ? { reused } : {}) }
}

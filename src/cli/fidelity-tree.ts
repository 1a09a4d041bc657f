/**
 * `restrictedmem fidelity --linux TREE`: the functions of a kernel tree, translated, in the place of
 * the model's. Per function: equal, or the first difference, or why it could not be compared.
 */
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { UserError } from '../app/error.js'
import { packagedFile } from '../app/host/package.js'
import type { Design } from '../designs/design.js'
import { DESIGNS } from '../designs/index.js'
import { type Candidate, candidates, type TreeFile } from '../patch/calibrate.js'
import { scopeOf } from '../patch/facts.js'
import { type Dictionary, readDictionary } from '../patch/model/dictionary.js'
import { type Calibration, calibrate } from './calibration.js'
import { changedSince } from './changed-since.js'
import { EXIT } from './exit.js'
import { startCParser } from './grammar.js'
import { withPool } from './patch-pool.js'
import { checkTree, modelledFiles } from './tree.js'

export interface FidelityFlags {
  readonly linux: string
  /** Only these functions, by C name. */
  readonly function: readonly string[]
  /** Designs whose bodies are compared; the kernels of both versions if none is named. */
  readonly design: readonly string[]
  readonly workers?: number
  /** Take what an earlier run has found. */
  readonly cache?: boolean
  /** Compare with the hashes of this version, or of the cited ones; nothing runs. */
  readonly changedSince?: string
  readonly json?: boolean
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

/** The words into which C is translated; written by the build. */
export function dictionary(): Dictionary {
  return readDictionary(readFileSync(packagedFile('dist/dictionary.json'), 'utf8'))
}

/** The designs that stand for a kernel version each. */
export const KERNELS = ['upm', 'gmem-6.18']

export async function fidelityTree(flags: FidelityFlags): Promise<number> {
  checkTree(flags.linux)
  const names = flags.design.length > 0 ? flags.design : KERNELS
  const designs = names.map((n) => {
    const found = DESIGNS.find((d) => d.id === n)
    if (found === undefined) throw new UserError(`there is no design "${n}".`)
    return found
  })
  await startCParser()
  const words = dictionary()
  if (flags.changedSince !== undefined) {
    return changedSince(flags.linux, flags.changedSince, words, flags.json === true)
  }
  const files = modelledFiles(flags.linux, words)
  const rows: FidelityRow[] = []
  for (const design of designs) rows.push(...(await compareTree(files, design, words, flags)))
  if (rows.length === 0) {
    const what = flags.function.length > 0 ? flags.function.join(', ') : 'a function of the model'
    throw new UserError(`${flags.linux}: ${what} is not defined in this tree, or not modelled.`)
  }
  process.stdout.write(flags.json ? `${JSON.stringify(rows, undefined, 1)}\n` : `${told(rows)}\n`)
  return rows.some((r) => r.result === 'differs') ? EXIT.DIFFERS : EXIT.OK
}

/** Compare the functions of a tree with those that run in a design. */
export async function compareTree(
  files: readonly TreeFile[],
  design: Design,
  words: Dictionary,
  flags: Pick<FidelityFlags, 'function' | 'workers' | 'cache'>,
): Promise<FidelityRow[]> {
  const scope = scopeOf(design, words)
  const wanted = (c: string): boolean => flags.function.length === 0 || flags.function.includes(c)
  const all = candidates(files, scope, wanted)
  const able = all.filter((c) => c.reason === undefined)
  const asked = able.map((alone) => ({
    alone,
    company: able.filter((d) => d !== alone && d.file === alone.file && alone.calls.has(d.c)),
  }))
  const { workers = availableParallelism(), cache = true } = flags
  const found = await withPool(workers, (pool) => calibrate(asked, { scope, pool, cache }))
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

/** The rows of a run, for a terminal. */
function told(rows: readonly FidelityRow[]): string {
  const lines: string[] = []
  for (const design of new Set(rows.map((r) => r.design))) {
    const mine = rows.filter((r) => r.design === design)
    const reused = mine.filter((r) => r.reused === true).length
    const earlier = reused > 0 ? `; ${reused} results are of an earlier run` : ''
    lines.push(`${design}: ${mine.length} functions of the model are in this tree${earlier}`)
    for (const result of ['differs', 'equal', 'not reached', 'not translated'] as const) {
      const some = mine.filter((r) => r.result === result)
      if (some.length > 0) lines.push('', `  ${result}: ${some.length}`)
      for (const r of some) {
        const count = r.cells > 0 ? ` (${r.cells} cells, ${r.states} final states)` : ''
        lines.push(`    ${r.c}, ${r.file}${count}`)
        if (r.detail !== '') lines.push(`      ${r.detail}`)
      }
    }
    lines.push('')
  }
  return lines.join('\n').trimEnd()
}

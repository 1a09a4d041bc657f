/**
 * `restrictedmem fidelity --linux TREE`: the functions of a kernel tree, translated, in the place of
 * the model's. Per function: equal, or the first difference, or why it could not be compared.
 */
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { UserError } from '../app/error.js'
import { packagedFile } from '../app/host/package.js'
import { builtInScenarios } from '../app/host/scenarios.js'
import type { Design } from '../designs/design.js'
import { DESIGNS } from '../designs/index.js'
import {
  type Candidate,
  calibrationModules,
  candidates,
  type TreeFile,
} from '../patch/calibrate.js'
import { scopeOf } from '../patch/facts.js'
import { type Dictionary, readDictionary } from '../patch/model/dictionary.js'
import type { Scope } from '../patch/model/scope.js'
import { ownerOf } from '../patch/translate/module.js'
import { changedSince } from './changed-since.js'
import { EXIT } from './exit.js'
import { startCParser } from './grammar.js'
import { type PatchPool, withPool } from './patch-pool.js'
import type { PatchJob, Variant } from './patch-worker.js'
import { checkTree, modelledFiles } from './tree.js'

export interface FidelityFlags {
  readonly linux: string
  /** Only these functions, by C name. */
  readonly function: readonly string[]
  /** Designs whose bodies are compared; the kernels of both versions if none is named. */
  readonly design: readonly string[]
  readonly workers?: number
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
  flags: Pick<FidelityFlags, 'function' | 'workers'>,
): Promise<FidelityRow[]> {
  const scope = scopeOf(design, words)
  const wanted = (c: string): boolean => flags.function.length === 0 || flags.function.includes(c)
  const all = candidates(files, scope, wanted)
  const { modules, list, problems } = await lowered(
    all.filter((c) => c.reason === undefined),
    scope,
  )
  const threads = flags.workers ?? availableParallelism()
  const cells = await withPool(threads, (pool) => judged(modules, list, design.id, pool))
  return all.map((c): FidelityRow => {
    const base = { c: c.c, file: c.file, design: design.id, target: c.target.ts }
    const none = { cells: 0, states: 0 }
    const problem = problems.get(c)
    if (c.reason !== undefined || problem !== undefined) {
      const detail =
        c.reason === undefined ? String(problem) : `line ${c.reason.line}: ${c.reason.reason}`
      return { ...base, ...none, result: 'not translated', detail }
    }
    return { ...base, ...(cells.get(c) ?? { ...none, result: 'not reached', detail: '' }) }
  })
}

/** Modules in which everything passes the compiler, and who fell out because of what. */
async function lowered(
  from: readonly Candidate[],
  scope: Scope,
): Promise<{
  modules: string[]
  list: readonly Candidate[]
  problems: Map<Candidate, string>
}> {
  const { lowerModule } = await import('../lower/host.js')
  const problems = new Map<Candidate, string>()
  for (;;) {
    const list = from.filter((c) => !problems.has(c))
    const texts = calibrationModules(list, scope)
    const made = texts.map((t) => ({ source: t, ...lowerModule(t) }))
    let fell = false
    for (const { source, problems: found } of made) {
      for (const p of found) {
        const owner = ownerOf(source, p.line)
        for (const c of list.filter((x) => x.pieces.some((piece) => piece.name === owner))) {
          problems.set(c, p.message.split('\n')[0] ?? '')
          fell = true
        }
        if (owner === undefined) throw new Error(`a module of ours is wrong: ${p.message}`)
      }
    }
    if (!fell) return { modules: made.map((m) => m.text), list, problems }
  }
}

type Judged = Pick<FidelityRow, 'result' | 'cells' | 'states' | 'detail'>

/**
 * Each function alone; those that differ then with what they call in the same file, since the model
 * may have split the two otherwise.
 */
async function judged(
  modules: readonly string[],
  list: readonly Candidate[],
  base: string,
  pool: PatchPool,
): Promise<Map<Candidate, Judged>> {
  const each = list.map((c) => [c])
  const alone = await judgeGroups(modules, each, base, pool)
  const found = new Map(list.map((c, i) => [c, alone[i] as Judged]))
  const again = list
    .filter((c) => found.get(c)?.result === 'differs')
    .map((c) => [c, ...list.filter((d) => d.file === c.file && c.calls.has(d.c))])
    .filter((group) => group.length > 1 && variantOf(group, modules) !== undefined)
  const together = await judgeGroups(modules, again, base, pool)
  again.forEach(([c, ...company], i) => {
    const result = together[i] as Judged
    if (result.result !== 'equal') return
    const detail = `together with ${company.map((d) => d.c).join(', ')}`
    found.set(c as Candidate, { ...result, detail })
  })
  return found
}

/**
 * The functions in the place of the model's, from the one module that has them all; undefined if
 * there is none, since helpers of theirs have one name.
 */
export function variantOf(
  group: readonly Candidate[],
  modules: readonly string[],
): Variant | undefined {
  const slots = group.flatMap((c) => c.pieces.flatMap((p) => p.replaces ?? []))
  const has = (m: string, slot: string): boolean => m.includes(`\n    ${slot}: replace(`)
  const module = modules.findIndex((m) => slots.every((s) => has(m, s)))
  return module < 0 ? undefined : { module, slots }
}

async function judgeGroups(
  modules: readonly string[],
  groups: readonly (readonly Candidate[])[],
  base: string,
  pool: PatchPool,
): Promise<Judged[]> {
  if (groups.length === 0) return []
  const variants = groups.map((group) => variantOf(group, modules) as Variant)
  const reach = groups.map((g) => g.map((c) => c.target.place))
  const jobs = builtInScenarios().map(
    ({ text }, number): PatchJob => ({ number, text, base, modules, variants, reach }),
  )
  const results = await pool.compare(jobs)
  return groups.map((_group, i): Judged => {
    const cells = results.flatMap((r) => (r.variants[i]?.cell === undefined ? [] : [r]))
    const states = cells.reduce((sum, r) => sum + (r.variants[i]?.cell?.finals ?? 0), 0)
    const first = cells.find((r) => r.variants[i]?.difference !== undefined)
    const d = first?.variants[i]?.difference
    const result = cells.length === 0 ? 'not reached' : d === undefined ? 'equal' : 'differs'
    const detail = d === undefined ? '' : `${first?.scenario}: ${d.what}, ${d.detail}`
    return { result, cells: cells.length, states, detail }
  })
}

/** The rows of a run, for a terminal. */
function told(rows: readonly FidelityRow[]): string {
  const lines: string[] = []
  for (const design of new Set(rows.map((r) => r.design))) {
    const mine = rows.filter((r) => r.design === design)
    lines.push(`${design}: ${mine.length} functions of the model are in this tree`)
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

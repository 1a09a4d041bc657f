/**
 * Functions of a tree in the place of the model's, on every scenario that reaches them. What an
 * earlier run has found is not run again: it depends on this code, the scenarios, the design, and
 * on what the C was translated to, and on nothing else of the tree.
 */
import { createHash } from 'node:crypto'
import { keepData, recallData } from '../../app/host/cache.js'
import { builtInFiles, readText } from '../../app/host/files.js'
import { CODE } from '../../app/host/package.js'
import { builtInScenarios } from '../../app/host/scenarios.js'
import { type Candidate, calibrationModules, piecesOf } from '../calibrate.js'
import type { Scope } from '../model/scope.js'
import { ownerOf, type Piece, replacedBy } from '../translate/module.js'
import type { PatchPool } from './pool.js'
import type { PatchJob, Variant } from './worker.js'

/** A function, and what it calls in the same file: the model may have split the two otherwise. */
export interface Calibrand {
  readonly alone: Candidate
  readonly company: readonly Candidate[]
}

export interface Calibration {
  /** Refused is what the compiler does not take. */
  readonly result: 'equal' | 'differs' | 'not reached' | 'refused'
  /** Scenarios that reach it, and final states of these. */
  readonly cells: number
  readonly states: number
  /** The first difference, or what the compiler says. */
  readonly detail: string
  /** What had to be replaced along with it. */
  readonly company: readonly string[]
  /** From an earlier run. */
  readonly reused: boolean
}

type Judged = Pick<Calibration, 'result' | 'cells' | 'states' | 'detail'>

/** What was not found to its end is found again: it may be this machine that came to an end. */
type JudgedAnew = Judged & { readonly isWhole: boolean }

/** Where groups are judged. */
interface Bench {
  readonly scope: Scope
  readonly pool: PatchPool
  /** Take what an earlier run has found. */
  readonly cache: boolean
}

/** Each function alone; those that differ then with what they call. */
export async function calibrate(asked: readonly Calibrand[], bench: Bench): Promise<Calibration[]> {
  const alone = await judgeGroups(
    asked.map((a) => a.alone.pieces),
    asked.map((a) => [a.alone]),
    bench,
  )
  const found = alone.map((j): Calibration => ({ ...j, company: [] }))
  const again = asked.flatMap(({ company, alone }, i) => {
    const group = [alone, ...company]
    const pieces = found[i]?.result === 'differs' ? piecesOf(group) : undefined
    return company.length === 0 || pieces === undefined ? [] : [{ i, group, pieces }]
  })
  const together = await judgeGroups(
    again.map((a) => a.pieces),
    again.map((a) => a.group),
    bench,
  )
  again.forEach(({ i, group }, n) => {
    const j = together[n] as Judged & { reused: boolean }
    if (j.result === 'equal') found[i] = { ...j, company: group.slice(1).map((c) => c.c) }
  })
  return found
}

async function judgeGroups(
  pieces: readonly (readonly Piece[])[],
  groups: readonly (readonly Candidate[])[],
  { scope, pool, cache }: Bench,
): Promise<(Judged & { readonly reused: boolean })[]> {
  const names = pieces.map((p) => nameOf(p, scope))
  const known = names.map((n) => (cache ? (recallData(n) as Judged | undefined) : undefined))
  const open = names.flatMap((_, i) => (known[i] === undefined ? [i] : []))
  const judged = await judgeAnew(
    open.map((i) => pieces[i] as readonly Piece[]),
    open.map((i) => (groups[i] as readonly Candidate[]).map((c) => c.target.place)),
    scope,
    pool,
  )
  const fresh = new Map<number, Judged>()
  for (const [n, i] of open.entries()) {
    const { isWhole, ...found } = judged[n] as JudgedAnew
    fresh.set(i, found)
    if (isWhole) keepData(names[i] as string, found)
  }
  return known.map((k, i) => ({ ...(k ?? (fresh.get(i) as Judged)), reused: k !== undefined }))
}

const hashOf = (value: unknown): string =>
  createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 32)

/** Of this code and the scenarios, which are the same for every result. */
let same: string | undefined

/** Names what a result depends on. */
function nameOf(pieces: readonly Piece[], scope: Scope): string {
  same ??= hashOf([CODE.reading, builtInFiles().map(readText)])
  const made = pieces.map((p) => [p.name, p.text, p.type, ...replacedBy(p)])
  return `calibration-${hashOf([same, scope.design.id, made])}`
}

async function judgeAnew(
  groups: readonly (readonly Piece[])[],
  reach: readonly (readonly string[])[],
  scope: Scope,
  pool: PatchPool,
): Promise<JudgedAnew[]> {
  if (groups.length === 0) return []
  const { modules, homes, problems } = await lowered(groups, scope)
  const able = groups.flatMap((_, i) => (problems.has(i) ? [] : [i]))
  const variants = able.map(
    (i, n): Variant => ({
      module: homes[n] as number,
      slots: (groups[i] as readonly Piece[]).flatMap(replacedBy),
    }),
  )
  const jobs = builtInScenarios().map(
    ({ text }, number): PatchJob => ({
      ...{ number, text, base: scope.design.id, modules, variants },
      reach: able.map((i) => reach[i] ?? []),
    }),
  )
  const results = able.length === 0 ? [] : await pool.compare(jobs)
  return groups.map((_, i): JudgedAnew => {
    const detail = problems.get(i)
    if (detail !== undefined) {
      return { result: 'refused', cells: 0, states: 0, detail, isWhole: true }
    }
    const n = able.indexOf(i)
    const cells = results.flatMap((r) => (r.variants[n]?.cell === undefined ? [] : [r]))
    const states = cells.reduce((sum, r) => sum + (r.variants[n]?.cell?.finals ?? 0), 0)
    const apart = cells.flatMap(({ scenario, variants }) => {
      const difference = variants[n]?.difference
      return difference === undefined ? [] : [{ scenario, ...difference }]
    })
    const [first] = apart
    const result = cells.length === 0 ? 'not reached' : first === undefined ? 'equal' : 'differs'
    const told = first === undefined ? '' : `${first.scenario}: ${first.what}, ${first.detail}`
    const isWhole = apart.every((d) => d.what !== 'unfinished')
    return { result, cells: cells.length, states, detail: told, isWhole }
  })
}

/** Modules in which everything passes the compiler, and which groups fell out because of what. */
async function lowered(
  groups: readonly (readonly Piece[])[],
  scope: Scope,
): Promise<{ modules: string[]; homes: readonly number[]; problems: Map<number, string> }> {
  const { lowerModule } = await import('../../lower/host.js')
  const problems = new Map<number, string>()
  for (;;) {
    const list = groups.flatMap((_, i) => (problems.has(i) ? [] : [i]))
    const { texts, homes } = calibrationModules(
      list.map((i) => groups[i] as readonly Piece[]),
      scope,
    )
    const made = texts.map((text) => lowerModule(text))
    const before = problems.size
    made.forEach(({ problems: found }, module) => {
      for (const p of found) {
        const owner = ownerOf(texts[module] as string, p.line)
        if (owner === undefined) throw new Error(`a module of ours is wrong: ${p.message}`)
        list.forEach((i, n) => {
          const has = groups[i]?.some((piece) => piece.name === owner) === true
          if (homes[n] === module && has) problems.set(i, p.message.split('\n')[0] ?? '')
        })
      }
    })
    if (problems.size === before) return { modules: made.map((m) => m.text), homes, problems }
  }
}

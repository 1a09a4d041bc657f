/**
 * Functions of a tree in the place of the model's, on every scenario that reaches them. What an
 * earlier run has found is not run again: it depends on this code, the scenarios, the design, and
 * on what the C was translated to, and on nothing else of the tree.
 */
import { createHash } from 'node:crypto'
import { keepData, recallData } from '../app/host/cache.js'
import { CODE } from '../app/host/package.js'
import { builtInScenarios } from '../app/host/scenarios.js'
import { type Candidate, calibrationModules, piecesOf } from '../patch/calibrate.js'
import type { Scope } from '../patch/model/scope.js'
import { ownerOf, type Piece, replacedBy } from '../patch/translate/module.js'
import type { PatchPool } from './patch-pool.js'
import type { PatchJob, Variant } from './patch-worker.js'

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
  for (const [n, i] of open.entries()) keepData(names[i] as string, judged[n])
  const fresh = new Map(open.map((i, n) => [i, judged[n] as Judged]))
  return known.map((k, i) => ({ ...(k ?? (fresh.get(i) as Judged)), reused: k !== undefined }))
}

/** Names what a result depends on. */
function nameOf(pieces: readonly Piece[], scope: Scope): string {
  const texts = builtInScenarios().map((s) => s.text)
  const made = pieces.map((p) => [p.name, p.text, p.type, ...replacedBy(p)])
  const on = JSON.stringify([CODE.reading, texts, scope.design.id, made])
  return `calibration-${createHash('sha256').update(on).digest('hex').slice(0, 32)}`
}

async function judgeAnew(
  groups: readonly (readonly Piece[])[],
  reach: readonly (readonly string[])[],
  scope: Scope,
  pool: PatchPool,
): Promise<Judged[]> {
  if (groups.length === 0) return []
  const { modules, homes, problems } = await lowered(groups, scope)
  const able = groups.flatMap((_, i) => (problems.has(i) ? [] : [i]))
  const variants = able.map(
    (i, n): Variant => ({
      module: homes[n] as number,
      slots: (groups[i] as readonly Piece[]).flatMap((p) => p.replaces ?? []),
    }),
  )
  const jobs = builtInScenarios().map(
    ({ text }, number): PatchJob => ({
      ...{ number, text, base: scope.design.id, modules, variants },
      reach: able.map((i) => reach[i] ?? []),
    }),
  )
  const results = able.length === 0 ? [] : await pool.compare(jobs)
  return groups.map((_, i): Judged => {
    const problem = problems.get(i)
    if (problem !== undefined) return { result: 'refused', cells: 0, states: 0, detail: problem }
    const n = able.indexOf(i)
    const cells = results.flatMap((r) => (r.variants[n]?.cell === undefined ? [] : [r]))
    const states = cells.reduce((sum, r) => sum + (r.variants[n]?.cell?.finals ?? 0), 0)
    const first = cells.find((r) => r.variants[n]?.difference !== undefined)
    const d = first?.variants[n]?.difference
    const result = cells.length === 0 ? 'not reached' : d === undefined ? 'equal' : 'differs'
    const detail = d === undefined ? '' : `${first?.scenario}: ${d.what}, ${d.detail}`
    return { result, cells: cells.length, states, detail }
  })
}

/** Modules in which everything passes the compiler, and which groups fell out because of what. */
async function lowered(
  groups: readonly (readonly Piece[])[],
  scope: Scope,
): Promise<{ modules: string[]; homes: readonly number[]; problems: Map<number, string> }> {
  const { lowerModule } = await import('../lower/host.js')
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

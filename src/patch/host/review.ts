/**
 * A patch as it came from the list, made a design, judged beside the design that it changes.
 */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { UserError } from '../../app/error.js'
import { builtInDesigns } from '../../app/host/designs.js'
import { builtInScenarios } from '../../app/host/scenarios.js'
import type { Design } from '../../designs/design.js'
import { DESIGNS } from '../../designs/index.js'
import { candidates } from '../calibrate.js'
import { ChangeError, type Changes, changesOf } from '../changes.js'
import { agreesAfter, hasEdits, inverted, judgeable, type Sides } from '../direction.js'
import { scopeOf } from '../facts.js'
import { type Patch, PatchError, patchesOf } from '../mail/patch.js'
import { mergeEdit } from '../merge/merge.js'
import type { Scope } from '../model/scope.js'
import {
  type Calibrated,
  type Check,
  type Draft,
  draft,
  type Entry,
  type Plan,
  plan,
  treeFile,
} from '../plan.js'
import { targetsOf } from '../targets.js'
import { HOLE_MARK, moduleText, ownerOf, replacedBy } from '../translate/module.js'
import { type CellPair, type Review, reviewOf } from '../verdicts.js'
import { type Calibration, calibrate } from './calibration.js'
import { KERNELS } from './compare.js'
import { dictionary } from './dictionary.js'
import { startCParser } from './grammar.js'
import { bound, keep } from './kept-design.js'
import { type PatchPool, withPool } from './pool.js'
import { allTexts, blobText, checkTree, release, treeText } from './tree.js'
import type { PatchJob, PatchResult, Variant, VariantReport } from './worker.js'

/** Which patch, and how it is judged. */
export interface ReviewAsked {
  /** The tree that the patch applies to; without one, its hunks are all that there is. */
  readonly linux?: string
  /** A design, or `auto`: the one in which most of the patch can be judged. */
  readonly base: string
  readonly reverse?: boolean
  /** `f: 0|-EINVAL`, for functions that the model does not have. */
  readonly assume: readonly string[]
  readonly workers?: number
  /** Take what an earlier run has found of the unpatched functions. */
  readonly cache?: boolean
  /** Folder for the design that the patch makes; findings then have tokens. */
  readonly out?: string
}

/** What came of it. */
export interface Reviewed {
  readonly patches: readonly Patch[]
  /** The design that it changes. */
  readonly design: Design
  readonly entries: readonly Entry[]
  /** What whole translations rest on, by the function's name. */
  readonly basis: ReadonlyMap<string, Calibrated>
  readonly review: Review
  readonly notes: readonly string[]
  /** Where the design that it makes is kept. */
  readonly path: string | undefined
  /** Of a series: what its first mails do without the others. */
  readonly columns: readonly Review[]
}

/** A mail of more than this is none. */
const MOST_BYTES = 1 << 20

/** Judge a patch in a mail. @throws UserError if there is none in it, or none for the tree */
export function reviewMail(mail: string, asked: ReviewAsked): Promise<Reviewed> {
  const threads = asked.workers ?? availableParallelism()
  return withPool(threads, (pool) => reviewWith(pool, mail, asked))
}

async function reviewWith(pool: PatchPool, mail: string, flags: ReviewAsked): Promise<Reviewed> {
  const { patches, changes } = await inputs(mail, flags)
  const words = dictionary()
  const designs = bases(flags.base, flags.linux === undefined ? undefined : release(flags.linux))
  const drafts = designs.map((design) => ({
    design,
    draft: draft(changes, scopeOf(design, words)),
  }))
  if (flags.linux === undefined && !drafts.some((d) => isKnown(d.draft))) {
    const paths = changes.files.map((f) => f.path).slice(0, 4)
    throw new UserError(`${mail}: the model has nothing of what it changes: ${paths.join(', ')}`)
  }
  const best = drafts.reduce((a, b) => (worth(b.draft) > worth(a.draft) ? b : a))
  const { design } = best
  const { lowerModule } = await import('../../lower/host.js')
  const sides = await calibrateSides(best.draft, pool, flags)
  // A design that is already as the patch makes it: what it changes is seen by taking it back.
  const isPatched = hasPatch(best.draft, sides)
  const from = isPatched ? inverted(best.draft) : best.draft
  const basis = sides[isPatched ? 'after' : 'before']
  const assumed = assumptions(flags.assume)
  const made = build(from, basis, assumed, lowerModule, 'whole')
  const other = build(from, basis, assumed, lowerModule, 'merged')
  const both = made.entries.filter(
    (e, i) => e.how === 'translated' && other.entries[i]?.how === 'merged',
  )
  const ways = both.length > 0 ? [made, other] : [made]
  const results = made.nothing === undefined ? await judge(ways, from.scope, design, pool) : []
  const pairs = results.map(pairOf).map((p) => (isPatched ? turned(p) : p))
  const all = made.nothing === undefined ? pairs : unjudged()
  const found = reviewOf(all, made.entries, made.nothing)
  const kept = await keep(flags.out, made.pieces, from.scope, patches)
  const ref = isPatched ? builtInDesigns().find((d) => d.id === design.id) : kept?.design
  const review = { ...found, cells: bound(found.cells, ref) }
  const columns = isPatched
    ? []
    : await byMail(patches, flags, from.scope, design, assumed, lowerModule, pool)
  const more = isPatched
    ? [`${design.id} has this patch already: before is ${design.id} without it`]
    : []
  const notes = [...patches.flatMap((p) => p.notes), ...changes.notes, ...misfits(changes), ...more]
  const path = isPatched ? undefined : kept?.path
  return { patches, design, entries: made.entries, basis, review, notes, path, columns }
}

/** What the first mails of a series do without the others. */
async function byMail(
  patches: readonly Patch[],
  flags: ReviewAsked,
  scope: Scope,
  design: Design,
  assumed: ReadonlyMap<string, readonly string[]>,
  lower: Lower,
  pool: PatchPool,
): Promise<Review[]> {
  const columns: Review[] = []
  for (let n = 1; n < patches.length; n++) {
    const from = draft(changesIn(patches.slice(0, n), flags), scope)
    const basis = await calibrateSide(from, 'before', pool, flags)
    const made = build(from, basis, assumed, lower, 'whole')
    const results = made.nothing === undefined ? await judge([made], from.scope, design, pool) : []
    const pairs = made.nothing === undefined ? results.map(pairOf) : unjudged()
    columns.push(reviewOf(pairs, made.entries, made.nothing))
  }
  return columns
}

function changesIn(patches: readonly Patch[], { linux, reverse }: ReviewAsked): Changes {
  const read = linux === undefined ? undefined : (path: string) => treeText(linux, path)
  const blob = linux === undefined ? undefined : (id: string) => blobText(linux, id)
  return changesOf(patches, read, reverse === true, () => allTexts(linux), blob)
}

async function inputs(
  mail: string,
  flags: ReviewAsked,
): Promise<{ patches: Patch[]; changes: Changes }> {
  const text = mailText(mail)
  const { linux } = flags
  if (linux !== undefined) checkTree(linux)
  await startCParser()
  try {
    const patches = patchesOf(text)
    return { patches, changes: changesIn(patches, flags) }
  } catch (error) {
    if (error instanceof PatchError || error instanceof ChangeError) {
      throw new UserError(`${mail}: ${error.message}`)
    }
    throw error
  }
}

function mailText(mail: string): string {
  if (!existsSync(mail)) throw new UserError(`${mail}: no such file`)
  if (!statSync(mail).isFile()) throw new UserError(`${mail}: this is no file`)
  if (statSync(mail).size > MOST_BYTES) throw new UserError(`${mail}: more than 1 MiB is no mail`)
  try {
    return readFileSync(mail, 'utf8')
  } catch (error) {
    throw new UserError(`${mail}: it cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}

/** Is a function of the patch, or a file, one that the model has something of? */
function isKnown({ changes, scope }: Draft): boolean {
  return (
    changes.functions.some((c) => targetsOf(scope, c.name, c.file).length > 0) ||
    changes.files.some((f) => scope.running().some((m) => m.models?.includes(f.path) === true))
  )
}

/** Of designs that are equally near to a patch the first is taken: of the tree's age, if that is known. */
function bases(name: string, tree: string | undefined): readonly Design[] {
  if (name === 'auto') {
    const isOld = tree !== undefined && /^(?:[0-5]\.|6\.[0-7]$)/.test(tree)
    const kernels = isOld ? KERNELS : [...KERNELS].reverse()
    const rank = (d: Design): number => (kernels.includes(d.id) ? kernels.indexOf(d.id) : 9)
    return [...DESIGNS].sort((a, b) => rank(a) - rank(b))
  }
  const found = DESIGNS.find((d) => d.id === name)
  if (found === undefined) throw new UserError(`there is no design "${name}".`)
  return [found]
}

/**
 * How near a design is to the patch: what of it can be merged into the design's functions or taken
 * away from them, and of the files that it touches, the functions that translate for the design.
 */
function worth(from: Draft): number {
  const { checks, changes, scope } = from
  const [forth, back] = bothWays(from, { before: new Map(), after: new Map() })
  const merged = judgeable(hasEdits(forth, back) ? back : forth)
  const whole = checks.filter((c) => c.side === 'before' && c.alone.reason === undefined).length
  const around = changes.files.flatMap((f) => candidates([treeFile(f, f.before)], scope))
  const able = around.filter((c) => c.reason === undefined).length
  return (merged + whole) * 1000 + able
}

function assumptions(list: readonly string[]): ReadonlyMap<string, readonly string[]> {
  return new Map(
    list.map((text) => {
      const [, name, values] = /^\s*(\w+)\s*:\s*(.+)$/.exec(text) ?? []
      const each = (values ?? '').split('|').map((v) => v.trim())
      if (name === undefined || !each.every((v) => /^-?(?:\d+|E[A-Z0-9]+)$/.test(v))) {
        throw new UserError(`--assume '${text}': wanted is 'function: 0|-EINVAL'`)
      }
      return [name, each]
    }),
  )
}

type Lower = (text: string) => {
  text: string
  problems: readonly { line: number; message: string }[]
}

/** Put the unpatched functions, translated, in the model's place: nothing may change. */
async function calibrateSides(draft: Draft, pool: PatchPool, flags: ReviewAsked): Promise<Sides> {
  const before = await calibrateSide(draft, 'before', pool, flags)
  // The other side is of interest only if this one is not the model.
  const differ = [...before.values()].some((c) => typeof c === 'object')
  const after = differ ? await calibrateSide(draft, 'after', pool, flags) : new Map()
  return { before, after }
}

/** Base and patched change places. */
function turned(pair: CellPair): CellPair {
  const { base, patched } = pair
  if (patched === undefined) return pair
  const { findings, skipped } = base
  return { ...pair, base: patched, patched: { findings, skipped, marks: patched.marks } }
}

async function calibrateSide(
  { checks, scope }: Draft,
  side: Check['side'],
  pool: PatchPool,
  { cache = true }: ReviewAsked,
): Promise<Map<string, Calibrated>> {
  const able = checks.filter((c) => c.side === side && c.alone.reason === undefined)
  const found = await calibrate(able, { scope, pool, cache })
  return new Map(able.map((c, i) => [c.entry, basisOf(found[i] as Calibration)]))
}

/** Can a whole translation rest on this? */
function basisOf({ result, detail, company }: Calibration): Calibrated {
  if (result === 'differs' || result === 'refused') return { differs: detail }
  if (result === 'not reached') return 'not reached'
  return company.length > 0 ? 'company' : 'alone'
}

function planned(
  from: Draft,
  basis: ReadonlyMap<string, Calibrated>,
  assumed: ReadonlyMap<string, readonly string[]>,
  broken: ReadonlyMap<string, string>,
  prefer: 'whole' | 'merged' = 'whole',
): Plan {
  const calibrated = (name: string): Calibrated => basis.get(name)
  return plan(from, { calibrated, checks: from.checks, assumed, broken, merge: mergeEdit, prefer })
}

function bothWays(from: Draft, sides: Sides): readonly [Plan, Plan] {
  const [none, nothing] = [new Map<string, readonly string[]>(), new Map<string, string>()]
  return [
    planned(from, sides.before, none, nothing),
    planned(inverted(from), sides.after, none, nothing),
  ]
}

function hasPatch(from: Draft, sides: Sides): boolean {
  return agreesAfter(from, sides) || hasEdits(...bothWays(from, sides))
}

interface Made extends Plan {
  readonly module: string
}

/** Plan and compile; what the compiler refuses is planned again without it. */
function build(
  from: Draft,
  basis: ReadonlyMap<string, Calibrated>,
  assumed: ReadonlyMap<string, readonly string[]>,
  lower: Lower,
  prefer: 'whole' | 'merged',
): Made {
  const broken = new Map<string, string>()
  for (let tries = 0; tries < 20; tries++) {
    const made = planned(from, basis, assumed, broken, prefer)
    const source = moduleText(made.pieces, from.scope, 'made by review')
    const { text, problems } = lower(source)
    if (problems.length === 0) return { ...made, module: text }
    const before = broken.size
    for (const p of problems) {
      const owner = ownerOf(source, p.line)
      if (owner !== undefined) broken.set(owner, p.message.split('\n')[0] ?? '')
    }
    if (broken.size === before) break
  }
  throw new UserError(`the patch cannot be made a design: ${[...broken.values()][0] ?? ''}`)
}

/** The bodies of which a cell runs one if the patch can matter to it; none: any cell. */
export function reachOf({ entries, pieces }: Plan, scope: Scope): readonly string[] {
  // Who asks whether a slot is filled runs none of its functions.
  if (pieces.some((p) => p.slots !== undefined)) return []
  const own = entries.flatMap((e) => (e.how === 'no effect' ? [] : e.targets))
  // A trap stands where somebody rests on the patch, which need not be in it.
  const replaced = new Set(pieces.flatMap((p) => p.replaces ?? []))
  const all = scope.running().filter((f) => replaced.has((scope.slotOf(f) ?? f).ts))
  const places = [...own, ...all].map((f) => f.place)
  return places.length === 0 ? ['nothing of the patch runs'] : places
}

/** All scenarios on the base and on the design; a second one is compared with the first. */
async function judge(
  ways: readonly Made[],
  scope: Scope,
  design: Design,
  pool: PatchPool,
): Promise<readonly PatchResult[]> {
  const reach = ways.map((way) => reachOf(way, scope))
  const variants = ways.map(({ pieces }, module): Variant => {
    const slots = pieces.flatMap(replacedBy)
    return module === 0 ? { module, slots } : { module, slots, against: 0 }
  })
  const modules = ways.map((w) => w.module)
  const jobs = builtInScenarios().map(
    ({ text }, number): PatchJob => ({ number, text, base: design.id, modules, variants, reach }),
  )
  return pool.compare(jobs)
}

function pairOf({ scenario, base, variants }: PatchResult): CellPair {
  const [patched, other] = variants
  const otherWay = isWhole(patched) && isWhole(other) ? other?.difference : undefined
  return { scenario, base, patched: patched?.cell, difference: patched?.difference, otherWay }
}

/** Every scenario, of which nothing is said. */
function unjudged(): CellPair[] {
  const base = { findings: [], skipped: undefined }
  return builtInScenarios().map(({ scenario }) => ({
    ...{ scenario: scenario.name, base, patched: undefined, difference: undefined },
  }))
}

/** Did it come to its end without a trap? */
function isWhole(v: VariantReport | undefined): boolean {
  return v?.cell?.marks.some((m) => m.startsWith(HOLE_MARK)) === false
}

function misfits(changes: Changes): string[] {
  return changes.files.flatMap((f) =>
    f.misfits.map((m) => `${f.path}: ${m}; nothing of it is judged`),
  )
}

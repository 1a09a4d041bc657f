/**
 * From what a patch changes to what a design replaces: for each function whether it is translated
 * whole, merged into the model's, new, without effect, not modelled, or a trap.
 */
import type { CFunction } from './c/functions.js'
import { type Candidate, calledBy, candidates, replacement, type TreeFile } from './calibrate.js'
import type { Change, ChangedFile, Changes, Side } from './changes.js'
import type { ModelFunction } from './model/dictionary.js'
import type { Scope } from './model/scope.js'
import { type Concern, leftOut, outsideEntry } from './outside.js'
import { tableEntry } from './tables.js'
import { bodiesFor, targetsOf } from './targets.js'
import type { Piece } from './translate/module.js'
import { Session, type Sources } from './translate/session.js'
import { Hole, type HoleNote } from './translate/work.js'
import { trapPiece, trapped, usersText } from './traps.js'
import { ripple, type Word } from './users.js'

export type How =
  | 'translated'
  | 'merged'
  | 'new'
  | 'removed'
  | 'no effect'
  | 'not modelled'
  | 'not translated'

/** What becomes of one function, or table, of the patch. */
export interface Entry {
  readonly name: string
  readonly file: string
  readonly kind: Change['kind'] | 'table' | 'outside'
  readonly how: How
  /** The model's functions that run it. */
  readonly targets: readonly ModelFunction[]
  /** Why it is not translated, with the line of the new file. */
  readonly holes: readonly HoleNote[]
  readonly dropped: readonly string[]
  readonly assumptions: readonly string[]
  readonly edits?: number
  readonly found?: number
  readonly lines: ReadonlySet<number>
}

/** Calibration of a function on one side of the patch, that a whole translation rests on. */
export interface Check {
  readonly entry: string
  readonly side: 'before' | 'after'
  readonly alone: Candidate
  /** With what it calls in the same file, for functions that the model splits otherwise. */
  readonly company: readonly Candidate[]
}

export interface Draft {
  readonly scope: Scope
  readonly changes: Changes
  readonly checks: readonly Check[]
}

/**
 * What must be calibrated before the design can be made: every changed function, on both sides, and
 * every function of the same files that calls one which the model does not have.
 */
export function draft(from: Changes, scope: Scope): Draft {
  const sides = ['before', 'after'] as const
  const changes = { ...from, functions: [...from.functions, ...carriedBy(from, scope)] }
  const checks = changes.functions.flatMap((change): Check[] => {
    const file = changes.files.find((f) => f.path === change.file)
    const isWhole = change.kind === 'changed' && change.after?.partial !== true
    if (!isWhole || file === undefined) return []
    return sides.flatMap((side): Check[] => {
      const source = treeFile(file, file[side])
      const [alone] = candidates([source], scope, (c) => c === change.name)
      if (alone === undefined) return []
      const company = candidates([source], scope, (c) => c !== change.name && alone.calls.has(c))
      const able = company.filter((c) => c.reason === undefined)
      return [{ entry: change.name, side, alone, company: able }]
    })
  })
  return { scope, changes, checks }
}

/** Functions that the model has, as callers of changed ones that it does not have. */
function carriedBy(changes: Changes, scope: Scope): Change[] {
  const own = new Set(changes.functions.map((c) => c.name))
  const words = changes.functions
    .filter((c) => c.kind === 'changed' && targetsOf(scope, c.name, c.file).length === 0)
    .map(wordOf)
  if (words.length === 0) return []
  const isModelled = (name: string, file: string): boolean =>
    targetsOf(scope, name, file).length > 0
  const { users } = ripple(words, scope, changes.around, isModelled)
  return users.flatMap(({ name, file }): Change[] => {
    const source = changes.files.find((f) => f.path === file)
    const [before, after] = [source?.before.functions.get(name), source?.after.functions.get(name)]
    if (own.has(name) || before === undefined || after === undefined) return []
    const lines = new Set<number>()
    return [{ kind: 'changed', name, file, before, after, lines, carried: true }]
  })
}

/** Where a changed function can be named. */
function wordOf({ name, file, before, after }: Change): Word {
  const isStatic = [before, after].some((f) => f !== undefined && /^static\b/.test(f.node.text))
  return { word: name, only: isStatic && !file.endsWith('.h') ? file : undefined }
}

export function treeFile(file: ChangedFile, side: Side): TreeFile {
  return { path: file.path, functions: side.functions, tables: side.tables }
}

/** How the calibration of a function ended. */
export type Calibrated =
  | 'alone'
  | 'company'
  | 'not reached'
  | { readonly differs: string }
  | undefined

export interface Plan {
  readonly entries: readonly Entry[]
  readonly pieces: readonly Piece[]
  /** Why nothing at all can be judged. */
  readonly nothing: string | undefined
}

/** What a merge of an edit into the model's function gave. */
export type Merge = (
  change: Change,
  target: ModelFunction,
  session: Session,
) =>
  | {
      readonly text: string
      readonly edits: number
      /** Edits that took away or changed what the model has. */
      readonly found: number
      readonly byWords: boolean
    }
  | { readonly conflict: string }

/**
 * The design's pieces and the story of every function. `calibrated` says which whole translations
 * can be trusted; `broken` are names of pieces that the compiler refused, with its message.
 */
export function plan(
  { scope, changes }: Draft,
  options: {
    readonly calibrated: (name: string) => Calibrated
    readonly checks: readonly Check[]
    readonly assumed: ReadonlyMap<string, readonly string[]>
    readonly broken: ReadonlyMap<string, string>
    readonly merge: Merge
    /** Which of the two ways is taken where both are open. */
    readonly prefer?: 'whole' | 'merged'
  },
): Plan {
  const brought = new Set(changes.functions.filter((c) => c.kind === 'new').map((c) => c.name))
  const lines = new Map(changes.functions.map((c) => [c.name, c.lines]))
  const isUnknown = (c: Change): boolean => targetsOf(scope, c.name, c.file).length === 0
  const session = new Session(scope, sourcesAfter(changes), {
    brought,
    touched: new Set(changes.functions.filter(isUnknown).map((c) => c.name)),
    assumed: options.assumed,
    watched: (name) => lines.get(name) ?? new Set(),
  })
  session.tablesWith = (name) =>
    changes.files
      .flatMap((f) => [...f.after.tables.values()])
      .filter((t) => t.slots.some(([, value]) => value === name))
  const entries: Entry[] = []
  const pieces: Piece[] = []
  const traps = new Map<string, Piece>()
  const trap = (target: ModelFunction, why: string): void => {
    const name = `${target.ts}$`
    if (!traps.has(name)) traps.set(name, trapPiece(target, why, scope))
  }
  let nothing: string | undefined
  const carried = new Set(changes.functions.filter((c) => c.carried).map((c) => c.name))
  const isModelled = (name: string, file: string): boolean =>
    targetsOf(scope, name, file).length > 0
  const file = (path: string, why: string): void => {
    const name = path.slice(path.lastIndexOf('/') + 1)
    const own = scope.running().filter((f) => f.models?.includes(name))
    if (path.endsWith('.h') || own.length === 0) nothing ??= `${path}: ${why}`
    for (const t of own) trap(t, why)
  }
  const concern: Concern = (words, why) => {
    const found = ripple(words, scope, changes.around, isModelled)
    if (found.everything !== undefined) nothing ??= found.everything
    for (const { only } of words) if (!changes.around.isWhole && only !== undefined) file(only, why)
    for (const t of found.inModel) trap(t, why)
    for (const u of found.users.filter((x) => !carried.has(x.name))) {
      for (const t of targetsOf(scope, u.name, u.file)) trap(t, why)
    }
    return usersText(found)
  }
  const uses: Context = { scope, changes, session, pieces, trap, concern, file, ...options }
  for (const change of changes.functions) {
    if (change.kind === 'new') entries.push(newEntry(change, uses))
    else if (change.kind === 'removed') entries.push(removedEntry(change, uses))
    else entries.push(changedEntry(change, uses))
  }
  for (const t of changes.tables) entries.push(tableEntry(t, uses))
  for (const o of changes.outside) entries.push(outsideEntry(o, uses))
  for (const f of changes.files) entries.push(...leftOut(f))
  for (const o of changes.others) {
    const { path, reason, concerns } = o
    if (concerns === 'everything') nothing ??= `${path}: ${reason}`
    const how = concerns === 'nothing' ? 'no effect' : 'not modelled'
    entries.push({ ...NOTHING, name: path, file: path, how, holes: [{ reason, line: 0, c: '' }] })
  }
  const free = pieces.filter((p) => !traps.has(p.name))
  return {
    entries: entries.map((e) => trapped(e, traps)),
    pieces: [...session.pieces, ...free, ...traps.values()],
    nothing,
  }
}

/** What every entry about something else than a function has. */
export const NOTHING = {
  kind: 'outside',
  lines: new Set<number>(),
  targets: [],
  dropped: [],
  assumptions: [],
} as const

export interface Context {
  readonly scope: Scope
  readonly changes: Changes
  readonly session: Session
  readonly pieces: Piece[]
  readonly trap: (target: ModelFunction, why: string) => void
  /** Whoever rests on these words is not judged; says who that is. */
  readonly concern: Concern
  /** Nothing that is modelled of a file is judged. */
  readonly file: (path: string, why: string) => void
  readonly calibrated: (name: string) => Calibrated
  readonly checks: readonly Check[]
  readonly broken: ReadonlyMap<string, string>
  readonly merge: Merge
  readonly prefer?: 'whole' | 'merged'
}

function sourcesAfter(changes: Changes): Sources {
  return {
    functionNamed: (name) => {
      for (const file of changes.files) {
        const f = file.after.functions.get(name)
        if (f !== undefined) return { f, file: file.path }
      }
      return undefined
    },
    tableNamed: (name) => {
      for (const file of changes.files) {
        const t = file.after.tables.get(name)
        if (t !== undefined) return t
      }
      return undefined
    },
  }
}

function entryOf(change: Change, how: How, more: Partial<Entry> = {}): Entry {
  const { name, file, kind, lines } = change
  const empty = { targets: [], holes: [], dropped: [], assumptions: [] }
  return { name, file, kind, how, lines, ...empty, ...more }
}

function newEntry(change: Change, uses: Context): Entry {
  const { session, scope, trap } = uses
  const there = bodiesFor(scope, change.name)
  if (there.length > 0) {
    const reason = 'the model has a function of this name, and who calls which is not known'
    for (const t of there) trap(t, `${change.name}: ${reason}`)
    return entryOf(change, 'not translated', { targets: there, holes: [note(change, reason)] })
  }
  session.newFunction(change.name)
  const made = session.newFunctions.get(change.name)
  if (made === undefined) {
    const reason = 'its parameters or its result are not in the model'
    return entryOf(change, 'not translated', { holes: [note(change, reason)] })
  }
  const { holes, dropped, assumptions } = made.translated
  return entryOf(change, 'new', { holes, dropped, assumptions })
}

function note(change: Change, reason: string): HoleNote {
  return { reason, line: change.after?.node.line ?? change.before?.node.line ?? 0, c: '' }
}

function removedEntry(change: Change, { changes, concern }: Context): Entry {
  const callers = changes.files.flatMap((f) =>
    [...f.after.functions.values()].filter((g) => calledBy(g).has(change.name)),
  )
  if (callers.length === 0) return entryOf(change, 'removed')
  const reason = `it is gone, and ${callers[0]?.name}() still calls it`
  concern([wordOf(change)], `${change.name}: ${reason}`)
  return entryOf(change, 'removed', { holes: [note(change, reason)] })
}

function changedEntry(change: Change, uses: Context): Entry {
  const { scope, trap, broken } = uses
  const { after } = change
  const targets = targetsOf(scope, change.name, change.file)
  const bodies = bodiesFor(scope, change.name).filter((f) => targets.includes(f))
  if (targets.length === 0) {
    const users = uses.concern([wordOf(change)], `it rests on ${change.name}(), which changes`)
    const reason = `the model has nothing of it; who rests on it: ${users}`
    return entryOf(change, 'not modelled', { holes: [note(change, reason)] })
  }
  const refuse = (holes: readonly HoleNote[]): Entry => {
    for (const t of targets) trap(t, holes[0]?.reason ?? 'not translated')
    return entryOf(change, 'not translated', { targets, holes })
  }
  if (after === undefined || after.node.broken)
    return refuse([note(change, 'the C parser cannot read it')])
  const [target] = bodies
  const notWhole = whyNotWhole(change, bodies, broken)
  const byWhole = (): Entry | { readonly holes: readonly HoleNote[] } =>
    target === undefined || notWhole !== undefined
      ? { holes: notWhole ?? [] }
      : wholly(change, target, uses)
  const byMerge = (): Entry | { readonly holes: readonly HoleNote[] } =>
    mergedInto(change, targets, uses)
  const both = uses.prefer === 'merged' ? [byMerge, byWhole] : [byWhole, byMerge]
  // Where the function itself is as it was there is no edit to merge.
  const ways = change.carried ? [byWhole] : both
  const holes: HoleNote[] = []
  for (const way of ways) {
    const found = way()
    if ('how' in found) return found
    holes.unshift(...found.holes)
  }
  return refuse(holes)
}

/** Why nobody may try to translate it whole; undefined if one may. */
function whyNotWhole(
  change: Change,
  bodies: readonly ModelFunction[],
  broken: ReadonlyMap<string, string>,
): readonly HoleNote[] | undefined {
  if (change.after?.partial === true) return []
  const [target] = bodies
  if (target === undefined || bodies.length > 1) {
    return [note(change, 'the model has it in other pieces')]
  }
  const refused = broken.get(`${target.ts}$`)
  return refused === undefined ? undefined : [note(change, refused)]
}

/** The edit merged into the one of the model's functions in which it has a place. */
function mergedInto(
  change: Change,
  targets: readonly ModelFunction[],
  { merge, session, broken, pieces, scope }: Context,
): Entry | { readonly holes: readonly HoleNote[] } {
  const merged = targets.map((t) => ({ t, m: merge(change, t, session) }))
  const able = merged.filter(({ t, m }) => 'text' in m && !broken.has(`${t.ts}$`))
  // Where the statement itself was found is better than where its words are.
  const certain = able.filter(({ m }) => 'text' in m && !m.byWords)
  const good = certain.length > 0 ? certain : able
  const [only] = good
  if (good.length === 1 && only !== undefined && 'text' in only.m) {
    pieces.push(replacementOf(change, only.t, only.m.text, scope))
    const { edits, found } = only.m
    return entryOf(change, 'merged', { targets: [only.t], edits, found })
  }
  const conflicts = merged.flatMap(({ m }) => ('conflict' in m ? [note(change, m.conflict)] : []))
  if (good.length > 1) {
    const names = good.map(({ t }) => t.c).join(' and ')
    conflicts.unshift(note(change, `the edit fits in ${names}`))
  }
  return { holes: conflicts }
}

/** The function translated whole, if that can be trusted; otherwise why not. */
function wholly(
  change: Change,
  target: ModelFunction,
  uses: Context,
): Entry | { readonly holes: readonly HoleNote[] } {
  const { scope, session, pieces, calibrated } = uses
  try {
    const made = session.inPlace(change.after as CFunction, target)
    const { dropped, assumptions } = made
    const before = uses.checks.find((c) => c.entry === change.name && c.side === 'before')
    const old = before?.alone.pieces.find((p) => p.replaces !== undefined)
    const isSame = old !== undefined && old.text === `fn(${withoutMarks(made.text)})`
    if (isSame && helpersAgree(before?.alone.pieces ?? [], session)) {
      return entryOf(change, 'no effect', { targets: [target], dropped })
    }
    const basis = calibrated(change.name)
    if (made.holes.length > 0 && basis === undefined) return { holes: made.holes }
    if (basis === undefined) {
      const reason = before?.alone.reason
      return { holes: [reason ?? note(change, 'its translation was not calibrated')] }
    }
    if (typeof basis === 'object') {
      return { holes: [note(change, `before the patch its translation differs: ${basis.differs}`)] }
    }
    if (basis === 'company') {
      for (const c of before?.company ?? []) {
        for (const p of c.pieces) if (!pieces.some((q) => q.name === p.name)) pieces.push(p)
      }
    }
    const piece = replacementOf(change, target, made.text, scope)
    const at = pieces.findIndex((p) => p.name === piece.name)
    if (at >= 0) pieces[at] = piece
    else pieces.push(piece)
    return entryOf(change, 'translated', {
      targets: [target],
      holes: made.holes,
      dropped,
      assumptions,
    })
  } catch (error) {
    if (!(error instanceof Hole)) throw error
    return { holes: [note(change, error.message)] }
  }
}

/** Are the helpers that came along before the patch the same after it? */
function helpersAgree(before: readonly Piece[], session: Session): boolean {
  return before
    .filter((p) => p.replaces === undefined)
    .every((p) =>
      session.pieces.some(
        (q) => q.name === p.name && withoutMarks(q.text) === withoutMarks(p.text),
      ),
    )
}

function withoutMarks(text: string): string {
  return text.replace(/^ *mark\('line [^\n]*\n/gm, '')
}

function replacementOf(change: Change, target: ModelFunction, text: string, scope: Scope): Piece {
  return replacement(change.after as CFunction, change.file, target, text, scope)
}

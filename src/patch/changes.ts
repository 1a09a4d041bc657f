/** What a patch does to C: functions and tables before and after it. */

import { Around } from './around.js'
import { type CFunction, type CTable, functionsOf, tablesOf } from './c/functions.js'
import { parseC, squash } from './c/parse.js'
import { shownChanges } from './hunks.js'
import { type Item, type ItemChange, itemsApart, itemsOf } from './items.js'
import { applyPatch } from './mail/apply.js'
import type { FilePatch, Patch } from './mail/patch.js'
import { type OtherFile, otherFiles } from './other-files.js'

/** A file of the tree, before and after. */
export interface ChangedFile {
  readonly path: string
  readonly before: Side
  readonly after: Side
  /** Hunks that do not fit: nothing of the file is judged. */
  readonly misfits: readonly string[]
}

export interface Side {
  readonly text: string
  readonly functions: ReadonlyMap<string, CFunction>
  readonly tables: ReadonlyMap<string, CTable>
  /** What stands at the top of the file. */
  readonly items: readonly Item[]
}

export type ChangeKind = 'changed' | 'new' | 'removed'

/** One function that the patch touches. */
export interface Change {
  readonly kind: ChangeKind
  readonly name: string
  readonly file: string
  readonly before: CFunction | undefined
  readonly after: CFunction | undefined
  /** Lines of the new file that the patch brought into it. */
  readonly lines: ReadonlySet<number>
  /** The patch does not touch it, but what it calls. */
  readonly carried?: true
}

/** One table of operations; `was` is undefined for a new one, `table` what it is after that. */
export interface TableChange {
  readonly table: CTable
  readonly was: CTable | undefined
  readonly file: string
}

export interface Changes {
  readonly files: readonly ChangedFile[]
  readonly functions: readonly Change[]
  /** Tables whose slots change, new ones, and some that are gone. */
  readonly tables: readonly TableChange[]
  /** Everything else at the top of a file: types, data, macros, prototypes. */
  readonly outside: readonly (ItemChange & { readonly file: string })[]
  /** Files that are no C, or that the tree does not have. */
  readonly others: readonly OtherFile[]
  /** Where else to look for who uses what. */
  readonly around: Around
  readonly notes: readonly string[]
}

/** A mistake that leaves nothing to judge; the message is for the user. */
export class ChangeError extends Error {}

const IS_C = /\.[ch]$/

/**
 * Apply the patches one after the other to the files that `read` gives; without it, their hunks are
 * all that there is. A tree that has a patch already is taken back to before it, with a note; so is
 * everything with `reverse`.
 *
 * @throws ChangeError if the patch and the tree have nothing to do with each other.
 */
export function changesOf(
  patches: readonly Patch[],
  read: ((path: string) => string | undefined) | undefined,
  reverse: boolean,
  rest: () => ReadonlyMap<string, string> = () => new Map(),
  blob: (id: string) => string | undefined = () => undefined,
): Changes {
  if (read === undefined) return changesWithoutTree(patches, reverse)
  const texts = new Map<string, { before: string; after: string }>()
  const misfits = new Map<string, string[]>()
  const notes = new Set<string>()
  const missing: string[] = []
  for (const patch of patches) {
    for (const file of patch.files.filter(isOurs)) {
      const made = file.old === undefined
      const text = texts.get(file.path)?.after ?? read(file.path) ?? (made ? '' : undefined)
      if (text === undefined) {
        missing.push(file.path)
        continue
      }
      const fits = turned(text, file, reverse)
      const from =
        fits.wrong.length > 0 && !texts.has(file.path) ? file.blobs?.[reverse ? 1 : 0] : undefined
      const base = from === undefined ? undefined : blob(from)
      const other = base === undefined ? fits : turned(base, file, reverse)
      const { before, after, wrong, note } = other.wrong.length === 0 ? other : fits
      if (base !== undefined && wrong.length === 0) {
        notes.add(`${file.path}: not as the patch wants it; taken from its git, blob ${from}`)
      }
      if (note !== undefined) notes.add(note)
      const first = texts.get(file.path)
      texts.set(file.path, { before: first?.before ?? before, after })
      if (wrong.length > 0) misfits.set(file.path, [...(misfits.get(file.path) ?? []), ...wrong])
    }
  }
  if (texts.size === 0) throw new ChangeError(nothing(patches, missing))
  const files = [...texts].map(
    ([path, { before, after }]): ChangedFile => ({
      path,
      before: sideOf(before),
      after: sideOf(after),
      misfits: misfits.get(path) ?? [],
    }),
  )
  if (files.every((f) => f.misfits.length > 0)) {
    throw new ChangeError(files.flatMap((f) => f.misfits.map((m) => `${f.path}: ${m}`)).join('\n'))
  }
  return {
    files,
    functions: moved(files.flatMap(functionChanges)),
    tables: files.flatMap(tableChanges),
    outside: files.flatMap(outsideChanges),
    others: [...otherFiles(patches, isOurs), ...lost(missing, files)],
    around: new Around(files, rest, true),
    notes: [...notes],
  }
}

/** C of this kernel: of the architecture that the model is. */
function isOurs({ path }: { readonly path: string }): boolean {
  return IS_C.test(path) && !/^arch\/(?!x86\/)/.test(path)
}

/** Files that cannot be judged since they are not as the patch says. */
function lost(missing: readonly string[], files: readonly ChangedFile[]): OtherFile[] {
  return [
    ...[...new Set(missing)].map((path) => ({ path, reason: 'this tree does not have it' })),
    ...files.flatMap((f) => f.misfits.slice(0, 1).map((why) => ({ path: f.path, reason: why }))),
  ].map((f) => ({ ...f, concerns: 'everything' }))
}

/** A function that goes in one file and comes in another one is changed, if at all. */
function moved(all: readonly Change[]): Change[] {
  const gone = all.filter((c) => c.kind === 'removed')
  const pairs = all.flatMap((c) => {
    const old = c.kind === 'new' ? gone.find((g) => g.name === c.name) : undefined
    return old === undefined ? [] : [{ old, change: { ...c, kind: 'changed', before: old.before } }]
  })
  const names = new Set(pairs.map((p) => p.change.name))
  return [...all.filter((c) => !names.has(c.name)), ...pairs.map((p) => p.change as Change)]
}

function changesWithoutTree(patches: readonly Patch[], reverse: boolean): Changes {
  if (!patches.some((p) => p.files.some(isOurs))) {
    throw new ChangeError(nothing(patches, []))
  }
  return shownChanges(patches, reverse, isOurs)
}

function nothing(patches: readonly Patch[], missing: readonly string[]): string {
  if (missing.length > 0) {
    return `none of the files of this patch is in the tree: ${[...new Set(missing)].slice(0, 4).join(', ')}`
  }
  const paths = patches.flatMap((p) => p.files.map((f) => f.path))
  return `this patch changes no C file: ${paths.slice(0, 4).join(', ')}`
}

function turned(
  text: string,
  file: FilePatch,
  reverse: boolean,
): { before: string; after: string; wrong: string[]; note: string | undefined } {
  const forth = applyPatch(text, file, reverse)
  if (forth.misfits.length === 0) {
    return { before: text, after: forth.text, wrong: [], note: undefined }
  }
  const back = applyPatch(text, file, !reverse)
  if (back.misfits.length === 0) {
    const note = `${file.path}: the tree has this patch already; before is the tree without it (--reverse asks what it undoes)`
    return { before: back.text, after: text, wrong: [], note: reverse ? undefined : note }
  }
  const wrong = forth.misfits.map(({ hunk, why }) => `the hunk at line ${hunk.oldStart}: ${why}`)
  return { before: text, after: text, wrong, note: undefined }
}

function sideOf(text: string): Side {
  const root = parseC(text)
  return { text, functions: functionsOf(root), tables: tablesOf(root), items: itemsOf(text, root) }
}

function outsideChanges({ path, before, after, misfits }: ChangedFile): Changes['outside'] {
  if (misfits.length > 0) return []
  return itemsApart(before.items, after.items).map((o) => ({ ...o, file: path }))
}

function functionChanges({ path, before, after, misfits }: ChangedFile): Change[] {
  if (misfits.length > 0) return []
  const changes: Change[] = []
  const fresh = freshLines(before.text, after.text)
  const lines = (f: CFunction): ReadonlySet<number> => {
    const span = f.node.text.split('\n').length
    return new Set(fresh.filter((l) => l >= f.node.line && l < f.node.line + span))
  }
  for (const [name, now] of after.functions) {
    const was = before.functions.get(name)
    const base = { name, file: path, before: was, after: now }
    if (was === undefined) changes.push({ ...base, kind: 'new', lines: lines(now) })
    else if (squash(was.node.text) !== squash(now.node.text)) {
      changes.push({ ...base, kind: 'changed', lines: lines(now) })
    }
  }
  for (const [name, was] of before.functions) {
    if (after.functions.has(name)) continue
    const base = { name, file: path, before: was, after: undefined }
    changes.push({ ...base, kind: 'removed', lines: new Set() })
  }
  return changes
}

/** Lines (from 1) of the new text that are not in the old one: a longest common subsequence. */
function freshLines(before: string, after: string): number[] {
  const a = before.split('\n').map(squash)
  const b = after.split('\n').map(squash)
  let [from, endA, endB] = [0, a.length, b.length]
  while (from < endA && from < endB && a[from] === b[from]) from++
  while (endA > from && endB > from && a[endA - 1] === b[endB - 1]) {
    endA--
    endB--
  }
  const common = commonLines(a.slice(from, endA), b.slice(from, endB))
  const fresh: number[] = []
  for (let i = from; i < endB; i++) if (!common.has(i - from)) fresh.push(i + 1)
  return fresh
}

/** Indices in b of a longest common subsequence. Large regions are compared line by line. */
function commonLines(a: readonly string[], b: readonly string[]): ReadonlySet<number> {
  const width = b.length + 1
  const longest = new Int32Array((a.length + 1) * width)
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      longest[i * width + j] =
        a[i] === b[j]
          ? (longest[(i + 1) * width + j + 1] as number) + 1
          : Math.max(longest[(i + 1) * width + j] as number, longest[i * width + j + 1] as number)
    }
  }
  const found = new Set<number>()
  let [i, j] = [0, 0]
  while (i < a.length && j < b.length) {
    if (a[i] === b[j]) {
      found.add(j)
      i++
      j++
    } else if ((longest[(i + 1) * width + j] as number) >= (longest[i * width + j + 1] as number)) {
      i++
    } else j++
  }
  return found
}

function tableChanges({ path, before, after, misfits }: ChangedFile): Changes['tables'] {
  if (misfits.length > 0) return []
  return tablesApart(before.tables, after.tables, path)
}

/** Tables that are not the same; one that is gone has no slots any more. */
export function tablesApart(
  before: ReadonlyMap<string, CTable>,
  after: ReadonlyMap<string, CTable>,
  file: string,
): TableChange[] {
  const changed = [...after.values()].flatMap((table): TableChange[] => {
    const was = before.get(table.name)
    if (was !== undefined && JSON.stringify(was.slots) === JSON.stringify(table.slots)) return []
    return [{ table, was, file }]
  })
  const gone = [...before.values()].filter((t) => !after.has(t.name))
  return [...changed, ...gone.map((was) => ({ table: { ...was, slots: [] }, was, file }))]
}

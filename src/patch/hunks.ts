/**
 * What a patch changes when there is no tree: its hunks are all that is known of the C. A function
 * that a hunk shows whole is a function; of any other there are fragments, with gaps between them
 * into which nothing may be read.
 */

import { Around } from './around.js'
import { type CFunction, type CTable, functionsOf, GAP, tablesOf } from './c/functions.js'
import { parseC, squash } from './c/parse.js'
import { type Change, type ChangedFile, type Changes, type Side, tablesApart } from './changes.js'
import { type Item, itemsApart, itemsOf } from './items.js'
import type { FilePatch, Hunk, Patch } from './mail/patch.js'
import { otherFiles } from './other-files.js'

interface Line {
  readonly text: string
  /** In the file of its side. */
  readonly number: number
  readonly isNew: boolean
}

/** Lines of a hunk that belong to one function, or to the file. */
interface Segment {
  readonly kind: 'whole' | 'part' | 'file'
  readonly name: string
  /** Of a part: what stands before its `{`, and whether the function begins and ends in it. */
  readonly header: string
  readonly begins: boolean
  readonly ends: boolean
  readonly lines: readonly Line[]
}

/** Functions and tables as far as the hunks show them. */
export function shownChanges(
  patches: readonly Patch[],
  reverse: boolean,
  isOurs: (file: FilePatch) => boolean,
): Changes {
  const files = new Map<string, FilePatch[]>()
  for (const patch of patches) {
    for (const f of patch.files.filter(isOurs)) {
      files.set(f.path, [...(files.get(f.path) ?? []), f])
    }
  }
  const shown = [...files].map(([path, list]) => fileShown(path, list, reverse))
  return {
    files: shown.map((s) => s.file),
    others: otherFiles(patches, isOurs),
    around: new Around(
      shown.map((s) => s.file),
      () => new Map(),
      false,
    ),
    functions: shown.flatMap((s) => s.functions),
    tables: shown.flatMap((s) => s.tables),
    outside: shown.flatMap((s) => s.outside),
    notes: ['without a tree: what the hunks do not show is taken to be as the model has it'],
  }
}

interface Shown {
  readonly file: ChangedFile
  readonly functions: readonly Change[]
  readonly tables: Changes['tables']
  readonly outside: Changes['outside']
}

function fileShown(path: string, list: readonly FilePatch[], reverse: boolean): Shown {
  const hunks = list.flatMap((f) => f.hunks)
  const [was, now] = ([reverse ? '+' : '-', reverse ? '-' : '+'] as const).map((op) =>
    hunks.map((h) => segmentsOf(sideOf(h, op, reverse), functionHeader(h.around), h)),
  ) as [Segment[][], Segment[][]]
  const before = wholeSide(was.flat())
  const after = wholeSide(now.flat())
  const functions: Change[] = []
  for (const [name, f] of after.functions) {
    const old = before.functions.get(name)
    const base = { name, file: path, before: old, after: f, lines: newLines(now.flat(), name) }
    if (old === undefined) functions.push({ ...base, kind: 'new' })
    else if (squash(old.node.text) !== squash(f.node.text))
      functions.push({ ...base, kind: 'changed' })
  }
  for (const [name, f] of before.functions) {
    if (after.functions.has(name)) continue
    const lines = new Set<number>()
    functions.push({ kind: 'removed', name, file: path, before: f, after: undefined, lines })
  }
  functions.push(...partialChanges(path, was, now))
  const tables = tablesApart(before.tables, after.tables, path).flatMap((t) => {
    // A table whose beginning is shown on one side only is new, or gone; else its hunk is a part.
    if (t.was !== undefined) return [t]
    return isShownWhole(t.table, now.flat()) ? [t] : [{ ...t, was: { ...t.table, slots: [] } }]
  })
  const outside = itemsApart(before.items, after.items)
  const files = { path, before, after, misfits: [] }
  return { file: files, functions, tables, outside: outside.map((o) => ({ ...o, file: path })) }
}

// ---- Segments ----------------------------------------------------------------------------------------

function sideOf(hunk: Hunk, own: '+' | '-', reverse: boolean): Line[] {
  let number = own === '+' ? hunk.newStart : hunk.oldStart
  return hunk.lines
    .filter((l) => l.op === own || l.op === ' ')
    .map((l) => ({
      text: l.text,
      number: number++,
      isNew: l.op === (reverse ? '-' : '+'),
    }))
}

/** The function that the text behind the second @@ names, as a head that can be parsed. */
function functionHeader(around: string): string | undefined {
  const text = around.trim()
  if (!/^(?!extern\b)[A-Za-z_][\w\s*]*\(/.test(text) || /[;=]/.test(text)) return undefined
  if (text.endsWith(')')) return text
  // A head over several lines, or cut: the parameters that are there whole.
  const open = text.indexOf('(')
  const comma = text.lastIndexOf(',')
  return `${comma > open ? text.slice(0, comma) : `${text.slice(0, open)}(void`})`
}

function nameIn(header: string): string | undefined {
  return [...functionsOf(parseC(`${header}\n{\n}\n`)).keys()][0]
}

function segmentsOf(lines: readonly Line[], around: string | undefined, hunk: Hunk): Segment[] {
  const segments: Segment[] = []
  let at = 0
  const tail = tailOf(lines, around, hunk)
  if (tail !== undefined) {
    segments.push(tail.segment)
    at = tail.end
  }
  let file: Line[] = []
  const flush = (): void => {
    if (file.length > 0) segments.push(fileSegment(file))
    file = []
  }
  while (at < lines.length) {
    const head = headAt(lines, at)
    if (head === undefined) {
      file.push(lines[at++] as Line)
      continue
    }
    flush()
    const end = endOf(lines, head.brace)
    const some = lines.slice(at, end ?? lines.length)
    segments.push({
      kind: end === undefined ? 'part' : 'whole',
      name: head.name,
      header: head.text,
      begins: true,
      ends: end !== undefined,
      lines: end === undefined ? lines.slice(head.brace + 1) : some,
    })
    at = end ?? lines.length
  }
  flush()
  return segments
}

function fileSegment(lines: readonly Line[]): Segment {
  return { kind: 'file', name: '', header: '', begins: true, ends: true, lines }
}

/** A function's head from this line on: lines up to one that is a brace alone. */
function headAt(
  lines: readonly Line[],
  from: number,
): { text: string; name: string; brace: number } | undefined {
  let text = ''
  for (let at = from; at < Math.min(lines.length, from + 8); at++) {
    const line = (lines[at] as Line).text.trim()
    if (line === '{') {
      const name = text.endsWith(')') ? nameIn(text) : undefined
      return name === undefined ? undefined : { text, name, brace: at }
    }
    if (line === '' || /^[#/*{}]|[;}{]$/.test(line)) return undefined
    text = text === '' ? line : `${text} ${line}`
  }
  return undefined
}

/** The line behind the brace that closes the one at `brace`. */
function endOf(lines: readonly Line[], brace: number): number | undefined {
  let depth = 0
  for (let at = brace; at < lines.length; at++) {
    depth += depthOf((lines[at] as Line).text)
    if (depth === 0) return at + 1
  }
  return undefined
}

function depthOf(line: string): number {
  const plain = line.replace(/"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])+'|\/\*.*?\*\//g, '')
  return (plain.match(/\{/g) ?? []).length - (plain.match(/\}/g) ?? []).length
}

/** The end of the function in which the hunk begins. */
function tailOf(
  lines: readonly Line[],
  around: string | undefined,
  hunk: Hunk,
): { segment: Segment; end: number } | undefined {
  const header = around
  if (header === undefined || headAt(lines, 0) !== undefined) return undefined
  const name = nameIn(header)
  if (name === undefined) return undefined
  const begins = lines[0]?.text.trim() === '{'
  const next = lines.findIndex((_l, i) => i > 0 && headAt(lines, i) !== undefined)
  const limit = next < 0 ? lines.length : next
  const close = closeOf(lines.slice(0, limit), begins, hunk)
  const body = lines.slice(begins ? 1 : 0, close ?? limit)
  const segment: Segment = {
    kind: 'part',
    ...{ name, header, begins, ends: close !== undefined, lines: body },
  }
  return { segment, end: close === undefined ? limit : close + 1 }
}

/** Which line closes the function: one in the first column, if the hunk has kept its columns. */
function closeOf(lines: readonly Line[], begins: boolean, hunk: Hunk): number | undefined {
  const indented = hunk.lines.some((l) => l.op === ' ' && /^\s+\S/.test(l.text))
  if (indented) {
    const at = lines.findIndex((l) => l.text.startsWith('}'))
    return at < 0 ? undefined : at
  }
  let depth = begins ? 1 : 0
  let last: number | undefined
  lines.forEach((l, i) => {
    depth += depthOf(l.text)
    if (l.text.trim() === '}' && depth < (begins ? 1 : 0)) last ??= i
  })
  if (last === undefined) return undefined
  const behind = lines.slice(last + 1).find((l) => !/^\s*(?:\/?\*|$)/.test(l.text))
  return behind !== undefined && isFileScope(behind.text) ? last : undefined
}

/** A directive, a declaration, or a prototype: nothing that stands in a function. */
function isFileScope(line: string): boolean {
  return (
    /^(?:static|extern|const|struct|enum|union|typedef|EXPORT_|MODULE_|DEFINE_|#)/.test(line) ||
    /^(?!return|else|goto|case)\w+[\s*]+(?:\w+[\s*]+)*\w+\s*\([^()]*(?:\);)?$/.test(line)
  )
}

// ---- Whole functions and tables --------------------------------------------------------------------

function wholeSide(segments: readonly Segment[]): Side {
  const functions = new Map<string, CFunction>()
  const tables = new Map<string, CTable>()
  const items: Item[] = []
  const texts: string[] = []
  for (const s of segments) {
    if (s.kind === 'part') continue
    const text = placed(s.lines)
    texts.push(text)
    const root = parseC(s.kind === 'file' ? closedTable(text) : text)
    for (const [name, f] of functionsOf(root)) functions.set(name, f)
    for (const [name, t] of tablesOf(root)) tables.set(name, t)
    items.push(...itemsOf(text, root))
  }
  return { text: texts.join('\n'), functions, tables, items }
}

/** Text whose lines have the numbers that they have in the file. */
function placed(lines: readonly Line[]): string {
  const first = lines[0]?.number ?? 1
  return '\n'.repeat(Math.max(0, first - 1)) + lines.map((l) => l.text).join('\n')
}

function closedTable(text: string): string {
  return text.split('\n').reduce((n, l) => n + depthOf(l), 0) > 0 ? `${text}\n};` : text
}

function isShownWhole(table: CTable, segments: readonly Segment[]): boolean {
  return segments.some((s) => {
    const text = s.lines.map((l) => l.text).join('\n')
    return new RegExp(`\\b${table.name}\\s*=\\s*\\{`).test(text) && closedTable(text) === text
  })
}

function newLines(segments: readonly Segment[], name: string): ReadonlySet<number> {
  const own = segments.filter((s) => s.name === name).flatMap((s) => s.lines)
  return new Set(own.filter((l) => l.isNew).map((l) => l.number))
}

// ---- Fragments ----------------------------------------------------------------------------------------

interface Pair {
  readonly was: Segment
  readonly now: Segment
}

function partialChanges(path: string, was: Segment[][], now: Segment[][]): Change[] {
  const pairs = new Map<string, Pair[]>()
  was.forEach((list, hunk) => {
    for (const s of list.filter((x) => x.kind === 'part')) {
      const other = now[hunk]?.find((x) => x.kind === 'part' && x.name === s.name)
      if (other === undefined) continue
      const words = (x: Segment): string => squash(x.lines.map((l) => l.text).join(' '))
      if (words(s) === words(other)) continue
      pairs.set(s.name, [...(pairs.get(s.name) ?? []), { was: s, now: other }])
    }
  })
  return [...pairs].map(([name, list]): Change => {
    const cut = list.map(trimmed)
    const [before, after] = (['was', 'now'] as const).map((side) =>
      fragmentFunction(
        name,
        cut.map((c) => c[side]),
      ),
    )
    const lines = newLines(
      list.map((p) => p.now),
      name,
    )
    return { kind: 'changed', name, file: path, before, after, lines }
  })
}

/** As many lines of context as can be read on both sides. */
function trimmed({ was, now }: Pair): Pair {
  const [a, b] = [was.lines.map((l) => l.text), now.lines.map((l) => l.text)]
  const most = Math.min(a.length, b.length)
  let lead = 0
  while (lead < most && a[lead] === b[lead]) lead++
  let trail = 0
  while (trail < most - lead && a.at(-1 - trail) === b.at(-1 - trail)) trail++
  const tries: [number, number][] = []
  for (let i = 0; i <= (was.begins ? 0 : lead); i++) {
    for (let j = 0; j <= (was.ends ? 0 : trail); j++) tries.push([i, j])
  }
  tries.sort(([i, j], [k, l]) => i + j - k - l || j - l)
  const cut = (s: Segment, [i, j]: [number, number]): Segment => ({
    ...s,
    lines: s.lines.slice(i, s.lines.length - j),
  })
  const good = tries.find((t) =>
    [cut(was, t), cut(now, t)].every((s) => fragmentFunction(s.name, [s])?.node.broken === false),
  )
  return good === undefined ? { was, now } : { was: cut(was, good), now: cut(now, good) }
}

/** Fragments of a function's body, with gaps, as a function. */
function fragmentFunction(name: string, parts: readonly Segment[]): CFunction | undefined {
  const [first] = parts
  if (first === undefined) return undefined
  let text = '\n'.repeat(Math.max(0, (first.lines[0]?.number ?? 2) - 2))
  text += `${squash(first.header)} {${first.begins ? '' : ` ${GAP}();`}`
  let line = text.split('\n').length
  for (const [i, part] of parts.entries()) {
    if (i > 0) text += ` ${GAP}();`
    const { open, close } = balance(part.lines)
    const inside = commentOpens(part.lines) ? ' /*' : ''
    const start = part.lines[0]?.number ?? line + 1
    const pad = '\n'.repeat(Math.max(1, start - line))
    const body = part.lines.map((l) => l.text).join('\n')
    text += ` ${`if (${GAP}()) { ${GAP}();`.repeat(open)}${inside}${pad}${body}\n${'}'.repeat(close)}`
    line = text.split('\n').length
  }
  text += parts.at(-1)?.ends === true ? '}\n' : ` ${GAP}(); }\n`
  const f = functionsOf(parseC(text)).get(name)
  return f && { ...f, partial: true }
}

/** Braces that close what opens before the lines, and that they leave open. */
function balance(lines: readonly Line[]): { open: number; close: number } {
  let depth = 0
  let least = 0
  for (const l of lines) {
    const opens = /^\s*\}.*\{\s*$/.test(l.text)
    if (opens) least = Math.min(least, depth - 1)
    depth += depthOf(l.text)
    least = Math.min(least, depth)
  }
  return { open: -least, close: depth - least }
}

/** Does the first line stand in a comment? */
function commentOpens(lines: readonly Line[]): boolean {
  const text = lines.map((l) => l.text).join('\n')
  const [end, start] = [text.indexOf('*/'), text.indexOf('/*')]
  return end >= 0 && (start < 0 || end < start)
}

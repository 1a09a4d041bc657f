/**
 * A three-way merge for functions whose model is a simplification: the edit between two C functions
 * is made to the model's own statements. A wrong merge that nobody sees is the worst that there is,
 * so whatever is not certain is a conflict.
 *
 * - New statements go next to a neighbour that the model has, and only where there is one place.
 * - What is removed or changed must be there, once.
 * - Every name must be known there; the compiler checks the rest.
 * - No `continue` and no `goto` is carried over: the model's loops may step at their ends.
 * - Nothing is merged where C ends a scope by itself: the model's unlock stands somewhere.
 */
import ts from 'typescript'
import { type CFunction, isGap } from '../c/functions.js'
import { type CNode, descendants, squash } from '../c/parse.js'
import type { Change } from '../changes.js'
import type { ModelFunction } from '../model/dictionary.js'
import { beginsScope } from '../translate/cleanup.js'
import { WITHOUT_EFFECT } from '../translate/crosswalk.js'
import { condition } from '../translate/expression.js'
import { indented, workInPlace } from '../translate/function.js'
import type { Session } from '../translate/session.js'
import { statement } from '../translate/statement.js'
import { Hole, type Work } from '../translate/work.js'
import { align, alike, isScopedGuard, type Stmt, statementsOf } from './align.js'
import { type Edit, editsBetween, headOf } from './edits.js'
import { functionIn, regular, sourceIn } from './regular.js'

export type Merged =
  /** `byWords`: what changes was found by its constants, and not by the statement it is in. */
  | {
      readonly text: string
      readonly edits: number
      readonly found: number
      readonly byWords: boolean
    }
  /** `isThere`: the model has what is new already. */
  | { readonly conflict: string; readonly isThere?: boolean }

class Conflict extends Error {}

class Already extends Conflict {}

interface Span {
  readonly from: number
  readonly to: number
  readonly text: string
  readonly byWords?: boolean
}

/** Carry the change of a C function over to a function of the model. */
export function mergeEdit(change: Change, target: ModelFunction, session: Session): Merged {
  const split = mergeInto(change, target, regular(target.source, true), session)
  if ('text' in split || split.isThere === true) return split
  const asItIs = mergeInto(change, target, regular(target.source, false), session)
  return 'text' in asItIs ? asItIs : split
}

function mergeInto(
  change: Change,
  target: ModelFunction,
  source: string,
  session: Session,
): Merged {
  const { before, after } = change
  if (before === undefined || after === undefined) return { conflict: 'nothing to merge' }
  const { file, f } = functionIn(source)
  if (f === undefined) return { conflict: 'no function to merge into' }
  const model = statementsOf(file, f.body)
  try {
    const edits = editsBetween(before, after).filter((e) => !isWithoutEffect(e))
    for (const f of [before, after]) withoutScopes(f, edits)
    const mates = align(before, model)
    const w = workInPlace(session, after, target)
    const names = new Names(file, f, mates, w)
    const context: Merge = { file, model, mates, w, names, target, before }
    const spans = edits.map((e) => spanOf(e, context))
    if (spans.length === 0) return { conflict: 'the edit does nothing here' }
    const own = spans.filter((s) => s.from < s.to)
    const isLeft = (at: number): boolean => !own.some((s) => at >= s.from && at < s.to)
    const text = withSpans(file.text, [
      ...spans,
      ...names.reassigned(file, f).filter((s) => isLeft(s.from)),
    ])
    const byWords = spans.some((span) => span.byWords === true)
    const found = edits.filter((e) => e.kind !== 'insert').length
    return { text: sourceIn(text), edits: edits.length, found, byWords }
  } catch (error) {
    if (!(error instanceof Conflict) && !(error instanceof Hole)) throw error
    return { conflict: error.message, isThere: error instanceof Already }
  }
}

/** With guard() every way out unlocks; with scoped_guard() every way out of that. */
function withoutScopes({ body }: CFunction, edits: readonly Edit[]): void {
  if (descendants(body, 'expression_statement').some(beginsScope)) {
    throw new Conflict('C unlocks or frees here at the end of a scope')
  }
  const guards = descendants(body, 'for_statement').some(isScopedGuard)
  const nodes = edits.flatMap((e) =>
    e.kind === 'insert' ? e.now : e.kind === 'delete' ? [e.old] : [e.old, e.now],
  )
  const ways = ['return_statement', 'break_statement', 'for_statement'] as const
  if (guards && nodes.some((n) => descendants(n, ...ways).length > 0)) {
    throw new Conflict('a way out beside a scoped_guard()')
  }
}

/** All spans replaced, the last first; of two that begin at one place, what is taken away first. */
function withSpans(from: string, spans: readonly Span[]): string {
  let text = from
  let behind = text.length
  for (const span of [...spans].sort((a, b) => b.from - a.from || b.to - a.to)) {
    if (span.to > behind && span.from !== behind) throw new Conflict('two edits of one statement')
    text = text.slice(0, span.from) + span.text + text.slice(span.to)
    behind = span.from
  }
  return text
}

interface Merge {
  readonly file: ts.SourceFile
  readonly model: readonly Stmt[]
  readonly mates: ReadonlyMap<CNode, Stmt>
  readonly w: Work
  readonly names: Names
  readonly target: ModelFunction
  /** The C function before the edit. */
  readonly before: CFunction
}

function isWithoutEffect(e: Edit): boolean {
  const nodes = e.kind === 'insert' ? e.now : e.kind === 'delete' ? [e.old] : [e.old, e.now]
  return nodes.every((n) => {
    if (n.type === 'declaration') return descendants(n, 'init_declarator').length === 0
    const [call] = n.kids
    return (
      n.type === 'expression_statement' &&
      call?.type === 'call_expression' &&
      WITHOUT_EFFECT.test(call.fields.function?.text ?? '')
    )
  })
}

function spanOf(e: Edit, m: Merge): Span {
  if (e.kind === 'insert') return inserted(e, m)
  if (e.kind === 'change') return changed(e.old, e.now, m)
  const mate = m.mates.get(e.old)
  if (mate === undefined) throw new Conflict(`the model has nothing like ${shown(e.old)}`)
  onlyPlace(e.old, mate, m)
  nothingElse(e.old, mate, m)
  const text = declarationLeft(mate, m)
  return { from: withAnnouncements(mate, m).getStart(m.file), to: mate.node.getEnd(), text }
}

/** What goes in the model is what goes in C: nothing inside it is something else. */
function nothingElse(old: CNode, mate: Stmt, m: Merge): void {
  const gone = new Set<Stmt>()
  for (const [c, stmt] of m.mates) if (c.start >= old.start && c.end <= old.end) gone.add(stmt)
  const [from, to] = [mate.node.getStart(m.file), mate.node.getEnd()]
  const other = m.model.find((x) => {
    const at = x.node.getStart(m.file)
    return at >= from && at < to && !x.isAnnouncement && !gone.has(x)
  })
  if (other !== undefined) throw new Conflict(`the model has more in ${shown(old)}`)
}

/** A value that goes may be one that others still name: it is declared, and not yet set. */
function declarationLeft({ node }: Stmt, { file, target }: Merge): string {
  if (!ts.isVariableStatement(node)) return ''
  const name = node.declarationList.declarations[0]?.name.getText(file) ?? ''
  const uses = file.text.match(new RegExp(`(?<![\\w$.])${name}(?![\\w$])`, 'g')) ?? []
  if (uses.length < 2) return ''
  const type = target.locals?.[name]
  if (type === undefined) throw new Conflict(`${name} goes, and the model still names it`)
  return `let ${name}: ${type}`
}

/**
 * Of a function that only its hunks show, order says little: what is to be changed must be like
 * one statement of the model's, and like no other.
 */
function onlyPlace(c: CNode, mate: Stmt, m: Merge): void {
  if (m.before.partial !== true) return
  const best = alike(c, mate)
  if (m.model.some((x) => x !== mate && !x.isAnnouncement && alike(c, x) > best - 0.1)) {
    throw new Conflict(`${shown(c)} has two places in the model`)
  }
}

function shown(node: CNode): string {
  return `"${squash(node.text).slice(0, 60)}"`
}

/** The first of the announcements right before a statement, or itself. */
function withAnnouncements(stmt: Stmt, { model }: Merge): ts.Statement {
  let at = stmt.list.indexOf(stmt.node)
  while (at > 0) {
    const before = model.find((x) => x.node === stmt.list[at - 1])
    if (before === undefined || !before.isAnnouncement) break
    at--
  }
  return stmt.list[at] as ts.Statement
}

function inserted(e: Extract<Edit, { kind: 'insert' }>, m: Merge): Span {
  const jumps = e.now.flatMap((n) => descendants(n, 'continue_statement', 'goto_statement'))
  if (jumps.length > 0) throw new Conflict('a jump into the model’s own loops')
  const before = e.before && m.mates.get(e.before)
  const after = e.after && m.mates.get(e.after)
  const [first] = e.now
  if (before === undefined && after === undefined) {
    throw new Conflict(`the model has nothing like what stands beside ${shown(first as CNode)}`)
  }
  if (before !== undefined && after !== undefined) {
    const next = withAnnouncements(after, m)
    const follows =
      before.list === after.list &&
      before.list.indexOf(next) === before.list.indexOf(before.node) + 1
    if (!follows) throw new Conflict(`there are two places for ${shown(first as CNode)}`)
  } else oneNeighbour(e, m)
  const place = before ?? (after as Stmt)
  notYetThere(e.now, place, m)
  if (before?.kind === 'return')
    throw new Conflict(`nothing runs behind ${shown(e.before as CNode)}`)
  const lines = e.now.flatMap((n) => translated(n, place, m))
  const column = m.file.getLineAndCharacterOfPosition(place.node.getStart(m.file)).character
  const text = indented(lines).replaceAll('\n', `\n${' '.repeat(column)}`)
  if (before !== undefined) {
    const at = before.node.getEnd()
    return { from: at, to: at, text: `\n${' '.repeat(column)}${text}` }
  }
  const at = withAnnouncements(after as Stmt, m).getStart(m.file)
  return { from: at, to: at, text: `${text}\n${' '.repeat(column)}` }
}

/** Is one of the new statements in the model already, where C has nothing of it yet? */
function notYetThere(now: readonly CNode[], place: Stmt, m: Merge): void {
  const known = new Set(m.mates.values())
  const free = m.model.filter((x) => x.list === place.list && !known.has(x) && !x.isAnnouncement)
  const there = now.find((n) => free.some((x) => alike(n, x) >= 0.8))
  if (there !== undefined) throw new Already(`the model has ${shown(there)} already`)
}

/** Where a hunk begins nobody knows whether its first statement is the body of an `if`. */
function oneNeighbour(e: Extract<Edit, { kind: 'insert' }>, m: Merge): void {
  if (m.before.partial !== true) return
  const beside = e.before !== undefined && m.mates.has(e.before) ? e.before : (e.after as CNode)
  const lists = descendants(m.before.body, 'compound_statement').map((b) => b.kids)
  const list = lists.find((l) => l.includes(beside)) ?? []
  const previous = list[list.indexOf(beside) - 1]
  if (beside === e.before && (previous === undefined || isGap(previous))) {
    throw new Conflict(`only ${shown(beside)} stands beside ${shown(e.now[0] as CNode)}`)
  }
  onlyPlace(beside, m.mates.get(beside) as Stmt, m)
}

function translated(node: CNode, place: Stmt, { w, names }: Merge): string[] {
  const holes = w.holes.length
  const [, lines] = w.aside(() => statement(w, node))
  if (w.holes.length > holes) throw new Conflict(w.holes.at(-1)?.reason ?? 'not translated')
  return lines.map((l) => names.inModel(l, place))
}

/** The words that change stand in the model's statement, or in one other place, once. */
function changed(old: CNode, now: CNode, m: Merge): Span {
  const mate = m.mates.get(old)
  const [a, b] = [headText(old, m), headText(now, m)]
  const places = mate === undefined ? m.model : [mate, ...m.model]
  for (const place of new Set(places)) {
    if (place !== mate && !hasConstant(a, b)) continue
    const text = replacedTokens(tokens(place.head), tokens(a), tokens(b))
    if (text === undefined) continue
    if (place === mate) onlyPlace(old, place, m)
    const others = m.model.filter(
      (x) =>
        x !== place &&
        x !== mate &&
        replacedTokens(tokens(x.head), tokens(a), tokens(b)) !== undefined,
    )
    if (place !== mate && others.length > 0)
      throw new Conflict(`${shown(old)} has two places in the model`)
    return {
      from: place.start,
      to: place.start + place.head.length,
      text: m.names.inModel(text, place),
      byWords: place !== mate,
    }
  }
  throw new Conflict(`the model has nothing like ${shown(old)}`)
}

/** A statement's own part in the model's words; as C spells it where the model has none. */
function headText(node: CNode, { w }: Merge): string {
  const holes = w.holes.length
  try {
    if (node.type === 'if_statement' || node.type === 'while_statement') {
      const [text, before] = w.aside(() => condition(w, node.fields.condition as CNode))
      if (before.length === 0 && w.holes.length === holes) return text
    } else {
      const [, lines] = w.aside(() => statement(w, node))
      if (w.holes.length === holes && lines.length === 1) return lines[0] as string
    }
  } catch (error) {
    if (!(error instanceof Hole)) throw error
  }
  return headOf(node)
}

/** Is a constant among what goes, or next to what comes? Others are too common to be found by. */
function hasConstant(a: string, b: string): boolean {
  const { gone, left, right } = apart(tokens(a), tokens(b))
  return [...gone, left.at(-1) ?? '', right[0] ?? ''].some((t) => /^[A-Z][A-Z0-9_]{3,}$/.test(t))
}

function tokens(text: string): string[] {
  return text.match(/[A-Za-z_$][\w$]*|\d+n?|[!=]==?|&&|\|\||<<|>>|[<>]=|->|[^\s\w]/g) ?? []
}

function apart(
  a: readonly string[],
  b: readonly string[],
): {
  left: readonly string[]
  gone: readonly string[]
  come: readonly string[]
  right: readonly string[]
} {
  let from = 0
  while (from < a.length && from < b.length && a[from] === b[from]) from++
  let end = 0
  while (end < a.length - from && end < b.length - from && a.at(-1 - end) === b.at(-1 - end)) end++
  return {
    left: a.slice(0, from),
    gone: a.slice(from, a.length - end),
    come: b.slice(from, b.length - end),
    right: end === 0 ? [] : a.slice(-end),
  }
}

/** The change from `a` to `b`, made to `m`; undefined unless its words are there once. */
function replacedTokens(
  m: readonly string[],
  a: readonly string[],
  b: readonly string[],
): string | undefined {
  const { left, gone, come, right } = apart(a, b)
  if (gone.length > 0) {
    const places = findAll(m, gone)
    if (places.length !== 1) return undefined
    const at = places[0] as number
    return joined([...m.slice(0, at), ...come, ...m.slice(at + gone.length)])
  }
  // An insertion: the words on both sides of it, or the one that is there.
  const beside = [left.at(-1), right[0]].filter((t) => t !== undefined)
  const places = findAll(m, beside)
  if (beside.length === 0 || places.length !== 1) return undefined
  const at = (places[0] as number) + (left.length > 0 ? 1 : 0)
  return joined([...m.slice(0, at), ...come, ...m.slice(at)])
}

function findAll(m: readonly string[], wanted: readonly string[]): number[] {
  const found: number[] = []
  for (let i = 0; i + wanted.length <= m.length; i++) {
    if (wanted.every((t, k) => m[i + k] === t)) found.push(i)
  }
  return found
}

/** Tokens as text. The compiler does not mind blanks, but `yield*` and members are one word. */
function joined(list: readonly string[]): string {
  return list
    .join(' ')
    .replace(/ ([.,;)!\]])/g, '$1')
    .replace(/([.([!]) /g, '$1')
    .replace(/(\w) \(/g, '$1(')
    .replace(/\b(if|return|while|yield)\(/g, '$1 (')
    .replace(/yield \*/g, 'yield*')
    .replace(/! ?== /g, '!== ')
}

/** C's locals under the names that the model has for them. */
class Names {
  readonly #map = new Map<string, string>()
  readonly #known = new Map<string, number>()
  readonly #own: ReadonlySet<string>
  readonly #assigned = new Set<string>()
  readonly #w: Work

  constructor(
    file: ts.SourceFile,
    f: ts.FunctionExpression,
    mates: ReadonlyMap<CNode, Stmt>,
    w: Work,
  ) {
    this.#w = w
    this.#own = new Set([...w.locals.values()].map((l) => l.ts))
    for (const p of f.parameters) this.#known.set(p.name.getText(file), 0)
    const visit = (n: ts.Node): void => {
      if (ts.isVariableDeclaration(n)) this.#known.set(n.name.getText(file), n.getEnd())
      ts.forEachChild(n, visit)
    }
    visit(f.body)
    for (const [c, m] of mates) this.#learn(c, m, file)
  }

  /** `x = …` here and `const y = …` there: x is y. */
  #learn(c: CNode, m: Stmt, file: ts.SourceFile): void {
    const name = /^(?:[\w ]+[ *])?(\w+) ?= ?[^=]/.exec(squash(c.text))?.[1]
    const local = name === undefined ? undefined : this.#w.locals.get(name)
    const mine = /^(?:const |let )?(\w+)(?:: [^=]+)? = /.exec(m.node.getText(file))?.[1]
    if (local !== undefined && mine !== undefined && this.#known.has(mine)) {
      this.#map.set(local.ts, mine)
    }
  }

  /** A line with the model's names. @throws Conflict for a local that it does not have there. */
  inModel(line: string, place: Stmt): string {
    return line.replace(/(?<![\w.$'"])[A-Za-z_]\w*/g, (word) => {
      if (!this.#own.has(word)) return word
      const name = this.#map.get(word) ?? word
      if (line.startsWith(`${word} = `)) this.#assigned.add(name)
      const declared = this.#known.get(name)
      if (declared === undefined || declared > place.node.getEnd()) {
        throw new Conflict(`the model has no ${word} there`)
      }
      return name
    })
  }

  /** What the edit assigns to is no `const` any more. */
  reassigned(file: ts.SourceFile, f: ts.FunctionExpression): Span[] {
    const spans: Span[] = []
    const visit = (n: ts.Node): void => {
      if (ts.isVariableDeclarationList(n) && (n.flags & ts.NodeFlags.Const) !== 0) {
        const from = n.getStart(file)
        if (n.declarations.some((d) => this.#assigned.has(d.name.getText(file)))) {
          spans.push({ from, to: from + 'const'.length, text: 'let' })
        }
      }
      ts.forEachChild(n, visit)
    }
    visit(f.body)
    return spans
  }
}

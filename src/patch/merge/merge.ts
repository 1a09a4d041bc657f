/**
 * A three-way merge for functions whose model is a simplification: the edit between two C functions
 * is made to the model's own statements. A wrong merge that nobody sees is the worst that there is,
 * so whatever is not certain is a conflict.
 *
 * - New statements go next to a neighbour that the model has, and only where there is one place.
 * - What is removed or changed must be there, once.
 * - Every name must be known there; the compiler checks the rest.
 * - No `continue` and no `goto` is carried over: the model's loops may step at their ends.
 */
import ts from 'typescript'
import { type CNode, descendants, squash } from '../c/parse.js'
import type { Change } from '../changes.js'
import type { ModelFunction } from '../model/dictionary.js'
import { WITHOUT_EFFECT } from '../translate/crosswalk.js'
import { condition } from '../translate/expression.js'
import { indented, workInPlace } from '../translate/function.js'
import type { Session } from '../translate/session.js'
import { statement } from '../translate/statement.js'
import { Hole, type Work } from '../translate/work.js'
import { align, type Stmt, statementsOf } from './align.js'
import { type Edit, editsBetween, headOf } from './edits.js'

export type Merged =
  /** `byWords`: what changes was found by its constants, and not by the statement it is in. */
  | { readonly text: string; readonly edits: number; readonly byWords: boolean }
  | { readonly conflict: string }

class Conflict extends Error {}

interface Span {
  readonly from: number
  readonly to: number
  readonly text: string
  readonly byWords?: boolean
}

/** Carry the change of a C function over to a function of the model. */
export function mergeEdit(change: Change, target: ModelFunction, session: Session): Merged {
  const { before, after } = change
  if (before === undefined || after === undefined) return { conflict: 'nothing to merge' }
  const prefix = 'const f = '
  const file = ts.createSourceFile('m.ts', prefix + target.source, ts.ScriptTarget.ES2022, true)
  const [s] = file.statements
  const f =
    s && ts.isVariableStatement(s) ? s.declarationList.declarations[0]?.initializer : undefined
  if (f === undefined || !ts.isFunctionExpression(f))
    return { conflict: 'no function to merge into' }
  const model = statementsOf(file, f.body)
  try {
    const edits = editsBetween(before, after).filter((e) => !isWithoutEffect(e))
    const mates = align(before, model)
    const w = workInPlace(session, after, target)
    const names = new Names(file, f, mates, w)
    const context: Merge = { file, model, mates, w, names }
    const spans = edits.map((e) => spanOf(e, context))
    let text = file.text
    for (const span of [...spans].sort((a, b) => b.from - a.from)) {
      text = text.slice(0, span.from) + span.text + text.slice(span.to)
    }
    if (spans.length === 0) return { conflict: 'the edit does nothing here' }
    const byWords = spans.some((span) => span.byWords === true)
    return { text: text.slice(prefix.length), edits: edits.length, byWords }
  } catch (error) {
    if (error instanceof Conflict || error instanceof Hole) return { conflict: error.message }
    throw error
  }
}

interface Merge {
  readonly file: ts.SourceFile
  readonly model: readonly Stmt[]
  readonly mates: ReadonlyMap<CNode, Stmt>
  readonly w: Work
  readonly names: Names
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
  return { from: withAnnouncements(mate, m).getStart(m.file), to: mate.node.getEnd(), text: '' }
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
  }
  const place = before ?? (after as Stmt)
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
      const declared = this.#known.get(name)
      if (declared === undefined || declared > place.node.getEnd()) {
        throw new Conflict(`the model has no ${word} there`)
      }
      return name
    })
  }
}

/** Which statement of the model is which of the C function: by the words that both have. */
import ts from 'typescript'
import { type CFunction, GAP } from '../c/functions.js'
import type { CNode } from '../c/parse.js'
import { camelCase } from '../model/dictionary.js'
import { CALLS, EXPRESSIONS, FIELDS, SLOTS } from '../translate/crosswalk.js'
import { headOf, listOf, listsIn, overlap } from './edits.js'

/** A statement of the model. */
export interface Stmt {
  readonly node: ts.Statement
  /** Its own text: a condition, or all of a simple one; and where that begins. */
  readonly head: string
  readonly start: number
  readonly kind: Kind
  readonly words: ReadonlySet<string>
  /** The list that it stands in. */
  readonly list: readonly ts.Statement[]
  /** It says what the next one accesses, and nothing else. */
  readonly isAnnouncement: boolean
}

type Kind = 'if' | 'loop' | 'return' | 'simple'

/** The statements of a function's body, nested ones behind the one they are in. */
export function statementsOf(file: ts.SourceFile, body: ts.Block): Stmt[] {
  const found: Stmt[] = []
  const visit = (node: ts.Statement, list: readonly ts.Statement[]): void => {
    if (ts.isBlock(node)) {
      for (const s of node.statements) visit(s, node.statements)
      return
    }
    const head = ownPart(node)
    const text = head.getText(file)
    found.push({
      ...{ node, list, head: text, start: head.getStart(file) },
      kind: kindOf(node),
      words: wordsOf(text),
      isAnnouncement: /^(?:yield (?:read|write|rmw)|also(?:Reads|Writes)|mark)\(/.test(text),
    })
    for (const inner of inside(node)) {
      visit(inner, ts.isBlock(inner) ? inner.statements : [inner])
    }
  }
  for (const s of body.statements) visit(s, body.statements)
  return found
}

function ownPart(node: ts.Statement): ts.Node {
  if (ts.isIfStatement(node) || ts.isWhileStatement(node) || ts.isDoStatement(node)) {
    return node.expression
  }
  if (ts.isForStatement(node)) return node.condition ?? node
  return node
}

function inside(node: ts.Statement): ts.Statement[] {
  if (ts.isIfStatement(node)) {
    return node.elseStatement === undefined
      ? [node.thenStatement]
      : [node.thenStatement, node.elseStatement]
  }
  if (ts.isIterationStatement(node, false) || ts.isLabeledStatement(node)) return [node.statement]
  return []
}

function kindOf(node: ts.Statement): Kind {
  if (ts.isIfStatement(node)) return 'if'
  if (ts.isIterationStatement(node, false)) return 'loop'
  return ts.isReturnStatement(node) ? 'return' : 'simple'
}

const NO_WORDS =
  /^(?:const|let|yield|null|undefined|true|false|if|else|return|as|number|for|while|break|continue|isErr|ptrErr|Pgoff|Gfn)$/

function wordsOf(text: string): ReadonlySet<string> {
  const words = text.match(/[A-Za-z_]\w*/g) ?? []
  return new Set(words.filter((w) => !NO_WORDS.test(w)))
}

/** A C statement's words as the model spells them. */
function modelWords(node: CNode): ReadonlySet<string> {
  const words = headOf(node).match(/[A-Za-z_]\w*/g) ?? []
  const spelled = words.flatMap((w) => {
    const row = EXPRESSIONS[w]
    if (row !== undefined) return row[0].match(/[A-Za-z_]\w*/g) ?? []
    if (CALLS[w] !== undefined) return [CALLS[w].to]
    return [FIELDS[w] ?? SLOTS[w] ?? (/^[A-Z0-9_]+$/.test(w) ? w : camelCase(w))]
  })
  return new Set(spelled.filter((w) => !NO_WORDS.test(w) && w !== 'NULL'))
}

function cKind(node: CNode): Kind {
  if (node.type === 'if_statement') return 'if'
  if (/^(?:for|while|do)_statement$/.test(node.type)) return 'loop'
  return node.type === 'return_statement' ? 'return' : 'simple'
}

/** How much a C statement and one of the model have in common; nothing if their kinds differ. */
export function alike(c: CNode, m: Stmt): number {
  return likeness(c, modelWords(c), m)
}

function likeness(c: CNode, words: ReadonlySet<string>, m: Stmt): number {
  return cKind(c) === m.kind ? overlap(words, m.words) : 0
}

/** The least that two statements must have in common. */
const ALIKE = 0.3

/**
 * C statement to the model's, in the order of both, level by level: what stands in the body of an
 * `if` is only ever like something in the body of the same `if`. The fragments of a function that
 * only hunks show may stand at any level.
 */
export function align(before: CFunction, model: readonly Stmt[]): ReadonlyMap<CNode, Stmt> {
  const live = model.filter((m) => !m.isAnnouncement)
  const mates = new Map<CNode, Stmt>()
  const partial = before.partial === true
  const top = partial ? live : level(live[0]?.list ?? [], live)
  for (const [c, m] of alignedPairs(levelC(listOf(before.body)), top)) {
    if (partial && [...mates.values()].some((outer) => isInside(m, outer))) continue
    mates.set(c, m)
    alignInside(c, m, live, mates)
  }
  return mates
}

function isInside(m: Stmt, outer: Stmt): boolean {
  return m !== outer && m.node.pos >= outer.node.pos && m.node.end <= outer.node.end
}

function alignInside(c: CNode, m: Stmt, live: readonly Stmt[], mates: Map<CNode, Stmt>): void {
  const bodies = inside(m.node)
  listsIn(c).forEach((list, i) => {
    const body = bodies[i]
    if (body === undefined) return
    for (const [x, y] of alignedPairs(levelC(list), level([body], live))) {
      mates.set(x, y)
      alignInside(x, y, live, mates)
    }
  })
}

/** Statements of one level: blocks and labels are none of their own. */
function level(list: readonly ts.Statement[], live: readonly Stmt[]): Stmt[] {
  return list.flatMap((s) => {
    if (ts.isBlock(s)) return level(s.statements, live)
    if (ts.isLabeledStatement(s)) return level([s.statement], live)
    return live.filter((m) => m.node === s)
  })
}

/** A scope that the normaliser has made a loop of. */
export function isScopedGuard(n: CNode): boolean {
  return n.type === 'for_statement' && n.text.startsWith('for (__scoped_guard(')
}

function levelC(list: readonly CNode[]): CNode[] {
  return list.flatMap((n) => {
    const isTransparent =
      n.type === 'labeled_statement' ||
      n.type === 'compound_statement' ||
      (n.type === 'if_statement' && n.fields.condition?.text === `(${GAP}())`) ||
      isScopedGuard(n)
    return isTransparent ? levelC(listsIn(n).flat()) : [n]
  })
}

/** The pairs that have the most in common, in order. */
function alignedPairs(c: readonly CNode[], live: readonly Stmt[]): [CNode, Stmt][] {
  const words = c.map(modelWords)
  const score = (i: number, j: number): number => {
    const like = likeness(c[i] as CNode, words[i] as ReadonlySet<string>, live[j] as Stmt)
    return like >= ALIKE ? like : 0
  }
  const best: number[][] = Array.from({ length: c.length + 1 }, () =>
    Array(live.length + 1).fill(0),
  )
  const at = (i: number, j: number): number => best[i]?.[j] ?? 0
  for (let i = c.length - 1; i >= 0; i--) {
    for (let j = live.length - 1; j >= 0; j--) {
      const s = score(i, j)
      const row = best[i] as number[]
      row[j] = Math.max(at(i + 1, j), at(i, j + 1), s > 0 ? s + at(i + 1, j + 1) : 0)
    }
  }
  const pairs: [CNode, Stmt][] = []
  let [i, j] = [0, 0]
  while (i < c.length && j < live.length) {
    const s = score(i, j)
    if (s > 0 && Math.abs(at(i, j) - s - at(i + 1, j + 1)) < 1e-9) {
      pairs.push([c[i++] as CNode, live[j++] as Stmt])
    } else if (at(i + 1, j) >= at(i, j + 1)) i++
    else j++
  }
  return pairs
}

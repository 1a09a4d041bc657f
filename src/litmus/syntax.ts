/** From text to a syntax tree. Places are offsets into the text. */
import * as ohm from 'ohm-js'
import { LitmusError } from './error.js'
import { GRAMMAR } from './grammar.js'

export interface Named {
  readonly text: string
  readonly at: number
}

/** A value as written: terms joined by `|`. */
export interface ValueSyntax {
  readonly terms: readonly Named[]
  readonly at: number
}

export interface OperationSyntax {
  readonly variable: Named | undefined
  readonly name: Named
  readonly args: readonly { readonly name: Named | undefined; readonly value: ValueSyntax }[]
  readonly expected: ValueSyntax | undefined
  /** As written, for reports. */
  readonly text: string
}

export type ExprSyntax =
  | { readonly kind: 'or' | 'and'; readonly left: ExprSyntax; readonly right: ExprSyntax }
  | { readonly kind: 'not'; readonly inner: ExprSyntax }
  | {
      readonly kind: 'compare'
      readonly operator: string
      readonly left: Named
      readonly right: Named
    }

export interface ConditionSyntax {
  readonly kind: 'always' | 'never' | 'sometimes'
  readonly expr: ExprSyntax
  readonly text: string
}

export interface RowSyntax {
  readonly designs: readonly Named[]
  readonly outcome: 'clean' | 'finds' | 'skip'
  readonly findings: readonly Named[]
  readonly why: string
  readonly conditions: readonly ConditionSyntax[]
}

export interface FileSyntax {
  readonly name: string
  readonly question: string
  readonly hosts: readonly Named[]
  readonly setup: readonly OperationSyntax[]
  readonly tasks: readonly {
    readonly name: Named
    readonly operations: readonly OperationSyntax[]
  }[]
  readonly last: readonly OperationSyntax[]
  readonly faults: number
  readonly reach: readonly Named[]
  readonly conditions: readonly ConditionSyntax[]
  readonly rows: readonly RowSyntax[]
}

type Section =
  | { readonly is: 'hosts'; readonly hosts: readonly Named[] }
  | { readonly is: 'setup' | 'finally'; readonly operations: readonly OperationSyntax[] }
  | { readonly is: 'task'; readonly name: Named; readonly operations: readonly OperationSyntax[] }
  | { readonly is: 'faults'; readonly count: number }
  | { readonly is: 'reach'; readonly marks: readonly Named[] }
  | { readonly is: 'condition'; readonly condition: ConditionSyntax }
  | { readonly is: 'expect'; readonly rows: readonly RowSyntax[] }

const grammar = ohm.grammar(GRAMMAR)

function named(node: ohm.Node): Named {
  return { text: node.sourceString.trim(), at: node.source.startIdx }
}

function list(node: ohm.Node): ohm.Node[] {
  return node.asIteration().children
}

const semantics = grammar.createSemantics().addOperation<unknown>('tree', {
  Hosts: (_k, hosts, _nl): Section => ({ is: 'hosts', hosts: list(hosts).map(named) }),
  Setup: (_k, _nl, lines): Section => ({ is: 'setup', operations: lines.tree() }),
  Finally: (_k, _nl, lines): Section => ({ is: 'finally', operations: lines.tree() }),
  Task: (_k, name, _nl, lines): Section => ({
    is: 'task',
    name: named(name),
    operations: lines.tree(),
  }),
  Faults: (_k, n, _nl): Section => ({ is: 'faults', count: Number(n.sourceString) }),
  Reach: (_k, marks, _nl): Section => ({ is: 'reach', marks: list(marks).map(named) }),
  Condition: (kind, expr, _nl): Section => ({
    is: 'condition',
    condition: {
      kind: kind.sourceString as ConditionSyntax['kind'],
      expr: expr.tree(),
      text: expr.sourceString.trim(),
    },
  }),
  Expect: (_k, _nl, rows): Section => ({ is: 'expect', rows: rows.children.map((r) => r.tree()) }),
  Lines: (lines) => lines.children.map((l) => l.tree()),
  Line: (operation, _nl) => operation.tree(),
  Operation(variable, _eq, name, _open, args, _close, _check, expected): OperationSyntax {
    return {
      variable: variable.numChildren > 0 ? named(variable.child(0)) : undefined,
      name: named(name),
      args: list(args).map((a) => a.tree()),
      expected: expected.numChildren > 0 ? expected.child(0).tree() : undefined,
      text: this.sourceString.trim().replace(/^\w+\s*=(?!=)\s*/, ''),
    }
  },
  Argument: (name, _eq, value) => ({
    name: name.numChildren > 0 ? named(name.child(0)) : undefined,
    value: value.tree(),
  }),
  Value(terms): ValueSyntax {
    return { terms: list(terms).map(named), at: this.source.startIdx }
  },
  Row: (designs, outcome, conditions, _nl): RowSyntax => ({
    designs: list(designs.child(0)).map(named),
    ...(outcome.tree() as Pick<RowSyntax, 'outcome' | 'findings' | 'why'>),
    conditions: conditions.children.map((c) => c.tree()),
  }),
  Outcome_clean: (_k) => ({ outcome: 'clean', findings: [], why: '' }),
  Outcome_finds: (_k, ids) => ({ outcome: 'finds', findings: list(ids).map(named), why: '' }),
  Outcome_skip: (_k, why) => ({
    outcome: 'skip',
    findings: [],
    why: why.sourceString.slice(1, -1),
  }),
  RowCondition: (_comma, sometimes, expr): ConditionSyntax => ({
    kind: sometimes.numChildren > 0 ? 'sometimes' : 'always',
    expr: expr.tree(),
    text: expr.sourceString.trim(),
  }),
  Expr_or: (left, _k, right): ExprSyntax => ({
    kind: 'or',
    left: left.tree(),
    right: right.tree(),
  }),
  And_and: (left, _k, right): ExprSyntax => ({
    kind: 'and',
    left: left.tree(),
    right: right.tree(),
  }),
  Not_not: (_k, inner): ExprSyntax => ({ kind: 'not', inner: inner.tree() }),
  Compare_paren: (_o, inner, _c) => inner.tree(),
  Compare_compare: (left, operator, right): ExprSyntax => ({
    kind: 'compare',
    operator: operator.sourceString,
    left: named(left),
    right: named(right),
  }),
})

/** Parse a litmus file. @throws LitmusError with line, column and what was expected. */
export function parseLitmus(source: string): FileSyntax {
  const text = source.endsWith('\n') ? source : `${source}\n`
  const match = grammar.match(text)
  if (match.failed()) {
    const at = (
      match as unknown as { getRightmostFailurePosition(): number }
    ).getRightmostFailurePosition()
    const expected = /Expected (.*)/.exec(match.message ?? '')?.[1] ?? 'something else'
    throw new LitmusError(`expected ${readable(expected)}`, text, at)
  }
  const root = semantics(match) as unknown as { tree(): unknown }
  return (root as unknown as { file(): FileSyntax }).file()
}

/** Ohm's words for what it expected, without the parts that are always possible. */
function readable(expected: string): string {
  return expected
    .replace(/"\\n"/g, 'the end of the line')
    .replace(/, or not |not a keyword, |a comment, |"#", /g, '')
}

semantics.addOperation<FileSyntax>('file', {
  File(_nl, title, _nl1, question, _nl2, sections, _end): FileSyntax {
    const all = sections.children.map((s) => s.tree() as Section)
    const pick = <K extends Section['is']>(is: K): Extract<Section, { readonly is: K }>[] =>
      all.filter((s) => s.is === is) as Extract<Section, { readonly is: K }>[]
    const linesOf = (is: 'setup' | 'finally'): OperationSyntax[] =>
      all.flatMap((s) => (s.is === is ? s.operations : []))
    return {
      name: title.child(1)?.sourceString ?? title.sourceString.replace(/^litmus\s+/, '').trim(),
      question: question.sourceString.trim().slice(1, -1),
      hosts: pick('hosts').flatMap((s) => s.hosts),
      setup: linesOf('setup'),
      tasks: pick('task'),
      last: linesOf('finally'),
      faults: pick('faults')[0]?.count ?? 0,
      reach: pick('reach').flatMap((s) => s.marks),
      conditions: pick('condition').map((s) => s.condition),
      rows: pick('expect').flatMap((s) => s.rows),
    }
  },
})

/**
 * From text to a syntax tree, by descent: a function for each rule. Lines end statements, but behind
 * a comma, a bar, `and` and `or` a statement may go on in the next line, and a quoted text may in
 * quotes of its own. Indentation is free. Places are offsets into the text.
 */
import { suggest } from './error.js'
import { type Named, Scanner } from './scanner.js'

export type { Named }

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

export interface TaskSyntax {
  readonly name: Named
  readonly operations: readonly OperationSyntax[]
}

export interface FileSyntax {
  readonly name: string
  readonly question: string
  readonly hosts: readonly Named[]
  readonly setup: readonly OperationSyntax[]
  readonly tasks: readonly TaskSyntax[]
  readonly last: readonly OperationSyntax[]
  readonly faults: Named | undefined
  readonly reach: readonly Named[]
  readonly conditions: readonly ConditionSyntax[]
  readonly rows: readonly RowSyntax[]
}

const SECTION =
  /(?:host|setup|task|finally|faults|reach|always|never|sometimes|expect)(?![\p{L}\d_])/uy
const QUOTED = /"[^"\n]*"(?:\s*\n\s*"[^"\n]*")*/y
const SCENARIO = /[\p{L}\d\-_./]+/uy
const NAME = /[\p{L}_][\p{L}\d_]*/uy
const MARK = /\p{L}[\p{L}\d-]*/uy
const DESIGN = /(?:\*|[\p{L}\d\-_.]+)(?:@[a-z\d.-]+)?/uy
const HOST = /[a-z]+/y
const COMPARISON = /==|!=|<=|>=|<|>/y
/** A row's finding; not what begins a condition. */
const FINDING =
  /(?!(?:sometimes|always)(?![\p{L}\d_]))\p{L}[\p{L}\d-]+(?![\p{L}\d-])(?![ \t]*(?:==|!=|<|>|:))/uy
const TERM = /-?(?:0x[\da-fA-F]+|\d+[PKMGT]?(?![\p{L}\d])|[\p{L}_][\p{L}\d_]*)/uy
const OPERAND = new RegExp(
  `[\\p{L}_][\\p{L}\\d_]*[ \\t]*:[ \\t]*[\\p{L}_][\\p{L}\\d_]*|${TERM.source}`,
  'uy',
)
const COUNT = /\d+(?![\p{L}\d])/uy
const [OPEN, CLOSE, COMMA, BAR, EQUALS, SAME] = [/\(/y, /\)/y, /,/y, /\|/y, /=(?!=)/y, /==/y]
const [AND, OR, NOT, SOMETIMES] = ['and', 'or', 'not', 'sometimes'].map(
  (word) => new RegExp(`${word}(?![\\p{L}\\d_])`, 'uy'),
) as [RegExp, RegExp, RegExp, RegExp]
const OUTCOMES = ['clean', 'finds', 'skip']
const OUTCOME = new RegExp(`(?:${OUTCOMES.join('|')})(?![\\p{L}\\d_])`, 'uy')

/** Deeper conditions are nobody's. */
const MOST_NESTED = 200

/** Parse a litmus file. @throws LitmusError with line, column and what was expected. */
export function parseLitmus(source: string): FileSyntax {
  return new Parser(source).file()
}

interface Draft {
  name: string
  question: string
  hosts: Named[]
  setup: OperationSyntax[]
  tasks: TaskSyntax[]
  last: OperationSyntax[]
  faults: Named | undefined
  reach: Named[]
  conditions: ConditionSyntax[]
  rows: RowSyntax[]
}

class Parser {
  readonly #s: Scanner
  #depth = 0

  constructor(source: string) {
    this.#s = new Scanner(source)
  }

  file(): FileSyntax {
    const s = this.#s
    s.skipLines()
    s.need(/litmus(?=[ \t])/y, '"litmus" and the name of the scenario')
    const name = s.need(SCENARIO, 'the name of the scenario').text
    s.endOfLine()
    const question = this.#quoted('the question, in quotes')
    s.endOfLine()
    const draft: Draft = {
      name,
      question,
      hosts: [],
      setup: [],
      tasks: [],
      last: [],
      faults: undefined,
      reach: [],
      conditions: [],
      rows: [],
    }
    do this.#section(draft)
    while (!s.ended)
    return draft
  }

  #section(draft: Draft): void {
    const s = this.#s
    const keyword = s.need(SECTION, 'host, setup, task, finally, faults, reach, always or expect')
    switch (keyword.text) {
      case 'task': {
        const name = s.need(NAME, 'the name of the task')
        s.endOfLine()
        draft.tasks.push({ name, operations: this.#lines() })
        return
      }
      case 'setup':
        s.endOfLine()
        draft.setup.push(...this.#lines())
        return
      case 'finally':
        s.endOfLine()
        draft.last.push(...this.#lines())
        return
      case 'host':
        draft.hosts.push(...this.#list(() => s.need(HOST, 'a host')))
        break
      case 'faults':
        draft.faults = s.need(COUNT, 'a number of faults')
        break
      case 'reach':
        draft.reach.push(...this.#list(() => s.need(MARK, 'the name of a mark')))
        break
      case 'expect':
        s.endOfLine()
        do draft.rows.push(this.#row())
        while (!s.ended && !s.sees(SECTION))
        return
      default:
        draft.conditions.push(this.#condition(keyword.text as ConditionSyntax['kind']))
    }
    s.endOfLine()
  }

  /** At least one operation, up to the next section. */
  #lines(): OperationSyntax[] {
    const lines: OperationSyntax[] = []
    do {
      if (this.#s.ended || this.#s.sees(SECTION)) this.#s.expected('an operation')
      lines.push(this.#operation())
      this.#s.endOfLine()
    } while (!this.#s.ended && !this.#s.sees(SECTION))
    return lines
  }

  #operation(): OperationSyntax {
    const s = this.#s
    let name = s.need(NAME, 'an operation')
    const variable = s.take(EQUALS) === undefined ? undefined : name
    if (variable !== undefined) name = s.need(NAME, 'an operation')
    s.need(OPEN, '"("')
    const args = s.sees(CLOSE) ? [] : this.#list(() => this.#argument())
    s.need(CLOSE, args.length > 0 ? '"," or ")"' : '")"')
    const expected = s.take(SAME) === undefined ? undefined : this.#value()
    return { variable, name, args, expected, text: s.since(name.at) }
  }

  #argument(): OperationSyntax['args'][number] {
    const s = this.#s
    if (s.sees(/[\p{L}_][\p{L}\d_]*[ \t]*=(?!=)/uy)) {
      const name = s.need(NAME, 'an argument')
      s.need(EQUALS, '"="')
      return { name, value: this.#value() }
    }
    return { name: undefined, value: this.#value() }
  }

  #value(): ValueSyntax {
    const at = this.#s.at
    return { terms: this.#list(() => this.#s.need(TERM, 'a value'), BAR), at }
  }

  #list<T>(one: () => T, separator = COMMA): T[] {
    const all = [one()]
    while (this.#more(separator)) all.push(one())
    return all
  }

  /** Does the statement go on behind this? It may do so in the next line. */
  #more(separator: RegExp): boolean {
    if (this.#s.take(separator) === undefined) return false
    this.#s.skipLines()
    return true
  }

  /** A text, without its quotes; the pieces of several lines are one. */
  #quoted(what: string): string {
    return this.#s.need(QUOTED, what).text.slice(1, -1).replace(/"\s*"/g, '')
  }

  #condition(kind: ConditionSyntax['kind']): ConditionSyntax {
    const at = this.#s.at
    const expr = this.#or()
    return { kind, expr, text: this.#s.since(at) }
  }

  #or(): ExprSyntax {
    let left = this.#and()
    while (this.#more(OR)) left = { kind: 'or', left, right: this.#and() }
    return left
  }

  #and(): ExprSyntax {
    let left = this.#not()
    while (this.#more(AND)) left = { kind: 'and', left, right: this.#not() }
    return left
  }

  #not(): ExprSyntax {
    const s = this.#s
    if (++this.#depth > MOST_NESTED) s.fail(`a condition nests at most ${MOST_NESTED} deep`)
    try {
      if (s.take(NOT) !== undefined) return { kind: 'not', inner: this.#not() }
      if (s.take(OPEN) === undefined) return this.#compare()
      const inner = this.#or()
      s.need(CLOSE, '")"')
      return inner
    } finally {
      this.#depth--
    }
  }

  #compare(): ExprSyntax {
    const s = this.#s
    const left = s.need(OPERAND, 'a variable or a value')
    const operator = s.need(COMPARISON, 'a comparison').text
    return { kind: 'compare', operator, left, right: s.need(OPERAND, 'a variable or a value') }
  }

  /** What stands where a row says what comes of its designs, and what may have been meant. */
  #noOutcome(): never {
    const { at } = this.#s
    const word = this.#s.take(NAME)?.text
    const hint = word === undefined ? '' : suggest(word, OUTCOMES)
    return this.#s.fail(
      `expected ${OUTCOMES.slice(0, -1).join(', ')} or ${OUTCOMES.at(-1)}.${hint}`,
      at,
    )
  }

  #row(): RowSyntax {
    const s = this.#s
    const designs = this.#list(() => s.need(DESIGN, 'a design'))
    const outcome = (s.take(OUTCOME) ?? this.#noOutcome()).text as RowSyntax['outcome']
    const why = outcome === 'skip' ? this.#quoted('the reason, in quotes') : ''
    const findings = outcome === 'finds' ? [s.need(FINDING, 'a finding')] : []
    const conditions: ConditionSyntax[] = []
    while (this.#more(COMMA)) {
      const another = outcome === 'finds' && conditions.length === 0 ? s.take(FINDING) : undefined
      if (another !== undefined) findings.push(another)
      else conditions.push(this.#condition(s.take(SOMETIMES) ? 'sometimes' : 'always'))
    }
    s.endOfLine()
    return { designs, outcome, findings, why, conditions }
  }
}

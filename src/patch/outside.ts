/**
 * What a patch changes outside of functions: types, data and macros. The model has its own, so that
 * such a change is never judged; it is said, and the review is one of a part.
 */
import { type CNode, squash } from './c/parse.js'

/** Something at the top of a C file, by its lines. */
export interface Span {
  readonly from: number
  readonly to: number
  /** `judged` elsewhere: functions, tables of operations, prototypes. */
  readonly kind: 'judged' | 'type' | 'data'
  readonly name: string
}

/** The spans of a file that has been read; `tables` are judged as what they are. */
export function spansOf(root: CNode, tables: ReadonlySet<string>): Span[] {
  return root.kids.map((node): Span => {
    const to = node.line + node.text.split('\n').length - 1
    const name = squash(node.text).slice(0, 40)
    return { from: node.line, to, kind: kindOf(node, tables), name }
  })
}

function kindOf(node: CNode, tables: ReadonlySet<string>): Span['kind'] {
  if (node.type === 'function_definition') return 'judged'
  if (/^(?:struct|union|enum)_specifier$|^type_definition$/.test(node.type)) {
    return node.fields.body === undefined && node.type !== 'type_definition' ? 'judged' : 'type'
  }
  if (node.type !== 'declaration') return 'judged'
  if (node.fields.type?.fields.body !== undefined) return 'type'
  const made = node.fields.declarator
  const isData = made?.type === 'init_declarator' && !tables.has(made.fields.declarator?.text ?? '')
  return isData ? 'data' : 'judged'
}

export interface Outside {
  readonly name: string
  readonly line: number
}

/** Which types, data and macros some lines of a file belong to, each once. */
export function outsideOf(
  text: string,
  spans: readonly Span[],
  lines: readonly number[],
): Outside[] {
  const raw = text.split('\n')
  const found = new Map<string, Outside>()
  for (const line of lines) {
    const macro = /^\s*#\s*(?:define|undef)\s+(\w+)/.exec(raw[line - 1] ?? '')?.[1]
    const span = spans.find((s) => line >= s.from && line <= s.to)
    const name = macro ?? (span === undefined || span.kind === 'judged' ? undefined : span.name)
    if (name !== undefined && !found.has(name)) found.set(name, { name, line })
  }
  return [...found.values()]
}

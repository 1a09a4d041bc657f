/** What a C file defines: functions and tables of operations. */
import { type CNode, descendants, squash } from './parse.js'

export interface CFunction {
  readonly name: string
  readonly node: CNode
  readonly body: CNode
  /** Only what hunks show of it is known; `GAP` stands for the rest. */
  readonly partial?: true
}

/** A call that stands where a hunk does not show what is there. */
export const GAP = '__gap'

export function isGap(node: CNode): boolean {
  return node.text === `${GAP}();`
}

/** `const struct x_operations name = { .slot = function, … };` */
export interface CTable {
  readonly name: string
  /** `x_operations` */
  readonly struct: string
  readonly slots: readonly (readonly [slot: string, value: string])[]
  readonly line: number
}

/** The functions that a file defines, by name; of two with one name the first. */
export function functionsOf(root: CNode): ReadonlyMap<string, CFunction> {
  const found = new Map<string, CFunction>()
  for (const node of descendants(root, 'function_definition')) {
    const name = functionName(node)
    const body = node.fields.body
    if (name !== undefined && body !== undefined && !found.has(name)) {
      found.set(name, { name, node, body })
    }
  }
  return found
}

/** The `function_declarator` of a definition or declaration, through its pointers. */
export function functionDeclarator(node: CNode): CNode | undefined {
  let at = node.fields.declarator
  while (at !== undefined && at.type !== 'function_declarator') at = at.fields.declarator
  return at
}

/** Undefined for a definition by macro. */
export function functionName(node: CNode): string | undefined {
  const name = functionDeclarator(node)?.fields.declarator
  return name?.type === 'identifier' ? name.text : undefined
}

/** The tables of operations that a file defines, by name. */
export function tablesOf(root: CNode): ReadonlyMap<string, CTable> {
  const found = new Map<string, CTable>()
  for (const node of descendants(root, 'declaration')) {
    const type = squash(node.fields.type?.text ?? '')
    const struct = /^struct (\w+(?:_operations|_operations_struct|_ops|_ops_struct))$/.exec(
      type,
    )?.[1]
    const made = node.fields.declarator
    if (struct === undefined || made?.type !== 'init_declarator') continue
    const value = made.fields.value
    const name = made.fields.declarator?.text
    if (value?.type !== 'initializer_list' || name === undefined) continue
    const slots = value.kids
      .filter((k) => k.type === 'initializer_pair')
      .map((k) => [k.kids[0]?.text.replace('.', '') ?? '', k.fields.value?.text ?? ''] as const)
    found.set(name, { name, struct, slots, line: node.line })
  }
  return found
}

/**
 * What stands at the top of a C file, one thing each: what a patch changes is what is not the same
 * before and after it. Comments and white space are in none; a function is one item whatever is in it.
 */
import { functionName, tablesOf } from './c/functions.js'
import { directivesOf } from './c/normalise.js'
import { type CNode, descendants, squash } from './c/parse.js'

export type ItemKind =
  | 'function'
  | 'table'
  | 'prototype'
  | 'field'
  | 'constant'
  | 'type'
  | 'data'
  | 'macro'
  /** A definition by macro: `DEFINE_MUTEX(m)`, `module_init(f)`. */
  | 'call'
  /** What the parser cannot read. */
  | 'unknown'

export interface Item {
  readonly kind: ItemKind
  readonly name: string
  /** Without comments, in one line. */
  readonly text: string
  readonly line: number
  /** Only its own file sees it, if that is no header. */
  readonly isStatic: boolean
}

/** The items of a file that has been parsed. */
export function itemsOf(text: string, root: CNode): Item[] {
  const tables = new Set(tablesOf(root).keys())
  const { macros, includes, calls } = directivesOf(text)
  const named = macros.map((m): Item => ({ ...m, kind: 'macro', isStatic: false }))
  const headers = includes.map((m): Item => ({ ...m, kind: 'prototype', isStatic: true }))
  const made = calls.map(
    (c): Item => ({ ...c, kind: 'call', name: c.text.slice(0, SHOWN), isStatic: true }),
  )
  return [...root.kids.flatMap((node) => itemsIn(node, tables)), ...named, ...headers, ...made]
}

const SHOWN = 60

function item(node: CNode, kind: ItemKind, name: string, text = node.text): Item {
  const isStatic = /^\s*(?:\w+\s+)*?static\b/.test(node.text)
  return { kind, name, text: squash(text), line: node.line, isStatic }
}

function itemsIn(node: CNode, tables: ReadonlySet<string>): Item[] {
  const plain = squash(node.text)
  if (plain === '' || plain === ';') return []
  switch (node.type) {
    case 'function_definition': {
      const name = functionName(node)
      return [
        item(node, name === undefined ? 'unknown' : 'function', name ?? plain.slice(0, SHOWN)),
      ]
    }
    case 'declaration':
      return node.broken ? [unknown(node)] : declared(node, tables)
    case 'struct_specifier':
    case 'union_specifier':
    case 'enum_specifier':
      return node.broken ? [unknown(node)] : inType(node)
    case 'type_definition': {
      const inner = node.fields.type === undefined ? [] : inType(node.fields.type)
      const name = node.fields.declarator?.text ?? plain.slice(0, SHOWN)
      return node.broken ? [unknown(node)] : [...inner, item(node, 'type', name)]
    }
    case 'expression_statement':
      return [item(node, 'call', plain.slice(0, SHOWN))]
    default:
      return [unknown(node)]
  }
}

function unknown(node: CNode): Item {
  return item(node, 'unknown', squash(node.text).slice(0, SHOWN))
}

function declared(node: CNode, tables: ReadonlySet<string>): Item[] {
  const { type } = node.fields
  const types = type?.fields.body === undefined ? [] : inType(type)
  const isExtern = /^\s*extern\b/.test(node.text)
  const names = node.kids.flatMap((k): Item[] => {
    if (k === type || !/declarator|^identifier$/.test(k.type)) return []
    const name = /\w+/.exec(descendants(k, 'identifier')[0]?.text ?? '')?.[0] ?? k.text
    if (descendants(k, 'function_declarator').length > 0 && k.type !== 'init_declarator') {
      return [item(node, 'prototype', name)]
    }
    if (isExtern) return [item(node, 'prototype', name)]
    const text = `${squash(type?.text ?? '')} ${k.text}`
    return [item(node, tables.has(name) ? 'table' : 'data', name, text)]
  })
  const forward = types.length + names.length === 0
  return forward
    ? [item(node, 'prototype', squash(node.text).slice(0, SHOWN))]
    : [...types, ...names]
}

/** Enumerators with their values, fields with their types. */
function inType(node: CNode): Item[] {
  const { body } = node.fields
  const tag = node.fields.name?.text ?? ''
  if (body === undefined) return [item(node, 'prototype', squash(node.text).slice(0, SHOWN))]
  return node.type === 'enum_specifier' ? enumerators(body) : fields(body, tag)
}

function enumerators(body: CNode): Item[] {
  let base = '0'
  let above = 0
  return body.kids.map((k): Item => {
    const name = k.fields.name?.text ?? k.text
    const value = k.fields.value
    if (value !== undefined) {
      base = squash(value.text)
      above = 0
    }
    const text = `${name} = ${above === 0 ? base : `${base} + ${above}`}`
    above++
    return item(k, 'constant', name, text)
  })
}

function fields(body: CNode, tag: string): Item[] {
  return body.kids.flatMap((k): Item[] => {
    const inner = k.fields.type
    const nested = inner?.fields.body === undefined ? [] : fields(inner.fields.body, tag)
    const names = descendants(k, 'field_identifier').filter(
      (n) => inner?.fields.body === undefined || n.start >= inner.end,
    )
    const type = squash((inner?.fields.body === undefined ? k.text : (inner?.type ?? '')) ?? '')
    if (k.type !== 'field_declaration') return [item(k, 'unknown', squash(k.text).slice(0, SHOWN))]
    return [...nested, ...names.map((n) => item(n, 'field', `${tag}.${n.text}`, type))]
  })
}

export interface ItemChange {
  readonly what: 'changed' | 'new' | 'removed'
  readonly item: Item
}

/** What is not the same, functions and tables aside. */
export function itemsApart(before: readonly Item[], after: readonly Item[]): ItemChange[] {
  const [was, now] = [byKey(before), byKey(after)]
  const found: ItemChange[] = []
  for (const [key, item] of now) {
    const old = was.get(key)
    if (old === undefined) found.push({ what: 'new', item })
    else if (old.text !== item.text) found.push({ what: 'changed', item })
  }
  for (const [key, item] of was) if (!now.has(key)) found.push({ what: 'removed', item })
  return found
}

/** Of several that have one name, as an enum and its bits, all count. */
function byKey(items: readonly Item[]): ReadonlyMap<string, Item> {
  const found = new Map<string, Item>()
  for (const item of items) {
    if (item.kind === 'function' || item.kind === 'table') continue
    const key = `${item.kind} ${item.name}`
    const other = found.get(key)
    found.set(key, other === undefined ? item : { ...other, text: `${other.text} ${item.text}` })
  }
  return found
}

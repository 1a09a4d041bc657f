/** Types of C and of the model, as far as a translation needs them. */
import type { CNode } from '../c/parse.js'
import type { ModelFunction } from '../model/dictionary.js'
import type { Scope } from '../model/scope.js'

export type Type =
  | { readonly k: 'bool' | 'void' | 'null' | 'any' | 'text' | 'list' }
  /** `unsigned`: declared so in C, and at least as wide as int. */
  | { readonly k: 'num'; readonly unsigned?: true }
  /** 64 bits: what C declares has a sign and wraps; of the model's own only the value is known. */
  | { readonly k: 'big'; readonly bits?: 's64' | 'u64' }
  /** A branded number: Pgoff, Gfn, Pfn. */
  | { readonly k: 'wide'; readonly name: string }
  /** `sure`: the model's type says that it is not NULL. */
  | { readonly k: 'ptr'; readonly struct: string; readonly sure: boolean }
  /** A struct inside another one. */
  | { readonly k: 'embed'; readonly struct: string }
  | { readonly k: 'ops'; readonly of: string }
  | { readonly k: 'slot'; readonly of: string; readonly slot: string }
  | { readonly k: 'function'; readonly f: ModelFunction }
  /** `struct x *` as an out parameter: what it points to. */
  | { readonly k: 'out'; readonly to: Type }
  /** A struct on the stack whose members are locals of their own. */
  | { readonly k: 'record' }
  /** Something that the model does not have. */
  | { readonly k: 'foreign'; readonly c: string }

export const NUM: Type = { k: 'num' }
const UNSIGNED: Type = { k: 'num', unsigned: true }
export const BOOL: Type = { k: 'bool' }
export const BIG: Type = { k: 'big' }
export const S64: Type = { k: 'big', bits: 's64' }
export const U64: Type = { k: 'big', bits: 'u64' }
export const VOID: Type = { k: 'void' }
export const NULL: Type = { k: 'null' }
export const ANY: Type = { k: 'any' }

export function pointerTo(struct: string, sure = false): Type {
  return { k: 'ptr', struct, sure }
}

export function isPointer(t: Type): boolean {
  return t.k === 'ptr' || t.k === 'ops' || t.k === 'any' || t.k === 'null' || t.k === 'embed'
}

export function structOf(t: Type): string | undefined {
  return t.k === 'ptr' || t.k === 'embed' ? t.struct : undefined
}

export function sameKind(a: Type, b: Type): boolean {
  if (a.k === 'wide' && b.k === 'wide') return a.name === b.name
  if (structOf(a) !== undefined && structOf(b) !== undefined) return structOf(a) === structOf(b)
  return a.k === b.k
}

/** How a local of this type is declared. */
export function declared(t: Type): string {
  switch (t.k) {
    case 'bool':
      return 'boolean'
    case 'big':
      return 'bigint'
    case 'void':
      return 'void'
    case 'wide':
      return t.name
    case 'ptr':
      return t.sure ? t.struct : `${t.struct} | null`
    case 'embed':
      return t.struct
    case 'ops':
      return `${t.of} | null`
    case 'any':
    case 'null':
      return 'Obj | null'
    default:
      return 'number'
  }
}

/** The value that a local has before it is assigned. */
export function zeroOf(t: Type): string {
  switch (t.k) {
    case 'bool':
      return 'false'
    case 'big':
      return '0n'
    case 'wide':
      return `0 as ${t.name}`
    case 'num':
      return '0'
    default:
      return 'null'
  }
}

/** A type as the model's sources write it; undefined for one that no local can have. */
export function modelType(text: string, scope: Scope): Type | undefined {
  const name = text.replace(/\s+/g, ' ').trim()
  const plain = MODEL[name]
  if (plain !== undefined) return plain
  const [, base = '', nullable] = /^(\w+)( \| null)?$/.exec(name) ?? []
  if (base === 'Obj') return ANY
  if (base === 'SwpEntry' || base === 'XaIndex') return NUM
  if (scope.ops(base) !== undefined) return { k: 'ops', of: base }
  if (scope.struct(base) !== undefined) return pointerTo(base, nullable === undefined)
  return undefined
}

const MODEL: Readonly<Record<string, Type>> = {
  __proto__: null as never,
  number: NUM,
  boolean: BOOL,
  bigint: BIG,
  void: VOID,
  Pgoff: { k: 'wide', name: 'Pgoff' },
  Gfn: { k: 'wide', name: 'Gfn' },
  Pfn: { k: 'wide', name: 'Pfn' },
}

/** The type of a field: a struct without `| null` lies inside the other one. */
export function fieldType(text: string, scope: Scope): Type | undefined {
  const t = modelType(text, scope)
  return t?.k === 'ptr' && t.sure ? { k: 'embed', struct: t.struct } : t
}

/** C type names that are not plain integers. */
const C_TYPES: Readonly<Record<string, Type>> = {
  __proto__: null as never,
  bool: BOOL,
  _Bool: BOOL,
  void: VOID,
  loff_t: S64,
  uoff_t: U64,
  u64: U64,
  __u64: U64,
  s64: S64,
  __s64: S64,
  uint64_t: U64,
  gpa_t: U64,
  hpa_t: U64,
  pgoff_t: { k: 'wide', name: 'Pgoff' },
  gfn_t: { k: 'wide', name: 'Gfn' },
  kvm_pfn_t: { k: 'wide', name: 'Pfn' },
}

const INTEGERS =
  /^(?:unsigned|signed|int|long|short|char|u?int\d+_t|__?[us]\d+|[us]\d+|s?size_t|vm_fault_t|gfp_t|umode_t|fmode_t|isolate_mode_t|vm_flags_t|vma_flags_t|pid_t|nodeid_t|swp_entry_t|atomic_t|blkcnt_t|enum \w+|hva_t|fgf_t|unsigned_long)(?: |$)/

/** Of the integers, those that an expression does not promote to int. */
const WITHOUT_SIGN =
  /^(?:unsigned(?!.* (?:char|short))|uint(?:32|64)_t|(?:__)?u(?:32|64)|size_t|hva_t|unsigned_long)(?: |$)/

/** The text of a 64-bit value with the sign of a type, as far as that has one. */
export function asBits(code: string, t: Type): string {
  const bits = t.k === 'big' ? t.bits : undefined
  return bits === undefined ? code : `BigInt.as${bits === 's64' ? 'Int' : 'Uint'}N(64, ${code})`
}

/** What two operands of 64 bits make: unsigned if either is, as in C. */
export function together(a: Type, b: Type): Type {
  const bits = [a, b].map((t) => (t.k === 'big' ? t.bits : undefined))
  return bits.includes('u64') ? U64 : bits.includes('s64') ? S64 : BIG
}

/** A C type name that says how wide and of which sign a number is. */
export function wideNamed(name: string): (Type & { k: 'big' }) | undefined {
  const t = C_TYPES[name]
  return t?.k === 'big' ? t : undefined
}

/** Bits and sign of integers that are narrower than what they may be made of, by their C name. */
const NARROW: Readonly<Record<string, readonly [bits: number, as: 'Int' | 'Uint']>> = {
  __proto__: null as never,
  int: [32, 'Int'],
  s32: [32, 'Int'],
  unsigned: [32, 'Uint'],
  'unsigned int': [32, 'Uint'],
  u32: [32, 'Uint'],
  u16: [16, 'Uint'],
  u8: [8, 'Uint'],
}

/** A 64-bit value cut down to what a C type holds; undefined if that is not narrower. */
export function narrowed(
  code: string,
  c: string,
): { readonly code: string; readonly type: Type } | undefined {
  const [bits, as] = NARROW[c] ?? []
  if (bits === undefined) return undefined
  const type = bits === 32 && as === 'Uint' ? UNSIGNED : NUM
  return { code: `Number(BigInt.as${as}N(${bits}, ${code}))`, type }
}

/** The type of a C declaration: its type node and how many pointers stand before the name. */
export function cType(node: CNode, pointers: number, scope: Scope, alias: Aliases): Type {
  const name = node.text
    .replace(/\b(const|volatile|static|register|inline|extern)\b/g, '')
    .replace(/\s+/g, ' ')
    .trim()
  const struct = /^(?:struct|union) (\w+)/.exec(name)?.[1]
  if (struct !== undefined) return structType(struct, pointers, scope, alias)
  const base = C_TYPES[name] ?? integer(name)
  if (base === undefined) return { k: 'foreign', c: name }
  if (pointers === 0) return base
  return base.k === 'void' ? ANY : { k: 'out', to: base }
}

function integer(name: string): Type | undefined {
  if (!INTEGERS.test(name)) return undefined
  return WITHOUT_SIGN.test(name) ? UNSIGNED : NUM
}

/** Structs that are another one in the model, by C name. */
export type Aliases = Readonly<Record<string, string>>

function structType(c: string, pointers: number, scope: Scope, alias: Aliases): Type {
  if (c === 'list_head') return { k: 'list' }
  // The file, with a reference.
  if (c === 'fd' && pointers === 0) return pointerTo('File')
  const found = scope.structNamed(alias[c] ?? c)
  if (found !== undefined) {
    if (pointers > 1) return { k: 'out', to: pointerTo(found.ts) }
    return pointers === 1 ? pointerTo(found.ts) : { k: 'embed', struct: found.ts }
  }
  const ops = scope.opsOfStruct(c)
  return ops === undefined ? { k: 'foreign', c: `struct ${c}` } : { k: 'ops', of: ops.ts }
}

/** The name in a declarator, and how many pointers stand before it. */
export function declaratorOf(node: CNode): { name: string | undefined; pointers: number } {
  let pointers = 0
  let at: CNode | undefined = node
  while (at !== undefined && !/^(?:field_)?identifier$/.test(at.type)) {
    if (at.type === 'pointer_declarator') pointers++
    if (at.type === 'array_declarator') pointers += 8
    at = at.fields.declarator ?? at.kids.find((k) => /declarator|identifier/.test(k.type))
  }
  return { name: at?.text, pointers }
}

/** C expressions as the model's. What must happen before the value is known is emitted first. */
import { type CNode, squash } from '../c/parse.js'
import { camelCase } from '../model/dictionary.js'
import { call } from './call.js'
import { coerce, sure } from './convert.js'
import { FIELDS, GLOBALS, PHRASES, PRIVATE_STRUCTS, SLOTS } from './crosswalk.js'
import { alike, arithmetic, character, number } from './numbers.js'
import { assign } from './statement.js'
import {
  asBits,
  BIG,
  BOOL,
  fieldType,
  isPointer,
  modelType,
  NULL,
  NUM,
  narrowed,
  pointerTo,
  S64,
  sameKind,
  structOf,
  type Type,
  together,
  wideNamed,
} from './types.js'
import { atom, BIND, Hole, type Local, type Value, type Work, within } from './work.js'

/** A place that can be read and assigned. */
export interface Place {
  readonly code: string
  readonly type: Type
  /** Of a field: the object, the field, and the object's struct. */
  readonly object?: string
  readonly field?: string
  readonly struct?: string | undefined
  readonly local?: Local
  /** What is stored here is dropped. */
  readonly dropped?: boolean
}

/** The value of an expression; `want` is the type that its user would like. */
export function value(w: Work, e: CNode, want?: Type): Value {
  const known = phrase(w, e)
  if (known !== undefined) return known
  switch (e.type) {
    case 'parenthesized_expression':
      return value(w, e.kids[0] as CNode, want)
    case 'number_literal':
      return number(e, want)
    case 'char_literal':
      return character(e)
    case 'true':
    case 'false':
      return atom(e.text, BOOL)
    case 'null':
      return atom('null', NULL)
    case 'string_literal':
    case 'concatenated_string':
      return atom("''", { k: 'text' })
    case 'identifier':
      return name(w, e)
    case 'field_expression':
      return global(w, e) ?? load(w, place(w, e))
    case 'pointer_expression':
      return pointer(w, e)
    case 'unary_expression':
      return unary(w, e, want)
    case 'binary_expression':
      return binary(w, e, want)
    case 'conditional_expression':
      return conditional(w, e, want)
    case 'cast_expression':
      return cast(w, e, want)
    case 'call_expression':
      return call(w, e, want)
    case 'assignment_expression': {
      const left = e.fields.left as CNode
      assign(w, left, e.fields.right as CNode, e.operator ?? '=')
      return value(w, left, want)
    }
    case 'sizeof_expression':
      return atom('0', NUM)
    default:
      throw new Hole(`a ${e.type.replaceAll('_', ' ')}`, e)
  }
}

/** A whole expression that the model says otherwise, if the function has what it needs. */
function phrase(w: Work, e: CNode): Value | undefined {
  const row = PHRASES[squash(e.text)]
  if (row === undefined) return undefined
  const [code, type, param] = row
  const local = [...w.locals.values()].find((l) => l.given && l.ts === param && !l.missing)
  if (local === undefined) return undefined
  const bind = /^\w+$/.test(code) ? BIND.atom : BIND.as
  return { code, type: type === 'bool' ? BOOL : type === 'int' ? NUM : local.type, bind }
}

/** The text of a condition. */
export function condition(w: Work, e: CNode): string {
  return coerce(value(w, e), BOOL).code
}

function name(w: Work, e: CNode): Value {
  const local = w.locals.get(e.text)
  if (local !== undefined) {
    if (local.dropped) return atom('false', BOOL)
    if (local.missing) throw new Hole(`the model's function has no ${e.text}`, e)
    local.used = true
    return atom(local.ts, local.type)
  }
  if (e.text === 'NULL') return atom('null', NULL)
  if (/^_{0,2}GFP_\w+$/.test(e.text)) return { ...atom('0', NUM), literal: true }
  const constant = w.scope.value(e.text)
  if (constant !== undefined) return atom(e.text, valueType(w, constant.type))
  const old = w.scope.tableNamed(e.text)
  if (old !== undefined) return atom(old.ts, { k: 'ops', of: old.type })
  const table = w.around.newTable(e.text)
  if (table?.lacks !== undefined) throw new Hole(table.lacks, e)
  if (table !== undefined) return atom(table.ts, { k: 'ops', of: table.of })
  const f = w.around.newFunction(e.text)?.model ?? w.scope.callee(e.text)
  if (f !== undefined) return atom(f.ts, { k: 'function', f })
  const known = w.scope.value(camelCase(e.text))
  if (known !== undefined) return atom(known.ts, valueType(w, known.type))
  throw new Hole(`${e.text} is not in the model`, e)
}

function valueType(w: Work, text: string): Type {
  return modelType(text, w.scope) ?? (/^-?\d+n$/.test(text) ? BIG : NUM)
}

function global(w: Work, e: CNode): Value | undefined {
  const row = GLOBALS[e.text.replace(/\s+/g, '')]
  if (row === undefined) return undefined
  const struct = w.scope.structNamed(row[1])
  const root = /^\w+/.exec(row[0])?.[0] ?? ''
  if (struct === undefined || w.scope.fileOf(root) === undefined) return undefined
  return atom(row[0], pointerTo(struct.ts, true))
}

/** Where a field or a local is. */
export function place(w: Work, e: CNode): Place {
  if (e.type === 'parenthesized_expression') return place(w, e.kids[0] as CNode)
  if (e.type === 'identifier') {
    const local = w.locals.get(e.text)
    if (local === undefined) throw new Hole(`${e.text} is not in the model`, e)
    if (local.missing) throw new Hole(`the model's function has no ${e.text}`, e)
    local.used = true
    return { code: local.ts, type: local.type, local }
  }
  if (e.type === 'pointer_expression' && e.operator === '*') {
    const local = w.locals.get(e.fields.argument?.text ?? '')
    if (local?.result) return { code: local.ts, type: local.type, local }
    if (local?.dropped) return { code: '', type: NUM, dropped: true }
    throw new Hole('a store through a pointer', e)
  }
  if (e.type === 'field_expression') return fieldPlace(w, e)
  throw new Hole(`a store to a ${e.type.replaceAll('_', ' ')}`, e)
}

/** `a->b.c->d`: all but the last are read. */
function fieldPlace(w: Work, e: CNode): Place {
  const argument = e.fields.argument as CNode
  const member = (e.fields.field as CNode).text
  const record = w.locals.get(`${argument.text}.${member}`)
  if (record !== undefined) {
    record.used = true
    return { code: record.ts, type: record.type, local: record }
  }
  const flat = flattened(w, argument, member, e)
  if (flat !== undefined) return flat
  const fd = member === 'file' ? w.locals.get(argument.text) : undefined
  // struct fd is the file that it holds.
  if (fd?.type.k === 'ptr' && fd.type.struct === 'File') return place(w, argument)
  const base =
    argument.type === 'field_expression'
      ? (global(w, argument) ?? fieldBase(w, argument))
      : value(w, argument)
  return member_(w, base, member, e)
}

/** What the last field lies in; the two levels of `page->mapping` may be one in the model. */
function fieldBase(w: Work, e: CNode): Value {
  return load(w, fieldPlace(w, e))
}

/** `inode.i_data.host`, where the model has a field for both: `x.vmf` and `x.vmfPgoff`. */
function flattened(w: Work, argument: CNode, member: string, e: CNode): Place | undefined {
  if (argument.type !== 'field_expression') return undefined
  const outer = argument.fields.argument as CNode
  const inner = (argument.fields.field as CNode).text
  const local = outer.type === 'identifier' ? w.locals.get(outer.text) : undefined
  const struct = local === undefined ? undefined : structOf(local.type)
  const fields = struct === undefined ? undefined : w.scope.struct(struct)?.fields
  const joined = camelCase(`${inner}_${member}`)
  if (fields === undefined || fields[joined] === undefined) return undefined
  if (fields[FIELDS[inner] ?? camelCase(inner)] !== undefined) return undefined
  return fieldOf(w, value(w, outer), joined, e)
}

function member_(w: Work, base: Value, member: string, e: CNode): Place {
  const { type } = base
  if (type.k === 'ops') {
    const slot = SLOTS[member] ?? camelCase(member)
    if (w.scope.ops(type.of)?.slots[slot] === undefined) {
      throw new Hole(`${squash(e.text)}: the model has no such operation`, e)
    }
    return { code: `${sure(base)}.${slot}`, type: { k: 'slot', of: type.of, slot } }
  }
  return fieldOf(w, base, FIELDS[member] ?? camelCase(member), e)
}

/** A field by the model's name. */
export function fieldOf(w: Work, base: Value, field: string, e: CNode): Place {
  const struct = structOf(base.type)
  if (struct === undefined) throw new Hole(`what ${squash(e.text)} is, is not in the model`, e)
  const text = w.scope.struct(struct)?.fields[field]
  if (text === undefined) {
    const shown = w.scope.struct(struct)?.c ?? struct
    throw new Hole(`struct ${shown} has no ${e.fields.field?.text ?? field} in the model`, e)
  }
  const type = fieldType(text, w.scope)
  if (type === undefined) throw new Hole(`${squash(e.text)} is of a kind that no local can be`, e)
  const object = sure(base)
  return { code: `${object}.${field}`, type, object, field, struct }
}

/** Read a place. A field that somebody announces is announced, and kept as it was then. */
export function load(w: Work, p: Place): Value {
  if (p.local !== undefined) p.local.used = true
  if (!announced(w, p)) return atom(p.code, p.type)
  const object = announce(w, 'read', p)
  return atom(w.keep(`${object}.${p.field}`), p.type)
}

/** Is an access to this place one that others must be able to come between? */
export function announced(w: Work, p: Place): boolean {
  if (p.struct === undefined || p.field === undefined || p.type.k === 'embed') return false
  if (!w.announces || PRIVATE_STRUCTS.has(p.struct)) return false
  return w.scope.isAnnounced(p.struct, p.field)
}

/** Announce an access; returns the object's text, which can be used again. */
export function announce(w: Work, kind: 'read' | 'write' | 'rmw', p: Place): string {
  const object = p.object as string
  const bare = object.replace(/!$/, '')
  const stable = /^[\w$]+$/.test(bare) ? bare : w.keep(object)
  w.emit(`yield ${kind}(${stable}, '${p.field}')`)
  return stable === bare ? object : stable
}

function pointer(w: Work, e: CNode): Value {
  const argument = e.fields.argument as CNode
  if (e.operator === '&') {
    if (argument.type === 'field_expression') {
      const p = place(w, argument)
      return atom(p.code, p.type)
    }
    return value(w, argument)
  }
  const local = w.locals.get(argument.text)
  if (local?.result) return atom(local.ts, local.type)
  throw new Hole('a load through a pointer', e)
}

function unary(w: Work, e: CNode, want: Type | undefined): Value {
  const argument = e.fields.argument as CNode
  const word = `${e.operator}${argument.text}`
  if (/^(?:-1|~0)(?:ul|UL)$/.test(word)) {
    return atom('PGOFF_MAX', { k: 'wide', name: 'Pgoff' })
  }
  if (e.operator === '!') {
    const v = value(w, argument)
    const { type } = v
    if (type.k === 'slot') return not(v, 'undefined')
    if (isPointer(type)) return not(v, 'null')
    if (type.k === 'bool')
      return { code: `!${within(v, BIND.unary)}`, type: BOOL, bind: BIND.unary }
    return not(v, type.k === 'big' ? '0n' : '0')
  }
  const v = value(w, argument, want)
  if (e.operator === '+') return v
  const code = `${e.operator}${within(v, BIND.unary)}`
  if (v.type.k === 'big' && v.type.bits !== undefined) return atom(asBits(code, v.type), v.type)
  // A literal is an int, which has a sign.
  if (v.type.k === 'big' && v.literal) return { code, type: S64, bind: BIND.unary }
  const isUnsigned = v.type.k === 'wide' || (v.type.k === 'num' && v.type.unsigned === true)
  if (isUnsigned && !v.literal && e.operator === '-') throw new Hole('a number that wraps', e)
  return { code, type: v.type, bind: BIND.unary }
}

function not(v: Value, zero: string): Value {
  return { code: `${within(v, BIND.as)} === ${zero}`, type: BOOL, bind: BIND.equal }
}

function binary(w: Work, e: CNode, want: Type | undefined): Value {
  const left = e.fields.left as CNode
  const right = e.fields.right as CNode
  const op = e.operator as string
  if (op === '&&' || op === '||') return shortCircuit(w, op, left, right)
  const compares = /^(?:[=!]=|[<>]=?)$/.test(op)
  let a = value(w, left, compares ? undefined : want)
  const like = a.type.k === 'big' || a.type.k === 'wide' ? a.type : undefined
  let [b, before] = w.aside(() => value(w, right, /^(<<|>>)$/.test(op) ? undefined : like))
  if (before.length > 0) {
    if (!isStable(a)) a = atom(w.keep(a.code), a.type)
    w.emit(...before)
  }
  if (!compares) return arithmetic(a, op, b)
  if (a.type.k === 'bool' && b.type.k === 'num') a = coerce(a, NUM)
  if (b.type.k === 'bool' && a.type.k === 'num') b = coerce(b, NUM)
  ;[a, b] = alike(a, b)
  if (isPointer(a.type) && isPointer(b.type) && a.type.k !== 'null' && b.type.k !== 'null') {
    if (!sameKind(a.type, b.type) && a.type.k !== 'any' && b.type.k !== 'any') {
      throw new Hole('a comparison of two kinds of pointers', e)
    }
  }
  const strict = op === '==' || op === '!=' ? `${op}=` : op
  const bind = strict.length === 3 ? BIND.equal : BIND.as
  return { code: `${within(a, BIND.shift)} ${strict} ${within(b, BIND.shift)}`, type: BOOL, bind }
}

/** Does it have the same value later on? */
function isStable(v: Value): boolean {
  return /^(?:t\d+!?|-?\d+n?|[A-Z_0-9]+|null|true|false)$/.test(v.code) || v.type.k === 'embed'
}

function shortCircuit(w: Work, op: '&&' | '||', left: CNode, right: CNode): Value {
  const a = coerce(value(w, left), BOOL)
  const [b, before] = w.aside(() => coerce(value(w, right), BOOL))
  const bind = op === '&&' ? BIND.andAnd : BIND.orOr
  if (before.length === 0 && !/yield/.test(b.code)) {
    return { code: `${within(a, bind)} ${op} ${within(b, bind + 1)}`, type: BOOL, bind }
  }
  const t = w.variable(BOOL)
  w.emit(
    `${t} = ${a.code}`,
    `if (${op === '&&' ? t : `!${t}`}) {`,
    ...before,
    `${t} = ${b.code}`,
    '}',
  )
  return atom(t, BOOL)
}

function conditional(w: Work, e: CNode, want: Type | undefined): Value {
  const c = coerce(value(w, e.fields.condition as CNode), BOOL)
  const consequence = e.fields.consequence
  if (consequence === undefined) throw new Hole('a ?: without its middle', e)
  const [a, beforeA] = w.aside(() => value(w, consequence, want))
  const [b, beforeB] = w.aside(() => value(w, e.fields.alternative as CNode, want))
  const type = eitherOf(a.type, b.type)
  const [x, y] = [coerce(a, type), coerce(b, type)]
  if (beforeA.length + beforeB.length === 0 && !/yield/.test(x.code + y.code)) {
    const [i, j, k] = [c, x, y].map((v) => within(v, BIND.choice + 1))
    const code = `${i} ? ${j} : ${k}`
    return { code, type, bind: BIND.choice }
  }
  const t = w.variable(type)
  w.emit(`if (${c.code}) {`, ...beforeA, `${t} = ${x.code}`, '} else {')
  w.emit(...beforeB, `${t} = ${y.code}`, '}')
  return atom(t, type)
}

/** The type of a value that is one or the other. */
function eitherOf(a: Type, b: Type): Type {
  if (a.k === 'null') return b
  if (a.k === 'big' && b.k === 'big') return together(a, b)
  if (a.k === 'bool' && b.k === 'num') return b
  return b.k === 'big' && (a.k === 'num' || a.k === 'bool') ? b : a
}

function cast(w: Work, e: CNode, want: Type | undefined): Value {
  const inner = value(w, e.fields.value as CNode, want)
  const type = squash(e.fields.type?.text ?? '')
  const wide = wideNamed(type)
  if (wide !== undefined && /^(?:num|wide|big)$/.test(inner.type.k)) {
    const { code, bind } = coerce(inner, wide)
    const { k } = inner.type
    const hasSign = k === 'big' ? inner.type.bits !== undefined : wide.bits === 's64'
    const isKnown = hasSign || k === 'wide' || inner.literal === true
    return isKnown ? { code, type: wide, bind } : atom(asBits(code, wide), wide)
  }
  if (inner.type.k === 'big' || inner.type.k === 'wide') {
    const narrow = narrowed(coerce(inner, BIG).code, type)
    if (narrow !== undefined) return atom(narrow.code, narrow.type)
  }
  const struct = /^(?:const )?struct (\w+) ?\*/.exec(type)?.[1]
  if (struct !== undefined && inner.type.k === 'any') {
    const known = w.scope.structNamed(struct)
    if (known !== undefined) return coerce(inner, pointerTo(known.ts))
  }
  return inner
}

/** Numbers of C: literals, and arithmetic with the signs and the wraps that C gives it. */
import type { CNode } from '../c/parse.js'
import { coerce } from './convert.js'
import { asBits, BIG, isPointer, NUM, S64, type Type, together, U64 } from './types.js'
import { atom, BIND, Hole, type Value, within } from './work.js'

/** A literal; `want` is the type that its user would like. */
export function number(e: CNode, want: Type | undefined): Value {
  const { text } = e
  if (/^-1(?:ul|UL)$/.test(text)) return { ...atom('PGOFF_MAX', { k: 'wide', name: 'Pgoff' }) }
  const plain = text.replace(/[uUlL]+$/, '').replace(/^0(?=[0-7]+$)/, '0o')
  if (!/^-?(?:0[xX][\da-fA-F]+|0o[0-7]+|0|[1-9]\d*)$/.test(plain))
    throw new Hole(`the number ${text}`, e)
  if (want?.k === 'big') return { ...atom(`${plain}n`, BIG), literal: true }
  const size = BigInt(plain.replace('-', ''))
  if (/ll/i.test(text) || size > Number.MAX_SAFE_INTEGER) {
    const type = /u/i.test(text) || size >= 2n ** 63n ? U64 : S64
    return { ...atom(`${plain}n`, type), literal: true }
  }
  if (want?.k === 'wide' && plain !== '0x0') {
    return { code: `${plain} as ${want.name}`, type: want, bind: BIND.as, literal: true }
  }
  return {
    ...atom(plain, NUM),
    literal: true,
    bind: plain.startsWith('-') ? BIND.unary : BIND.atom,
  }
}

/** `'x'`: its code. */
export function character(e: CNode): Value {
  const [, c] = /^'([^\\'])'$/.exec(e.text) ?? []
  if (c === undefined) throw new Hole(`the character ${e.text}`, e)
  return { ...atom(String(c.codePointAt(0)), NUM), literal: true }
}

/** Two operands as C would make them alike. */
export function alike(a: Value, b: Value): [Value, Value] {
  if (a.type.k === 'big' && b.type.k === 'big') {
    const type = together(a.type, b.type)
    return [coerce(a, type), coerce(b, type)]
  }
  if (a.type.k === 'big' && b.type.k !== 'big' && !isPointer(b.type)) return [a, widened(b, a.type)]
  if (b.type.k === 'big' && a.type.k !== 'big' && !isPointer(a.type)) return [widened(a, b.type), b]
  return [a, b]
}

/** A smaller number next to one of 64 bits: what is below 0 is large where that has no sign. */
function widened(v: Value, to: Type & { k: 'big' }): Value {
  const { code, ...rest } = coerce(v, BIG)
  const mayBeNegative = !/^\d+n$/.test(code) && v.type.k === 'num' && v.type.unsigned !== true
  return to.bits === 'u64' && mayBeNegative ? atom(asBits(code, to), to) : { code, ...rest }
}

const OPERATORS: Readonly<Record<string, number>> = {
  '*': BIND.times,
  '/': BIND.times,
  '%': BIND.times,
  '+': BIND.plus,
  '-': BIND.plus,
  '<<': BIND.shift,
  '>>': BIND.shift,
  '&': BIND.and,
  '^': BIND.xor,
  '|': BIND.or,
}

/** Bytes to pages and back are calls in the model; page numbers stay page numbers. */
export function arithmetic(a: Value, op: string, b: Value): Value {
  const bind = OPERATORS[op] ?? BIND.plus
  if (b.code === 'PAGE_SHIFT' && op === '>>' && a.type.k === 'big') {
    return atom(`bytesToPgoff(${a.code})`, { k: 'wide', name: 'Pgoff' })
  }
  if (b.code === 'PAGE_SHIFT' && op === '<<') {
    if (a.type.k === 'wide') return atom(`pgoffToBytes(${a.code})`, BIG)
    const bytes = coerce(a, BIG)
    const code = `${within(bytes, bind)} << PAGE_SHIFT`
    const type = together(a.type, BIG)
    return type === BIG ? { code, type, bind } : atom(asBits(code, type), type)
  }
  if (WORDS.test(op) && (a.type.k === 'wide' || (b.type.k === 'wide' && a.type.k !== 'big'))) {
    // JavaScript has these for 32 bits of a number, and for all of a bigint.
    const [x, y] = [coerce(numeric(a), BIG), coerce(numeric(b), BIG)]
    const type = a.type.k === 'wide' ? a.type : b.type
    return coerce(
      { code: `${within(x, bind)} ${op} ${within(y, bind + 1)}`, type: BIG, bind },
      type,
    )
  }
  const shifts = op === '<<' || op === '>>'
  // How far something is shifted says nothing of its sign.
  const [x, y] =
    shifts && a.type.k === 'big' ? [a, coerce(numeric(b), BIG)] : alike(numeric(a), numeric(b))
  const code = `${within(x, bind)} ${op} ${within(y, bind + 1)}`
  if (x.type.k === 'big') {
    const type = shifts && a.type.k === 'big' ? x.type : together(x.type, y.type)
    const wraps = /^(?:[-+*]|<<)$/.test(op) && type !== BIG
    return wraps ? atom(asBits(code, type), type) : { code, type, bind }
  }
  const type = [x.type, y.type].find((t) => t.k === 'wide') ?? commonNumber(x.type, y.type)
  if (/^[-+]$/.test(op) && type !== NUM) return unsignedSum(x, op, y, type)
  const whole = op === '/' ? `Math.trunc(${code})` : code
  return type.k === 'wide'
    ? { code: `(${whole}) as ${type.name}`, type, bind: BIND.as }
    : { code: whole, type, bind }
}

/**
 * A sum or difference of numbers without a sign. What wraps in C does not here, and is not judged;
 * of several in a row, only what comes of them counts.
 */
function unsignedSum(x: Value, op: string, y: Value, type: Type): Value {
  const part = (v: Value, bind: number): string =>
    v.unchecked === undefined ? within(v, bind) : `(${v.unchecked})`
  const unchecked = `${part(x, BIND.plus)} ${op} ${part(y, BIND.plus + 1)}`
  const code = `noWrap(${unchecked})`
  return type.k === 'wide'
    ? { code: `${code} as ${type.name}`, type, bind: BIND.as, unchecked }
    : { ...atom(code, type), unchecked }
}

function commonNumber(a: Type, b: Type): Type {
  return [a, b].find((t) => t.k === 'num' && t.unsigned) ?? NUM
}

/** Operators on bits. */
const WORDS = /^(?:[&|^]|<<|>>)$/

function numeric(v: Value): Value {
  return v.type.k === 'bool' ? coerce(v, NUM) : v
}

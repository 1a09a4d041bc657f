/** Counts that C changes atomically: one access of the field, announced before it. */
import type { CNode } from '../c/parse.js'
import { coerce } from './convert.js'
import { announce, announced, fieldOf, type Place, place, value } from './expression.js'
import { BOOL, NUM } from './types.js'
import { atom, Hole, type Value, type Work } from './work.js'

interface Count {
  readonly sign: '+' | '-'
  /** It says how much; otherwise by one. */
  readonly amount?: true
  /** Values that are left alone. */
  readonly unless?: string
  /** What the call says: the new value, whether that is 0, or whether anything was done. */
  readonly says?: 'value' | 'zero' | 'done'
}

const COUNTS: Readonly<Record<string, Count>> = {
  __proto__: null as never,
  inc: { sign: '+' },
  dec: { sign: '-' },
  add: { sign: '+', amount: true },
  sub: { sign: '-', amount: true },
  inc_return: { sign: '+', says: 'value' },
  dec_return: { sign: '-', says: 'value' },
  dec_and_test: { sign: '-', says: 'zero' },
  sub_and_test: { sign: '-', amount: true, says: 'zero' },
  inc_not_zero: { sign: '+', unless: '=== 0', says: 'done' },
  inc_unless_negative: { sign: '+', unless: '< 0', says: 'done' },
  dec_unless_positive: { sign: '-', unless: '> 0', says: 'done' },
  // Of file_ref_t.
  get: { sign: '+', unless: '=== 0', says: 'done' },
  put: { sign: '-', says: 'zero' },
}

/** `atomic_add(1, &x->count)`, `folio_ref_add(folio, 1)`; undefined if it is no such call. */
export function count(w: Work, name: string, args: readonly CNode[], e: CNode): Value | undefined {
  const [, of = '', what = ''] =
    /^(atomic(?:_long|64)?|refcount|file_ref|folio_ref|page_ref)_(\w+)$/.exec(name) ?? []
  const how = COUNTS[what]
  if (how === undefined || (/^(?:get|put)$/.test(what) && of !== 'file_ref')) return undefined
  const isPage = /^(?:folio|page)_ref$/.test(of)
  const [object, amount] =
    how.amount === undefined ? [args[0]] : isPage ? [args[0], args[1]] : [args[1], args[0]]
  if (object === undefined) throw new Hole(`${name}() of nothing`, e)
  const by = amount === undefined ? '1' : coerce(value(w, amount), NUM).code
  const at = isPage ? fieldOf(w, value(w, object), 'refcount', e) : counter(w, object)
  const code = announced(w, at) ? `${announce(w, 'rmw', at)}.${at.field}` : at.code
  if (how.unless !== undefined) {
    const done = w.keep(`!(${code} ${how.unless})`)
    w.emit(`if (${done}) {`, `${code} ${how.sign}= ${by}`, '}')
    return atom(done, BOOL)
  }
  w.emit(`${code} ${how.sign}= ${by}`)
  if (how.says === 'value') return atom(w.keep(code), NUM)
  if (how.says === 'zero') return atom(w.keep(`${code} === 0`), BOOL)
  return { ...atom('0', NUM), literal: true }
}

/** The field that `&x->count` points to. */
function counter(w: Work, pointer: CNode): Place {
  if (pointer.type !== 'pointer_expression' || pointer.operator !== '&') {
    throw new Hole('a counter behind a pointer', pointer)
  }
  return place(w, pointer.fields.argument as CNode)
}

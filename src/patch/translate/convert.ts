/** A value as one of another type. */
import { asBits, isPointer, type Type } from './types.js'
import { atom, BIND, type Value, within } from './work.js'

/** The same value as one of another type. */
export function coerce(v: Value, t: Type): Value {
  const { code, type } = v
  const as = (text: string, bind: number = BIND.as): Value => ({ code: text, type: t, bind })
  switch (t.k) {
    case 'bool':
      if (type.k === 'bool') return v
      if (type.k === 'slot') return as(`${within(v, BIND.equal)} !== undefined`, BIND.equal)
      if (isPointer(type)) return as(`${within(v, BIND.equal)} !== null`, BIND.equal)
      if (v.literal) return as(/^0n?$/.test(code) ? 'false' : 'true', BIND.atom)
      return as(`${within(v, BIND.as)} !== ${type.k === 'big' ? '0n' : '0'}`, BIND.equal)
    case 'num':
      if (type.k === 'bool') return as(`${within(v, BIND.choice + 1)} ? 1 : 0`, BIND.choice)
      if (type.k === 'big') return as(`Number(${code})`, BIND.atom)
      return v
    case 'big':
      if (type.k === 'big') {
        // The model's own may be of either sign: to be unsigned it is turned, if it is not already.
        const isSigned = type.bits !== 'u64' && !/^\d+n$/.test(code)
        const turns = t.bits === 'u64' ? isSigned : t.bits === 's64' && type.bits === 'u64'
        return turns ? as(asBits(code, t), BIND.atom) : v
      }
      if (/^\d+$/.test(code)) return as(`${code}n`, BIND.atom)
      // What is negative becomes large.
      if (t.bits === 'u64' && type.k === 'num') return as(asBits(`BigInt(${code})`, t), BIND.atom)
      return as(`BigInt(${code})`, BIND.atom)
    case 'wide':
      if (type.k === 'wide') {
        return type.name === t.name ? v : as(`${within(v, BIND.as)} as number as ${t.name}`)
      }
      if (type.k === 'big') return as(`Number(${code}) as ${t.name}`)
      return as(`${within(v, BIND.as)} as ${t.name}`)
    case 'ptr':
      if (type.k === 'any')
        return as(`${within(v, BIND.as)} as ${t.struct}${t.sure ? '' : ' | null'}`)
      return t.sure ? atom(sure(v), t) : v
    default:
      return v
  }
}

/** A pointer's text where it must not be NULL; a NULL dereference is the kernel's. */
export function sure(v: Value): string {
  const { code, type } = v
  if (type.k === 'ptr' && !type.sure && !code.endsWith('!')) return `${within(v, BIND.atom)}!`
  if (type.k === 'any' || type.k === 'ops') {
    return code.endsWith('!') ? code : `${within(v, BIND.atom)}!`
  }
  return within(v, BIND.atom)
}

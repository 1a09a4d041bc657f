/** Conditions over the variables of a scenario, as functions. */
import { CONSTANTS } from '../calls/constants.js'
import { ERRNO } from '../kernel/include/errno.js'
import { LitmusError, suggest } from './error.js'
import type { ConditionSyntax, ExprSyntax, Named } from './syntax.js'

export type Read = (variable: number) => number

/** A condition whose names are known, as data: what a search evaluates, and what is exported. */
export type Formula =
  | { readonly kind: 'not'; readonly inner: Formula }
  | { readonly kind: 'and' | 'or'; readonly left: Formula; readonly right: Formula }
  | {
      readonly kind: 'compare'
      /** `==`, `!=`, `<`, `<=`, `>` or `>=`. */
      readonly operator: string
      readonly left: Operand
      readonly right: Operand
    }

export type Operand = { readonly variable: number } | { readonly value: number }

export interface Condition {
  readonly kind: 'always' | 'never' | 'sometimes'
  readonly text: string
  readonly formula: Formula
  readonly holds: (read: Read) => boolean
}

/** Where names of a condition are looked up. */
export interface Names {
  readonly source: string
  /** Index of `name` or `task:name`; undefined if there is none. */
  variable(name: string): number | undefined
  /** All names, for suggestions. */
  readonly all: readonly string[]
}

export function bindCondition(syntax: ConditionSyntax, names: Names): Condition {
  const { kind, text } = syntax
  const formula = bindExpr(syntax.expr, names)
  return { kind, text, formula, holds: (read) => formulaHolds(formula, read) }
}

function bindExpr(e: ExprSyntax, names: Names): Formula {
  if (e.kind === 'not') return { kind: 'not', inner: bindExpr(e.inner, names) }
  if (e.kind !== 'compare') {
    return { kind: e.kind, left: bindExpr(e.left, names), right: bindExpr(e.right, names) }
  }
  const { kind, operator } = e
  return {
    kind,
    operator,
    left: bindOperand(e.left, names),
    right: bindOperand(e.right, names),
  }
}

/** Is it so, with these values? */
export function formulaHolds(f: Formula, read: Read): boolean {
  if (f.kind === 'not') return !formulaHolds(f.inner, read)
  if (f.kind !== 'compare') {
    const left = formulaHolds(f.left, read)
    return f.kind === 'and'
      ? left && formulaHolds(f.right, read)
      : left || formulaHolds(f.right, read)
  }
  const [left, right] = [operandValue(f.left, read), operandValue(f.right, read)]
  switch (f.operator) {
    case '==':
      return left === right
    case '!=':
      return left !== right
    case '<':
      return left < right
    case '<=':
      return left <= right
    case '>':
      return left > right
    default:
      return left >= right
  }
}

function operandValue(operand: Operand, read: Read): number {
  return 'value' in operand ? operand.value : read(operand.variable)
}

/** Integers of more than 53 bits are in no variable. */
export const MAX_EXACT = BigInt(Number.MAX_SAFE_INTEGER)

function bindOperand(operand: Named, names: Names): Operand {
  const text = operand.text.replace(/\s+/g, '')
  const index = names.variable(text)
  if (index !== undefined) return { variable: index }
  const value = termValue(text)
  if (value !== undefined && value >= -MAX_EXACT && value <= MAX_EXACT) {
    return { value: Number(value) }
  }
  if (value !== undefined) {
    throw new LitmusError('no variable is beyond 2^53', names.source, operand.at)
  }
  const accepted = [...names.all, ...Object.keys(ERRNO).map((e) => `-${e}`)]
  const hint = suggest(text, names.all.length > 0 ? names.all : accepted)
  throw new LitmusError(`no variable, number or errno "${text}".${hint}`, names.source, operand.at)
}

/** A number, a size with a suffix, an errno (`-EBUSY`) or a constant; undefined if it is none. */
export function termValue(text: string): bigint | undefined {
  const sign = text.startsWith('-') ? -1n : 1n
  const body = sign < 0n ? text.slice(1) : text
  if (/^0x[0-9a-fA-F]+$/.test(body)) return sign * BigInt(body)
  const [, digits, unit] = /^(\d+)([PKMGT]?)$/.exec(body) ?? []
  if (digits !== undefined) return sign * BigInt(digits) * (UNITS.get(unit ?? '') ?? 1n)
  const known = Object.hasOwn(ERRNO, body) ? ERRNO[body] : CONSTANTS.get(body)
  return known === undefined ? undefined : sign * BigInt(known)
}

const UNITS: ReadonlyMap<string, bigint> = new Map([
  ['P', 4096n],
  ['K', 1n << 10n],
  ['M', 1n << 20n],
  ['G', 1n << 30n],
  ['T', 1n << 40n],
])

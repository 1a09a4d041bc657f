/** Conditions over the variables of a scenario, as functions. */
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
  readonly constants: Readonly<Record<string, number>>
}

export function bindCondition(syntax: ConditionSyntax, names: Names): Condition {
  const { kind, text } = syntax
  const formula = bindExpr(syntax.expr, names)
  return { kind, text, formula, holds: (read) => holds(formula, read) }
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

function holds(f: Formula, read: Read): boolean {
  if (f.kind === 'not') return !holds(f.inner, read)
  if (f.kind !== 'compare') {
    const left = holds(f.left, read)
    return f.kind === 'and' ? left && holds(f.right, read) : left || holds(f.right, read)
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

function bindOperand(operand: Named, names: Names): Operand {
  const text = operand.text.replace(/\s+/g, '')
  const index = names.variable(text)
  if (index !== undefined) return { variable: index }
  const value = termValue(text, names.constants)
  if (value !== undefined) return { value }
  const accepted = [...names.all, ...Object.keys(ERRNO).map((e) => `-${e}`)]
  const hint = suggest(text, names.all.length > 0 ? names.all : accepted)
  throw new LitmusError(`no variable, number or errno "${text}".${hint}`, names.source, operand.at)
}

/** A number, a size with a suffix, an errno (`-EBUSY`) or a constant; undefined if it is none. */
export function termValue(
  text: string,
  constants: Readonly<Record<string, number>>,
): number | undefined {
  const sign = text.startsWith('-') ? -1 : 1
  const body = sign < 0 ? text.slice(1) : text
  if (/^0x[0-9a-fA-F]+$/.test(body)) return sign * Number(body)
  const size = /^(\d+)([PKMGT]?)$/.exec(body)
  if (size) return sign * Number(size[1]) * UNITS[size[2] as keyof typeof UNITS]
  const known = ERRNO[body] ?? constants[body]
  return known === undefined ? undefined : sign * known
}

const UNITS = { '': 1, P: 4096, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 } as const

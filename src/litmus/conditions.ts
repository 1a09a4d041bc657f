/** Conditions over the variables of a scenario, as functions. */
import { ERRNO } from '../kernel/include/errno.js'
import { LitmusError, suggest } from './error.js'
import type { ConditionSyntax, ExprSyntax, Named } from './syntax.js'

export type Read = (variable: number) => number

export interface Condition {
  readonly kind: 'always' | 'never' | 'sometimes'
  readonly text: string
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
  return { kind: syntax.kind, text: syntax.text, holds: bindExpr(syntax.expr, names) }
}

function bindExpr(e: ExprSyntax, names: Names): (read: Read) => boolean {
  if (e.kind === 'not') {
    const inner = bindExpr(e.inner, names)
    return (read) => !inner(read)
  }
  if (e.kind === 'compare') return bindCompare(e.operator, e.left, e.right, names)
  const left = bindExpr(e.left, names)
  const right = bindExpr(e.right, names)
  return e.kind === 'and'
    ? (read) => left(read) && right(read)
    : (read) => left(read) || right(read)
}

function bindCompare(
  operator: string,
  leftName: Named,
  rightName: Named,
  names: Names,
): (read: Read) => boolean {
  const left = bindOperand(leftName, names)
  const right = bindOperand(rightName, names)
  switch (operator) {
    case '==':
      return (read) => left(read) === right(read)
    case '!=':
      return (read) => left(read) !== right(read)
    case '<':
      return (read) => left(read) < right(read)
    case '<=':
      return (read) => left(read) <= right(read)
    case '>':
      return (read) => left(read) > right(read)
    default:
      return (read) => left(read) >= right(read)
  }
}

function bindOperand(operand: Named, names: Names): (read: Read) => number {
  const text = operand.text.replace(/\s+/g, '')
  const index = names.variable(text)
  if (index !== undefined) return (read) => read(index)
  const value = termValue(text, names.constants)
  if (value !== undefined) return () => value
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

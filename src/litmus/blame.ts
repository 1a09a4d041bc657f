/** Why a condition does not hold on an execution: the comparisons that decide it, with values. */
import { errnoName } from '../kernel/include/errno.js'
import {
  type Condition,
  type Formula,
  formulaHolds,
  type Operand,
  type Read,
} from './conditions.js'
import type { Variable } from './scenario.js'

type Comparison = Extract<Formula, { kind: 'compare' }>

/** `vcpu0:r0 is 0`, for each comparison that is not as the condition wants it. */
export function blame(condition: Condition, variables: readonly Variable[], read: Read): string {
  const holds = (f: Formula): boolean => formulaHolds(f, read)
  const wanted = condition.kind !== 'never'
  const values = culprits(condition.formula, wanted, holds).flatMap(({ left, right }) =>
    [left, right].flatMap((o) => operandText(o, variables, read)),
  )
  return [...new Set(values)].join(', ')
}

function culprits(f: Formula, wanted: boolean, holds: (f: Formula) => boolean): Comparison[] {
  if (f.kind === 'not') return culprits(f.inner, !wanted, holds)
  if (f.kind === 'compare') return holds(f) === wanted ? [] : [f]
  return [...culprits(f.left, wanted, holds), ...culprits(f.right, wanted, holds)]
}

function operandText(operand: Operand, variables: readonly Variable[], read: Read): string[] {
  if ('value' in operand) return []
  const name = variables.find((v) => v.index === operand.variable)?.name ?? '?'
  return [`${name} is ${errnoName(read(operand.variable))}`]
}

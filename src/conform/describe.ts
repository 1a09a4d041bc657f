/** Programs and results in words, at most 80 columns wide. */
import type { Difference } from './compare.js'
import type { Explanation } from './model.js'
import { argumentNames, type Op, type Result } from './program.js'

/** A call as C would spell it, with files and maps by their number: `pwrite(f0, 4096, 1, 7)`. */
export function describeOp(op: Op): string {
  const [name, ...args] = op
  const kinds = argumentNames(op)
  const shown = args.map((value, i) => {
    if (kinds[i] === 'file') return `f${value}`
    return kinds[i] === 'map' ? `m${value}` : String(value)
  })
  return `${name}(${shown.join(', ')})`
}

/** A result: the answer, the hash of what was read, size and blocks of the file. */
export function describeResult(result: Result | undefined): string {
  if (result === undefined) return 'no result'
  const hash = result.h === undefined ? '' : `  hash ${result.h.toString(16).padStart(8, '0')}`
  const stat = result.s === undefined ? '' : `  size ${result.s[0]}, blocks ${result.s[1]}`
  return `${result.r}${hash}${stat}`
}

/** The program up to the call that differs, and what each side says there. */
export function describeDifference(
  { program, call, other }: Difference,
  names: readonly [first: string, second: string],
): string[] {
  const width = Math.max(...names.map((n) => n.length))
  const before = program.ops.slice(0, call).map((op, i) => {
    const text = `  ${describeOp(op)}`
    return `${text.padEnd(40)}  ${program.res[i]?.r}`
  })
  const op = program.ops[call]
  return [
    ...before,
    `> ${op === undefined ? '' : describeOp(op)}`,
    `    ${names[0].padEnd(width)}  ${describeResult(program.res[call])}`,
    `    ${names[1].padEnd(width)}  ${describeResult(other[call])}`,
  ]
}

/** `mmap 97, seal 4`: at which calls programs first differ, the most frequent first. */
export function countByCall(differences: readonly Difference[]): string {
  const counts = new Map<string, number>()
  for (const { program, call } of differences) {
    const name = program.ops[call]?.[0] ?? 'end'
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([name, n]) => `${name} ${n}`)
    .join(', ')
}

/** The function that decided, the source it models, and the way to it. */
export function describeRule(
  { call, chain }: Explanation,
  ops: readonly Op[],
  modelsOf: (cName: string) => string | undefined,
): string[] {
  const decided = chain.at(-1)
  if (decided === undefined) return ['    rule    none: the model did not return']
  const source = modelsOf(decided)
  const way = chain.length > 1 ? [`            by way of ${chain.slice(0, -1).join(', ')}`] : []
  const op = ops[call]
  const before = call === ops.length - 1 || op === undefined ? '' : ` of ${describeOp(op)}`
  return [
    `    rule    ${decided}${before}${source === undefined ? '' : `, models ${source}`}`,
    ...way,
  ]
}

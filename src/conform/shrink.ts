/**
 * From a program that shows something to the shortest that still shows it: calls are left out, then
 * arguments are lowered, until neither goes any further.
 */
import { callOf } from '../calls/table.js'
import { argumentNames, exact, type Int, type Op } from './program.js'

/**
 * The program without one call, and without those that name what it would have made. Files and maps
 * keep their identity: later ones get lower numbers.
 */
export function without(ops: readonly Op[], index: number): Op[] {
  const made = { file: 0, map: 0 }
  const gone: { readonly file: number[]; readonly map: number[] } = { file: [], map: [] }
  const left: Op[] = []
  for (const [i, op] of ops.entries()) {
    const [name, ...args] = op
    const kinds = argumentNames(op)
    const listOf = (n: number): readonly number[] => gone[kinds[n] as 'file' | 'map'] ?? []
    const dropped = i === index || args.some((a, n) => listOf(n).includes(Number(a)))
    const kind = callOf(name)?.program?.makes
    if (kind !== undefined) {
      if (dropped) gone[kind].push(made[kind])
      made[kind]++
    }
    if (dropped) continue
    const shifted = args.map((a, n) => {
      const before = listOf(n).filter((g) => g < a).length
      return before === 0 ? a : Number(a) - before
    })
    left.push([name, ...shifted])
  }
  return left
}

/** Simpler values for an argument, the simplest first. */
export function lower(value: Int, kind: string): Int[] {
  const v = BigInt(value)
  if (kind === 'file' || kind === 'map') return v > 0n ? [0] : []
  const size = (n: bigint): bigint => (n < 0n ? -n * 2n + 1n : n * 2n)
  const candidates = [0n, 1n, 4096n, -1n, v & ~4095n, v & (v - 1n), v / 2n, v - 4096n, v - 1n]
  return candidates.filter((c) => size(c) < size(v)).map(exact)
}

async function fewerCalls(ops: readonly Op[], shows: Shows): Promise<readonly Op[]> {
  let best = ops
  for (let i = best.length - 1; i >= 0; i--) {
    const shorter = without(best, i)
    if (await shows(shorter)) {
      best = shorter
      i = Math.min(i, best.length)
    }
  }
  return best
}

function replaced(op: Op, at: number, value: Int): Op {
  const parts: (string | Int)[] = [...op]
  parts[at] = value
  return parts as unknown as Op
}

async function lowerArguments(ops: readonly Op[], shows: Shows): Promise<readonly Op[]> {
  let best = ops
  for (let i = 0; i < best.length; i++) {
    const kinds = argumentNames(best[i] as Op)
    for (let n = 0; n < kinds.length; n++) {
      const value = (best[i] as Op)[n + 1] as Int
      for (const candidate of lower(value, kinds[n] as string)) {
        const changed = [...best]
        changed[i] = replaced(best[i] as Op, n + 1, candidate)
        if (!(await shows(changed))) continue
        best = changed
        n--
        break
      }
    }
  }
  return best
}

/** Whether a program still shows what is looked for. */
export type Shows = (ops: readonly Op[]) => Promise<boolean>

/** `ops` must show it; so does the result. */
export async function shrink(ops: readonly Op[], shows: Shows): Promise<readonly Op[]> {
  let best = ops
  for (;;) {
    const next = await lowerArguments(await fewerCalls(best, shows), shows)
    if (JSON.stringify(next, digits) === JSON.stringify(best, digits)) return best
    best = next
  }
}

function digits(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}` : value
}

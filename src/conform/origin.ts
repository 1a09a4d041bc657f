/**
 * Which kernel function decided a call's result: the innermost one that gave the value that its
 * callers only handed on.
 */
import { isErr, type Obj, ptrErr } from '../machine/struct.js'

/** One return of a kernel function. Frames of callees lie higher than those of their callers. */
export interface Return {
  readonly cName: string
  readonly fp: number
  /** What was returned; a pointer that carries an errno as that errno. */
  readonly value: unknown
}

/** A return as a watcher hears of it. */
export function asReturn(cName: string, fp: number, value: unknown): Return {
  const isPointer = typeof value === 'object' && value && 'at' in value
  const error = isPointer && isErr(value as Obj)
  return { cName, fp, value: error ? ptrErr(value as Obj) : value }
}

/** The returns of each system call: its own is the last, and its frame the lowest. */
export function callsOf(returns: readonly Return[]): Return[][] {
  const lowest = Math.min(...returns.map((r) => r.fp))
  const calls: Return[][] = [[]]
  for (const r of returns) {
    calls.at(-1)?.push(r)
    if (r.fp === lowest) calls.push([])
  }
  return calls.slice(0, -1)
}

/** The functions that a system call's result went through, from the call itself to its origin. */
export function chainOf(returns: readonly Return[]): string[] {
  const chain: string[] = []
  let within = returns
  let last = within.at(-1)
  while (last !== undefined) {
    chain.push(last.cName)
    const value = last.value
    const inner = within.slice(0, -1)
    const callees = Math.min(...inner.map((r) => r.fp))
    const at = inner.findLastIndex((r) => r.fp === callees && sameValue(r.value, value))
    const start = inner.slice(0, Math.max(at, 0)).findLastIndex((r) => r.fp === callees) + 1
    within = at < 0 ? [] : inner.slice(start, at + 1)
    last = within.at(-1)
  }
  return chain
}

/** -EINVAL as a number and as a loff_t is the same result. */
function sameValue(a: unknown, b: unknown): boolean {
  return a === b || (isInteger(a) && isInteger(b) && BigInt(a) === BigInt(b))
}

function isInteger(value: unknown): value is number | bigint {
  return typeof value === 'bigint' || Number.isInteger(value)
}

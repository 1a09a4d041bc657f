/** Kernel functions that only compute: what C makes of them must be what JavaScript does. */
import { read } from '../../src/machine/effects.js'
import { fn, type Kernel } from '../../src/machine/fn.js'
import { current } from '../../src/machine/task.js'

export const bits = fn(function* bits(a: number, b: number): Kernel<number> {
  yield read(current(), 'op')
  return (a & b) ^ (a | ~b) ^ (a << b) ^ (a >> b) ^ (a >>> b) ^ (1 << (b & 31))
})

export const division = fn(function* division(a: number, b: number): Kernel<number> {
  yield read(current(), 'op')
  if (b === 0) return a % 7
  return Math.floor(a / b) + (a % b) + Math.max(a, b, 3) - Math.min(a, b) + Math.abs(a)
})

export const bytes = fn(function* bytes(a: bigint, b: bigint): Kernel<bigint> {
  const sum = a + b * 4096n
  yield read(current(), 'op')
  const low = BigInt.asUintN(64, sum) >> 12n
  return b === 0n ? low - a : low ^ (a / b) ^ (a % b) ^ (BigInt(Number(b & 0xffffn)) << 3n)
})

function triangle(n: number, visit: (i: number, odd: boolean) => void): void {
  for (let i = 0; i < n; i++) visit(i, i % 2 === 1)
}

/** Of a record that another function made. */
function mixed(n: number): number {
  const { high, low } = split(n)
  return high - low * 3
}

function split(n: number): { high: number; low: number } {
  return { low: n & 0xff, high: n >> 8 }
}

export const closures = fn(function* closures(a: number, b: number): Kernel<number> {
  let sum = 0
  yield read(current(), 'op')
  triangle(a & 15, (i, odd) => {
    if (odd) sum += i * b
    else sum -= i
  })
  return (sum + mixed(a)) | 0
})

export const control = fn(function* control(a: number, b: number): Kernel<number> {
  let result = 0
  for (let i = 0; i < 8; i++) {
    switch ((a >> i) & 3) {
      case 0:
        continue
      case 1:
        result += b
      // What follows is done too.
      case 2:
        result ^= i
        break
      default:
        result--
    }
    if (i === (b & 7)) yield read(current(), 'op')
    result = (result > 1000 ? result - 1000 : result) | 0
  }
  return result
})

/** The order of evaluation shows in what comes out. */
function chained(start: number, b: number): number {
  let n = start
  const next = (by: number): number => {
    n = (n * 31 + by) % 1009
    return n
  }
  return next(b & 7) * 3 + (next(1) - next(2)) * (n & 1 ? next(3) : next(5)) + n++ + ++n
}

export const order = fn(function* order(a: number, b: number): Kernel<number> {
  yield read(current(), 'op')
  return chained(a & 0xff, b)
})

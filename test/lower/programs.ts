/** Small kernel programs that use every form of the subset, for the lockstep test. */

import type { Pgoff } from '../../src/kernel/include/types.js'
import { choose, read, rmw, write } from '../../src/machine/effects.js'
import { fn, type Kernel } from '../../src/machine/fn.js'
import { num, type Obj, ptr, type Struct, struct, wide } from '../../src/machine/struct.js'

export interface Cell extends Obj {
  value: number
  far: Pgoff
  next: Cell | null
}
export const Cell: Struct<Cell> = struct<Cell>('Cell', {
  value: num(),
  far: wide(),
  next: ptr('Cell'),
})

/** The first cell of a ring; made by the test before a program starts. */
export function ring(): Cell {
  return Cell.at(Cell.base) as Cell
}

const add = fn(function* add(cell: Cell, n: number): Kernel<number> {
  yield rmw(cell, 'value')
  cell.value += n
  return cell.value
})

const isEven = fn(function* is_even(cell: Cell): Kernel<boolean> {
  yield read(cell, 'value')
  return cell.value % 2 === 0
})

const nothing = fn(function* nothing(): Kernel<void> {})

export const loops = fn(function* loops(): Kernel<number> {
  const cell = ring()
  let sum = 0
  for (let i = 0; i < 3; i++) {
    if (i === 1) continue
    sum += yield* add(cell, i)
  }
  let n = 0
  while (n < 2) {
    n++
    yield write(cell, 'value')
    cell.value = sum
  }
  do {
    n--
    yield* nothing()
  } while (n > 0)
  return sum
})

export const shortCircuits = fn(function* short_circuits(): Kernel<number> {
  const cell = ring()
  const other = cell.next!
  if ((yield* isEven(cell)) && !(yield* isEven(other))) yield* add(cell, 5)
  const odd = !(yield* isEven(cell)) || (yield* isEven(other))
  const picked = odd ? yield* add(cell, 1) : yield* add(other, 2)
  return picked + (yield* add(other, 3)) * 2 - picked
})

export const labels = fn(function* labels(): Kernel<number> {
  let cell = ring()
  let rounds = 0
  retry: for (;;) {
    for (;;) {
      if (++rounds > 6) break retry
      if (yield* isEven(cell)) continue retry
      yield* add(cell, 1)
      cell = cell.next!
      if (rounds > 4) break
    }
  }
  return rounds
})

export const switches = fn(function* switches(): Kernel<number> {
  const cell = ring()
  let result = 0
  switch ((yield choose(3)) as number) {
    case 0:
      result = yield* add(cell, 10)
      break
    case 1:
      result = 1
    default:
      yield* add(cell.next!, 1)
      result += 2
  }
  return result
})

export const wideLocals = fn(function* wide_locals(): Kernel<number> {
  const cell = ring()
  let index = (2 ** 40 + 7) as Pgoff
  let bytes = 2n ** 62n
  const flag = cell.next !== null
  yield write(cell, 'far')
  cell.far = index
  index = (index + 1) as Pgoff
  bytes += 1n
  yield read(cell, 'far')
  if (flag && cell.far === index - 1 && bytes === 2n ** 62n + 1n) return 1
  return 0
})

export const assigns = fn(function* assigns(): Kernel<number> {
  const cell = ring()
  let x = 1
  x = yield* add(cell, x)
  yield write(cell, 'value')
  cell.value = (yield* add(cell.next!, 2)) + x
  const list = [cell.value, x]
  return list.length + (list[0] ?? 0)
})

/** What is kept across a yield, as a parameter and as a local, comes back as it was. */
export const keptNumber = fn(function* kept_number(given: number): Kernel<number> {
  yield read(ring(), 'value')
  const local = given
  yield read(ring(), 'value')
  return local
})

export const keptWide = fn(function* kept_wide(given: Pgoff): Kernel<Pgoff> {
  yield read(ring(), 'value')
  const local = given
  yield read(ring(), 'value')
  return local
})

export const keptBig = fn(function* kept_big(given: bigint): Kernel<bigint> {
  yield read(ring(), 'value')
  const local = given
  yield read(ring(), 'value')
  return local
})

export const PROGRAMS = [loops, shortCircuits, labels, switches, wideLocals, assigns]

/** Two ways to the same place that differ in locals which nobody reads any more. */
export const deadLocals = fn(function* dead_locals(): Kernel<number> {
  const cell = ring()
  let n = 0
  const way = (yield choose(2)) as number
  if (way === 0) {
    n = 7
    yield write(cell, 'value')
    cell.value = n
  } else {
    n = 5
    yield write(cell, 'value')
    cell.value = n + 2
  }
  n = 1
  yield* isEven(cell)
  return n
})

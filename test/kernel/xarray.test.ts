/**
 * The XArray: what lib/test_xarray.c asserts, as laws, and what stores over ranges do. Its groups
 * on allocating arrays, cmpxchg, conflicts, splitting, preallocation and iteration with a state
 * that survives the lock have no counterpart here: nothing in this kernel uses those calls.
 */
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import fc from 'fast-check'
import { XArray, XaNode } from '../../src/kernel/include/xarray.js'
import {
  xaClearMark,
  xaDestroy,
  xaEmpty,
  xaErase,
  xaFindAfterIndex,
  xaFindIndex,
  xaGetMark,
  xaGetOrder,
  xaInit,
  xaIsValue,
  xaLoad,
  xaLoadEntry,
  xaMkValue,
  xaRelease,
  xaReserve,
  xaSetMark,
  xaStore,
  xaStoreEntry,
  xaStoreOrder,
  xaStoreRange,
  xaToValue,
} from '../../src/kernel/lib/xarray.js'
import { boot } from '../../src/machine/machine.js'
import { constructAt, num, type Obj, type Struct, struct } from '../../src/machine/struct.js'

interface Thing extends Obj {
  id: number
}
const Thing: Struct<Thing> = struct<Thing>('Thing', { id: num() }, { capacity: 8 })

const thing = (i: number): Thing => Thing.at(Thing.base + i * Thing.words) as Thing
const id = (o: Obj | null): number => (o === null ? -1 : (o as Thing).id)

let xa: XArray

function fresh(): void {
  boot('direct', () => {
    for (let i = 0; i < 8; i++) {
      constructAt(Thing as unknown as Struct<Obj>, Thing.base + i * Thing.words, 0)
      thing(i).id = i
    }
    constructAt(XArray as unknown as Struct<Obj>, XArray.base, 0)
  })
  xa = XArray.at(XArray.base) as XArray
  xaInit(xa)
}

beforeEach(fresh)

/** Ids at [first, last]; -1 where nothing is. */
function row(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => id(xaLoad(xa, first + i)))
}

/** The indices that a walk over [first, last] visits. */
function visits(first: number, last: number): number[] {
  const seen: number[] = []
  for (let i = xaFindIndex(xa, first, last); i >= 0; i = xaFindAfterIndex(xa, i, last)) seen.push(i)
  return seen
}

const ORDERS = Array.from({ length: 19 }, (_, i) => i)

const times = (n: number, value: number): number[] => Array(n).fill(value)

/** Nodes in use, as [nodes, slots that are not NULL in the topmost]. */
function topCount(): number {
  return xa.xaHead === 0 ? 0 : (XaNode.at(xa.xaHead) as XaNode).count
}

describe('single entries', () => {
  test('an array of values behaves as a map, and is empty again when all are erased', () => {
    const index = fc.oneof(
      fc.nat(200),
      fc.constantFrom(63, 64, 65, 4095, 4096, 2 ** 18 - 1, 2 ** 18, 2 ** 40, 2 ** 52 - 1),
    )
    const op = fc.tuple(fc.boolean(), index, fc.nat(1000))
    fc.assert(
      fc.property(fc.array(op, { maxLength: 60 }), (ops) => {
        fresh()
        const map = new Map<number, number>()
        for (const [store, at, value] of ops) {
          const old = xaStoreEntry(xa, at, store ? xaMkValue(value) : 0)
          assert.equal(old === 0 ? undefined : xaToValue(old), map.get(at))
          if (store) map.set(at, value)
          else map.delete(at)
        }
        const sorted = [...map.keys()].sort((a, b) => a - b)
        assert.deepEqual(visits(0, 2 ** 53 - 1), sorted)
        for (const [at, value] of map) {
          assert.ok(xaIsValue(xaLoadEntry(xa, at)))
          assert.equal(xaToValue(xaLoadEntry(xa, at)), value)
        }
        for (const at of sorted) xaStoreEntry(xa, at, 0)
        assert.ok(xaEmpty(xa))
      }),
      { numRuns: 300 },
    )
  })

  test('neighbours of a stored index are NULL, at every power of two', () => {
    for (let k = 0; k <= 52; k++) {
      for (const at of [2 ** k - 1, 2 ** k]) {
        xaStore(xa, at, thing(1))
        assert.equal(id(xaLoad(xa, at)), 1)
        if (at > 0) assert.equal(xaLoad(xa, at - 1), null)
        assert.equal(xaLoad(xa, at + 1), null)
        assert.equal(id(xaErase(xa, at)), 1)
        assert.ok(xaEmpty(xa))
      }
    }
  })

  test('storing far away grows the tree, erasing that shrinks it to the lone head', () => {
    xaStore(xa, 0, thing(0))
    const head = xa.xaHead
    xaStore(xa, 2 ** 52, thing(1))
    assert.notEqual(xa.xaHead, head)
    xaErase(xa, 2 ** 52)
    assert.equal(xa.xaHead, head)
  })

  test('a reserved index is used but reads as NULL; releasing a used one does nothing', () => {
    xaReserve(xa, 12345)
    assert.ok(!xaEmpty(xa))
    assert.equal(xaLoad(xa, 12345), null)
    assert.deepEqual(visits(0, 2 ** 30), [])
    assert.equal(xaErase(xa, 12345), null)
    assert.ok(xaEmpty(xa))
    xaReserve(xa, 12345)
    xaRelease(xa, 12345)
    assert.ok(xaEmpty(xa))
    xaReserve(xa, 7)
    assert.equal(xaStore(xa, 7, thing(2)), null)
    xaRelease(xa, 7)
    assert.equal(id(xaLoad(xa, 7)), 2)
  })

  test('each is found from every start before it, and by nothing behind it', () => {
    for (let i = 0; i < 100; i += 9) {
      for (let j = 0; j < 100; j += 7) {
        xaStore(xa, i, thing(1))
        xaStore(xa, j, thing(2))
        for (let start = 0; start < 100; start++) {
          const next = [i, j].filter((at) => at >= start)
          assert.equal(xaFindIndex(xa, start, 2 ** 52), next.length > 0 ? Math.min(...next) : -1)
          const after = next.filter((at) => at > start)
          assert.equal(
            xaFindAfterIndex(xa, start, 2 ** 52),
            after.length > 0 ? Math.min(...after) : -1,
          )
        }
        xaErase(xa, i)
        xaErase(xa, j)
      }
    }
    assert.ok(xaEmpty(xa))
  })

  test('erasing while walking visits each once and empties the array', () => {
    for (let i = 0; i < 200; i++) xaStore(xa, i * 7, thing(i % 8))
    let seen = 0
    for (let i = xaFindIndex(xa, 0, 2 ** 30); i >= 0; i = xaFindAfterIndex(xa, i, 2 ** 30)) {
      assert.equal(i, seen * 7)
      xaErase(xa, i)
      seen++
    }
    assert.equal(seen, 200)
    assert.ok(xaEmpty(xa))
  })

  test('a prefix reads back as stored, with nothing behind it, at every length', () => {
    for (let length = 0; length < 1024; length++) {
      if (length % 16 === 0) {
        for (let i = 0; i < 1024; i += 11) assert.equal(id(xaLoad(xa, i)), i < length ? i % 8 : -1)
      }
      xaStore(xa, length, thing(length % 8))
    }
    for (let i = 0; i < 1024; i++) xaErase(xa, i)
    assert.ok(xaEmpty(xa))
  })

  test('growing to the last index and shrinking leaves what was there', () => {
    for (const order of ORDERS) {
      xaStoreOrder(xa, 0, order, thing(1))
      const head = xa.xaHead
      xaStore(xa, 2 ** 52, thing(2))
      assert.notEqual(xa.xaHead, head)
      xaErase(xa, 2 ** 52)
      assert.equal(id(xaLoad(xa, 2 ** order - 1)), 1)
      assert.equal(xaLoad(xa, 2 ** order), null)
      xaErase(xa, 0)
      assert.ok(xaEmpty(xa))
    }
  })

  test('destroying leaves an empty array', () => {
    for (const at of [0, 999, 2 ** 52]) {
      xaStore(xa, at, thing(1))
      xaDestroy(xa)
      assert.ok(xaEmpty(xa))
    }
    xaStoreOrder(xa, 0x40000, 6, thing(1))
    xaDestroy(xa)
    assert.ok(xaEmpty(xa))
  })
})

describe('entries of 2^order indices', () => {
  test('a store of one index inside replaces the whole entry', () => {
    for (const order of ORDERS.slice(1)) {
      const min = 3 * 2 ** order
      const last = min + 2 ** order - 1
      xaStoreOrder(xa, min, order, thing(1))
      xaStore(xa, last, thing(2))
      assert.deepEqual([id(xaLoad(xa, min)), id(xaLoad(xa, last))], [2, 2])
      assert.deepEqual(visits(min + 1, 2 ** 40), [min + 1])
      xaErase(xa, min)
      assert.ok(xaEmpty(xa))
    }
  })

  test('NULL over everything empties the array, whatever is in its first slot', () => {
    for (const first of [0, 1, 64, 4096]) {
      xaStore(xa, first, thing(1))
      xaStoreOrder(xa, 8192, 3, thing(2))
      xaStoreRange(xa, 0, 2 ** 52, null)
      assert.ok(xaEmpty(xa), String(first))
    }
  })

  test('cover their range and nothing else; every index in it tells the order', () => {
    for (const order of ORDERS) {
      const size = 2 ** order
      const min = 5 * size
      xaStoreOrder(xa, min + Math.floor(size / 2), order, thing(3))
      for (const at of [min, min + size - 1]) {
        assert.equal(id(xaLoad(xa, at)), 3)
        assert.equal(xaGetOrder(xa, at), order)
      }
      assert.equal(xaLoad(xa, min - 1), null)
      assert.equal(xaLoad(xa, min + size), null)
      assert.equal(xaGetOrder(xa, min + size), 0)
      assert.deepEqual(visits(0, 2 ** 30), [min])
      xaErase(xa, min)
      assert.ok(xaEmpty(xa))
    }
  })

  test('the later of two stores takes over all that either covers', () => {
    for (const i of ORDERS) {
      for (const j of ORDERS) {
        xaStoreOrder(xa, 0, i, thing(1))
        xaStoreOrder(xa, 0, j, thing(2))
        for (const order of ORDERS) {
          const covered = order <= Math.max(i, j)
          assert.equal(id(xaLoad(xa, 2 ** order - 1)), covered ? 2 : -1, `${i} ${j} ${order}`)
        }
        xaDestroy(xa)
      }
    }
  })

  test('neighbours in one node do not disturb each other, and count their slots', () => {
    xaStoreOrder(xa, 0, 1, thing(1))
    assert.deepEqual(row(0, 3), [1, 1, -1, -1])
    assert.equal(topCount(), 2)
    xaStore(xa, 2, thing(2))
    assert.deepEqual(row(0, 3), [1, 1, 2, -1])
    assert.equal(topCount(), 3)
    xaStoreOrder(xa, 0, 2, thing(3))
    assert.deepEqual(row(0, 4), [3, 3, 3, 3, -1])
    assert.equal(topCount(), 4)
    xaErase(xa, 1)
    assert.ok(xaEmpty(xa))
  })

  test('a search from inside finds the entry there; a search after it goes on behind', () => {
    xaStoreOrder(xa, 12, 2, thing(1))
    xaStore(xa, 16, thing(2))
    for (let at = 0; at < 12; at++) assert.equal(xaFindIndex(xa, at, 100), 12)
    for (let at = 12; at < 16; at++) {
      assert.equal(xaFindIndex(xa, at, 100), at)
      assert.equal(xaFindAfterIndex(xa, at, 100), 16)
      assert.equal(xaFindAfterIndex(xa, at, 15), -1)
    }
    assert.equal(xaFindIndex(xa, 17, 100), -1)
  })
})

describe('marks', () => {
  test('are not set on nothing, not made by storing, and go with the entry', () => {
    for (const index of [0, 4, 64, 4096, 2 ** 30]) {
      xaSetMark(xa, index, 0)
      assert.equal(xaGetMark(xa, index, 0), false)
      xaStore(xa, index, thing(1))
      assert.equal(xaGetMark(xa, index, 0), false)
      xaSetMark(xa, index, 0)
      xaSetMark(xa, index, 2)
      assert.deepEqual(
        [0, 1, 2].map((m) => xaGetMark(xa, index, m)),
        [true, false, true],
      )
      assert.equal(xaGetMark(xa, index + 1, 0), false)
      xaClearMark(xa, index, 0)
      assert.deepEqual(
        [0, 1, 2].map((m) => xaGetMark(xa, index, m)),
        [false, false, true],
      )
      xaErase(xa, index)
      assert.equal(xaGetMark(xa, index, 2), false)
      assert.ok(xaEmpty(xa))
    }
  })

  test('set through any index of an entry, they are seen through all', () => {
    xaStoreOrder(xa, 0x40, 2, thing(1))
    xaSetMark(xa, 0x41, 1)
    for (let at = 0x40; at < 0x44; at++) assert.equal(xaGetMark(xa, at, 1), true)
    assert.equal(xaGetMark(xa, 0x44, 1), false)
  })

  test('of all that an entry replaces are its own, and its neighbour has none of them', () => {
    for (const index of [0, 4, 64, 1024, 4096]) {
      for (let order = 2; order <= 8; order++) {
        const base = index - (index % 2 ** order)
        const next = base + 2 ** order
        xaStore(xa, index + 1, thing(1))
        xaSetMark(xa, index + 1, 0)
        xaStore(xa, index + 2, thing(2))
        xaSetMark(xa, index + 2, 2)
        xaStore(xa, next, thing(3))
        xaStoreOrder(xa, index, order, thing(4))
        for (let at = base; at < next; at++) {
          const marks = [0, 1, 2].map((m) => xaGetMark(xa, at, m))
          assert.deepEqual(marks, [true, false, true], `${at} of order ${order}`)
        }
        assert.deepEqual(
          [0, 1, 2].map((m) => xaGetMark(xa, next, m)),
          [false, false, false],
        )
        assert.deepEqual(visits(base, next), [base, next])
        xaDestroy(xa)
      }
    }
  })

  test('are counted exactly over a thousand entries, also while they are cleared', () => {
    for (let i = 3500; i < 4500; i++) {
      xaStore(xa, i, thing(1))
      xaSetMark(xa, i, 0)
    }
    const marked = (): number => visits(0, 10000).filter((i) => xaGetMark(xa, i, 0)).length
    assert.equal(marked(), 1000)
    for (const i of visits(0, 10000)) xaClearMark(xa, i, 0)
    assert.equal(marked(), 0)
  })

  test('follow an entry into the lone head and out of it', () => {
    xaStore(xa, 0, thing(1))
    xaStore(xa, 1, thing(2))
    xaSetMark(xa, 0, 0)
    xaErase(xa, 1)
    assert.equal(xaGetMark(xa, 0, 0), true)
    xaStore(xa, 100, thing(2))
    assert.equal(xaGetMark(xa, 0, 0), true)
    assert.equal(xaGetMark(xa, 100, 0), false)
  })
})

describe('ranges', () => {
  test('of an empty array: first and last hit, both neighbours miss, NULL empties', () => {
    for (const base of [0, 128, 4095, 4096, 123456, 2 ** 24]) {
      for (let i = 0; i < 128; i += 7) {
        for (let j = i; j < 128; j += 3) {
          const [first, last] = [base + i, base + j]
          xaStoreRange(xa, first, last, thing(1))
          assert.deepEqual([id(xaLoad(xa, first)), id(xaLoad(xa, last))], [1, 1])
          if (first > 0) assert.equal(xaLoad(xa, first - 1), null)
          assert.equal(xaLoad(xa, last + 1), null)
          xaStoreRange(xa, first, last, null)
          assert.ok(xaEmpty(xa), `${first}..${last}`)
        }
      }
    }
  })

  test('any range covers exactly its indices', () => {
    const range = fc.tuple(fc.nat(5000), fc.nat(5000))
    fc.assert(
      fc.property(range, ([first, length]) => {
        fresh()
        const last = first + length
        xaStoreRange(xa, first, last, thing(1))
        const probe = [first, last, Math.floor((first + last) / 2), first + Math.min(length, 63)]
        for (const at of probe) assert.equal(id(xaLoad(xa, at)), 1)
        for (const at of [first - 1, last + 1]) if (at >= 0) assert.equal(xaLoad(xa, at), null)
      }),
      { numRuns: 300 },
    )
  })

  const twoRuns = (): void => {
    xaStoreRange(xa, 0, 9, thing(1))
    xaStoreRange(xa, 10, 19, thing(2))
  }

  test('a walk starts inside an entry at its own index, and its end is inclusive', () => {
    twoRuns()
    assert.deepEqual(visits(0, 139), [0, 10])
    assert.deepEqual(visits(5, 10), [5, 10])
    assert.deepEqual(visits(5, 9), [5])
  })

  test('NULL over [5, 14] takes all of the first run and nothing of the second', () => {
    twoRuns()
    xaStoreRange(xa, 5, 14, null)
    assert.deepEqual(row(0, 19), [...times(10, -1), ...times(10, 2)])
  })

  test('an entry over [5, 14] becomes [0, 9]', () => {
    twoRuns()
    xaStoreRange(xa, 5, 14, thing(3))
    assert.deepEqual(row(0, 19), [...times(10, 3), ...times(10, 2)])
  })

  test('NULL over a part, a store inside and an erase inside all act on the whole run', () => {
    xaStoreRange(xa, 0, 9, thing(1))
    xaStore(xa, 7, thing(2))
    assert.deepEqual(row(0, 10), [...times(10, 2), -1])
    xaErase(xa, 3)
    assert.ok(xaEmpty(xa))
    xaStoreRange(xa, 0, 9, thing(1))
    xaStoreRange(xa, 0, 4, null)
    assert.ok(xaEmpty(xa))
  })

  test('a range over a node border is visited once for each piece', () => {
    xaStoreRange(xa, 1, 70, thing(1))
    assert.deepEqual(visits(0, 139), [1, 64])
  })

  test('a search behind the only entry finds nothing', () => {
    xaStoreRange(xa, 0, 9, thing(1))
    assert.equal(xaFindIndex(xa, 4, 2 ** 40), 4)
    assert.equal(xaFindAfterIndex(xa, 4, 2 ** 40), -1)
  })
})

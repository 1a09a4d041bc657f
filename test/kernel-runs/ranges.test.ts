/** Which notifiers hear of which range, as recorded on 6.2.1 (E3 and E4). */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { DESIGNS } from '../../src/designs/index.js'
import { EINVAL } from '../../src/kernel/include/errno.js'
import { sysMemfdRestricted } from '../../src/kernel/mm/restrictedmem.js'
import {
  allocate,
  bind,
  call,
  callbacks,
  entries,
  getPage,
  getPageWarned,
  inner,
  owners,
  punch,
  putPage,
  start,
  unbind,
} from './device.js'

const repeat = (n: number, value: number): number[] => Array(n).fill(value)
/** Start and end for each of these notifiers, all starts first. */
const pairs = (first: number, end: number, ...ids: number[]): unknown[] => [
  ...ids.map((id) => [id, 'start', first, end]),
  ...ids.map((id) => [id, 'end', first, end]),
]

for (const id of ['upm', 'upm-aops']) {
  const design = DESIGNS.find((d) => d.id === id)!
  const open = (): number => {
    start(design)
    return call(sysMemfdRestricted, 0)
  }

  describe(`bindings on ${id}`, () => {
    test('an exclusive end is stored inclusively, so the adjacent binding is refused', () => {
      const fd = open()
      assert.equal(bind(fd, 0, 8, 1), 0)
      assert.deepEqual(owners(fd, 0, 10), [...repeat(9, 1), -1, -1])
      assert.equal(bind(fd, 8, 16, 2), -EINVAL)
      assert.equal(bind(fd, 9, 16, 2), 0)
      assert.deepEqual(owners(fd, 0, 18), [...repeat(9, 1), ...repeat(8, 2), -1, -1])
    })

    test('inclusive ends bind side by side, and each punch tells who begins right behind it', () => {
      const fd = open()
      assert.equal(bind(fd, 0, 7, 1), 0)
      assert.equal(bind(fd, 8, 15, 2), 0)
      assert.deepEqual(entries(fd), [
        [0, 1],
        [8, 2],
      ])
      assert.equal(allocate(fd, 0, 20), 0)
      assert.equal(punch(fd, 4, 6), 0)
      assert.deepEqual(callbacks(), pairs(4, 6, 1))
      assert.equal(inner(fd).nrpages, 18)
      assert.equal(punch(fd, 6, 8), 0)
      assert.deepEqual(callbacks(), pairs(6, 8, 1, 2))
      assert.equal(punch(fd, 7, 8), 0)
      assert.deepEqual(callbacks(), pairs(7, 8, 1, 2))
      assert.equal(punch(fd, 8, 9), 0)
      assert.deepEqual(callbacks(), pairs(8, 9, 2))
      assert.equal(punch(fd, 6, 10), 0)
      assert.deepEqual(callbacks(), pairs(6, 10, 1, 2))
      assert.equal(punch(fd, 16, 20), 0)
      assert.deepEqual(callbacks(), [])
      assert.equal(punch(fd, 15, 16), 0)
      assert.deepEqual(callbacks(), pairs(15, 16, 2))
    })

    test('a range is handed over as it was punched, not clipped', () => {
      const fd = open()
      bind(fd, 0, 7, 1)
      bind(fd, 8, 15, 2)
      assert.equal(punch(fd, 0, 2 ** 28), 0)
      assert.deepEqual(callbacks(), pairs(0, 268435456, 1, 2))
    })

    test('one call for each XArray entry, not for each binding', () => {
      const fd = open()
      assert.equal(bind(fd, 0x10, 0x100f, 3), 0)
      assert.deepEqual(entries(fd), [
        [16, 3],
        [64, 3],
        [4096, 3],
      ])
      assert.equal(punch(fd, 0x10, 0x1010), 0)
      assert.deepEqual(callbacks(), pairs(0x10, 0x1010, 3, 3, 3))
      assert.equal(punch(fd, 0x3f, 0x41), 0)
      assert.deepEqual(callbacks(), pairs(0x3f, 0x41, 3, 3))
    })

    test('a power of two with an exclusive end is two entries, so every full punch calls twice', () => {
      const fd = open()
      assert.equal(bind(fd, 0, 0x1000, 3), 0)
      assert.deepEqual(entries(fd), [
        [0, 3],
        [4096, 3],
      ])
      punch(fd, 0, 0x1000)
      assert.deepEqual(callbacks(), pairs(0, 0x1000, 3, 3))
      const other = call(sysMemfdRestricted, 0)
      assert.equal(bind(other, 0, 0xfff, 3), 0)
      assert.deepEqual(entries(other), [[0, 3]])
      punch(other, 0, 0x1000)
      assert.deepEqual(callbacks(), pairs(0, 0x1000, 3))
    })

    test('2 GiB and a page are two entries', () => {
      const fd = open()
      assert.equal(bind(fd, 0, 0x80000, 3), 0)
      assert.deepEqual(entries(fd), [
        [0, 3],
        [524288, 3],
      ])
      punch(fd, 0, 0x80000)
      assert.deepEqual(callbacks(), pairs(0, 0x80000, 3, 3))
    })

    test('what bind refuses: not exclusive, the same, inside, overlapping', () => {
      const fd = open()
      assert.equal(bind(fd, 0, 7, 1, false), -EINVAL)
      assert.equal(bind(fd, 8, 3, 1), 0)
      assert.deepEqual(owners(fd, 0, 9), repeat(10, -1))
      assert.equal(bind(fd, 0, 0xff, 1), 0)
      assert.deepEqual(entries(fd), [[0, 1]])
      assert.equal(bind(fd, 0, 0xff, 1), -EINVAL)
      assert.equal(bind(fd, 0x40, 0x4f, 2), -EINVAL)
      assert.equal(bind(fd, 0xf0, 0x110, 2), -EINVAL)
      assert.equal(bind(fd, 0x200, 0x2ff, 2, false), -EINVAL)
      assert.equal(bind(fd, 0x100, 0x1ff, 2), 0)
      assert.deepEqual(entries(fd), [
        [0, 1],
        [256, 2],
      ])
    })

    test('unbinding a part takes the whole, and nobody is told of a punch there any more', () => {
      const fd = open()
      bind(fd, 0, 0xff, 1)
      bind(fd, 0x100, 0x1ff, 2)
      assert.equal(getPage(fd, 5), 0)
      putPage()
      assert.equal(unbind(fd, 0x40, 0x4f), 0)
      assert.deepEqual(entries(fd), [[256, 2]])
      assert.match(getPageWarned(fd, 5), /kernel-warning/)
      assert.equal(getPage(fd, 0x105), 0)
      putPage()
      assert.equal(punch(fd, 0, 256), 0)
      assert.deepEqual(callbacks(), pairs(0, 256, 2))
    })

    test('unbind removes whoever is there, and may be called for nothing', () => {
      const fd = open()
      bind(fd, 0, 7, 1)
      bind(fd, 8, 15, 2)
      assert.equal(unbind(fd, 0, 7), 0)
      assert.deepEqual(owners(fd, 0, 16), [...repeat(8, -1), ...repeat(8, 2), -1])
      assert.equal(unbind(fd, 0, 15), 0)
      assert.deepEqual(owners(fd, 0, 16), repeat(17, -1))
      assert.equal(unbind(fd, 0, 15), 0)
      assert.equal(bind(fd, 0, 7, 4), 0)
      assert.deepEqual(owners(fd, 0, 8), [...repeat(8, 4), -1])
      assert.deepEqual(callbacks(), [])
    })

    test('unbinding [18..1f] of [10..2f] leaves nothing of it', () => {
      const fd = open()
      bind(fd, 0x10, 0x2f, 1)
      bind(fd, 0x30, 0x3f, 2)
      assert.deepEqual(entries(fd), [
        [16, 1],
        [48, 2],
      ])
      unbind(fd, 0x18, 0x1f)
      assert.deepEqual(entries(fd), [[48, 2]])
    })
  })
}

/** What the recorded runs do not show, said with the same device: other designs, other halves. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Design, replacementsOf } from '../../src/designs/design.js'
import { DESIGNS } from '../../src/designs/index.js'
import { sysPread } from '../../src/kernel/fs/read_write.js'
import { EAGAIN, EBUSY, EINVAL, EIO } from '../../src/kernel/include/errno.js'
import { type Folio, MF_SW_SIMULATED } from '../../src/kernel/include/mm.js'
import { sysMemfdCreate } from '../../src/kernel/mm/memfd.js'
import { memoryFailure } from '../../src/kernel/mm/memory_failure.js'
import { moveToNewFolio } from '../../src/kernel/mm/migrate.js'
import { activate, fn, type Kernel, original, replace } from '../../src/machine/fn.js'
import { migratePage } from '../../src/user/pages.js'
import {
  allocate,
  bind,
  create,
  drain,
  fault,
  getPage,
  pfnOf,
  punch,
  putPage,
  touch,
  unbind,
} from './calls.js'
import { resetDevice, takeLog } from './device.js'
import { noted } from './kernel-log.js'
import { cached, entries, owner, spte } from './observe.js'
import { mapFile, store } from './process.js'
import { bootRecorded, call, takeFindings } from './runner.js'
import { withOverlapWarned } from './toggles.js'

const design = (id: string): Design => DESIGNS.find((d) => d.id === id)!

function start(id: string): void {
  resetDevice()
  bootRecorded(noted(design(id)))
}

const fail = (fd: number, index: number): number =>
  call(memoryFailure, pfnOf(fd, index), MF_SW_SIMULATED)

describe('memory failure crashes', () => {
  for (const { id } of DESIGNS.filter((d) => /^(v10|upm|upm-pin|upm-aops)$/.test(d.id))) {
    test(`${id}: at a restricted page, clean or dirty`, () => {
      for (const dirty of [false, true]) {
        start(id)
        const fd = create()
        allocate(fd, 0, 1)
        drain()
        if (!dirty) cached(fd, 0)!.dirty = false
        assert.ok(Number.isNaN(fail(fd, 0)))
        assert.deepEqual(takeFindings(), ['null-dereference'])
      }
    })

    test(`${id}: at a page of a plain memfd, where memory-failure.c has the hook`, () => {
      start(id)
      const fd = call(sysMemfdCreate, 0)
      store(mapFile(fd, 1), 0, 1)
      drain()
      const ret = fail(fd, 0)
      const hooked = id !== 'upm-aops'
      assert.deepEqual(takeFindings(), hooked ? ['null-dereference'] : [])
      if (!hooked) assert.deepEqual([ret, call(sysPread, fd, 0n, 1)], [0, -EIO])
    })
  }
})

/** How often a page was tried to be moved. */
let tries = 0
const countTry = (): number => tries++
const move = original(moveToNewFolio)
const countedMove = fn(function* move_to_new_folio(
  dst: Folio,
  src: Folio,
  mode: number,
): Kernel<number> {
  countTry()
  return yield* move(dst, src, mode)
})

describe('migration', () => {
  test('a page with an extra reference is tried ten times, and moves once it is put', () => {
    start('upm')
    const fd = create()
    bind(fd, 0, 511, 1)
    getPage(fd, 0)
    activate([...replacementsOf(design('upm')), replace(moveToNewFolio, countedMove)])
    tries = 0
    assert.equal(call(migratePage, fd, 0), -EAGAIN)
    assert.equal(tries, 10)
    putPage()
    assert.equal(call(migratePage, fd, 0), 0)
    assert.equal(tries, 11)
  })

  test('a pinned page answers -EAGAIN, an overridden mapping -EBUSY', () => {
    for (const [id, answer] of [
      ['upm-pin', -EAGAIN],
      ['upm-aops', -EBUSY],
    ] as const) {
      start(id)
      const fd = create()
      // Within the file, since SGP_NOALLOC answers -EINVAL behind its end, which is not "absent".
      allocate(fd, 1, 2)
      bind(fd, 0, 511, 1)
      touch(fd, 0)
      assert.equal(call(migratePage, fd, 0), answer)
    }
  })
})

describe('an overlap that is only warned about', () => {
  const shared = (last: number, first: number): number => {
    bootRecorded(withOverlapWarned(noted(design('upm'))))
    resetDevice()
    const fd = create()
    assert.equal(bind(fd, 0, last, 1), 0)
    assert.equal(fault(fd, 5, 1), 0)
    assert.equal(bind(fd, first, first === 4 ? 11 : 0x4f, 2), 0)
    return fd
  }

  test('inside one entry: the second owner gets all of it, and its unbind leaves nobody', () => {
    const fd = shared(0xff, 0x40)
    assert.deepEqual(entries(fd), { entries: 1, first: [[0, 2]] })
    unbind(fd, 0x40, 0x4f)
    assert.deepEqual(entries(fd), { entries: 0, first: [] })
    assert.equal(getPage(fd, 5), -EINVAL)
    takeLog()
    assert.equal(punch(fd, 0, 256), 0)
    assert.deepEqual(takeLog(), [])
    drain()
    assert.deepEqual(spte(fd, 1), { spte_ok: 0, spte_no_page: 1, stale_freed: 1, first_stale: 5 })
  })

  test('across the end of an entry: the tail stays unbound', () => {
    const fd = shared(7, 4)
    const all = [...Array(8).fill(2), ...Array(4).fill(-1)]
    assert.deepEqual(owner(fd, 0, 11), { owner: all })
  })
})

/** What the recorded runs do not show, said with the same device: other designs, other halves. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { DESIGNS } from '../../src/designs/index.js'
import { sysPread } from '../../src/kernel/fs/read_write.js'
import { EAGAIN, EBUSY, EINVAL, EIO } from '../../src/kernel/include/errno.js'
import { MF_SW_SIMULATED } from '../../src/kernel/include/mm.js'
import { sysMemfdCreate } from '../../src/kernel/mm/memfd.js'
import { memoryFailure } from '../../src/kernel/mm/memory_failure.js'
import { migratePage } from '../../src/kernel/mm/page_ops.js'
import {
  allocate,
  bind,
  create,
  drain,
  fault,
  getPage,
  pfnOf,
  punch,
  touch,
  unbind,
} from './calls.js'
import { resetDevice, takeLog } from './device.js'
import { noted } from './kernel-log.js'
import { cached, entries, owner, spte } from './observe.js'
import { mapFile, store } from './process.js'
import { bootRecorded, call, takeFindings } from './runner.js'
import { withOverlapWarned } from './toggles.js'

function start(id: string): void {
  resetDevice()
  bootRecorded(noted(DESIGNS.find((d) => d.id === id)!))
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

describe('migration', () => {
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
    bootRecorded(withOverlapWarned(noted(DESIGNS.find((d) => d.id === 'upm')!)))
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

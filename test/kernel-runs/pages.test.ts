/** References, flags, contents and results, as recorded on 6.2.1 (E5 to E10, headline results). */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { DESIGNS } from '../../src/designs/index.js'
import { dropCaches } from '../../src/kernel/fs/drop_caches.js'
import { sysFtruncate } from '../../src/kernel/fs/open.js'
import { sysPread, sysPwrite } from '../../src/kernel/fs/read_write.js'
import { EAGAIN, EBUSY, EFBIG, EHWPOISON, EIO } from '../../src/kernel/include/errno.js'
import {
  type Folio,
  MIGRATE_ASYNC,
  MIGRATE_SYNC,
  MIGRATE_SYNC_LIGHT,
  MR_COMPACTION,
} from '../../src/kernel/include/mm.js'
import type { Pfn } from '../../src/kernel/include/types.js'
import { compact } from '../../src/kernel/mm/compaction.js'
import { sysMemfdCreate } from '../../src/kernel/mm/memfd.js'
import { migratePages, putbackMovablePages } from '../../src/kernel/mm/migrate.js'
import { pfnToFolio } from '../../src/kernel/mm/page_alloc.js'
import {
  memoryFailureOp,
  migratePage,
  pageFrame,
  softOfflineOp,
  unpoisonOp,
} from '../../src/kernel/mm/page_ops.js'
import { sysMemfdRestricted } from '../../src/kernel/mm/restrictedmem.js'
import { unpoison } from '../../src/kernel/mm/soft_offline.js'
import { folioIsolateLru } from '../../src/kernel/mm/swap.js'
import { type Blob, byteAt, isResidue, STALE_BYTE, withBytes } from '../../src/machine/blob.js'
import { bodyOf, type FnTag, fn, type Kernel } from '../../src/machine/fn.js'
import {
  allocate,
  bind,
  cached,
  call,
  callbacks,
  callWarned,
  drain,
  errorContext,
  getPage,
  getPageWarned,
  inner,
  lastPage,
  punch,
  putPage,
  start,
  unbind,
} from './device.js'

const design = (id: string): (typeof DESIGNS)[number] => DESIGNS.find((d) => d.id === id)!

/** A bound file with one page that was faulted in, drained and put. */
function faulted(id: string, index = 0): { fd: number; folio: Folio } {
  start(design(id))
  const fd = call(sysMemfdRestricted, 0)
  bind(fd, 0, 511, 1)
  assert.equal(getPage(fd, index), 0)
  const folio = lastPage()
  putPage()
  drain()
  return { fd, folio }
}

for (const id of ['upm', 'upm-aops']) {
  describe(`pages of a restricted file on ${id}`, () => {
    test('get_page: three references, up to date, never dirty; one and on the LRU after a drain', () => {
      start(design(id))
      const fd = call(sysMemfdRestricted, 0)
      assert.match(getPageWarned(fd, 0), /nothing is bound/)
      bind(fd, 0, 511, 1)
      assert.equal(getPage(fd, 0), 0)
      const folio = lastPage()
      const flags = (): unknown => [
        folio.referenced,
        folio.uptodate,
        folio.dirty,
        folio.lru,
        folio.unevictable,
      ]
      assert.equal(folio.refcount, 3)
      assert.deepEqual(flags(), [true, true, false, false, false])
      putPage()
      assert.equal(folio.refcount, 2)
      drain()
      assert.equal(folio.refcount, 1)
      assert.deepEqual(flags(), [true, true, false, true, true])
      assert.equal(getPage(fd, 0), 0)
      assert.equal(lastPage(), folio)
      assert.equal(folio.refcount, 2)
    })

    test('what the last owner left is handed out; a second fallocate clears only unused pages', () => {
      start(design(id))
      const fd = call(sysMemfdRestricted, 0)
      bind(fd, 0, 511, 1)
      allocate(fd, 0, 3)
      getPage(fd, 1)
      const used = lastPage()
      putPage()
      assert.equal(byteAt(used.data as Blob, 0), STALE_BYTE)
      assert.ok(isResidue(used.data as Blob, 0))
      const unused = cached(fd, 2)!
      assert.deepEqual([unused.uptodate, unused.dirty], [false, true])
      allocate(fd, 0, 3)
      assert.equal(byteAt(used.data as Blob, 0), STALE_BYTE)
      assert.deepEqual([unused.uptodate, byteAt(unused.data as Blob, 0)], [true, 0])
    })

    test('fallocate over a page in use keeps its contents and makes it dirty', () => {
      const { fd, folio } = faulted(id)
      folio.data = withBytes(folio.data as Blob, 0, 4096, 0x77)
      allocate(fd, 0, 4)
      assert.deepEqual([folio.dirty, byteAt(folio.data as Blob, 9)], [true, 0x77])
    })

    test('get_page ignores the size up to a byte offset of 2^63', () => {
      start(design(id))
      const fd = call(sysMemfdRestricted, 0)
      bind(fd, 2 ** 40, 2 ** 40 + 1, 1)
      bind(fd, 2 ** 51, 2 ** 51 + 1, 1)
      assert.equal(getPage(fd, 2 ** 40), 0)
      assert.equal(getPage(fd, 2 ** 51), -EFBIG)
    })

    test('a page that is punched while somebody holds it leaves the cache at once', () => {
      start(design(id))
      const fd = call(sysMemfdRestricted, 0)
      bind(fd, 0, 511, 1)
      getPage(fd, 5)
      const old = lastPage()
      drain()
      assert.equal(punch(fd, 5, 6), 0)
      assert.equal(cached(fd, 5), null)
      assert.equal(old.refcount, 1)
      getPage(fd, 5)
      assert.notEqual(lastPage(), old)
      putPage()
      putPage()
      assert.ok(old.buddy)
    })

    test('get_page after unbind finds nothing bound; the page stays', () => {
      const { fd } = faulted(id)
      unbind(fd, 0, 511)
      assert.match(getPageWarned(fd, 0), /kernel-warning/)
      assert.notEqual(cached(fd, 0), null)
    })

    test('drop_caches frees clean mapped pages without a callback, unless they wait in a batch', () => {
      const { fd, folio } = faulted(id)
      assert.equal(call(dropCaches), 0)
      assert.deepEqual([cached(fd, 0), folio.buddy, callbacks()], [null, true, []])
      getPage(fd, 0)
      putPage()
      call(dropCaches)
      assert.notEqual(cached(fd, 0), null)
      drain()
      allocate(fd, 0, 1)
      call(dropCaches)
      assert.notEqual(cached(fd, 0), null)
    })

    test('an extra reference protects from drop_caches', () => {
      const { fd } = faulted(id)
      getPage(fd, 0)
      call(dropCaches)
      assert.notEqual(cached(fd, 0), null)
    })

    test('soft offline of a clean page evicts it and poisons the frame', () => {
      const { fd, folio } = faulted(id)
      assert.equal(call(softOfflineOp, fd, 0), 0)
      assert.deepEqual([cached(fd, 0), folio.hwpoison, folio.buddy], [null, true, false])
      assert.deepEqual(callbacks(), [])
    })

    test('soft offline of a dirty page: moved, or refused by the override', () => {
      const { fd, folio } = faulted(id)
      allocate(fd, 0, 1)
      const result = call(softOfflineOp, fd, 0)
      const expected = id === 'upm' ? 0 : -EBUSY
      assert.equal(result, expected)
      assert.equal(cached(fd, 0) === folio, id === 'upm-aops')
      assert.deepEqual(callbacks(), [])
    })

    test('compaction moves the page or leaves it; nobody is told', () => {
      const { fd, folio } = faulted(id)
      assert.equal(call(compact), 0)
      assert.equal(cached(fd, 0) === folio, id === 'upm-aops')
      assert.equal(folio.buddy, id === 'upm')
      assert.deepEqual(callbacks(), [])
    })

    test('ftruncate to 0 of an unsized file frees the mapped pages', () => {
      const { fd, folio } = faulted(id)
      assert.equal(call(sysFtruncate, fd, 0n), 0)
      assert.deepEqual([inner(fd).nrpages, folio.buddy, callbacks()], [0, true, []])
    })
  })
}

describe('migration of an isolated restricted page', () => {
  const isolateAndMigrate = fn(function* test_migrate(pfn: Pfn, mode: number): Kernel<number> {
    const folio = pfnToFolio(pfn)!
    yield* folioIsolateLru(folio)
    const left = yield* migratePages(folio, mode, MR_COMPACTION)
    if (left !== 0) yield* putbackMovablePages(folio)
    return left
  })

  test('the override refuses once, in every mode, clean or dirty', () => {
    for (const mode of [MIGRATE_ASYNC, MIGRATE_SYNC_LIGHT, MIGRATE_SYNC]) {
      for (const dirty of [false, true]) {
        const { fd, folio } = faulted('upm-aops')
        if (dirty) allocate(fd, 0, 1)
        const aops = inner(fd).aOps!
        const calls = countCalls(aops.migrateFolio!, () => {
          assert.equal(call(isolateAndMigrate, folio.pfn, mode), 1)
        })
        assert.equal(calls, 1)
      }
    }
  })

  test('an extra reference is tried ten times', () => {
    const { fd, folio } = faulted('upm')
    getPage(fd, 0)
    const calls = countCalls(inner(fd).aOps!.migrateFolio!, () => {
      assert.equal(call(isolateAndMigrate, folio.pfn, MIGRATE_SYNC), 1)
    })
    assert.equal(calls, 10)
    putPage()
    assert.equal(call(migratePage, fd, 0), 0)
  })

  test('a pinned page answers -EAGAIN, an overridden mapping -EBUSY', () => {
    start(design('upm-pin'))
    const fd = call(sysMemfdRestricted, 0)
    // Behind the end of the file SGP_NOALLOC answers -EINVAL, which is not "absent".
    call(sysFtruncate, fd, 4096n)
    bind(fd, 0, 511, 1)
    getPage(fd, 0)
    putPage()
    assert.equal(call(migratePage, fd, 0), -EAGAIN)
    const refused = faulted('upm-aops')
    assert.equal(call(migratePage, refused.fd, 0), -EBUSY)
  })
})

describe('memory failure', () => {
  test('of a restricted page is a NULL dereference in all four designs, clean or dirty', () => {
    for (const id of ['v10', 'upm', 'upm-pin', 'upm-aops']) {
      for (const dirty of [false, true]) {
        start(design(id))
        const fd = call(sysMemfdRestricted, 0)
        allocate(fd, 0, 1)
        if (!dirty) cached(fd, 0)!.dirty = false
        assert.equal(callWarned(memoryFailureOp, fd, 0), 'null-dereference')
      }
    }
  })

  test('of a plain memfd page crashes what hooks memory-failure.c, and only that', () => {
    for (const id of ['v10', 'upm', 'upm-pin', 'upm-aops']) {
      start(design(id))
      const fd = call(sysMemfdCreate, 0)
      call(sysPwrite, fd, 0n, 1, 1)
      if (id === 'upm-aops') {
        assert.equal(call(memoryFailureOp, fd, 0), 0)
        assert.equal(call(sysPread, fd, 0n, 1), -EIO)
      } else assert.equal(callWarned(memoryFailureOp, fd, 0), 'null-dereference')
    }
  })

  for (const dirty of [false, true]) {
    test(`with the walk repaired: recovered, one callback, the page stays (${dirty ? 'dirty' : 'clean'})`, () => {
      const { fd, folio } = faulted('upm-aops-repaired', 1)
      if (dirty) allocate(fd, 0, 8)
      assert.equal(call(memoryFailureOp, fd, 1), 0)
      assert.deepEqual(callbacks(), [[1, 'error', 1, 2]])
      assert.deepEqual([folio.hwpoison, folio.lru, folio.unevictable], [true, false, false])
      assert.deepEqual([cached(fd, 1), folio.refcount], [folio, 2])

      assert.equal(getPage(fd, 1), 0)
      assert.deepEqual([lastPage(), folio.refcount], [folio, 3])
      putPage()
      assert.equal(call(memoryFailureOp, fd, 1), -EHWPOISON)
      assert.equal(allocate(fd, 0, 8), 0)
      assert.equal(cached(fd, 1), folio)
      assert.equal(call(unpoisonOp, fd, 1), -EBUSY)

      const pfn = call(pageFrame, fd, 1)
      assert.equal(punch(fd, 1, 2), 0)
      assert.deepEqual([cached(fd, 1), folio.refcount, folio.buddy], [null, 1, false])
      callbacks()
      assert.equal(getPage(fd, 1), 0)
      assert.notEqual(lastPage(), folio)
      assert.equal(call(unpoison, pfn), 0)
      assert.deepEqual([folio.buddy, folio.hwpoison], [true, false])
    })
  }

  test('an extra reference makes it fail, with the page poisoned and the callback run', () => {
    const { fd, folio } = faulted('upm-aops-repaired', 1)
    getPage(fd, 1)
    assert.equal(call(memoryFailureOp, fd, 1), -EBUSY)
    assert.deepEqual(callbacks(), [[1, 'error', 1, 2]])
    assert.deepEqual([folio.hwpoison, folio.refcount], [true, 3])
  })

  test('the callback runs in atomic context; the page is locked and still cached', () => {
    for (const extra of [0, 1]) {
      const { fd } = faulted('upm-aops-repaired', 1)
      if (extra > 0) getPage(fd, 1)
      call(memoryFailureOp, fd, 1)
      assert.deepEqual(errorContext(), { atomic: true, locked: true, refcount: 2 + extra })
    }
  })

  test('a page that still waits in a batch is drained first', () => {
    start(design('upm-aops-repaired'))
    const fd = call(sysMemfdRestricted, 0)
    bind(fd, 0, 511, 1)
    getPage(fd, 1)
    putPage()
    assert.equal(call(memoryFailureOp, fd, 1), 0)
    assert.deepEqual(callbacks(), [[1, 'error', 1, 2]])
  })

  test('the last page of one binding: whoever begins behind it is told too', () => {
    start(design('upm-aops-repaired'))
    const fd = call(sysMemfdRestricted, 0)
    bind(fd, 0, 7, 1)
    bind(fd, 8, 15, 2)
    allocate(fd, 0, 16)
    assert.equal(call(memoryFailureOp, fd, 7), 0)
    assert.deepEqual(callbacks(), [
      [1, 'error', 7, 8],
      [2, 'error', 7, 8],
    ])
    assert.equal(call(memoryFailureOp, fd, 8), 0)
    assert.deepEqual(callbacks(), [[2, 'error', 8, 9]])
  })

  test('one binding stored as several entries is told once for each that the range meets', () => {
    start(design('upm-aops-repaired'))
    const fd = call(sysMemfdRestricted, 0)
    bind(fd, 0x10, 0x100f, 3)
    allocate(fd, 0x3f, 0x41)
    assert.equal(call(memoryFailureOp, fd, 0x40), 0)
    assert.deepEqual(callbacks(), [[3, 'error', 0x40, 0x41]])
    assert.equal(call(memoryFailureOp, fd, 0x3f), 0)
    assert.deepEqual(callbacks(), [
      [3, 'error', 0x3f, 0x40],
      [3, 'error', 0x3f, 0x40],
    ])
  })

  test('a file without bindings: recovered, nobody to tell', () => {
    start(design('upm-aops-repaired'))
    const fd = call(sysMemfdRestricted, 0)
    allocate(fd, 1, 2)
    assert.equal(call(memoryFailureOp, fd, 1), 0)
    assert.deepEqual(callbacks(), [])
  })
})

/** How often a kernel function starts while `act` runs, counted in its lowered form. */
function countCalls(f: FnTag, act: () => void): number {
  const { lowered } = bodyOf(f)
  if (lowered === undefined) throw new Error(`${f.cName} has not been lowered`)
  let calls = 0
  const enter = lowered.enter
  const counting = lowered as { enter: typeof enter }
  counting.enter = (fp, args) => {
    calls++
    enter(fp, args)
  }
  try {
    act()
  } finally {
    counting.enter = enter
  }
  return calls
}

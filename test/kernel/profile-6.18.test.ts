/** Values that 6.18 answers otherwise than 6.2, where no call alone shows them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Design } from '../../src/designs/design.js'
import { gmem618 } from '../../src/designs/gmem.js'
import { upm } from '../../src/designs/upm.js'
import { doExit } from '../../src/kernel/exit.js'
import { sysFallocate } from '../../src/kernel/fs/open.js'
import { EBUSY } from '../../src/kernel/include/errno.js'
import type { Folio } from '../../src/kernel/include/mm.js'
import {
  MADV_DONTNEED,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_PRIVATE,
  MAP_SHARED,
  PROT_READ,
  PROT_WRITE,
} from '../../src/kernel/include/uapi.js'
import { sysMemfdCreate } from '../../src/kernel/mm/memfd.js'
import { allocFolioMayFail } from '../../src/kernel/mm/page_alloc.js'
import { softOfflineLost } from '../../src/kernel/mm/soft_offline.js'
import { folioPut, pagevecSize } from '../../src/kernel/mm/swap.js'
import { fn, type Kernel } from '../../src/machine/fn.js'
import { userStoreAt } from '../../src/user/access.js'
import { userMadvise, userMlock, userMmap, userMunmap } from '../../src/user/memory.js'
import { migratePage } from '../../src/user/pages.js'
import { bootRecorded } from '../kernel-runs/runner.js'
import { User } from './user.js'

function on(design: Design, f: () => number): number {
  bootRecorded(design)
  return f()
}

test('a soft offline that loses twice: 0 on 6.2, -EBUSY on 6.18', () => {
  assert.equal(on(upm, softOfflineLost), 0)
  assert.equal(on(gmem618, softOfflineLost), -EBUSY)
})

test('an LRU batch: 15 pages on 6.2, 31 on 6.18', () => {
  assert.equal(on(upm, pagevecSize), 15)
  assert.equal(on(gmem618, pagevecSize), 31)
})

/** Whether a frame is handed out again that was marked as poisoned while it was free. */
const allocatesAgain = fn(function* allocates_again(): Kernel<number> {
  const folio = (yield* allocFolioMayFail(true)) as Folio
  yield* folioPut(folio)
  folio.hwpoison = true
  return Number((yield* allocFolioMayFail(true)) === folio)
})

test('a free page that has been marked as poisoned: 6.2 leaves it out, 6.18 hands it out', () => {
  assert.equal(new User('6.2').call(allocatesAgain), 0)
  assert.equal(new User('6.18').call(allocatesAgain), 1)
})

const READ_WRITE = PROT_READ | PROT_WRITE

for (const profile of ['6.2', '6.18'] as const) {
  const drains = profile === '6.2'

  /** A process with a file whose only page waits in a batch, and with a page of its own. */
  const waiting = (): { user: User; fd: number; folio: Folio; at: number } => {
    const user = new User(profile)
    const anonymous = MAP_PRIVATE | MAP_ANONYMOUS
    const at = user.call(userMmap, -1, READ_WRITE, anonymous, 4096n, 0n, 0)
    const fd = user.call(sysMemfdCreate, 0)
    assert.equal(user.call(sysFallocate, fd, 0, 0n, 4096n), 0)
    return { user, fd, folio: user.cached(fd, 0)!, at }
  }

  test(`who unmaps anything ${drains ? 'empties' : 'leaves'} the CPU's batches, on ${profile}`, () => {
    for (const how of ['munmap', 'MADV_DONTNEED', 'MAP_FIXED'] as const) {
      const { user, folio, at } = waiting()
      assert.notEqual(folio.lruBatch, 0)
      if (how === 'munmap') user.call(userMunmap, at, 4096n, 0n)
      else if (how === 'MADV_DONTNEED') user.call(userMadvise, at, 4096n, MADV_DONTNEED, 0n)
      else {
        const over = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED
        assert.equal(user.call(userMmap, -1, READ_WRITE, over, 4096n, 0n, at), at)
      }
      assert.equal(folio.lruBatch === 0, drains, how)
    }
  })

  test(`a process that ends ${drains ? 'empties' : 'leaves'} them before its files go, on ${profile}`, () => {
    const { user, folio } = waiting()
    user.call(doExit)
    // What only a batch keeps is not free yet.
    assert.deepEqual([folio.buddy, folio.refcount], drains ? [true, 0] : [false, 1])
  })

  test(`migration puts ${drains ? 'what was mapped' : 'locked memory alone'} on its list at once, on ${profile}`, () => {
    for (const locked of [false, true]) {
      const { user, fd } = waiting()
      const at = user.call(userMmap, fd, READ_WRITE, MAP_SHARED, 4096n, 0n, 0)
      assert.equal(user.call(userStoreAt, at, 0n, 1), 0)
      if (locked) assert.equal(user.call(userMlock, at, 4096n, 0n), 0)
      assert.equal(user.call(migratePage, fd, 0), 0)
      assert.equal(user.cached(fd, 0)!.lruBatch === 0, drains || locked, `locked: ${locked}`)
    }
  })
}

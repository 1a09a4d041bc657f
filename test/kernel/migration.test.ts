/** Migration, by version: who is asked how often, and what a page in a batch is to drop_caches. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { dropCaches } from '../../src/kernel/fs/drop_caches.js'
import { sysFtruncate } from '../../src/kernel/fs/open.js'
import { EAGAIN, EBUSY, ENOENT } from '../../src/kernel/include/errno.js'
import { MAP_SHARED, MPOL_MF_MOVE, PROT_READ, PROT_WRITE } from '../../src/kernel/include/uapi.js'
import { sysMemfdCreate } from '../../src/kernel/mm/memfd.js'
import { sysMovePages } from '../../src/kernel/mm/move_pages.js'
import { sysMemfdSecret } from '../../src/kernel/mm/secretmem.js'
import { watchReturns } from '../../src/machine/frames.js'
import { userLoadAt, userStoreAt } from '../../src/user/access.js'
import { userMmap, userMunmap } from '../../src/user/memory.js'
import { drainLru, migratePage } from '../../src/user/pages.js'
import { pinPage, User, unpinPage } from './user.js'

const ONE = 4096n

/** How often a kernel function returns while something runs. */
function returnsOf(cName: string, run: () => void): number {
  let count = 0
  watchReturns((name) => {
    if (name === cName) count++
  })
  run()
  watchReturns(undefined)
  return count
}

for (const profile of ['6.2', '6.18'] as const) {
  describe(`migration on ${profile}`, () => {
    const mapOf = (user: User, fd: number): number => {
      user.call(sysFtruncate, fd, ONE)
      return user.call(userMmap, fd, PROT_READ | PROT_WRITE, MAP_SHARED, ONE, 0n, 0)
    }

    test('a mapping that refuses is asked once in 6.2, twice in 6.18', () => {
      const user = new User(profile)
      const fd = user.call(sysMemfdSecret, 0)
      user.call(userStoreAt, mapOf(user, fd), 0n, 1)
      const asked = returnsOf('secretmem_migrate_folio', () => {
        assert.equal(user.call(migratePage, fd, 0), -EBUSY)
      })
      assert.equal(asked, profile === '6.2' ? 1 : 2)
    })

    test('move_pages with a page pinned leaves its status, and the page, as they were', () => {
      const user = new User(profile)
      const fd = user.call(sysMemfdCreate, 0)
      const at = mapOf(user, fd)
      user.call(userStoreAt, at, 0n, 0x5a)
      user.call(pinPage, at)
      assert.equal(user.call(sysMovePages, BigInt(at), 1, MPOL_MF_MOVE), -1)
      assert.equal(user.cached(fd, 0)!.nid, 0)
      user.call(unpinPage)
      const old = user.cached(fd, 0)!
      assert.equal(user.call(sysMovePages, BigInt(at), 1, MPOL_MF_MOVE), 1)
      assert.notEqual(user.cached(fd, 0), old)
      assert.equal(user.cached(fd, 0)!.nid, 1)
      assert.equal(user.call(userLoadAt, at, 0n), 0x5a)
    })

    test('move_pages does not find secret memory in 6.2, and cannot migrate it in 6.18', () => {
      const user = new User(profile)
      const at = mapOf(user, user.call(sysMemfdSecret, 0))
      user.call(userStoreAt, at, 0n, 1)
      const asked = returnsOf('secretmem_migrate_folio', () => {
        const status = user.call(sysMovePages, BigInt(at), 1, MPOL_MF_MOVE)
        assert.equal(status, profile === '6.2' ? -ENOENT : -1)
      })
      assert.equal(asked > 0, profile === '6.18')
      assert.equal(user.call(userLoadAt, at, 0n), 1)
    })

    test('a page with another reference is tried ten times, and stays mapped', () => {
      const user = new User(profile)
      const fd = user.call(sysMemfdCreate, 0)
      const at = mapOf(user, fd)
      user.call(userStoreAt, at, 0n, 0x5a)
      user.call(pinPage, at)
      const tried = returnsOf('migrate_folio', () => {
        assert.equal(user.call(migratePage, fd, 0), -EAGAIN)
      })
      assert.equal(tried, 10)
      assert.equal(user.cached(fd, 0)!.mapcount, 1)
      assert.equal(user.call(userLoadAt, at, 0n), 0x5a)
      user.call(unpinPage)
      assert.equal(user.call(migratePage, fd, 0), 0)
      assert.equal(user.call(userLoadAt, at, 0n), 0x5a)
    })

    test('drop_caches spares a clean page in a batch in 6.2, not in 6.18', () => {
      const user = new User(profile)
      const fd = user.call(sysMemfdCreate, 0)
      const at = mapOf(user, fd)
      user.call(userLoadAt, at, 0n)
      user.call(userMunmap, at, ONE, 0n)
      // The new frame waits in a batch, as any new page does.
      assert.equal(user.call(migratePage, fd, 0), 0)
      assert.notEqual(user.cached(fd, 0)!.lruBatch, 0)
      user.call(dropCaches)
      assert.equal(user.cached(fd, 0) !== null, profile === '6.2')
      user.call(drainLru)
      user.call(dropCaches)
      assert.equal(user.cached(fd, 0), null)
    })
  })
}

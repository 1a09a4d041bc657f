/** mlock, mprotect, madvise, mincore and secret memory. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { sysFchmod, sysFtruncate } from '../../src/kernel/fs/open.js'
import { STAT_BLOCKS, sysFstat } from '../../src/kernel/fs/stat.js'
import { EACCES, EBUSY, EFAULT, EINVAL, ENOMEM, EPERM } from '../../src/kernel/include/errno.js'
import type { Folio } from '../../src/kernel/include/mm.js'
import { currentMm } from '../../src/kernel/include/mm_types.js'
import {
  F_SEAL_EXEC,
  F_SEAL_SHRINK,
  F_SEAL_WRITE,
  MADV_DONTNEED,
  MADV_FREE,
  MADV_HWPOISON,
  MADV_PAGEOUT,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
  MADV_REMOVE,
  MADV_SOFT_OFFLINE,
  MAP_ANONYMOUS,
  MAP_LOCKED,
  MAP_POPULATE,
  MAP_PRIVATE,
  MAP_SHARED,
  MFD_ALLOW_SEALING,
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
  SIGBUS_ADRERR,
  SIGBUS_MCEERR_AR,
  SIGSEGV_ACCERR,
} from '../../src/kernel/include/uapi.js'
import { sysFcntlAddSeals, sysFcntlGetSeals, sysMemfdCreate } from '../../src/kernel/mm/memfd.js'
import { sysMemfdSecret } from '../../src/kernel/mm/secretmem.js'
import { folioIsolateLru, folioPutbackLru } from '../../src/kernel/mm/swap.js'
import { fn, type Kernel } from '../../src/machine/fn.js'
import { userLoadAt, userStoreAt } from '../../src/user/access.js'
import {
  userMadvise,
  userMincore,
  userMlock,
  userMmap,
  userMprotect,
  userMunlock,
  userMunmap,
} from '../../src/user/memory.js'
import {
  cachedFolio,
  drainLru,
  memoryFailureOp,
  migratePage,
  softOfflineOp,
} from '../../src/user/pages.js'
import { PAGE, pinPage, User, unpinPage } from './user.js'

const READ_WRITE = PROT_READ | PROT_WRITE
const ONE = 4096n

/** Take the first page of a file off its list, and put it back. */
const isolateAndPutBack = fn(function* isolate_and_put_back(fd: number): Kernel<number> {
  const folio = (yield* cachedFolio(fd, 0)) as Folio
  const isolated = yield* folioIsolateLru(folio)
  yield* folioPutbackLru(folio)
  return Number(isolated)
})

for (const profile of ['6.2', '6.18'] as const) {
  describe(`calls on memory on ${profile}`, () => {
    let user: User
    before(() => {
      user = new User(profile)
    })

    function file(flags = 0): number {
      const fd = user.call(sysMemfdCreate, flags)
      user.call(sysFtruncate, fd, 2n * ONE)
      return fd
    }
    const map = (fd: number, prot = READ_WRITE, flags = MAP_SHARED): number =>
      user.call(userMmap, fd, prot, flags, 2n * ONE, 0n, 0)
    const load = (at: number, offset = 0): number => user.call(userLoadAt, at, BigInt(offset))
    const store = (at: number, offset: number, byte: number): number =>
      user.call(userStoreAt, at, BigInt(offset), byte)
    const advise = (at: number, advice: number, size = ONE): number =>
      user.call(userMadvise, at, size, advice, 0n)
    const blocks = (fd: number): number => user.call(sysFstat, fd, STAT_BLOCKS)
    const present = (at: number): number => user.call(userMincore, at, 0n)

    test('mprotect: rights come and go; those that the file does not give are refused', () => {
      const fd = file()
      const at = map(fd)
      store(at, 0, 5)
      assert.equal(user.call(userMprotect, at, ONE, PROT_READ, 0n), 0)
      assert.deepEqual([load(at), store(at, 0, 6), store(at, PAGE, 6)], [5, SIGSEGV_ACCERR, 0])
      assert.equal(user.call(userMprotect, at, ONE, 0, 0n), 0)
      assert.equal(load(at), SIGSEGV_ACCERR)
      assert.equal(user.call(userMprotect, at, 2n * ONE, READ_WRITE, 0n), 0)
      assert.deepEqual([load(at), store(at, 0, 7), load(at)], [5, 0, 7])
      assert.equal(user.call(userMprotect, at + 1, ONE, 0, 0n), -EINVAL)
      assert.equal(user.call(userMprotect, at, 3n * ONE, PROT_READ, 0n), -ENOMEM)
      user.call(userMunmap, at, 2n * ONE, 0n)
      const sealed = file(MFD_ALLOW_SEALING)
      assert.equal(user.call(sysFcntlAddSeals, sealed, F_SEAL_WRITE), 0)
      const ro = map(sealed, PROT_READ)
      if (profile === '6.2') assert.equal(ro, -EPERM)
      else assert.equal(user.call(userMprotect, ro, ONE, READ_WRITE, 0n), -EACCES)
    })

    test('a private page keeps its content over mprotect', () => {
      const at = map(file(), READ_WRITE, MAP_PRIVATE)
      store(at, 0, 9)
      user.call(userMprotect, at, ONE, PROT_READ, 0n)
      user.call(userMprotect, at, ONE, READ_WRITE, 0n)
      assert.deepEqual([store(at, 1, 8), load(at), load(at, 1)], [0, 9, 8])
    })

    test('mlock: pages come in and are unevictable until munlock', () => {
      const fd = file()
      const at = map(fd)
      assert.equal(user.call(userMlock, at, ONE, 0n), 0)
      user.call(drainLru)
      const folio = user.cached(fd, 0)!
      assert.deepEqual([folio.mlockCount, folio.unevictable, currentMm().lockedVm], [1, true, 1])
      assert.equal(advise(at, MADV_DONTNEED), -EINVAL)
      assert.equal(advise(at, MADV_REMOVE), -EINVAL)
      assert.equal(user.call(migratePage, fd, 0), 0, 'mlock does not stop migration')
      user.call(drainLru)
      assert.equal(user.cached(fd, 0)!.unevictable, true)
      assert.equal(user.call(userMunlock, at, ONE, 0n), 0)
      assert.equal(user.cached(fd, 0)!.unevictable, false)
      assert.equal(currentMm().lockedVm, 0)
      const beyond = user.call(userMmap, fd, READ_WRITE, MAP_SHARED, 3n * ONE, 0n, 0)
      assert.equal(user.call(userMlock, beyond, 3n * ONE, 0n), -ENOMEM)
      assert.equal(user.call(userMlock, 4096, ONE, 0n), -ENOMEM)
      user.call(userMunmap, beyond, 3n * ONE, 0n)
      assert.equal(currentMm().lockedVm, 0)
    })

    test('a locked page that is unmapped and mapped again is not known to be locked', () => {
      const fd = file()
      const at = map(fd, READ_WRITE, MAP_SHARED)
      assert.equal(user.call(userMlock, at, ONE, 0n), 0)
      const folio = user.cached(fd, 0)!
      const references = folio.refcount
      user.call(userMunmap, at, 2n * ONE, 0n)
      // The batch has a reference where the mapping had one.
      assert.deepEqual([folio.mlocked, folio.refcount], [true, references])
      const again = map(fd, READ_WRITE, MAP_SHARED | MAP_LOCKED)
      assert.deepEqual([present(again), folio.mlocked, folio.unevictable], [1, false, false])
      // Migration unlocks what it unmaps, and locks what it maps.
      assert.equal(user.call(migratePage, fd, 0), 0)
      user.call(drainLru)
      const moved = user.cached(fd, 0)!
      assert.deepEqual([moved.mlocked, moved.unevictable], [true, true])
      user.call(userMunmap, again, 2n * ONE, 0n)
      user.call(drainLru)
      assert.deepEqual([moved.mlocked, moved.unevictable, moved.refcount], [false, false, 1])
    })

    test('a page that two VMAs lock may lose that with one, once it has been isolated', () => {
      const fd = file()
      const at = map(fd)
      const other = map(fd)
      assert.deepEqual(
        [at, other].map((a) => user.call(userMlock, a, ONE, 0n)),
        [0, 0],
      )
      const folio = user.cached(fd, 0)!
      assert.deepEqual([folio.mlocked, folio.mlockCount], [true, 2])
      user.call(userMunlock, at, ONE, 0n)
      assert.deepEqual([folio.mlocked, folio.mlockCount], [true, 1])
      user.call(userMlock, at, ONE, 0n)
      assert.equal(user.call(isolateAndPutBack, fd), 1)
      user.call(drainLru)
      assert.deepEqual([folio.mlocked, folio.mlockCount], [true, 0])
      user.call(userMunlock, at, ONE, 0n)
      assert.deepEqual([folio.mlocked, folio.unevictable, present(other)], [false, false, 1])
    })

    test('a batch of mlock is worked off when it is full', () => {
      const full = profile === '6.2' ? 15 : 31
      for (const pages of [full - 1, full]) {
        user.call(drainLru)
        const bytes = BigInt(pages) * ONE
        const fd = user.call(sysMemfdCreate, 0)
        assert.equal(user.call(sysFtruncate, fd, bytes), 0)
        const at = user.call(userMmap, fd, READ_WRITE, MAP_SHARED, bytes, 0n, 0)
        assert.equal(user.call(userMlock, at, bytes, 0n), 0)
        const folios = Array.from({ length: pages }, (_, n) => user.cached(fd, n)!)
        user.call(userMunmap, at, bytes, 0n)
        assert.equal(folios.filter((f) => f.mlocked).length, pages === full ? 0 : pages)
      }
    })

    test('MADV_DONTNEED drops the mapping, MADV_REMOVE the page', () => {
      const fd = file()
      const at = map(fd)
      store(at, 0, 3)
      assert.equal(advise(at, MADV_DONTNEED), 0)
      assert.deepEqual([user.cached(fd, 0)!.mapcount, blocks(fd), load(at)], [0, 8, 3])
      assert.equal(advise(at, MADV_REMOVE), 0)
      assert.deepEqual([blocks(fd), load(at)], [0, 0])
      const readOnly = advise(map(fd, PROT_READ), MADV_REMOVE)
      assert.equal(readOnly, profile === '6.2' ? -EACCES : 0)
      const anon = user.call(userMmap, -1, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, ONE, 0n, 0)
      store(anon, 0, 4)
      assert.equal(advise(anon, MADV_REMOVE), -EINVAL)
      assert.deepEqual([advise(anon, MADV_DONTNEED), load(anon)], [0, 0])
      assert.deepEqual([advise(at, MADV_FREE), advise(anon, MADV_FREE)], [-EINVAL, 0])
      assert.equal(advise(anon, MADV_DONTNEED, 2n * ONE), -ENOMEM)
      user.call(userMunmap, at, 2n * ONE, 0n)
      user.call(userMunmap, anon, ONE, 0n)
    })

    test('MADV_POPULATE_* and MAP_POPULATE bring pages in', () => {
      const fd = file()
      const at = map(fd)
      assert.deepEqual([present(at), advise(at, MADV_POPULATE_READ), present(at)], [0, 0, 1])
      assert.equal(blocks(fd), 8)
      assert.equal(advise(map(fd, PROT_READ), MADV_POPULATE_WRITE), -EINVAL)
      const beyond = user.call(userMmap, fd, READ_WRITE, MAP_SHARED, 3n * ONE, 0n, 0)
      assert.equal(advise(beyond, MADV_POPULATE_READ, 3n * ONE), -EFAULT)
      assert.equal(blocks(fd), 16)
      assert.equal(advise(16 * PAGE, MADV_POPULATE_READ), -ENOMEM)
      const other = file()
      map(other, READ_WRITE, MAP_SHARED | MAP_POPULATE)
      assert.equal(blocks(other), 16)
    })

    test('MADV_PAGEOUT unmaps a page that only this mapping maps; without swap it stays', () => {
      const fd = file()
      const at = map(fd)
      store(at, 0, 6)
      user.call(drainLru)
      const folio = user.cached(fd, 0)!
      assert.equal(advise(at, MADV_PAGEOUT), 0)
      assert.deepEqual([folio.mapcount, user.cached(fd, 0) === folio, load(at)], [0, true, 6])
    })

    test('MADV_HWPOISON and MADV_SOFT_OFFLINE', () => {
      const fd = file()
      const at = map(fd)
      store(at, 0, 1)
      store(at, PAGE, 2)
      user.call(drainLru)
      const frame = user.cached(fd, 1)!.pfn
      assert.equal(advise(at + PAGE, MADV_SOFT_OFFLINE), 0)
      assert.notEqual(user.cached(fd, 1)!.pfn, frame)
      assert.equal(load(at, PAGE), 2)
      assert.equal(advise(at, MADV_HWPOISON), 0)
      assert.equal(load(at), SIGBUS_MCEERR_AR)
      assert.equal(advise(at, MADV_HWPOISON), -EFAULT)
      assert.equal(advise(at, MADV_DONTNEED), 0)
    })

    test('a failure of a locked page takes it from who has locked it', () => {
      const fd = file()
      const at = map(fd)
      store(at, 0, 1)
      assert.equal(user.call(userMlock, at, ONE, 0n), 0)
      const folio = user.cached(fd, 0)!
      assert.equal(advise(at, MADV_HWPOISON), 0)
      assert.deepEqual([folio.mapcount, folio.mlockCount, folio.lru], [0, 0, false])
      assert.equal(load(at), SIGBUS_MCEERR_AR)
    })

    test('secret memory: locked, shared only, and nobody but the mapping reaches it', () => {
      const fd = user.call(sysMemfdSecret, 0)
      assert.equal(user.call(sysFtruncate, fd, 2n * ONE), 0)
      assert.equal(user.call(sysFtruncate, fd, ONE), -EINVAL)
      assert.equal(map(fd, READ_WRITE, MAP_PRIVATE), -EINVAL)
      assert.equal(map(fd, PROT_READ | PROT_EXEC), -EPERM)
      const at = map(fd)
      assert.deepEqual([store(at, 0, 0x77), load(at)], [0, 0x77])
      user.call(drainLru)
      const folio = user.cached(fd, 0)!
      assert.deepEqual([folio.unevictable, folio.dirty, folio.swapbacked], [true, true, false])
      for (const advice of [MADV_DONTNEED, MADV_REMOVE, MADV_PAGEOUT, MADV_POPULATE_READ]) {
        assert.equal(advise(at, advice), -EINVAL)
      }
      assert.equal(advise(at, MADV_HWPOISON), -EFAULT)
      assert.equal(user.call(userMlock, at, ONE, 0n), -ENOMEM)
      assert.equal(user.call(userMunlock, at, ONE, 0n), 0)
      assert.equal(user.call(userMprotect, at, ONE, PROT_READ | PROT_EXEC, 0n), -EACCES)
      assert.equal(user.call(migratePage, fd, 0), -EBUSY)
      assert.equal(user.call(softOfflineOp, fd, 0), -EBUSY)
      assert.equal(load(at), 0x77)
      assert.equal(user.call(memoryFailureOp, fd, 0), -EBUSY)
      assert.deepEqual([folio.hwpoison, load(at)], [true, SIGBUS_MCEERR_AR])
      assert.equal(
        load(user.call(userMmap, fd, READ_WRITE, MAP_SHARED, 3n * ONE, 0n, 0), 2 * PAGE),
        SIGBUS_ADRERR,
      )
    })

    test('F_SEAL_WRITE waits for references to pages, and then refuses', () => {
      const fd = file(MFD_ALLOW_SEALING)
      const at = map(fd)
      store(at, 0, 1)
      user.call(pinPage, at)
      user.call(userMunmap, at, 2n * ONE, 0n)
      assert.equal(user.call(sysFcntlAddSeals, fd, F_SEAL_WRITE | F_SEAL_SHRINK), -EBUSY)
      assert.equal(user.call(sysFcntlGetSeals, fd), 0, 'none of the seals was added')
      assert.ok(map(fd) > 0, 'writable mappings are allowed again')
      user.call(unpinPage)
      assert.equal(user.call(sysFcntlAddSeals, fd, F_SEAL_WRITE), -EBUSY, 'for the mapping')
      const other = file(MFD_ALLOW_SEALING)
      user.call(userMunmap, map(other, READ_WRITE, MAP_SHARED | MAP_POPULATE), 2n * ONE, 0n)
      assert.equal(user.call(sysFcntlAddSeals, other, F_SEAL_WRITE), 0, 'batches are drained')
    })

    test('F_SEAL_EXEC: the execute bits stay as they are', () => {
      if (profile === '6.2') return
      const fd = file(MFD_ALLOW_SEALING)
      assert.equal(user.call(sysFchmod, fd, 0o666), 0)
      assert.equal(user.call(sysFcntlAddSeals, fd, F_SEAL_EXEC), 0)
      assert.equal(user.call(sysFchmod, fd, 0o777), -EPERM)
      assert.equal(user.call(sysFchmod, fd, 0o600), 0)
    })
  })
}

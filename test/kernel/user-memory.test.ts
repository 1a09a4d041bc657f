/** Memory of the process: mappings of a memfd, faults, and what takes pages away again. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { doExit } from '../../src/kernel/exit.js'
import { sysFallocate, sysFtruncate } from '../../src/kernel/fs/open.js'
import { sysPread, sysPwrite } from '../../src/kernel/fs/read_write.js'
import { STAT_BLOCKS, sysFstat } from '../../src/kernel/fs/stat.js'
import { currentMm } from '../../src/kernel/include/mm_types.js'
import {
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  MAP_SHARED,
  PROT_READ,
  PROT_WRITE,
  SIGBUS_ADRERR,
  SIGBUS_MCEERR_AR,
  SIGSEGV_ACCERR,
  SIGSEGV_MAPERR,
} from '../../src/kernel/include/uapi.js'
import { compact } from '../../src/kernel/mm/compaction.js'
import { sysMemfdCreate } from '../../src/kernel/mm/memfd.js'
import { pteAt, pteFolio } from '../../src/kernel/mm/pgtable.js'
import { userLoadAt, userStoreAt } from '../../src/user/access.js'
import { userMmap, userMunmap } from '../../src/user/memory.js'
import { drainLru, memoryFailureOp, migratePage } from '../../src/user/pages.js'
import { PAGE, User } from './user.js'

const READ_WRITE = PROT_READ | PROT_WRITE

for (const profile of ['6.2', '6.18'] as const) {
  describe(`memory of the process on ${profile}`, () => {
    let user: User
    before(() => {
      user = new User(profile)
    })
    after(() => {
      user.call(doExit)
    })

    /** A memfd of two pages. */
    function file(): number {
      const fd = user.call(sysMemfdCreate, 0)
      user.call(sysFtruncate, fd, 2n * 4096n)
      return fd
    }
    const map = (fd: number, prot = READ_WRITE, flags = MAP_SHARED, pages = 2): number =>
      user.call(userMmap, fd, prot, flags, BigInt(pages * PAGE), 0n, 0)
    const load = (at: number, offset = 0): number => user.call(userLoadAt, at, BigInt(offset))
    const store = (at: number, offset: number, byte: number): number =>
      user.call(userStoreAt, at, BigInt(offset), byte)
    const punch = (fd: number, page: number): number =>
      user.call(sysFallocate, fd, 3, BigInt(page * PAGE), BigInt(PAGE))
    const blocks = (fd: number): number => user.call(sysFstat, fd, STAT_BLOCKS)

    test('a shared mapping and the file are the same memory', () => {
      const fd = file()
      const at = map(fd)
      assert.equal(store(at, 5, 0x5a), 0)
      assert.equal(user.call(sysPread, fd, 0n, 8), 8)
      assert.equal(user.call(sysPwrite, fd, 6n, 1, 0x33), 1)
      assert.deepEqual([load(at, 5), load(at, 6), load(at, 7)], [0x5a, 0x33, 0])
      assert.equal(blocks(fd), 8)
      assert.equal(user.cached(fd, 0)!.mapcount, 1)
      const other = map(fd)
      assert.equal(load(other, 5), 0x5a)
      assert.equal(user.cached(fd, 0)!.mapcount, 2)
      assert.equal(user.call(userMunmap, at, 8192n, 0n), 0)
      assert.equal(user.cached(fd, 0)!.mapcount, 1)
      assert.equal(load(at), SIGSEGV_MAPERR)
    })

    test('a private mapping sees the file until it writes, and then its own copy', () => {
      const fd = file()
      user.call(sysPwrite, fd, 0n, 10, 0x11)
      const at = map(fd, READ_WRITE, MAP_PRIVATE)
      assert.equal(load(at), 0x11)
      user.call(sysPwrite, fd, 0n, 1, 0x22)
      assert.equal(load(at), 0x22)
      assert.equal(store(at, 1, 0x77), 0)
      user.call(sysPwrite, fd, 0n, 10, 0x44)
      assert.deepEqual([load(at), load(at, 1), load(at, 2)], [0x22, 0x77, 0x11])
      assert.equal(punch(fd, 0), 0)
      assert.equal(load(at, 1), 0x77, 'punching a hole leaves private copies')
      user.call(sysFtruncate, fd, 0n)
      assert.equal(load(at, 1), SIGBUS_ADRERR, 'truncating does not')
    })

    test('protections and the end of the file', () => {
      const fd = file()
      const readOnly = map(fd, PROT_READ)
      assert.equal(load(readOnly), 0)
      assert.equal(store(readOnly, 0, 1), SIGSEGV_ACCERR)
      assert.equal(load(map(fd, 0)), SIGSEGV_ACCERR)
      const beyond = map(fd, READ_WRITE, MAP_SHARED, 4)
      assert.equal(load(beyond, 2 * PAGE), SIGBUS_ADRERR)
      user.call(sysFtruncate, fd, 3n * 4096n)
      assert.equal(load(beyond, 2 * PAGE), 0)
      user.call(sysFtruncate, fd, 4096n)
      assert.equal(load(beyond, 2 * PAGE), SIGBUS_ADRERR)
    })

    test('a punched page reads as zeroes through every mapping', () => {
      const fd = file()
      const at = map(fd)
      store(at, 0, 9)
      assert.equal(punch(fd, 0), 0)
      assert.deepEqual([blocks(fd), load(at), blocks(fd)], [0, 0, 8])
    })

    test('munmap of the middle leaves both ends', () => {
      const fd = user.call(sysMemfdCreate, 0)
      user.call(sysFtruncate, fd, 3n * 4096n)
      const at = map(fd, READ_WRITE, MAP_SHARED, 3)
      for (const page of [0, 1, 2]) store(at, page * PAGE, page + 1)
      assert.equal(user.call(userMunmap, at + PAGE, 4096n, 0n), 0)
      assert.deepEqual([load(at), load(at, PAGE), load(at, 2 * PAGE)], [1, SIGSEGV_MAPERR, 3])
    })

    test('anonymous memory is zero, private and gone after munmap', () => {
      const at = user.call(userMmap, -1, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, 4096n, 0n, 0)
      assert.equal(load(at, 3), 0)
      assert.equal(store(at, 3, 8), 0)
      assert.equal(load(at, 3), 8)
      assert.equal(user.call(userMunmap, at, 4096n, 0n), 0)
    })

    test('a mapped page migrates, and its mappings follow', () => {
      const fd = file()
      const at = map(fd)
      const second = map(fd, PROT_READ)
      store(at, 0, 0x42)
      load(second)
      user.call(drainLru)
      const old = user.cached(fd, 0)!.pfn
      assert.equal(user.call(migratePage, fd, 0), 0)
      assert.notEqual(user.cached(fd, 0)!.pfn, old)
      assert.equal(user.cached(fd, 0)!.mapcount, 2)
      assert.deepEqual([load(at), load(second)], [0x42, 0x42])
      assert.equal(store(at, 0, 0x43), 0)
      assert.equal(load(second), 0x43)
    })

    test('an anonymous page moves under its mapping', () => {
      const at = user.call(userMmap, -1, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, 4096n, 0n, 0)
      store(at, 0, 0x66)
      user.call(drainLru)
      const frame = pteFolio(pteAt(currentMm(), BigInt(at)))
      assert.equal(user.call(compact), 0)
      assert.notEqual(pteFolio(pteAt(currentMm(), BigInt(at))), frame)
      assert.deepEqual([load(at), store(at, 1, 0x67), load(at, 1)], [0x66, 0, 0x67])
      user.call(userMunmap, at, 4096n, 0n)
    })

    test('poison: the entry stays behind a punch, and not behind a truncation', () => {
      const fd = file()
      const at = map(fd)
      store(at, 0, 1)
      assert.equal(user.call(memoryFailureOp, fd, 0), 0)
      assert.equal(user.cached(fd, 0)!.mapcount, 0)
      assert.deepEqual([load(at), store(at, 0, 2)], [SIGBUS_MCEERR_AR, SIGBUS_MCEERR_AR])
      assert.equal(load(map(fd)), SIGBUS_MCEERR_AR, 'a later mapping finds the page in the cache')
      assert.equal(punch(fd, 0), 0)
      assert.equal(load(at), SIGBUS_MCEERR_AR)
      assert.equal(load(map(fd)), 0)
      user.call(sysFtruncate, fd, 0n)
      assert.equal(load(at), SIGBUS_ADRERR)
      user.call(sysFtruncate, fd, 4096n)
      assert.equal(load(at), 0)
    })
  })
}

/** Files that are not memory files, or not of ordinary pages: directories, huge pages, secrets. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { sysFcntlGetfd } from '../../src/kernel/fs/fcntl.js'
import { openTmpfs, TMPFS_DIRECTORY } from '../../src/kernel/fs/namei.js'
import { sysFtruncate, sysOpenFdLink, sysTruncateFdLink } from '../../src/kernel/fs/open.js'
import { sysPwrite } from '../../src/kernel/fs/read_write.js'
import { STAT_SIZE_PAGES, sysFstat } from '../../src/kernel/fs/stat.js'
import { EISDIR, EPERM } from '../../src/kernel/include/errno.js'
import {
  F_SEAL_FUTURE_WRITE,
  FD_CLOEXEC,
  MADV_POPULATE_WRITE,
  MAP_ANONYMOUS,
  MAP_NORESERVE,
  MAP_PRIVATE,
  MAP_SHARED,
  MFD_ALLOW_SEALING,
  MFD_HUGETLB,
  O_CLOEXEC,
  PROT_READ,
  PROT_WRITE,
} from '../../src/kernel/include/uapi.js'
import { sysFcntlAddSeals, sysMemfdCreate } from '../../src/kernel/mm/memfd.js'
import { sysMemfdSecret } from '../../src/kernel/mm/secretmem.js'
import { userLoadAt } from '../../src/user/access.js'
import { userMadvise, userMincore, userMlock, userMmap, userMunmap } from '../../src/user/memory.js'
import { User } from './user.js'

const READ_WRITE = PROT_READ | PROT_WRITE
const ONE = 4096n
const HUGE = 512n * ONE

for (const profile of ['6.2', '6.18'] as const) {
  describe(`other files on ${profile}`, () => {
    let user: User
    before(() => {
      user = new User(profile)
    })
    const pages = (fd: number): number => user.call(sysFstat, fd, STAT_SIZE_PAGES)
    const map = (fd: number, prot: number, flags: number, length: bigint): number =>
      user.call(userMmap, fd, prot, flags, length, 0n, 0)

    test('the link to a directory can be neither truncated nor opened for writing', () => {
      const fd = user.call(openTmpfs, TMPFS_DIRECTORY)
      assert.equal(user.call(sysTruncateFdLink, fd, 0n), -EISDIR)
      assert.equal(user.call(sysOpenFdLink, fd), -EISDIR)
    })

    test('a mapping of huge pages that can be written makes the file as large as it is', () => {
      const fd = user.call(sysMemfdCreate, MFD_HUGETLB)
      const flags = MAP_SHARED | MAP_NORESERVE
      map(fd, PROT_READ, flags, HUGE)
      assert.equal(pages(fd), 0)
      map(fd, READ_WRITE, flags, HUGE)
      assert.equal(pages(fd), 512)
      assert.equal(pages(user.call(sysOpenFdLink, fd)), 512)
    })

    test('a file of huge pages that is sealed against writes to come is not mapped for them', () => {
      const fd = user.call(sysMemfdCreate, MFD_HUGETLB | MFD_ALLOW_SEALING)
      assert.equal(user.call(sysFcntlAddSeals, fd, F_SEAL_FUTURE_WRITE), 0)
      assert.equal(map(fd, READ_WRITE, MAP_SHARED | MAP_NORESERVE, HUGE), -EPERM)
      assert.equal(pages(fd), 0)
    })

    test('memfd_secret with O_CLOEXEC: a descriptor that exec closes', () => {
      assert.equal(user.call(sysFcntlGetfd, user.call(sysMemfdSecret, O_CLOEXEC)), FD_CLOEXEC)
      assert.equal(user.call(sysFcntlGetfd, user.call(sysMemfdSecret, 0)), 0)
    })

    test('mlock brings in what cannot be read, but can be written', () => {
      const fd = user.call(sysMemfdCreate, 0)
      user.call(sysFtruncate, fd, ONE)
      const at = map(fd, PROT_WRITE, MAP_SHARED, ONE)
      assert.equal(user.call(userMlock, at, ONE, 0n), 0)
      assert.equal(user.call(userMincore, at, 0n), 1)
    })
  })
}

for (const [profile, behind] of [
  ['6.2', 1],
  ['6.18', 0],
] as const) {
  test(`MADV_POPULATE_WRITE over a hole on ${profile}: what lies behind it`, () => {
    const user = new User(profile)
    const flags = MAP_PRIVATE | MAP_ANONYMOUS
    const at = user.call(userMmap, -1, READ_WRITE, flags, 3n * ONE, 0n, 0)
    user.call(userMunmap, at, ONE, ONE)
    assert.equal(user.call(userMadvise, at, 3n * ONE, MADV_POPULATE_WRITE, 0n) < 0, true)
    assert.equal(user.call(userMincore, at, 0n), 1)
    assert.equal(user.call(userMincore, at, 2n * ONE), behind)
  })
}

for (const profile of ['6.2', '6.18'] as const) {
  test(`what is mapped around a read begins with the VMA and has 16 pages, on ${profile}`, () => {
    const user = new User(profile)
    const map = (fd: number, prot: number, flags: number, length: bigint): number =>
      user.call(userMmap, fd, prot, flags, length, 0n, 0)
    // The lowest free address is aligned at first; the next mapping begins 5 pages behind it.
    map(-1, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, 5n * ONE)
    const fd = user.call(sysMemfdCreate, 0)
    user.call(sysPwrite, fd, 0n, 20 * 4096, 1)
    const at = map(fd, PROT_READ, MAP_SHARED, 20n * ONE)
    assert.equal((at / 4096) % 16, 5)
    user.call(userLoadAt, at, ONE)
    const mapped = (page: number): number => user.cached(fd, page)!.mapcount
    assert.deepEqual([mapped(0), mapped(15), mapped(16)], [1, 1, 0])
  })
}

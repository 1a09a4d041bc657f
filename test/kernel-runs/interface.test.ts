/** The calls on a restricted file, as the recorded runs of 6.2.1 answered them (E1 to E3). */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { DESIGNS } from '../../src/designs/index.js'
import { sysClose } from '../../src/kernel/fs/file_table.js'
import { sysFallocate, sysFtruncate } from '../../src/kernel/fs/open.js'
import { sysLseek, sysPread, sysPwrite, sysRead, sysWrite } from '../../src/kernel/fs/read_write.js'
import {
  STAT_BLOCKS,
  STAT_MODE,
  STAT_SIZE_PAGES,
  sysFstat,
  sysFstatfs,
} from '../../src/kernel/fs/stat.js'
import { sysFsync } from '../../src/kernel/fs/sync.js'
import { EFBIG, EINVAL, ENODEV, EOPNOTSUPP, EPERM, ESPIPE } from '../../src/kernel/include/errno.js'
import { RESTRICTEDMEM_MAGIC } from '../../src/kernel/include/uapi.js'
import { sysFcntlAddSeals, sysFcntlGetSeals } from '../../src/kernel/mm/memfd.js'
import { sysMmap } from '../../src/kernel/mm/mmap.js'
import { sysMemfdRestricted } from '../../src/kernel/mm/restrictedmem.js'
import { shmemAops, shmemMapping } from '../../src/kernel/mm/shmem.js'
import { allocate, bind, cached, call, callbacks, inner, punch, start } from './device.js'

const KEEP = 1
const PUNCH = 2

for (const id of ['upm', 'upm-aops']) {
  const design = DESIGNS.find((d) => d.id === id)!
  const open = (): number => {
    start(design)
    return call(sysMemfdRestricted, 0)
  }

  describe(`a restricted file on ${id}`, () => {
    test('no flag is accepted', () => {
      start(design)
      for (const flags of [1, 2, 4, 8, 16, 0x80000000 | 0, -1]) {
        assert.equal(call(sysMemfdRestricted, flags), -EINVAL)
      }
      assert.equal(call(sysMemfdRestricted, 0), 0)
    })

    test('nothing reads, writes, seeks, syncs, maps or seals it', () => {
      const fd = open()
      assert.equal(call(sysRead, fd, 1), -EINVAL)
      assert.equal(call(sysRead, fd, 0), -EINVAL)
      assert.equal(call(sysWrite, fd, 1, 0), -EINVAL)
      assert.equal(call(sysPread, fd, 0n, 1), -ESPIPE)
      assert.equal(call(sysPwrite, fd, 0n, 1, 0), -ESPIPE)
      for (const whence of [0, 2, 3]) assert.equal(call(sysLseek, fd, 0n, whence), -ESPIPE)
      assert.equal(call(sysFsync, fd), -EINVAL)
      assert.equal(call(sysMmap, 0n, 4096n, 3, 1, fd, 0n), -ENODEV)
      assert.equal(call(sysMmap, 0n, 4096n, 1, 2, fd, 0n), -ENODEV)
      assert.equal(call(sysMmap, 0n, 4096n, 0, 1, fd, 0n), -ENODEV)
      assert.equal(call(sysMmap, 0n, 4096n, 5, 1, fd, 0n), -EPERM)
      assert.equal(call(sysFcntlGetSeals, fd), -EINVAL)
      assert.equal(call(sysFcntlAddSeals, fd, 4), -EINVAL)
    })

    test('fstatfs tells the outer file system, fstat the inner file', () => {
      const fd = open()
      assert.equal(call(sysFstatfs, fd), RESTRICTEDMEM_MAGIC)
      assert.equal(call(sysFstat, fd, STAT_MODE), 0o100777)
      assert.equal(call(sysFstat, fd, STAT_BLOCKS), 0)
      assert.equal(call(sysFtruncate, fd, 8192n), 0)
      assert.equal(call(sysFstat, fd, STAT_SIZE_PAGES), 2)
    })

    test('the inner inode is listed, unevictable and not movable; the outer one is not listed', () => {
      const fd = open()
      const mapping = inner(fd)
      assert.equal(mapping.host!.iSbListed, true)
      assert.equal(mapping.unevictable, true)
      assert.equal(mapping.gfpMovable, false)
      assert.equal(shmemMapping(mapping), true)
      assert.equal(mapping.aOps === shmemAops, id === 'upm')
      assert.equal(mapping.aOps!.writepage !== undefined, id === 'upm')
    })

    test('the size can be set once; the size test comes before the alignment test', () => {
      const fd = open()
      assert.equal(call(sysFtruncate, fd, 0n), 0)
      assert.equal(call(sysFtruncate, fd, 100n), -EINVAL)
      assert.equal(call(sysFtruncate, fd, -1n), -EINVAL)
      assert.equal(call(sysFtruncate, fd, 8192n), 0)
      for (const size of [8192n, 4096n, 16384n, 0n, 100n]) {
        assert.equal(call(sysFtruncate, fd, size), -EPERM)
      }
      assert.equal(allocate(fd, 2, 4), 0)
      assert.equal(call(sysFstat, fd, STAT_SIZE_PAGES), 4)
      assert.equal(call(sysFstat, fd, STAT_BLOCKS), 16)
    })

    test('there is no upper limit for the size', () => {
      for (const size of [2n ** 50n, 2n ** 62n, 2n ** 63n - 4096n]) {
        const fd = open()
        assert.equal(call(sysFtruncate, fd, size), 0)
        assert.equal(inner(fd).host!.iSize, size)
      }
    })

    test('setting the size of an unsized file to 0 drops what KEEP_SIZE allocated', () => {
      const fd = open()
      assert.equal(call(sysFallocate, fd, KEEP, 0n, 8n * 4096n), 0)
      assert.equal(inner(fd).nrpages, 8)
      assert.equal(call(sysFtruncate, fd, 0n), 0)
      assert.equal(inner(fd).nrpages, 0)
    })

    test('a first size that is not 0 frees nothing, not even behind the end', () => {
      const fd = open()
      assert.equal(call(sysFallocate, fd, KEEP, 0n, 8n * 4096n), 0)
      assert.equal(call(sysFtruncate, fd, 16384n), 0)
      assert.equal(inner(fd).nrpages, 8)
      assert.equal(call(sysFtruncate, fd, 0n), -EPERM)
    })

    test('fallocate: sizes, blocks and refused modes', () => {
      const fd = open()
      assert.equal(allocate(fd, 0, 16), 0)
      assert.equal(call(sysFstat, fd, STAT_BLOCKS), 128)
      assert.equal(call(sysFallocate, fd, KEEP, 16n * 4096n, 4n * 4096n), 0)
      assert.equal(call(sysFstat, fd, STAT_BLOCKS), 160)
      assert.equal(call(sysFallocate, fd, 0, 100n, 50n), 0)
      assert.equal(inner(fd).host!.iSize, 65536n)
      assert.equal(call(sysFallocate, fd, 0, 20n * 4096n + 100n, 50n), 0)
      assert.equal(inner(fd).host!.iSize, 82070n)
      assert.equal(call(sysFstat, fd, STAT_BLOCKS), 168)
      assert.equal(call(sysFallocate, fd, PUNCH, 0n, 4096n), -EOPNOTSUPP)
      for (const [offset, len] of [
        [100n, 4096n],
        [0n, 100n],
        [0n, 0n],
        [-4096n, 4096n],
      ]) {
        assert.equal(call(sysFallocate, fd, PUNCH | KEEP, offset, len), -EINVAL)
      }
      assert.equal(call(sysFallocate, fd, 0, 0n, 0n), -EINVAL)
      assert.equal(call(sysFallocate, fd, 0, 2n ** 62n, 2n ** 62n), -EFBIG)
      for (const mode of [4, 8, 0x10, 0x11, 0x20, 0x40, 0x80, 0x13]) {
        assert.equal(call(sysFallocate, fd, mode, 0n, 4096n), -EOPNOTSUPP, `mode ${mode}`)
      }
      assert.equal(call(sysFallocate, fd, 0x43, 0n, 4096n), -EINVAL)
      assert.deepEqual(callbacks(), [])
    })

    test('the largest file there can be', () => {
      const fd = open()
      assert.equal(call(sysFallocate, fd, 0, 2n ** 63n - 4097n, 4096n), 0)
      assert.equal(inner(fd).host!.iSize, 2n ** 63n - 1n)
      assert.equal(call(sysFstat, fd, STAT_BLOCKS), 16)
    })

    test('punch works with nothing bound, and closing with a live binding tells nobody', () => {
      const fd = open()
      assert.equal(allocate(fd, 0, 2), 0)
      assert.equal(punch(fd, 0, 1), 0)
      assert.equal(cached(fd, 0), null)
      assert.deepEqual(callbacks(), [])
      assert.equal(bind(fd, 0, 511, 1), 0)
      assert.equal(call(sysClose, fd), 0)
      assert.deepEqual(callbacks(), [])
    })
  })
}

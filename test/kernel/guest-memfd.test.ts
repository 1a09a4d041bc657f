/**
 * What the kernel's own tests of guest_memfd demand (tools/testing/selftests/kvm), as far as no
 * hardware is needed, on the model of 6.18.
 *
 * Left out are its rows about NUMA policies, N1 to N6. They came with 6.19, where the inode has a
 * shared policy that its pages follow. In 6.18.2 the mapping's operations have neither set_policy
 * nor get_policy (virt/kvm/guest_memfd.c kvm_gmem_vm_ops): mbind() sets the policy of the VMA, and
 * get_mempolicy() reads that, so N1 to N4 answer the same; but a page is taken by the policy of
 * the task, and where N5 and N6 find it is up to that. The model has one node and no policies.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { defineDesign } from '../../src/designs/design.js'
import { gmem618 } from '../../src/designs/gmem.js'
import { sysFtruncate } from '../../src/kernel/fs/open.js'
import { STAT_SIZE_PAGES, sysFstat } from '../../src/kernel/fs/stat.js'
import { filesStruct } from '../../src/kernel/include/fs.js'
import { MEMSLOT_PLACES } from '../../src/kernel/include/kvm.js'
import {
  MADV_COLLAPSE,
  MADV_DONTNEED,
  MADV_HUGEPAGE,
  MADV_NOHUGEPAGE,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_PRIVATE,
  MAP_SHARED,
  SIGBUS_ADRERR,
} from '../../src/kernel/include/uapi.js'
import { hasTransparentHugepage } from '../../src/kernel/mm/khugepaged.js'
import { sysMadvise } from '../../src/kernel/mm/madvise.js'
import { sysMemfdCreate } from '../../src/kernel/mm/memfd.js'
import { sysMmap } from '../../src/kernel/mm/mmap.js'
import { sysKvmCreateGuestMemfd } from '../../src/kernel/virt/kvm/guest_memfd.js'
import { sysKvmSetUserMemoryRegion } from '../../src/kernel/virt/kvm/memory_region.js'
import { LimitError } from '../../src/machine/fault.js'
import { fn, replace } from '../../src/machine/fn.js'
import { GPA, Host, KEEP, P, PUNCH, type Region, shown } from '../kernel-runs/gmem-host.js'

const SIZE = 4n * P
const EINVAL = -22

function host(type: number, flags = 0, pages = 4, design = gmem618): Host {
  const h = new Host(design)
  h.newVm(type)
  h.newFile(pages, flags)
  return h
}

function bytes(h: Host, map: bigint, pages: number): number[] {
  return Array.from({ length: pages }, (_, i) => h.load(map + BigInt(i) * P))
}

describe('guest_memfd_test', () => {
  test('C2: no size that is not page aligned', () => {
    const h = host(0)
    for (let size = 1n; size < P; size++) {
      assert.equal(h.call(sysKvmCreateGuestMemfd, h.vm, size, 3n), EINVAL)
    }
  })

  test('C3: two files are two inodes, each of its own size', () => {
    const h = host(0, 0, 1)
    const first = h.fd
    const second = h.newFile(2, 0)
    const size = (fd: number): number => h.call(sysFstat, fd, STAT_SIZE_PAGES)
    assert.deepEqual([size(first), size(second), size(first)], [1, 2, 1])
    const inode = (fd: number): unknown => filesStruct().fd.get(fd)!.fInode
    assert.notEqual(inode(first), inode(second))
  })

  test('M1, M2: what cannot be mapped', () => {
    const h = host(0)
    assert.equal(shown(Number(h.mmap(h.fd, SIZE))), '-ENODEV')
    h.newFile(4, 3)
    assert.equal(shown(Number(h.mmap(h.fd, SIZE, MAP_PRIVATE))), '-EINVAL')
  })

  test('M3 to M5: filled, punched while mapped, filled again', () => {
    const h = host(0, 3)
    const map = h.mmap(h.fd, SIZE)
    for (let i = 0n; i < 4n; i++) h.store(map + i * P, 0xaa)
    assert.deepEqual(bytes(h, map, 4), [0xaa, 0xaa, 0xaa, 0xaa])
    assert.equal(h.fallocate(PUNCH, 0n, P), 0)
    assert.deepEqual(bytes(h, map, 4), [0, 0xaa, 0xaa, 0xaa])
    h.store(map, 0xaa)
    assert.deepEqual(bytes(h, map, 4), [0xaa, 0xaa, 0xaa, 0xaa])
  })

  test('M6, M7: SIGBUS behind the end, and everywhere in a file that is not shared', () => {
    const h = host(0, 3)
    const map = h.mmap(h.fd, 4n * SIZE)
    assert.equal(h.store(map + SIZE - 1n, 0xaa), 0)
    assert.equal(h.store(map + SIZE, 0xaa), SIGBUS_ADRERR)
    assert.equal(h.load(map + SIZE), SIGBUS_ADRERR)
    h.newFile(4, 1)
    const closed = h.mmap(h.fd, SIZE)
    assert.equal(h.store(closed, 1), SIGBUS_ADRERR)
    assert.equal(h.load(closed), SIGBUS_ADRERR)
  })

  test('A1 to A9: ranges of fallocate, of which only a punch may lie behind the end', () => {
    const h = host(0)
    const rows: [mode: number, offset: bigint, len: bigint, ret: number][] = [
      [KEEP, 0n, SIZE, 0],
      [PUNCH, P - 1n, P, EINVAL],
      [KEEP, SIZE, P, EINVAL],
      [KEEP, SIZE + P, P, EINVAL],
      [PUNCH, SIZE, P, 0],
      [PUNCH, SIZE + P, P, 0],
      [PUNCH, P, P - 1n, EINVAL],
      [PUNCH, P, P, 0],
      [KEEP, P, P, 0],
    ]
    for (const [mode, offset, len, ret] of rows) assert.equal(h.fallocate(mode, offset, len), ret)
  })

  test('H1 to H10: no punch of part of a page', () => {
    const h = host(0)
    const parts = [1n, P - 1n, P + 1n]
    for (const len of parts) assert.equal(h.fallocate(PUNCH, 0n, len), EINVAL)
    for (const len of [...parts, P]) assert.equal(h.fallocate(PUNCH, 1n, len), EINVAL)
    for (const len of parts) assert.equal(h.fallocate(PUNCH, P, len), EINVAL)
  })

  describe('a file of the size of a huge page, mapped at the address of one', () => {
    const HUGE = 1n << 21n
    const PAGES = [0n, 1n, 255n, 511n]

    function mapped(design = gmem618): { h: Host; map: bigint } {
      const h = host(0, 3, 512, design)
      const flags = MAP_SHARED | MAP_FIXED
      const map = BigInt(h.call(sysMmap, 16n * HUGE, HUGE, 3, flags, h.fd, 0n))
      assert.equal(map, 16n * HUGE)
      return { h, map }
    }
    const read = (h: Host, map: bigint): number[] => PAGES.map((p) => h.load(map + p * P))

    test('T1: it may be advised to have huge pages, and not to', () => {
      const { h, map } = mapped()
      assert.deepEqual(read(h, map), [0, 0, 0, 0])
      assert.equal(h.call(sysMadvise, map, HUGE, MADV_HUGEPAGE), 0)
      assert.equal(h.call(sysMadvise, map, HUGE, MADV_NOHUGEPAGE), 0)
    })

    test('T2: it is not collapsed, while a memfd might be', () => {
      const { h, map } = mapped()
      read(h, map)
      assert.equal(h.call(sysMadvise, map, HUGE, MADV_COLLAPSE), EINVAL)
      const memfd = h.call(sysMemfdCreate, 0)
      h.call(sysFtruncate, memfd, HUGE)
      const at = (offset: bigint, len: bigint): number =>
        h.call(sysMadvise, 32n * HUGE + offset, len, MADV_COLLAPSE)
      h.call(sysMmap, 32n * HUGE, HUGE, 3, MAP_SHARED | MAP_FIXED, memfd, 0n)
      assert.equal(shown(at(0n, HUGE)), '-ENOMEM')
      assert.deepEqual([at(0n, P), at(P, P)], [0, EINVAL], 'no huge page is in the range')
      h.call(sysMmap, 32n * HUGE, HUGE, 3, MAP_SHARED | MAP_FIXED, memfd, P)
      assert.equal(at(0n, HUGE), EINVAL, 'the file is not aligned with the map')
    })

    test('T3: after MADV_DONTNEED its bytes are there', () => {
      const { h, map } = mapped()
      for (const p of PAGES) h.store(map + p * P, 0xaa)
      assert.equal(h.call(sysMadvise, map, HUGE, MADV_DONTNEED), 0)
      assert.deepEqual(read(h, map), [0xaa, 0xaa, 0xaa, 0xaa])
    })

    test('without CONFIG_TRANSPARENT_HUGEPAGE there is no such advice', () => {
      const none = fn(function has_transparent_hugepage(): boolean {
        return false
      })
      const { h, map } = mapped(
        defineDesign({
          id: 'no-thp',
          summary: 'built without transparent huge pages',
          base: gmem618,
          cite: [],
          replaces: [replace(hasTransparentHugepage, none)],
        }),
      )
      for (const advice of [MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_COLLAPSE]) {
        assert.equal(h.call(sysMadvise, map, HUGE, advice), EINVAL)
      }
      assert.equal(h.call(sysMadvise, map, HUGE, MADV_DONTNEED), 0)
    })
  })

  test('G2 to G4: a slot without user memory, host and guest in one file', () => {
    const h = host(0, 3)
    const gpa = 1n << 32n
    assert.equal(h.region({ gpa, size: SIZE, hva: 0n }), 0)
    const map = h.mmap(h.fd, SIZE)
    for (let i = 0n; i < 4n; i++) h.store(map + i * P, 0xaa)
    h.munmap(map, SIZE)
    for (let i = 0n; i < 4n; i++) {
      assert.equal(h.read(gpa + i * P).val, '0xaa')
      h.write(gpa + i * P, 0xff)
    }
    assert.deepEqual(bytes(h, h.mmap(h.fd, SIZE), 4), [0xff, 0xff, 0xff, 0xff])
  })
})

describe('set_memory_region_test', () => {
  const v1 = (h: Host, flags: number): number =>
    h.call(sysKvmSetUserMemoryRegion, h.vm, 1, flags, GPA, P, 0n)

  test('1, 2: every flag that a request does not know', () => {
    const h = host(1)
    for (let bit = 2; bit < 31; bit++) assert.equal(v1(h, 1 << bit), EINVAL)
    for (let bit = 3; bit < 31; bit++) {
      assert.equal(h.region({ flags: 1 << bit, size: P, hva: 0n }), EINVAL)
    }
  })

  test('5: as many slots as the model has, with any number', () => {
    const h = host(0)
    const slot = (n: number): Region => ({
      slot: n,
      flags: 0,
      gpa: BigInt(n) * P,
      size: P,
      hva: 0n,
    })
    const ids = [0, 8, 16, 1, 7, 15, 1000, 32763]
    for (const n of ids) assert.equal(h.region(slot(n)), 0)
    for (const n of [32764, 32767, 65535, 65536]) assert.equal(h.region(slot(n)), EINVAL)
    for (const n of ids) {
      assert.equal(h.region({ ...slot(n), gpa: BigInt(n) * P + (1n << 32n) }), 0, 'moved')
      assert.equal(h.region({ ...slot(n), size: 0n }), 0, 'deleted')
      assert.equal(h.region({ ...slot(n), size: 0n }), EINVAL)
    }
    for (let n = 0; n < MEMSLOT_PLACES; n++) assert.equal(h.region(slot(n)), 0)
    const over = (): number => h.region(slot(MEMSLOT_PLACES))
    assert.throws(over, LimitError, 'a limit of the model, not an answer')
  })

  test('6, 7: only a guest_memfd of this VM', () => {
    const h = host(1)
    const { vm, fd } = h
    const memfd = h.call(sysMemfdCreate, 0)
    for (const other of [vm, memfd]) assert.equal(h.region({ fd: other, size: P, hva: 0n }), EINVAL)
    h.newVm(1)
    // Another VM's file is refused before its range is looked at, guest memory before the file.
    assert.equal(shown(h.region({ fd: 31, size: P, hva: 0n })), '-EBADF')
    assert.equal(h.region({ flags: 0, slot: 2, size: P, hva: 0n }), 0)
    assert.equal(shown(h.region({ fd, size: P, hva: 0n })), '-EEXIST')
    assert.equal(h.region({ flags: 0, slot: 2, size: 0n }), 0)
    assert.equal(h.region({ fd, size: P, hva: 0n }), EINVAL)
    h.newFile(4, 0)
    assert.equal(h.region({ size: SIZE, hva: 0n }), 0)
    assert.equal(h.close(h.fd), 0)
    assert.equal(h.close(h.vm), 0)
  })

  test('8, 9: offsets are page aligned; the file may be closed before the VM', () => {
    const h = host(1)
    for (let offset = 1n; offset < P; offset++) {
      assert.equal(h.region({ offset, size: P, hva: 0n }), EINVAL)
    }
    assert.equal(h.region({ size: P, hva: 0n }), 0)
    assert.equal(h.close(h.fd), 0)
    assert.equal(h.close(h.vm), 0)
  })

  test('10, 11: no part of the file twice (-EINVAL until 7.2), nor of guest memory', () => {
    const h = host(1, 0, 5)
    const two = 2n * P
    const a = { slot: 1, size: two, hva: 0n }
    assert.equal(h.region({ ...a, gpa: GPA }), 0)
    assert.equal(h.region({ slot: 2, size: two, hva: 0n, gpa: 2n * GPA, offset: two }), 0)
    assert.equal(h.region({ slot: 1, flags: 0, size: 0n }), 0)
    assert.equal(h.region({ ...a, gpa: GPA, offset: P }), EINVAL)
    assert.equal(h.region({ ...a, gpa: GPA, offset: 3n * P }), EINVAL)
    for (const gpa of [2n * GPA - P, 2n * GPA + P]) {
      assert.equal(shown(h.region({ ...a, gpa })), '-EEXIST')
    }
  })

  test('13, 14: a slot that moves takes its memory along; a deleted one leaves a hole', () => {
    const h = host(0)
    h.newUserMemory(4, () => 7)
    const slot: Region = { flags: 0, size: SIZE }
    h.region(slot)
    assert.equal(h.read(GPA).val, '0x7')
    for (let i = 0; i < 3; i++) {
      assert.equal(h.region({ ...slot, gpa: GPA + P }), 0)
      assert.equal(h.read(GPA).exit, 'MMIO')
      assert.equal(h.read(GPA + SIZE).val, '0x7')
      assert.equal(h.region(slot), 0)
      assert.equal(h.read(GPA).val, '0x7')
    }
    h.region({ flags: 0, size: 0n })
    assert.equal(h.read(GPA).exit, 'MMIO')
  })
})

describe('private_mem_conversions_test', () => {
  for (const allocate of [false, true]) {
    test(`ranges turn private and back, ${allocate ? 'with' : 'without'} fallocate`, () => {
      const h = host(1, 0, 8)
      h.newUserMemory(8, () => 0xaa)
      h.region({ size: 8n * P })
      const convert = (first: bigint, pages: bigint, attributes: bigint): void => {
        if (allocate) h.fallocate(attributes === 0n ? PUNCH : KEEP, first * P, pages * P)
        assert.equal(h.attributes(GPA + first * P, pages * P, attributes), 0)
      }
      const guest = (page: bigint): unknown => h.read(GPA + page * P).val
      const user = (page: bigint): number => h.load(h.hva + page * P)
      for (const [first, pages] of [
        [0n, 1n],
        [0n, 4n],
        [1n, 1n],
        [1n, 5n],
        [4n, 1n],
      ] as const) {
        const range = Array.from({ length: Number(pages) }, (_, i) => first + BigInt(i))
        for (const p of range) h.write(GPA + p * P, 0x11)
        convert(first, pages, 8n)
        for (const p of range) h.write(GPA + p * P, 0x22)
        for (const p of range) assert.deepEqual([guest(p), user(p)], ['0x22', 0x11])
        for (const p of range.filter((n) => n % 2n === 1n)) {
          convert(p, 1n, 0n)
          assert.equal(guest(p), '0x11')
          h.store(h.hva + p * P, 0x33)
          assert.equal(guest(p), '0x33')
        }
        for (const p of range.filter((n) => n % 2n === 0n)) assert.equal(guest(p), '0x22')
        convert(first, pages, 0n)
        for (const p of range) h.write(GPA + p * P, 0x33)
        for (const p of range) assert.equal(user(p), 0x33)
        for (const p of range) h.store(h.hva + p * P, 0xaa)
        for (const p of range) assert.equal(guest(p), '0xaa')
        assert.equal(h.fallocate(PUNCH, 0n, 8n * P), 0)
      }
    })
  }

  test('what is punched is zero; the file outlives the descriptor of its VM', () => {
    const h = host(1)
    h.region({ size: SIZE, hva: 0n })
    h.attributes(GPA, SIZE, 8n)
    for (let i = 0n; i < 4n; i++) h.write(GPA + i * P, 1)
    h.fallocate(PUNCH, P, 2n * P)
    const seen = [0n, 1n, 2n, 3n].map((i) => h.read(GPA + i * P).val)
    assert.deepEqual(seen, ['0x1', '0x0', '0x0', '0x1'])
    assert.equal(h.close(h.vm), 0)
    assert.equal(h.fallocate(PUNCH, 0n, SIZE), 0)
    assert.equal(h.fallocate(KEEP, 0n, SIZE), 0)
    assert.equal(h.close(h.fd), 0)
  })
})

describe('private_mem_kvm_exits_test', () => {
  const fault = {
    rc: -1,
    errno: 'EFAULT',
    exit: 'MEMORY_FAULT(39)',
    flags: 8,
    gpa: '0x100000',
    size: 4096,
  }

  test('1: a private page of a slot that was deleted', () => {
    const h = host(1)
    h.region({ size: SIZE, hva: 0n })
    h.attributes(GPA, P, 8n)
    assert.equal(h.read(GPA).val, '0x0')
    h.region({ flags: 0, size: 0n })
    assert.deepEqual(h.read(GPA), fault)
  })

  test('2: a private page of a slot without guest_memfd', () => {
    const h = host(1)
    const hva = h.mmap(-1, SIZE, MAP_PRIVATE | MAP_ANONYMOUS)
    h.region({ flags: 0, size: SIZE, hva })
    h.attributes(GPA, P, 8n)
    assert.deepEqual(h.read(GPA), fault)
  })
})

describe('the MMU notifier', () => {
  test('shared memory of a guest follows the process, the private side does not', () => {
    const h = host(1)
    h.newUserMemory(4, () => 7)
    h.region({ size: SIZE })
    h.attributes(GPA, P, 8n)
    h.write(GPA, 9)
    assert.equal(h.read(GPA + P).val, '0x7')
    h.munmap(h.hva, 2n * P)
    assert.equal(h.read(GPA).val, '0x9')
    assert.deepEqual(h.read(GPA + P), { rc: -1, errno: 'EFAULT', exit: 0 })
    assert.equal(h.mmapAt(h.hva + P, P), h.hva + P)
    assert.equal(h.read(GPA + P).val, '0x0')
  })
})

describe('offsets near 2^63', () => {
  test('a range of eight pages that crosses it binds to a file of four', () => {
    const h = host(0)
    assert.equal(h.region({ size: 8n * P, hva: 0n, offset: 2n ** 63n - SIZE }), 0)
    assert.equal(h.region({ slot: 2, gpa: 2n * GPA, size: P, hva: 0n, offset: SIZE }), EINVAL)
  })
})

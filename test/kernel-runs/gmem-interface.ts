/** Experiments 1 to 3: capabilities, files, memslots, attributes. */
import assert from 'node:assert/strict'
import { guestWrite } from '../../src/kernel/arch/x86/kvm/guest.js'
import { sysFtruncate } from '../../src/kernel/fs/open.js'
import { sysLseek, sysPread, sysPwrite, sysRead, sysWrite } from '../../src/kernel/fs/read_write.js'
import { STAT_BLOCKS, STAT_MODE, STAT_SIZE_PAGES, sysFstat } from '../../src/kernel/fs/stat.js'
import * as uapi from '../../src/kernel/include/uapi.js'
import { sysMemfdCreate } from '../../src/kernel/mm/memfd.js'
import {
  sysKvmCheckExtension,
  sysKvmCreateGuestMemfd,
} from '../../src/kernel/virt/kvm/guest_memfd.js'
import { sysKvmCreateVm } from '../../src/kernel/virt/kvm/kvm_main.js'
import { sysKvmSetUserMemoryRegion } from '../../src/kernel/virt/kvm/memory_region.js'
import { drainLru } from '../../src/user/pages.js'
import { GPA, type Host, KEEP, P, PUNCH, type Region, shown } from './gmem-host.js'
import type { GmemRow, Rows } from './gmem-recording.js'

const CAPS = {
  USER_MEMORY2: uapi.KVM_CAP_USER_MEMORY2,
  MEMORY_FAULT_INFO: uapi.KVM_CAP_MEMORY_FAULT_INFO,
  MEMORY_ATTRIBUTES: uapi.KVM_CAP_MEMORY_ATTRIBUTES,
  GUEST_MEMFD: uapi.KVM_CAP_GUEST_MEMFD,
  VM_TYPES: uapi.KVM_CAP_VM_TYPES,
  PRE_FAULT_MEMORY: uapi.KVM_CAP_PRE_FAULT_MEMORY,
  GUEST_MEMFD_FLAGS: uapi.KVM_CAP_GUEST_MEMFD_FLAGS,
} as const

function caps(h: Host, vm: number): Record<string, number> {
  const entries = Object.entries(CAPS)
  return Object.fromEntries(entries.map(([n, c]) => [n, h.call(sysKvmCheckExtension, c, vm)]))
}

const SIGBUS = 'SIGBUS code 2 lsb 0'

function signal(ret: number, success: string | number = ret): string | number {
  return ret === uapi.SIGBUS_ADRERR ? SIGBUS : success
}

const SIZES: Readonly<Record<string, bigint>> = {
  '0': 0n,
  '1': 1n,
  '4095': 4095n,
  '4097': 4097n,
  '4096': 4096n,
  '-4096': -4096n,
  '2^63': 2n ** 63n,
  '2^63-4096': 2n ** 63n - 4096n,
  '2^62': 2n ** 62n,
  '2^40': 2n ** 40n,
}

/** A file that is closed again, as the recording's tables do with each entry. */
function creates(h: Host, size: bigint, flags: bigint): string | number {
  const fd = h.call(sysKvmCreateGuestMemfd, h.vm, size, flags)
  if (fd >= 0) h.close(fd)
  return shown(fd, 'fd')
}

function createTables(h: Host, rows: Rows): void {
  const flags = rows.next('create gmem: flags table (size 4096)').table as Record<string, unknown>
  for (const [f, expected] of Object.entries(flags)) {
    assert.equal(creates(h, P, BigInt(f)), expected, `flags ${f}`)
  }
  const bits = rows.next('create gmem: single flag bits 2..63')
  let refused = 0
  for (let bit = 2n; bit < 64n; bit++) if (creates(h, P, 1n << bit) === '-EINVAL') refused++
  assert.deepEqual(
    { EINVAL: refused, accepted: 62 - refused },
    { EINVAL: bits.EINVAL, accepted: 0 },
  )
  const sizes = rows.next('create gmem: size table (flags 0)').table as Record<string, unknown>
  for (const [s, expected] of Object.entries(sizes)) {
    assert.equal(creates(h, SIZES[s]!, 0n), expected, `size ${s}`)
  }
  const other = rows.next('create gmem: other').table as Record<string, unknown>
  assert.equal(creates(h, 0n, 8n), other['flags 8, size 0'])
}

function fileOps(h: Host, rows: Rows): void {
  const stat = rows.next('fstat')
  h.newFile(2, 0)
  const field = (f: number): number => h.call(sysFstat, h.fd, f)
  assert.equal(field(STAT_MODE).toString(8), stat.mode)
  assert.equal(field(STAT_SIZE_PAGES) * 4096, stat.size)
  assert.equal(field(STAT_BLOCKS), stat.blocks)

  const ops = rows.next('file ops, flags 0')
  const did: Record<string, unknown> = {}
  h.fallocate(KEEP, 0n, 2n * P)
  did['blocks after fallocate of 2 pages'] = field(STAT_BLOCKS)
  did.read = shown(h.call(sysRead, h.fd, 64))
  did.write = shown(h.call(sysWrite, h.fd, 64, 1))
  did.pread = shown(h.call(sysPread, h.fd, 0n, 64))
  did.pwrite = shown(h.call(sysPwrite, h.fd, 0n, 64, 1))
  did.lseek = shown(h.call(sysLseek, h.fd, 0n, 0))
  did.ftruncate = shown(h.call(sysFtruncate, h.fd, 0n))
  did['mmap shared'] = shown(Number(h.mmap(h.fd, P)))
  did['alloc past end'] = shown(h.fallocate(KEEP, 2n * P, P))
  did['punch past end'] = shown(h.fallocate(PUNCH, 2n * P, P))
  did['mode 0'] = shown(h.fallocate(0, 0n, P))
  did['punch without KEEP'] = shown(h.fallocate(2, 0n, P))
  did['punch unaligned'] = shown(h.fallocate(PUNCH, 1n, P))
  did['zero range+keep'] = shown(h.fallocate(0x11, 0n, P))
  for (const [name, got] of Object.entries(did)) assert.equal(got, ops[name], name)
  h.close(h.fd)
}

function mapping(h: Host, rows: Rows, type: number): void {
  const closed = rows.next('MMAP without INIT_SHARED')
  h.newFile(2, uapi.GUEST_MEMFD_FLAG_MMAP)
  const map = h.mmap(h.fd, 2n * P)
  assert.equal(shown(Number(map), 'mapped'), closed['mmap shared'])
  assert.equal(signal(h.load(map)), closed.load)
  assert.equal(signal(h.store(map, 1)), closed.store)
  // 'mmap private' was recorded as the errno of the failed mmap, which is EINVAL: see the table.
  assert.equal(shown(Number(h.mmap(h.fd, P, uapi.MAP_PRIVATE))), '-EINVAL')
  h.munmap(map, 2n * P)
  h.close(h.fd)
  if (type === uapi.KVM_X86_SW_PROTECTED_VM) return

  const open = rows.next('MMAP+INIT_SHARED')
  h.newFile(2, 3)
  const shared = h.mmap(h.fd, 4n * P)
  assert.equal(signal(h.store(shared, 0), 'stored'), open['store p0'])
  assert.equal(h.load(shared), open['load p0'])
  assert.equal(h.load(shared + P), open['load p1'])
  assert.equal(signal(h.load(shared + 2n * P)), open['load past end'])
  assert.equal(signal(h.store(shared + 2n * P, 1)), open['store past end'])
  const drained = rows.next('after LRU drain')
  h.call(drainLru)
  for (const [page, key] of [
    [0, 'kpageflags p0'],
    [1, 'kpageflags p1 (read only)'],
  ] as const) {
    const { uptodate, lru, unevictable, mapcount } = h.cached(page)!
    assert.match(String(drained[key]), /UPTODATE\|LRU\|MMAP\|UNEVICTABLE\|mapcount=1$/)
    assert.deepEqual([uptodate, lru, unevictable, mapcount], [true, true, true, 1])
  }
  const punched = rows.next('punch p0 while mapped')
  assert.equal(shown(h.fallocate(PUNCH, 0n, P)), punched.punch)
  assert.equal(h.load(shared), punched['load p0'])
  rows.list('madvise on gmem map', 'there is no madvise()')
  h.munmap(shared, 4n * P)
  h.close(h.fd)
}

export function experiment1(h: Host, rows: Rows): void {
  assert.deepEqual(caps(h, -1), rows.next('caps on /dev/kvm').caps)
  for (const type of [0, 1]) {
    const row = rows.next('create VM + caps')
    assert.equal(row.type, type)
    h.newVm(type)
    assert.deepEqual(caps(h, h.vm), row.caps)
    createTables(h, rows)
    fileOps(h, rows)
    mapping(h, rows, type)
    h.close(h.vm)
  }
  for (let type = 2; type <= 6; type++) {
    const row = rows.next('create VM')
    assert.equal(h.call(sysKvmCreateVm, type), -22)
    assert.equal(row.errno, 'EINVAL')
  }
}

/** Compare with a row's list of results; undefined stands for what the model does not have. */
function results(row: GmemRow, got: readonly (number | undefined)[]): void {
  const expected = row.result as readonly unknown[]
  assert.equal(got.length, expected.length, row.step)
  got.forEach((ret, i) => {
    if (ret !== undefined) assert.equal(shown(ret), expected[i], `${row.step}: number ${i}`)
  })
}

/** A VM of its own with a file of 16 pages, closed again behind the row. */
function fresh(h: Host, type: number, body: () => void): void {
  h.newVm(type)
  h.newFile(16, 0)
  body()
  h.close(h.fd)
  h.close(h.vm)
}

const TOP = 2n ** 63n
const WORD = 2n ** 64n

function requests(h: Host, rows: Rows, type: number): void {
  const row = (step: string, body: () => (number | undefined)[]): void =>
    fresh(h, type, () => results(rows.next(step), body()))
  const all = (...list: readonly Region[]): number[] => list.map((r) => h.region(r))
  const _del: Region = { flags: 0, size: 0n }

  row('bind MMAP file; bind flags-0 file', () => {
    const plain = h.fd
    const first = h.region({ fd: h.newFile(16, 1), slot: 2, gpa: 2n * GPA })
    h.close(h.fd)
    h.fd = plain
    return [first, h.region()]
  })
  row('flags LOG_DIRTY+GM; READONLY+GM; bit3; bit4; bit16 (INVALID); bit17 (GMEM_ONLY)', () =>
    [5, 6, 8, 16, 1 << 16, 1 << 17].map((flags) => h.region({ flags })),
  )
  row("gfd -1; memfd; /dev/kvm; vm fd; other VM's gmem; 999", () => {
    const memfd = h.call(sysMemfdCreate, 0)
    const first = all({ fd: -1 }, { fd: memfd })
    const third = h.region({ fd: h.vm })
    const { vm, fd } = h
    h.newVm(type)
    const other = h.newFile(16, 0)
    const otherVm = h.vm
    h.vm = vm
    const rest = all({ fd: other }, { fd: 999 })
    for (const each of [memfd, other, otherVm]) h.close(each)
    h.fd = fd
    return [...first, undefined, third, ...rest]
  })
  row('size unaligned; gpa unaligned; hva unaligned; hva kernel; hva 0', () =>
    all(
      { size: P + 1n },
      { gpa: GPA + 1n },
      { hva: h.hva + 1n },
      { hva: 0xffff800000000000n },
      { hva: 0n },
    ),
  )
  row(
    'offset 1; past end; off+size>file; off=file size; off=-4096 size 4096 (wraps to 0); off=-4096 size 8192; off 2^63; off 2^63-4096; off 2^63-8192 size 4096',
    () =>
      all(
        { offset: 1n },
        { offset: 32n * P },
        { offset: P },
        { offset: 16n * P, size: P },
        { offset: -P, size: P },
        { offset: -P, size: 2n * P },
        { offset: TOP, size: P },
        { offset: TOP - P, size: P, slot: 3 },
        { offset: TOP - 2n * P, size: P, gpa: 4n * GPA },
      ),
  )
  row('gpa+size wraps; gpa=-4096 size 4096; slot 32764; 65535; as_id 1; 2^31 pages', () =>
    all(
      { gpa: WORD - P, size: 2n * P, flags: 0 },
      { gpa: WORD - P, size: P, flags: 0 },
      { slot: 32764 },
      { slot: 65535 },
      { slot: (1 << 16) | 1 },
      { size: P << 31n, flags: 0, hva: 0n },
    ),
  )
}

function lifecycle(h: Host, rows: Rows, type: number): void {
  const row = (step: string, body: () => (number | undefined)[]): void =>
    fresh(h, type, () => results(rows.next(step), body()))
  const all = (...list: readonly Region[]): number[] => list.map((r) => h.region(r))
  const del: Region = { flags: 0, size: 0n }
  const half = 8n * P
  const gmemDel: Region = { size: 0n }

  row('delete empty slot with GM; without; with bad flags', () =>
    all(gmemDel, del, { flags: 8, size: 0n }),
  )
  row(
    'bind first half; gpa overlap; gpa overlap plain; gpa overlap + bad gfd; file overlap; second half; file overlap across',
    () =>
      all(
        { size: half },
        { slot: 2, size: half, gpa: GPA + P, offset: half },
        { slot: 2, size: half, gpa: GPA + P, flags: 0 },
        { slot: 2, size: half, gpa: GPA + P, fd: -1 },
        { slot: 2, size: half, gpa: 2n * GPA },
        { slot: 2, size: half, gpa: 2n * GPA, offset: half },
        { slot: 3, size: half, gpa: 3n * GPA, offset: 4n * P },
      ),
  )
  row(
    'gmem slot: same again; move; shrink; +LOG_DIRTY; plain READONLY; plain shrink; plain other hva',
    () =>
      all(
        {},
        {},
        { gpa: 2n * GPA },
        { size: half },
        { flags: 5 },
        { flags: 2 },
        { flags: 0, size: half },
        { flags: 0, hva: h.hva + P },
      ),
  )
  row('plain slot: create; same; LOG_DIRTY; back; READONLY; move gpa; add GM; delete', () =>
    all(
      { flags: 0 },
      { flags: 0 },
      { flags: 1 },
      { flags: 0 },
      { flags: 2 },
      { flags: 0, gpa: 2n * GPA },
      { gpa: 2n * GPA },
      del,
    ),
  )
  row(
    'bind; delete; delete again; bind again; delete with GM flag; bind in another slot at another gpa',
    () => all({}, del, del, {}, gmemDel, { slot: 2, gpa: 2n * GPA }),
  )
  row('bind; close fd; delete; bind new file', () => {
    const first = [h.region()]
    h.close(h.fd)
    first.push(h.region(del))
    h.newFile(16, 0)
    return [...first, h.region()]
  })
  row('v1 ioctl with GM flag; v1 plain', () =>
    [4, 0].map((f) => h.call(sysKvmSetUserMemoryRegion, h.vm, 1, f, GPA, P, h.hva)),
  )
  row(
    'order: bad flag+unaligned+bad gfd+bad off; unaligned+bad gfd; bad off+bad gfd; bad slot+bad gfd; overlap+bad gfd; overlap+off past end',
    () => {
      h.region({ slot: 2, flags: 0 })
      return all(
        { flags: 12, size: P + 1n, fd: -1, offset: 1n },
        { size: P + 1n, fd: -1 },
        { offset: 1n, fd: -1 },
        { slot: 40000, fd: -1 },
        { fd: -1 },
        { offset: 32n * P },
      )
    },
  )
  const last = rows.next('bind; close VM fd; allocate; punch; bind into another VM')
  h.newVm(type)
  h.newFile(16, 0)
  const got = [h.region()]
  h.close(h.vm)
  got.push(h.fallocate(KEEP, 0n, 16n * P), h.fallocate(PUNCH, 0n, 16n * P))
  h.newVm(type)
  got.push(h.region())
  results(last, got)
  h.close(h.fd)
  h.close(h.vm)
}

/** Museum 2: a range that ends at 2^63 is bound to a file of four pages. */
function beyondTheEnd(h: Host, rows: Rows, type: number): void {
  const ret = (step: string, got: number): void => {
    const row = rows.next(step)
    assert.equal(shown(got), row.errno === undefined ? row.ret : `-${row.errno}`, step)
  }
  const run = (step: string): void => {
    const { val } = rows.next(step).run as { val: string }
    assert.deepEqual(h.read(GPA), { rc: 0, exit: 'IO', val })
  }
  h.newVm(type)
  h.newFile(4, type === 0 ? 3 : 0)
  ret(
    'museum 2: bind 1 page at file offset 2^63-4096 of a 4-page file',
    h.region({ size: P, offset: TOP - P }),
  )
  if (type === 1) h.attributes(GPA, P, 8n)
  h.call(guestWrite, h.vm, GPA, 0xd1)
  run('guest write there')
  run('guest read there')
  ret('punch the whole 4-page file', h.fallocate(PUNCH, 0n, 4n * P))
  run('guest read')
  ret('punch at 2^63-8192 length 4096', h.fallocate(PUNCH, TOP - 2n * P, P))
  ret('punch at 2^63-4096 length 4096', h.fallocate(PUNCH, TOP - P, P))
  run('guest read')
  const again: Region = { slot: 2, gpa: 2n * GPA, size: P, offset: TOP - P }
  ret('bind same bogus range again', h.region(again))
  ret('delete', h.region({ flags: 0, size: 0n }))
  ret('bind 4 pages at 2^63-4096', h.region({ size: 4n * P, offset: TOP - P }))
  const other: Region = { slot: 2, gpa: 2n * GPA }
  const below = { ...other, size: 4n * P, offset: TOP - 8n * P }
  ret('bind 4 pages at 2^63-32768 (ends below 2^63)', h.region(below))
  // It is refused because part of it is bound.
  const across = { ...other, size: 8n * P, offset: TOP - 4n * P }
  ret('bind 8 pages at 2^63-16384 (crosses 2^63)', h.region(across))
  rows.next('museum 2 end')
  h.close(h.fd)
  h.close(h.vm)
}

export function experiment2(h: Host, rows: Rows): void {
  h.newUserMemory(32, () => 0)
  for (const type of [0, 1]) {
    requests(h, rows, type)
    lifecycle(h, rows, type)
  }
  rows.next('kernel messages during 2')
  for (const type of [0, 1]) beyondTheEnd(h, rows, type)
}

const ATTRIBUTES: Readonly<Record<string, readonly [bigint, bigint, bigint, bigint]>> = {
  'private 1 page, no slot': [GPA, P, 8n, 0n],
  again: [GPA, P, 8n, 0n],
  shared: [GPA, P, 0n, 0n],
  'shared again': [GPA, P, 0n, 0n],
  'flags 1': [GPA, P, 8n, 1n],
  'attr bit0': [GPA, P, 1n, 0n],
  'attr bit1': [GPA, P, 2n, 0n],
  'attr bit2': [GPA, P, 4n, 0n],
  'attr PRIV|1': [GPA, P, 9n, 0n],
  'attr bit63': [GPA, P, 1n << 63n, 0n],
  'size 0': [GPA, 0n, 8n, 0n],
  'size 1': [GPA, 1n, 8n, 0n],
  'addr+1': [GPA + 1n, P, 8n, 0n],
  wrap: [WORD - P, 2n * P, 8n, 0n],
  'end exactly 2^64': [WORD - P, P, 8n, 0n],
  'beyond maxphyaddr': [1n << 51n, P, 8n, 0n],
  'flags 1 + size 0': [GPA, 0n, 8n, 1n],
  'attr 0 flags 1': [GPA, P, 0n, 1n],
  'attr 0 size 0': [GPA, 0n, 0n, 0n],
}

export function experiment3(h: Host, rows: Rows): void {
  for (const type of [0, 1]) {
    const table = rows.next('attribute errno table').table as Record<string, unknown>
    h.newVm(type)
    for (const [what, expected] of Object.entries(table)) {
      assert.equal(shown(h.attributes(...ATTRIBUTES[what]!)), expected, `type ${type}: ${what}`)
    }
    h.close(h.vm)
  }
}

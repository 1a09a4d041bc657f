/** Experiments 5, 5s and 5m: memory failure, soft offline, migration. */
import assert from 'node:assert/strict'
import { sysPwrite } from '../../src/kernel/fs/read_write.js'
import type { Folio } from '../../src/kernel/include/mm.js'
import type { Pfn } from '../../src/kernel/include/types.js'
import { SIGBUS_MCEERR_AR } from '../../src/kernel/include/uapi.js'
import { compact } from '../../src/kernel/mm/compaction.js'
import { sysMemfdCreate } from '../../src/kernel/mm/memfd.js'
import { unpoison } from '../../src/kernel/mm/soft_offline.js'
import { sysKvmPreFaultMemory } from '../../src/kernel/virt/kvm/guest_memfd.js'
import { drainLru, memoryFailureOp, softOfflineOp } from '../../src/user/pages.js'
import { GPA, type Host, KEEP, P, PUNCH, type Run, shown } from './gmem-host.js'
import type { GmemRow, Rows } from './gmem-recording.js'

const SIZE = 4n * P

/** A byte, or the signal as the recording has it. */
function seen(ret: number): unknown {
  return ret === SIGBUS_MCEERR_AR ? 'SIGBUS code 4 lsb 12' : ret
}

/** The flags of the recording that the model has, in its order. */
function flags(f: Folio): string {
  const named: [string, boolean][] = [
    ['UPTODATE', f.uptodate],
    ['DIRTY', f.dirty],
    ['HWPOISON', f.hwpoison],
  ]
  const set = named.filter(([, on]) => on).map(([name]) => name)
  return [...set, `mapcount=${f.mapcount}`].join('|')
}

/** The same of a recorded text. What is on which list depends on the batches of that moment. */
function known(text: unknown): string {
  const names = String(text).split('|')
  return names.filter((n) => /^(UPTODATE|DIRTY|HWPOISON|mapcount=\d+)$/.test(n)).join('|')
}

/** What a test does and what the row has of it; anything else in the row is left alone. */
class Observed {
  readonly #row: GmemRow

  constructor(row: GmemRow) {
    this.#row = row
  }

  has(field: string): boolean {
    return this.#row[field] !== undefined
  }

  /** Compare a field that the row has. */
  is(field: string, got: unknown): void {
    if (!this.has(field)) return
    const expected = /^flags\d/.test(field) ? known(this.#row[field]) : this.#row[field]
    assert.deepEqual(got, expected, `${this.#row.step}: ${field}`)
  }
}

/** A default VM with a file of four pages that can be mapped, page 1 with 0x6b, all mapped once. */
function shared(h: Host): bigint {
  h.newVm(0)
  h.newFile(4, 3)
  h.region({ size: SIZE })
  const map = h.mmap(h.fd, SIZE)
  h.store(map + P, 0x6b)
  return map
}

/** After the failure: who finds the poison where. */
function poisoned(h: Host, o: Observed, map: bigint, folio: Folio): bigint {
  o.is('flags1', flags(folio))
  if (o.has('host_load')) {
    o.is('host_load', seen(h.load(map)))
    o.is('host_store', seen(h.store(map, 1)))
  }
  o.is('host_neighbour', h.load(map + P))
  const second = h.mmap(h.fd, SIZE)
  o.is('newmap_load', seen(h.load(second)))
  o.is('newmap_store', seen(h.store(second, 1)))
  o.is('guest_read', h.read(GPA))
  o.is('guest_write', h.write(GPA, 1))
  o.is('guest_neighbour', h.read(GPA + P))
  o.is('prefault_2pages', shown(h.call(sysKvmPreFaultMemory, h.vm, GPA, 2n * P, 0n)))
  o.is('fallocate', shown(h.fallocate(KEEP, 0n, P)))
  o.is('unpoison_in_cache', shown(h.call(unpoison, folio.pfn)))
  return second
}

/** After the punch: a fresh page, but not where the poison is in the page table. */
function punched(h: Host, o: Observed, map: bigint, second: bigint, folio: Folio): void {
  o.is('punch', shown(h.fallocate(PUNCH, 0n, P)))
  o.is('flags2', flags(folio))
  if (o.has('host_load2')) o.is('host_load2', seen(h.load(map)))
  if (h.load(second) === SIGBUS_MCEERR_AR) h.munmap(second, SIZE)
  const third = h.mmap(h.fd, SIZE)
  o.is('newmap_load2', h.load(third))
  o.is('thirdmap_load2', h.load(third))
  o.is('guest_read2', h.read(GPA))
  o.is('guest_write2', h.write(GPA, 0x31))
  o.is('thirdmap_load3', h.load(third))
  o.is('unpoison_after_punch', shown(h.call(unpoison, folio.pfn)))
  o.is('flags3', flags(folio))
}

/**
 * One of the 28 combinations. Injection by madvise() and by hard_offline_page ends in the same
 * function, as the recorded results do; signals at the injection are not modelled.
 */
function combination(h: Host, row: GmemRow): void {
  const o = new Observed(row)
  const [, written, pte, stage2] =
    /page=(\S+) host_pte=(\S+) stage2=(\w+)/.exec(row.step)?.map(String) ?? []
  const map = shared(h)
  if (written === 'written') h.store(map, 0x5a)
  else h.load(map)
  if (stage2 === 'read') o.is('guest_before', h.read(GPA))
  if (stage2 === 'written') o.is('guest_before', h.write(GPA, 0x66))
  if (pte === 'no') h.munmap(map, P)
  const folio = h.cached(0)!
  o.is('flags0', flags(folio))
  o.is('inject', shown(h.call(memoryFailureOp, h.fd, 0)))
  const second = poisoned(h, o, map, folio)
  o.is('inject_again', shown(h.call(memoryFailureOp, h.fd, 0)))
  punched(h, o, map, second, folio)
  h.closeAll()
}

/** A software-protected VM with a file of four pages that nobody can map. */
function priv(h: Host): void {
  h.newVm(1)
  h.newFile(4, 0)
  h.region({ size: SIZE })
  h.attributes(GPA, SIZE, 8n)
}

function privateFailure(h: Host, row: GmemRow, touch: (o: Observed) => void): void {
  const o = new Observed(row)
  priv(h)
  touch(o)
  const folio = h.cached(0)!
  o.is('flags0', flags(folio))
  o.is('inject', shown(h.call(memoryFailureOp, h.fd, 0)))
  o.is('flags1', flags(folio))
  o.is('guest_read', h.read(GPA))
  o.is('guest_write', h.write(GPA, 1))
  o.is('neighbour', h.read(GPA + P))
  o.is('prefault', shown(h.call(sysKvmPreFaultMemory, h.vm, GPA, P, 0n)))
  o.is('prefault_exit', h.vcpu.exitReason)
  o.is('attr_shared', h.attributes(GPA, P, 0n))
  o.is('shared_read', h.read(GPA))
  o.is('attr_private', h.attributes(GPA, P, 8n))
  o.is('private_read', h.read(GPA))
  o.is('fallocate2', h.fallocate(KEEP, 0n, P))
  o.is('delete_slot', h.region({ flags: 0, size: 0n }))
  o.is('rebind', h.region({ size: SIZE }))
  o.is('read_after_rebind', h.read(GPA))
  o.is('punch', h.fallocate(PUNCH, 0n, P))
  o.is('flags2', flags(folio))
  o.is('read_after_punch', h.read(GPA))
  o.is('unpoison', h.call(unpoison, folio.pfn))
  h.closeAll()
}

/** Museum 1: looking a poisoned page up leaves no reference behind. */
function lookups(h: Host, row: GmemRow): void {
  const map = shared(h)
  h.store(map, 1)
  const { pfn } = h.cached(0)!
  assert.equal(shown(h.call(memoryFailureOp, h.fd, 0)), row.inject)
  let errors = 0
  for (let i = 0; i < 200; i++) if (h.read(GPA).errno === 'EHWPOISON') errors++
  assert.equal(errors, row.EHWPOISON_count)
  assert.equal(h.fallocate(PUNCH, 0n, P), row.punch)
  assert.equal(h.call(unpoison, pfn), row.unpoison)
  h.closeAll()
}

/** A poisoned page of a file that is closed, or punched while its page is still in a batch. */
function short(h: Host, row: GmemRow, end: () => number, field: string): void {
  const o = new Observed(row)
  const map = shared(h)
  h.store(map, 1)
  const { pfn } = h.cached(0)!
  o.is('inject', shown(h.call(memoryFailureOp, h.fd, 0)))
  h.munmap(map, SIZE)
  o.is(field, end())
  o.is('unpoison', shown(h.call(unpoison, pfn)))
  h.closeAll()
}

function memfdControl(h: Host, row: GmemRow): void {
  const o = new Observed(row)
  const fd = h.call(sysMemfdCreate, 0)
  h.call(sysPwrite, fd, 0n, 4096, 7)
  const map = h.mmap(fd, P)
  h.load(map)
  const folio = h.cached(0, fd)!
  o.is('inject', shown(h.call(memoryFailureOp, fd, 0)))
  o.is('flags1', flags(folio))
  o.is('load', seen(h.load(map)))
  o.is('punch', h.fallocate(PUNCH, 0n, P, fd))
  o.is('load_after_punch', seen(h.load(map)))
  o.is('unpoison', h.call(unpoison, folio.pfn))
  h.munmap(map, P)
  h.close(fd)
}

export function experiment5(h: Host, rows: Rows): void {
  h.newUserMemory(4, (page) => 0x11 + page)
  while (rows.step?.startsWith('M: ')) {
    const { step } = rows
    if (step.includes('vmsplice')) rows.list(step, 'there are no pipes')
    else combination(h, rows.next(step))
  }
  const closes = rows.next('close a file that holds a poisoned page')
  short(h, closes, () => h.region({ flags: 0, size: 0n }) + h.close(h.fd), 'close')
  const early = rows.next('inject right after first touch (page still in per-CPU LRU batch?)')
  short(h, early, () => h.fallocate(PUNCH, 0n, P), 'punch')
  rows.list('MADV_HWPOISON on a never touched page', 'there is no madvise()')
  const closed = 'MADV_HWPOISON / SOFT_OFFLINE through a map of a not-INIT_SHARED file'
  rows.list(closed, 'there is no madvise()')
  privateFailure(h, rows.next('private page on SW_PROTECTED VM, only fallocated'), (o) => {
    o.is('fallocate', h.fallocate(KEEP, 0n, P))
  })
  privateFailure(h, rows.next('private page on SW_PROTECTED VM, guest read'), (o) => {
    o.is('guest', h.read(GPA))
  })
  privateFailure(h, rows.next('private page on SW_PROTECTED VM, guest wrote'), (o) => {
    o.is('guest', h.write(GPA, 0x99))
  })
  const looked =
    'museum 1: 200 guest reads of a poisoned page, then punch and unpoison (unpoison needs refcount 1)'
  lookups(h, rows.next(looked))
  memfdControl(h, rows.next('control: memfd page, MADV_HWPOISON'))
  memfdControl(h, rows.next('control: memfd page, corrupt-pfn'))
  while (rows.step !== undefined) rows.list(rows.step, 'counters of sysfs')
}

/** What happens to the page before it is to be taken out of use. */
const BEFORE: Readonly<Record<string, (h: Host, map: bigint) => Run | number>> = {
  'host wrote, mapped, no stage 2 (madvise)': (h, map) => h.store(map, 0x5a),
  'host read only, mapped (madvise)': (h, map) => h.load(map),
  'host wrote, mapped (sysfs)': (h, map) => h.store(map, 0x5a),
  'host wrote, unmapped (sysfs)': (h, map) => h.store(map, 0x5a) + h.munmap(map, P),
  'host read only, unmapped (sysfs)': (h, map) => h.load(map) + h.munmap(map, P),
  'only fallocated (sysfs)': (h) => h.fallocate(KEEP, 0n, P),
  'guest read, no host pte (sysfs)': (h) => h.read(GPA),
  'guest wrote, no host pte (sysfs)': (h) => h.write(GPA, 0x66),
  'prefaulted only (sysfs)': (h) => h.call(sysKvmPreFaultMemory, h.vm, GPA, P, 0n),
  'host read + guest read, unmapped host (sysfs)': (h, map) => {
    h.load(map)
    const run = h.read(GPA)
    h.munmap(map, P)
    return run
  },
  'private page, SW_PROTECTED, guest read (sysfs)': (h) => h.read(GPA),
  'private page, SW_PROTECTED, guest wrote (sysfs)': (h) => h.write(GPA, 0x66),
  'private page, SW_PROTECTED, prefaulted (sysfs)': (h) =>
    h.call(sysKvmPreFaultMemory, h.vm, GPA, P, 0n),
  'private page, SW_PROTECTED, fallocated (sysfs)': (h) => h.fallocate(KEEP, 0n, P),
}

function softOffline(h: Host, row: GmemRow, what: string): void {
  const o = new Observed(row)
  let map = -1n
  if (what.startsWith('private')) priv(h)
  else map = shared(h)
  const before = BEFORE[what]!(h, map)
  for (const field of ['guest', 'prefault', 'fallocate']) o.is(field, before)
  h.call(drainLru)
  const folio = h.cached(0)!
  o.is('flags0', flags(folio))
  const ret = shown(h.call(softOfflineOp, h.fd, 0))
  o.is('sysfs_soft_offline', ret)
  o.is('MADV_SOFT_OFFLINE', ret)
  o.is('flags1', flags(folio))
  o.is('guest_read', h.read(GPA))
  if (map > 0n) {
    const view = o.has('host_load') ? map : h.mmap(h.fd, SIZE)
    o.is('host_load', h.load(view))
    o.is('newmap_load', h.load(view))
    o.is('same_pfn', Number(h.cached(0) === folio))
    o.is('guest_write', h.write(GPA, 0x12))
    o.is('host_load2', h.load(view))
  } else o.is('guest_write', h.write(GPA, 0x12))
  o.is('guest_read2', h.read(GPA))
  o.is('unpoison', shown(h.call(unpoison, folio.pfn)))
  h.closeAll()
}

/** Frames of the pages of a file. */
function frames(h: Host, fd: number, pages: number): Pfn[] {
  return Array.from({ length: pages }, (_, i) => h.cached(i, fd)!.pfn)
}

/** Compaction skips the pages early: no migration of one is ever tried. */
function compaction(h: Host, row: GmemRow, mapped: boolean): void {
  const map = shared(h)
  for (let page = 0n; page < 4n; page++) h.store(map + page * P, Number(page))
  if (!mapped) h.munmap(map, SIZE)
  const before = frames(h, h.fd, 4)
  assert.equal(h.call(compact), row.compact)
  assert.deepEqual(frames(h, h.fd, 4), before)
  assert.equal(row.moved, 0)
  h.closeAll()
}

function memfdCompaction(h: Host, row: GmemRow): void {
  const fd = h.call(sysMemfdCreate, 0)
  h.call(sysPwrite, fd, 0n, 4 * 4096, 7)
  const before = frames(h, fd, 4)
  h.call(compact)
  const after = frames(h, fd, 4)
  assert.ok(Number(row.moved) > 0 && after.every((pfn, i) => pfn !== before[i]))
  h.close(fd)
}

export function experiment5s(h: Host, rows: Rows): void {
  h.newUserMemory(4, () => 0)
  for (const what of Object.keys(BEFORE)) {
    softOffline(h, rows.next(`soft offline: ${what}`), what)
  }
  rows.list('move_pages on gmem mapping', 'one node only')
  compaction(h, rows.next('compact_memory over 6000 scattered gmem pages, host mapped'), true)
  memfdCompaction(h, rows.next('control: compact_memory over 6000 scattered memfd pages'))
  compaction(h, rows.next('compact_memory over 6000 gmem pages, unmapped'), false)
  rows.list('offline child', 'the test driver')
  const block = 'memory block offline with a gmem page inside (alarm 20 s)'
  rows.list(block, "a real block holds other pages too; the model's is made to measure")
  rows.list('GUP and friends on a shared gmem map', 'there are no pipes and no userfaultfd')
}

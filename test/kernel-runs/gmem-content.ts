/** Experiment 4: what a guest finds where, exits, prefault. */
import assert from 'node:assert/strict'
import type { KvmVcpu } from '../../src/kernel/include/kvm.js'
import { MAP_ANONYMOUS, MAP_PRIVATE, MAP_SHARED } from '../../src/kernel/include/uapi.js'
import {
  KvmPreFaultMemory,
  kvmVcpuPreFaultMemory,
} from '../../src/kernel/v6_18/virt/kvm/pre_fault.js'
import { kfree, kzalloc } from '../../src/machine/alloc.js'
import { fn, type Kernel } from '../../src/machine/fn.js'
import { GPA, type Host, P, PUNCH, type Region, type Run, shown } from './gmem-host.js'
import type { GmemRow, Rows } from './gmem-recording.js'

let left: { gpa: bigint; size: bigint } = { gpa: 0n, size: 0n }

/** KVM_PRE_FAULT_MEMORY with what it writes back. */
const prefault = fn(function* test_prefault(
  vcpu: KvmVcpu,
  gpa: bigint,
  size: bigint,
  flags: bigint,
): Kernel<number> {
  const range = kzalloc(KvmPreFaultMemory)
  range.gpa = BigInt.asIntN(64, gpa)
  range.size = BigInt.asIntN(64, size)
  const ret = yield* kvmVcpuPreFaultMemory(vcpu, range, flags)
  left = { gpa: BigInt.asUintN(64, range.gpa), size: range.size }
  kfree(range)
  return ret
})

const hex = (n: bigint): string => `0x${n.toString(16)}`

/** KVM_RUN or an ioctl as a row has it: the first number of the call's text is the address. */
class Content {
  readonly #h: Host
  readonly #rows: Rows

  constructor(h: Host, rows: Rows) {
    this.#h = h
    this.#rows = rows
  }

  /** Do what the call of the row says, and compare. */
  row(step: string): void {
    const row = this.#rows.next(step)
    const call = String(row.call)
    const [first = 0n, second = 0n] = [...call.matchAll(/0x[0-9a-f]+/g)].map(([n]) => BigInt(n))
    if (call.startsWith('guest read')) this.#read(row, first)
    else if (call.startsWith('guest write')) this.#write(row, first, second)
    else if (call.startsWith('PRE_FAULT'))
      this.#prefault(row, first, second, call.endsWith('flags 1'))
    else this.#attributes(row, first, second, BigInt(call.replace(/.* = /, '')))
    this.#host(row, first)
  }

  /** A guest access whose address the row does not have. */
  access(step: string, gpa: bigint, byte?: number): void {
    const row = this.#rows.next(step)
    const run = byte === undefined ? this.#h.read(gpa) : this.#h.write(gpa, byte)
    this.#same(row, run)
  }

  /** An action whose result the row has. */
  does(step: string, action: () => number): void {
    const row = this.#rows.next(step)
    const expected = row.errno === undefined ? row.ret : `-${row.errno}`
    assert.equal(shown(action()), expected, step)
  }

  list(step: string, why: string): void {
    this.#rows.list(step, why)
  }

  #same(row: GmemRow, run: Run): void {
    // Of an exit to a device the recording also has the length.
    const { len, gpa, ...recorded } = row.run as Run
    const expected = recorded.exit === 'MMIO' ? recorded : (row.run as Run)
    assert.deepEqual(run, expected, row.step)
  }

  /** The recorded accesses are dwords: all bytes alike, or spelt out. */
  #read(row: GmemRow, gpa: bigint): void {
    const { val } = row.run as { val?: string }
    if (val === undefined || BigInt(val) < 256n) this.#same(row, this.#h.read(gpa))
    else this.#bytes(gpa, BigInt(val), (at, byte) => assert.deepEqual(this.#h.read(at).val, byte))
  }

  #write(row: GmemRow, gpa: bigint, value: bigint): void {
    if (value < 256n) this.#same(row, this.#h.write(gpa, Number(value)))
    else this.#bytes(gpa, value, (at, byte) => this.#h.write(at, Number(byte)))
  }

  #bytes(gpa: bigint, dword: bigint, each: (gpa: bigint, byte: string) => void): void {
    for (let i = 0n; i < 4n; i++) each(gpa + i, hex((dword >> (8n * i)) & 0xffn))
  }

  #attributes(row: GmemRow, gpa: bigint, size: bigint, attributes: bigint): void {
    assert.equal(shown(this.#h.attributes(gpa, size, attributes)), row.ret, row.step)
  }

  #prefault(row: GmemRow, gpa: bigint, size: bigint, flags: boolean): void {
    const { vcpu } = this.#h
    vcpu.exitReason = -1
    const ret = this.#h.call(prefault, vcpu, gpa, size, flags ? 1n : 0n)
    const expected = row.errno === undefined ? row.ret : `-${row.errno}`
    assert.equal(shown(ret), expected, row.step)
    assert.deepEqual([hex(left.gpa), hex(left.size)], [row.out_gpa, row.out_size], row.step)
    const exit = vcpu.exitReason === 0 ? -1 : vcpu.exitReason
    assert.equal(exit, row.exit_reason_field, row.step)
  }

  /** The prefault rows whose addresses the recording has masked. */
  prefaultAt(step: string, gpa: bigint, size: bigint): void {
    const row = this.#rows.next(step)
    assert.equal(shown(this.#h.call(prefault, this.#h.vcpu, gpa, size, 0n)), `-${row.errno}`)
    assert.equal(hex(left.size), row.out_size)
  }

  #host(row: GmemRow, gpa: bigint): void {
    if (row.host_hva_byte === undefined) return
    assert.equal(this.#h.load(this.#h.hva + gpa - GPA), row.host_hva_byte, `${row.step}: host`)
  }
}

const plain: Region = { slot: 2, gpa: 2n * GPA, size: 2n * P, flags: 0 }
const del: Region = { flags: 0, size: 0n }

/** Shared memory is behind the user address, private memory in the file. */
function twoSides(h: Host, c: Content): void {
  const { hva } = h
  c.row('shared attr (default): read page0')
  c.row('shared: write page0')
  c.row('shared: read page0')
  c.row('page0 private')
  c.row('private: first read page0')
  c.row('private: write')
  c.row('private: read')
  h.store(hva, 0x33)
  c.row('host stored 0x33 at hva, private read')
  c.row('page0 shared again')
  c.row('shared: sees hva content')
  c.row('shared: write 0x44')
  c.row('page0 private again')
  c.row('private: previous private content kept?')
  c.does('punch file page0 while private', () => h.fallocate(PUNCH, 0n, P))
  c.row('private after punch')
  c.row('private write 0xBB')
  c.row('page0 shared')
  c.does('punch file page0 while shared', () => h.fallocate(PUNCH, 0n, P))
  c.row('shared after punch: unaffected')
  c.row('page0 private')
  c.row('private after punch-while-shared')
  c.row('page1 private')
  c.row('private write page1')
  // There is no madvise(); another mapping in the same place drops the page as well.
  c.does('madvise DONTNEED of hva page1', () => remap(h, hva + P))
  c.row('private page1 after DONTNEED of its hva')
  c.row('neighbour page2 still shared')
  c.row('cross-page write: page 0/1 both private')
  c.row('page3 private only')
  c.row('dword crossing shared page2 -> private page3')
  c.list('page3 start', 'the guest reads bytes, not dwords: see the row before')
  c.list('host bytes at end of page2', 'as read by the row before')
  const [low, high] = [h.load(hva + 3n * P - 2n), h.load(hva + 3n * P - 1n)]
  assert.deepEqual([low, high], [0x88, 0x77])
  assert.deepEqual([h.read(GPA + 3n * P).val, h.read(GPA + 3n * P + 1n).val], ['0x66', '0x55'])
}

/** A fresh zero page at an address of the user memory; the rest stays. */
function remap(h: Host, address: bigint): number {
  h.munmap(address, P)
  const at = h.mmapAt(address, P)
  return at === address ? 0 : -1
}

function exits(h: Host, c: Content): void {
  const hva = h.mmap(-1, 2n * P, MAP_PRIVATE | MAP_ANONYMOUS)
  c.does('slot 2 plain at 2 MiB', () => h.region({ ...plain, hva }))
  h.attributes(2n * GPA, P, 8n)
  c.access('private attribute on slot without gmem: read', 2n * GPA)
  c.access('same, write', 2n * GPA, 1)
  h.attributes(2n * GPA, P, 0n)
  c.access('back to shared', 2n * GPA)
  h.attributes(3n * GPA, P, 8n)
  c.access('private attribute, no slot at all: read', 3n * GPA)
  c.access('same, write', 3n * GPA, 1)
  h.attributes(3n * GPA, P, 0n)
  c.access('shared attribute, no slot: read', 3n * GPA)
  c.access('private write 0xC0', GPA, 0xc0)
  c.does('delete slot 1', () => h.region(del))
  c.access('read deleted slot, attr private', GPA)
  c.access('read deleted slot, attr shared', GPA + 2n * P)
  c.does('re-create slot 1 same file', () => h.region())
  c.row('content survives delete/rebind')
  h.region(del)
  c.does('re-bind at file offset 8 pages', () => h.region({ size: 8n * P, offset: 8n * P }))
  c.row('other file page: zero')
  h.region(del)
  h.region()
  c.row('bound back at offset 0')
}

function prefaults(h: Host, c: Content): void {
  c.row('prefault shared page 5')
  c.row('prefault private page 0')
  c.row('prefault 16 pages mixed')
  c.row('prefault beyond the slot (from page 8, 16 pages)')
  c.row('prefault no slot')
  h.attributes(5n * GPA, P, 8n)
  c.row('prefault no slot, private attr')
  c.row('prefault flags 1')
  c.row('prefault size 0')
  c.row('prefault unaligned gpa')
  c.row('prefault unaligned size')
  c.prefaultAt('prefault wrap', 2n ** 64n - P, 2n * P)
  c.prefaultAt('prefault end = 2^64', 2n ** 64n - P, P)
  h.attributes(2n * GPA, P, 8n)
  c.row('prefault private attr on plain slot')
  c.row('prefault plain slot page 1 (shared)')
  c.row('prefault beyond guest MAXPHYADDR')
  c.row('page6 private')
  c.row('prefault page6')
  c.does('punch page6', () => h.fallocate(PUNCH, 6n * P, P))
  c.row('page6 after prefault+punch')
}

function gone(h: Host, c: Content): void {
  const page7 = GPA + 7n * P
  h.munmap(h.hva + 7n * P, P)
  c.access('shared page with its HVA unmapped: read', page7)
  c.row('prefault shared page with HVA unmapped')
  h.attributes(page7, P, 8n)
  c.access('same page private: HVA irrelevant', page7)
  c.access('private write before close', GPA, 0xc1)
  c.does('close the only gmem fd', () => h.close(h.fd))
  c.access('private read after close', GPA)
  c.access('again', GPA)
  c.access('shared read after close', GPA + 5n * P)
  c.row('prefault private after close')
  c.row('prefault 3 pages from page 2: shared, private page3 (gmem gone)')
  h.attributes(GPA, P, 0n)
  c.access('converted to shared after close: read', GPA)
}

/** A file that can be mapped is both sides. */
function onePage(h: Host, c: Content): void {
  c.row('shared attr on gmem-only slot: read page0 (HVA byte 0x20)')
  c.row('shared attr write')
  c.row('private')
  c.row('private read: same page?')
  c.row('private write')
  c.does('punch page 0 while private', () => h.fallocate(PUNCH, 0n, P))
  c.row('after punch (private)')
  c.row('private write 0x63')
  c.row('shared')
  c.row('shared read: same page?')
  c.row('shared write 0x64')
  const filter = 'punch page 0 while shared (filter is private only)'
  c.does(filter, () => h.fallocate(PUNCH, 0n, P))
  c.row('after punch while shared: fresh zero or stale page?')
  c.row('write after')
  c.row('read after')
  c.row('private')
  c.row('private read after')
  c.row('B2: shared write 0x71 on gmem-only slot')
  c.does('B2: punch page1 (attr shared)', () => h.fallocate(PUNCH, P, P))
  c.row('B2: read: 0 expected if zapped, 0x71 if stale SPTE')
  c.row('B2: write 0x72 through it')
  c.row('B2: convert private')
  c.row('B2: private read (0 = file page is fresh; 0x72 = same page)')
}

function defaultVm(h: Host, c: Content, rows: Rows): void {
  const map = h.mmap(h.fd, 16n * P, MAP_SHARED)
  h.store(map, 0x81)
  c.row('read page0: 0x81 = gmem, 0x30 = decoy')
  c.row('write page0 0x82')
  const view = rows.next('host view')
  assert.deepEqual([h.load(map), h.load(h.hva)], [view.gmem_map, view.decoy])
  h.store(map, 0x83)
  c.row('host stored 0x83')
  c.does('punch', () => h.fallocate(PUNCH, 0n, P))
  c.row('after punch')
  assert.equal(h.load(map), rows.next('host').gmem_map)
  h.store(map, 0x84)
  c.row('host stored 0x84')
  c.list('DONTNEED host map', 'there is no madvise()')
  c.row('guest after DONTNEED')
  c.row('prefault page 3 on default VM')
  c.row('prefault 16 pages')
  rows.next('file blocks after prefault')
  c.does('SET_ATTR private on default VM', () => h.attributes(GPA, P, 8n))
  c.does('SET_ATTR 0 on default VM', () => h.attributes(GPA, P, 0n))
  h.close(h.fd)
  c.row('fd closed, map open')
  h.munmap(map, 16n * P)
  c.row('map gone too')
  c.row('write')
  c.row('prefault')
}

/**
 * A VM of its own with the test slot, in place of the last one; user memory with `first + page`, or
 * what there was.
 */
function vm(h: Host, type: number, flags: number, first?: number): number {
  h.close(h.fd)
  h.close(h.vm)
  h.newVm(type)
  h.newFile(16, flags)
  if (first !== undefined) h.newUserMemory(16, (page) => first + page)
  return h.region()
}

export function experiment4(h: Host, rows: Rows): void {
  const c = new Content(h, rows)
  const a = 'A: SW_PROTECTED VM, slot 1 = gmem 16 pages at 1 MiB with anonymous HVA'
  c.does(a, () => vm(h, 1, 0, 0x10))
  twoSides(h, c)
  exits(h, c)
  prefaults(h, c)
  gone(h, c)
  const b = 'B: SW_PROTECTED VM, MMAP file (gmem-only slot), HVA = other memory'
  c.does(b, () => vm(h, 1, 1, 0x20))
  onePage(h, c)
  c.does('C: default VM, MMAP+INIT_SHARED, HVA = decoy (0x30..)', () => vm(h, 0, 3, 0x30))
  defaultVm(h, c, rows)

  vm(h, 0, 0)
  c.row('D: default VM, flags-0 file: read page1 (decoy 0x31 = HVA path)')
  c.row('write')
  rows.next('host hva and file blocks')
  vm(h, 0, 1)
  c.row('E: default VM, MMAP-only file: read page1 (decoy 0x31)')
  c.row('write 0x9a')
  c.does('E: punch page1', () => h.fallocate(PUNCH, P, P))
  c.row('E: after punch: 0 if zapped, 0x9a if stale')
  c.row('E: write 0x9b')
  c.row('E: read')
  c.does('E: punch page1 again', () => h.fallocate(PUNCH, P, P))
  c.row('E: after 2nd punch')
  rows.next('end of 4')
}

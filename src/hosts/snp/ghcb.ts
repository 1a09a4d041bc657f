/**
 * What a guest asks of KVM by VMGEXIT: a page that it shares with the host, the GHCB, and in it, or
 * so it was once, elsewhere in shared memory, a scratch area for what the request is about. KVM has
 * the page mapped, with a reference, from the exit until the guest is entered again, a way to user
 * space and back included. All that time the guest's other vCPUs can store there: nothing guards it.
 *
 * Left out: what the guest writes into the page's save area, exit code, operands and which of them
 * are valid, is given with the instruction; GHCBs are not registered; the only request is the change
 * of page states (`psc.ts`).
 */

import { directMapLoad, directMapStore } from '../../kernel/arch/x86/mm/direct_map.js'
import { EFAULT, EINVAL, ENOMEM } from '../../kernel/include/errno.js'
import type { KvmVcpu } from '../../kernel/include/kvm.js'
import { Folio } from '../../kernel/include/mm.js'
import {
  bytesToPgoff,
  type Gfn,
  PAGE_SIZE,
  type Pgoff,
  pgoffToBytes,
  u64,
} from '../../kernel/include/types.js'
import { shouldFailslab } from '../../kernel/mm/failslab.js'
import { getUserPages } from '../../kernel/mm/gup.js'
import { folioPut } from '../../kernel/mm/swap.js'
import { searchMemslots } from '../../kernel/virt/kvm/memslots.js'
import { kfree, kzalloc } from '../../machine/alloc.js'
import { type Blob, byteAt, PAGE_BYTES, withBytes, ZERO_PAGE } from '../../machine/blob.js'
import { read, rmw, write } from '../../machine/effects.js'
import { LimitError, outOfBounds } from '../../machine/fault.js'
import { fn, type Kernel, original } from '../../machine/fn.js'
import {
  constructAt,
  errPtr,
  factsOf,
  isErr,
  num,
  type Obj,
  ptr,
  type Struct,
  struct,
  wide,
} from '../../machine/struct.js'
import { MAX_TASKS } from '../../machine/task.js'
import type { GuestWord } from '../../user/confidential.js'

/** Where in the page the shared buffer begins, and what is behind it. */
export const SHARED_BUFFER = 0x800
export const SHARED_BUFFER_END = 0xff0

/** SW_EXITINFO1: the request makes no sense, and SW_EXITINFO2 says why. */
export const GHCB_HV_RESP_MALFORMED_INPUT = 2
export const GHCB_ERR_INVALID_SCRATCH_AREA = 3

/** A scratch area outside of the GHCB is copied: kvzalloc() of as much as the guest says. */
export interface GhcbBuffer extends Obj {
  data: number
  length: number
}

export const GhcbBuffer: Struct<GhcbBuffer> = struct<GhcbBuffer>(
  'GhcbBuffer',
  { data: num(), length: num() },
  { capacity: MAX_TASKS },
)

/**
 * What struct vcpu_sev_es_state has for a request under way, and kvm_run for user space. All the
 * vCPU's.
 */
export interface VcpuGhcb extends Obj {
  /** ghcb_map: NULL while there is no request. */
  ghcb: Folio | null
  /** sw_scratch, of an area outside of the page. */
  scratchGpa: GuestWord
  /** ghcb_sa: at this offset of the page, or a buffer. */
  scratchAt: number
  buffer: GhcbBuffer | null
  /** ghcb_sa_len, in bytes. */
  scratchLength: number
  /** Of a page state change: which entry comes next, and how many are with user space. */
  index: number
  inFlight: number
  /** The last entry, as of 7.1.8. */
  last: number
  /** KVM_EXIT_HYPERCALL, KVM_HC_MAP_GPA_RANGE: its arguments, and what user space answers. */
  gfn: Gfn
  npages: number
  attributes: number
  ret: number
  /** SW_EXITINFO1 and 2: what the guest hears. By the MSR, its bits 63 to 32 are the second. */
  exitInfo1: number
  exitInfo2: GuestWord
}

export const VcpuGhcb: Struct<VcpuGhcb> = struct<VcpuGhcb>(
  'VcpuGhcb',
  {
    ghcb: ptr('Folio'),
    scratchGpa: wide(),
    scratchAt: num(),
    buffer: ptr('GhcbBuffer'),
    scratchLength: num(),
    index: num(),
    inFlight: num(),
    last: num(),
    gfn: wide(),
    npages: num(),
    attributes: num(),
    ret: num(),
    exitInfo1: num(),
    exitInfo2: wide(),
  },
  { capacity: MAX_TASKS },
)

function ghcbAt(task: number): VcpuGhcb {
  return VcpuGhcb.at(VcpuGhcb.base + task * VcpuGhcb.words) as VcpuGhcb
}

export function ghcbOf(vcpu: KvmVcpu): VcpuGhcb {
  return ghcbAt(vcpu.id)
}

/** Power-on: no request is under way. */
export function ghcbInit(): void {
  const areas = VcpuGhcb as unknown as Struct<Obj>
  for (let n = 0; n < MAX_TASKS; n++) constructAt(areas, ghcbAt(n).at, 0)
}

/**
 * The process's page behind a gfn, to be written, with a reference; -EINVAL where there is none. SRCU
 * is held.
 *
 * Models: 6.17 virt/kvm/kvm_main.c __kvm_vcpu_map. Compared: 7.0 source.
 */
export const kvmVcpuMap = fn(function* kvm_vcpu_map(vcpu: KvmVcpu, gfn: Gfn): Kernel<Folio> {
  const kvm = vcpu.kvm!
  yield read(kvm, 'memslots')
  const slot = searchMemslots(kvm.memslots!, gfn)
  if (slot === null) return errPtr(Folio, -EINVAL)
  const page = (slot.userspaceAddr + (gfn - slot.baseGfn)) as Pgoff
  const folio = yield* getUserPages(pgoffToBytes(page), true)
  return isErr(folio) ? errPtr(Folio, -EINVAL) : folio
})

/** The bytes [offset, offset + length) of one content, where another has them from `to` on. */
function copied(from: Blob, offset: number, into: Blob, to: number, length: number): Blob {
  let result = into
  for (let i = 0; i < length; i++) {
    const byte = byteAt(from, offset + i)
    if (byte !== byteAt(result, to + i)) result = withBytes(result, to + i, 1, byte)
  }
  return result
}

/** kvm_read_guest() of the scratch area into the buffer: 0 or -EFAULT. */
export const readBuffer = fn(function* kvm_read_guest(
  vcpu: KvmVcpu,
  gpa: bigint,
  buffer: GhcbBuffer,
): Kernel<number> {
  if (buffer.length === 0) return 0
  const offset = Number(gpa % PAGE_SIZE)
  if (offset + buffer.length > PAGE_BYTES) throw new LimitError('a scratch area of several pages')
  const folio = yield* kvmVcpuMap(vcpu, bytesToPgoff(gpa) as number as Gfn)
  if (isErr(folio)) return -EFAULT
  yield read(folio, 'data')
  directMapLoad(folio)
  buffer.data = copied(folio.data as Blob, offset, ZERO_PAGE, 0, buffer.length)
  yield* folioPut(folio)
  return 0
})

/** kvm_write_guest() of the buffer, whose error nobody looks at. */
export const writeBuffer = fn(function* kvm_write_guest(
  vcpu: KvmVcpu,
  gpa: bigint,
  buffer: GhcbBuffer,
): Kernel<void> {
  if (buffer.length === 0) return
  const folio = yield* kvmVcpuMap(vcpu, bytesToPgoff(gpa) as number as Gfn)
  if (isErr(folio)) return
  yield write(folio, 'data')
  directMapStore(folio)
  const offset = Number(gpa % PAGE_SIZE)
  folio.data = copied(buffer.data as Blob, 0, folio.data as Blob, offset, buffer.length)
  yield* folioPut(folio)
})

/** svm_vmgexit_bad_input(). */
export function badInput(g: VcpuGhcb, reason: number): void {
  g.exitInfo1 = GHCB_HV_RESP_MALFORMED_INPUT
  g.exitInfo2 = reason as GuestWord
}

/** Does [scratch, scratch + length) lie in the shared buffer of the GHCB at this gfn? */
function inSharedBuffer(scratch: bigint, length: bigint): boolean {
  const offset = scratch % PAGE_SIZE
  return offset >= SHARED_BUFFER && offset + length <= SHARED_BUFFER_END
}

/** GHCB_SCRATCH_AREA_LIMIT, in bytes. */
const SCRATCH_AREA_LIMIT = 16n * PAGE_SIZE

/**
 * Where is the scratch area? 0: there, `length` bytes of it, which is what the guest says. 1: nowhere
 * that makes sense, and the guest is told so. -ENOMEM or -EFAULT end KVM_RUN.
 *
 * Models: 6.17 arch/x86/kvm/svm/sev.c setup_vmgexit_scratch. Compared: 7.0 source.
 */
export const setupVmgexitScratch = fn(function* setup_vmgexit_scratch(
  vcpu: KvmVcpu,
  ghcbGfn: Gfn,
  scratch: bigint,
  length: bigint,
): Kernel<number> {
  const g = ghcbOf(vcpu)
  const wraps = u64(scratch + length) < scratch
  const inGhcb = bytesToPgoff(scratch) === (ghcbGfn as number)
  const fits = inGhcb ? inSharedBuffer(scratch, length) : length <= SCRATCH_AREA_LIMIT
  if (scratch === 0n || wraps || !fits) {
    badInput(g, GHCB_ERR_INVALID_SCRATCH_AREA)
    return 1
  }
  if (inGhcb) g.scratchAt = Number(scratch % PAGE_SIZE)
  else {
    if (yield* shouldFailslab()) return -ENOMEM
    const buffer = kzalloc(GhcbBuffer)
    buffer.data = ZERO_PAGE
    buffer.length = Number(length)
    if ((yield* readBuffer(vcpu, scratch, buffer)) !== 0) {
      kfree(buffer)
      return -EFAULT
    }
    g.buffer = buffer
    g.scratchGpa = Number(scratch) as GuestWord
  }
  g.scratchLength = Number(length)
  return 0
})

/** The least that a scratch area must have room for: the header of a page state change. */
const HEADER_BYTES = 8n

/**
 * The same without asking the guest how long it is: it is in the GHCB, as version 2 of the protocol
 * demands, and reaches to the end of the shared buffer.
 *
 * Models: 7.1.8 arch/x86/kvm/svm/sev.c setup_vmgexit_scratch.
 */
export const setupVmgexitScratchInGhcb = fn(function* setup_vmgexit_scratch(
  vcpu: KvmVcpu,
  ghcbGfn: Gfn,
  scratch: bigint,
  _length: bigint,
): Kernel<number> {
  const g = ghcbOf(vcpu)
  const inGhcb = bytesToPgoff(scratch) === (ghcbGfn as number)
  if (scratch === 0n || !inGhcb || !inSharedBuffer(scratch, HEADER_BYTES)) {
    badInput(g, GHCB_ERR_INVALID_SCRATCH_AREA)
    return 1
  }
  g.scratchAt = Number(scratch % PAGE_SIZE)
  g.scratchLength = SHARED_BUFFER_END - g.scratchAt
  return 0
})

/**
 * KVM's pointer does not know where its memory ends: KASAN would, of a buffer, and nobody of a
 * page.
 */
function checkBounds(g: VcpuGhcb, at: number, length: number): void {
  if (g.buffer !== null) {
    if (at + length <= g.buffer.length) return
    const text = `KVM accesses bytes ${at} to ${at + length - 1} of a buffer of ${g.buffer.length}`
    outOfBounds(text, factsOf([g.buffer], { offset: at }))
  }
  const end = g.scratchAt + at + length
  if (end <= PAGE_BYTES) return
  const text = `KVM accesses ${length} bytes that end ${end - PAGE_BYTES} behind the page of the GHCB`
  outOfBounds(text, factsOf([g.ghcb!], { pfn: g.ghcb!.pfn, offset: at }))
}

function littleEndian(blob: Blob, at: number, length: number): bigint {
  let value = 0n
  for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(byteAt(blob, at + i))
  return value
}

/** Load `length` bytes, at most 8, at an offset into the scratch area. */
export const loadScratch = fn(function* ghcb_sa_load(
  g: VcpuGhcb,
  at: number,
  length: number,
): Kernel<bigint> {
  checkBounds(g, at, length)
  if (g.buffer !== null) return littleEndian(g.buffer.data as Blob, at, length)
  const folio = g.ghcb!
  yield read(folio, 'data')
  directMapLoad(folio)
  return littleEndian(folio.data as Blob, g.scratchAt + at, length)
})

/**
 * Change 16 bits at an offset into the scratch area: those of the mask are set to `value`, or to what
 * they are and one more.
 */
export const storeScratch = fn(function* ghcb_sa_store(
  g: VcpuGhcb,
  at: number,
  mask: number,
  value: number,
): Kernel<void> {
  checkBounds(g, at, 2)
  if (g.buffer !== null) {
    g.buffer.data = withWord(g.buffer.data as Blob, at, mask, value)
    return
  }
  const folio = g.ghcb!
  yield rmw(folio, 'data')
  directMapStore(folio)
  folio.data = withWord(folio.data as Blob, g.scratchAt + at, mask, value)
})

/** What is stored is the old value and one more. */
export const INCREMENT = -1

function withWord(blob: Blob, at: number, mask: number, value: number): Blob {
  const old = Number(littleEndian(blob, at, 2))
  const word = (old & ~mask) | ((value === INCREMENT ? old + 1 : value) & mask)
  return withBytes(withBytes(blob, at, 1, word & 0xff), at + 1, 1, word >> 8)
}

/** What the guest was told it knows, and what user space was asked is done. */
export function forgetRequest(g: VcpuGhcb): void {
  g.gfn = 0 as Gfn
  g.npages = 0
  g.attributes = 0
  g.ret = 0
  g.exitInfo1 = 0
  g.exitInfo2 = 0 as GuestWord
}

/**
 * Before the guest is entered again: a buffer is copied back, and the page unmapped.
 *
 * Models: 6.17 arch/x86/kvm/svm/sev.c sev_es_unmap_ghcb. Compared: 7.0 and 7.1 source.
 */
export const sevEsUnmapGhcb = fn(function* sev_es_unmap_ghcb(vcpu: KvmVcpu): Kernel<void> {
  const g = ghcbOf(vcpu)
  const ghcb = g.ghcb
  const buffer = g.buffer
  if (ghcb === null) return
  if (buffer !== null) {
    yield* writeBuffer(vcpu, BigInt(g.scratchGpa), buffer)
    kfree(buffer)
  }
  yield* folioPut(ghcb)
  forgetGhcb(g)
})

function forgetGhcb(g: VcpuGhcb): void {
  g.ghcb = null
  g.buffer = null
  g.scratchGpa = 0 as GuestWord
  g.scratchAt = 0
  g.scratchLength = 0
  g.index = 0
  g.inFlight = 0
  g.last = 0
}

/**
 * The task's vCPU goes, and perhaps a request with it that user space never came back from: the
 * buffer is freed, and the page stays mapped, and pinned, for ever.
 *
 * Models: 6.17 arch/x86/kvm/svm/sev.c sev_free_vcpu, but for the save area. Compared: 7.0 source.
 */
export const sevFreeVcpu = fn(function* sev_free_vcpu(task: number): Kernel<void> {
  const g = ghcbAt(task)
  kfree(g.buffer)
  forgetGhcb(g)
  forgetRequest(g)
})

const freeVcpu = original(sevFreeVcpu)

/** The same, and the page is unmapped. Models: 7.1.8 arch/x86/kvm/svm/sev.c sev_free_vcpu. */
export const sevFreeVcpuUnmaps = fn(function* sev_free_vcpu(task: number): Kernel<void> {
  const ghcb = ghcbAt(task).ghcb
  if (ghcb !== null) yield* folioPut(ghcb)
  yield* freeVcpu(task)
})

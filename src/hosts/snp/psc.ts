/**
 * KVM's side of a page state change, as of 6.11: the guest asks for pages to become shared or
 * private, by the GHCB MSR for one page, or by a buffer of entries in its scratch area. KVM changes
 * nothing itself: it leaves KVM_RUN with KVM_HC_MAP_GPA_RANGE, once for entries that continue each
 * other, and user space sets the attributes. What has been done is noted in the buffer, which the
 * guest can change at any moment.
 *
 * The reverse map table follows later: a page that becomes private is assigned when it is first used,
 * one that becomes shared stays the guest's until the file lets it go.
 */
import type { KvmVcpu } from '../../kernel/include/kvm.js'
import { type Gfn, PAGE_SIZE, type Pgoff, pgoffToBytes } from '../../kernel/include/types.js'
import { KVM_MEMORY_ATTRIBUTE_PRIVATE } from '../../kernel/include/uapi.js'
import { mark, tracepoint, warnOn } from '../../machine/fault.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { srcuReadLock, srcuReadUnlock } from '../../machine/rcu.js'
import type { GuestWord } from '../../user/confidential.js'
import { vmmConvert } from '../../user/vmm.js'
import { ghcbOf, INCREMENT, loadScratch, storeScratch, type VcpuGhcb } from './ghcb.js'
import { REGION } from './rmp.js'
import { sevInfo } from './vm.js'

/** Operations, of both protocols. Others, as PSMASH, KVM does not know. */
export const VMGEXIT_PSC_OP_PRIVATE = 1
export const VMGEXIT_PSC_OP_SHARED = 2

/** What SW_EXITINFO2 says of a change that was not made, or not of all pages. */
export const VMGEXIT_PSC_ERROR_GENERIC = 0x100_0000_0000
export const VMGEXIT_PSC_ERROR_INVALID_HDR = 0x1_0000_0001
export const VMGEXIT_PSC_ERROR_INVALID_ENTRY = 0x1_0000_0002

/** What is in bits 11 to 0 of the MSR, when the guest asks and when it is answered. */
const GHCB_MSR_PSC_REQ = 0x014n
const GHCB_MSR_PSC_RESP = 0x015n
/** Bits 63 to 32 of an answer that is no success. */
export const GHCB_MSR_PSC_ERROR = 0x8000_0000

/** GHCB_MSR_PSC_REQ_GFN(): the word that the guest puts into the MSR. */
export function pscRequest(gfn: Gfn, operation: number): bigint {
  return (BigInt(operation) << 52n) | (BigInt(gfn) << 12n) | GHCB_MSR_PSC_REQ
}

/** The word that it finds there: GHCB_MSR_PSC_RESP, or GHCB_MSR_PSC_RESP_ERROR. */
export function pscResponse(vcpu: KvmVcpu): bigint {
  return (BigInt(ghcbOf(vcpu).exitInfo2) << 32n) | GHCB_MSR_PSC_RESP
}

/** Entries for which the shared buffer has room. */
export const VMGEXIT_PSC_MAX_COUNT = 253

/** Where struct psc_hdr has its two indices, and where the entries begin, of 8 bytes each. */
const CUR_ENTRY = 0
const END_ENTRY = 2
const ENTRIES = 8
const ENTRY_BYTES = 8
/** cur_page, the low bits of an entry. */
const CUR_PAGE = 0xfff
const ALL_BITS = 0xffff

function entryAt(index: number): number {
  return ENTRIES + index * ENTRY_BYTES
}

function curPageOf(entry: bigint): number {
  return Number(entry & 0xfffn)
}

function gfnOf(entry: bigint): Gfn {
  return Number((entry >> 12n) & 0xff_ffff_ffffn) as Gfn
}

function operationOf(entry: bigint): number {
  return Number((entry >> 52n) & 0xfn)
}

function isLarge(entry: bigint): boolean {
  return ((entry >> 56n) & 1n) !== 0n
}

/** Pages of an entry: a 2 MiB region has `REGION` here, and 512 in Linux. */
function pagesOf(large: boolean): number {
  return large ? REGION : 1
}

/** What the exit handlers of KVM return, beside errors. */
export const TO_USER = 0
export const TO_GUEST = 1
/** goto next_range. */
const NEXT_RANGE = 2

/** SW_EXITINFO1 always says that there is nothing to do. */
function snpCompletePsc(g: VcpuGhcb, result: number): number {
  g.inFlight = 0
  g.index = 0
  g.last = 0
  g.exitInfo1 = 0
  g.exitInfo2 = result as GuestWord
  return TO_GUEST
}

/** Does user space want to hear of KVM_HC_MAP_GPA_RANGE? */
function userExitOnMapGpaRange(vcpu: KvmVcpu): boolean {
  return sevInfo(vcpu.kvm!).exitOnMapGpaRange
}

/** KVM_EXIT_HYPERCALL. The answer is preset, for user space that does not know of it. */
function mapGpaRange(g: VcpuGhcb, gfn: Gfn, npages: number, operation: number): number {
  g.gfn = gfn
  g.npages = npages
  g.attributes = operation === VMGEXIT_PSC_OP_PRIVATE ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0
  g.ret = 0
  tracepoint('kvm_map_gpa_range', gfn, npages, g.attributes)
  mark('exit-map-gpa-range')
  return TO_USER
}

/**
 * All that was with user space has been done: say so in the buffer. The index is kept for the next
 * range, which up to 7.0 reads it again.
 *
 * Models: 6.17 arch/x86/kvm/svm/sev.c __snp_complete_one_psc. Compared: 7.0 and 7.1 source.
 */
export const snpCompleteRange = fn(function* __snp_complete_one_psc(g: VcpuGhcb): Kernel<void> {
  while (g.inFlight > 0) {
    const entry = yield* loadScratch(g, entryAt(g.index), ENTRY_BYTES)
    yield* storeScratch(g, entryAt(g.index), CUR_PAGE, pagesOf(isLarge(entry)))
    g.inFlight -= 1
    g.index += 1
  }
  yield* storeScratch(g, CUR_ENTRY, ALL_BITS, g.index)
})

/** Further entries that continue the first one, of `npages`: how many pages all have. */
export const combineEntries = fn(function* snp_combine_psc(
  g: VcpuGhcb,
  first: bigint,
  npages: number,
  huge: boolean,
  last: number,
): Kernel<number> {
  let pages = npages
  let index = g.index + 1
  while (index <= last) {
    const entry = yield* loadScratch(g, entryAt(index), ENTRY_BYTES)
    const continues =
      operationOf(entry) === operationOf(first) &&
      gfnOf(entry) === gfnOf(first) + pages &&
      curPageOf(entry) === 0 &&
      isLarge(entry) === huge
    if (!continues) break
    g.inFlight += 1
    pages += pagesOf(huge)
    index += 1
  }
  return pages
})

/**
 * Look for pages that are to be changed, from entry `from` to `last`, and ask user space to: TO_USER;
 * TO_GUEST if there are none, or an entry makes no sense; NEXT_RANGE where they are to be changed to
 * what KVM does not know, which counts as done.
 *
 * Models: 6.17 arch/x86/kvm/svm/sev.c snp_begin_psc, behind its look at the header. Simplifies: an
 * entry is loaded once; up to 7.0 nothing says so, and a compiler might do it again where it is
 * used. Compared: 7.0 and 7.1 source, snp_do_psc there.
 */
export const snpDoRange = fn(function* snp_do_psc(
  g: VcpuGhcb,
  from: number,
  last: number,
): Kernel<number> {
  let index = from
  let entry = 0n
  let gfn = 0 as Gfn
  let npages = 0
  let huge = false
  while (index <= last && npages === 0) {
    entry = yield* loadScratch(g, entryAt(index), ENTRY_BYTES)
    huge = isLarge(entry)
    gfn = gfnOf(entry)
    npages = pagesOf(huge)
    const done = curPageOf(entry)
    if (done > npages || gfn % npages !== 0) {
      return snpCompletePsc(g, VMGEXIT_PSC_ERROR_INVALID_ENTRY)
    }
    if (done > 0) {
      // Begun before: what is left of it is changed in steps of 4 KiB.
      npages -= done
      gfn = (gfn + done) as Gfn
      huge = false
    }
    if (npages === 0) {
      index += 1
      yield* storeScratch(g, CUR_ENTRY, ALL_BITS, INCREMENT)
    }
  }
  if (npages === 0) return snpCompletePsc(g, 0)
  g.index = index
  g.inFlight = 1
  npages = yield* combineEntries(g, entry, npages, huge, last)
  const operation = operationOf(entry)
  if (operation === VMGEXIT_PSC_OP_PRIVATE || operation === VMGEXIT_PSC_OP_SHARED) {
    return mapGpaRange(g, gfn, npages, operation)
  }
  yield* snpCompleteRange(g)
  return NEXT_RANGE
})

/**
 * Go on with the buffer: the header is read anew for every range, so a guest may move its end while
 * user space is at work. No more than the 253 entries that fit into a whole buffer are looked at;
 * how long this one is, nobody asks.
 *
 * Models: 6.17 arch/x86/kvm/svm/sev.c snp_begin_psc. Compared: 7.0 source.
 */
export const snpContinuePsc = fn(function* snp_begin_psc(vcpu: KvmVcpu): Kernel<number> {
  const g = ghcbOf(vcpu)
  if (!userExitOnMapGpaRange(vcpu)) return snpCompletePsc(g, VMGEXIT_PSC_ERROR_GENERIC)
  let ret = NEXT_RANGE
  while (ret === NEXT_RANGE) {
    if (warnOn(g.inFlight !== 0, 'SEV: a page state change is in flight')) {
      return snpCompletePsc(g, VMGEXIT_PSC_ERROR_GENERIC)
    }
    const from = Number(yield* loadScratch(g, CUR_ENTRY, 2))
    const last = Number(yield* loadScratch(g, END_ENTRY, 2))
    if (last >= VMGEXIT_PSC_MAX_COUNT) return snpCompletePsc(g, VMGEXIT_PSC_ERROR_INVALID_HDR)
    ret = yield* snpDoRange(g, from, last)
  }
  return ret
})

/**
 * The same with the indices of the beginning, whatever the guest does to the header.
 *
 * Models: 7.1.8 arch/x86/kvm/svm/sev.c snp_do_psc.
 */
export const snpContinuePscOnce = fn(function* snp_do_psc(vcpu: KvmVcpu): Kernel<number> {
  const g = ghcbOf(vcpu)
  let ret = NEXT_RANGE
  while (ret === NEXT_RANGE) {
    if (warnOn(g.inFlight !== 0, 'SEV: a page state change is in flight')) {
      return snpCompletePsc(g, VMGEXIT_PSC_ERROR_GENERIC)
    }
    ret = yield* snpDoRange(g, g.index, g.last)
  }
  return ret
})

/** SVM_VMGEXIT_PSC, its scratch area being set up: TO_USER or TO_GUEST. */
export const snpBeginPsc = fn(function* snp_begin_psc(vcpu: KvmVcpu): Kernel<number> {
  return yield* snpContinuePsc(vcpu)
})

/**
 * The header is read once, and its end must lie in the scratch area.
 *
 * Models: 7.1.8 arch/x86/kvm/svm/sev.c snp_begin_psc.
 */
export const snpBeginPscOnce = fn(function* snp_begin_psc(vcpu: KvmVcpu): Kernel<number> {
  const g = ghcbOf(vcpu)
  if (!userExitOnMapGpaRange(vcpu)) return snpCompletePsc(g, VMGEXIT_PSC_ERROR_GENERIC)
  const room = Math.floor((g.scratchLength - ENTRIES) / ENTRY_BYTES)
  if (warnOn(room > VMGEXIT_PSC_MAX_COUNT, 'SEV: a scratch area of more than a buffer')) {
    return snpCompletePsc(g, VMGEXIT_PSC_ERROR_GENERIC)
  }
  g.index = Number(yield* loadScratch(g, CUR_ENTRY, 2))
  g.last = Number(yield* loadScratch(g, END_ENTRY, 2))
  if (g.last >= room) return snpCompletePsc(g, VMGEXIT_PSC_ERROR_INVALID_HDR)
  return yield* snpContinuePsc(vcpu)
})

/**
 * User space has answered: TO_USER with the next range, or TO_GUEST.
 *
 * Models: 6.17 arch/x86/kvm/svm/sev.c snp_complete_one_psc. Compared: 7.0 and 7.1 source.
 */
export const snpCompleteOnePsc = fn(function* snp_complete_one_psc(vcpu: KvmVcpu): Kernel<number> {
  const g = ghcbOf(vcpu)
  if (g.ret !== 0) return snpCompletePsc(g, VMGEXIT_PSC_ERROR_GENERIC)
  yield* snpCompleteRange(g)
  return yield* snpContinuePsc(vcpu)
})

/**
 * GHCB_MSR_PSC_REQ, the word that the guest has put into the MSR: one page. TO_USER, or TO_GUEST with
 * an error for an operation that there is not, and where user space does not want to hear.
 *
 * Models: 6.17 arch/x86/kvm/svm/sev.c snp_begin_psc_msr. Compared: 7.0 and 7.1 source.
 */
export function snpBeginPscMsr(vcpu: KvmVcpu, request: bigint): number {
  const g = ghcbOf(vcpu)
  const operation = operationOf(request)
  const known = operation === VMGEXIT_PSC_OP_PRIVATE || operation === VMGEXIT_PSC_OP_SHARED
  if (known && userExitOnMapGpaRange(vcpu)) return mapGpaRange(g, gfnOf(request), 1, operation)
  g.exitInfo2 = GHCB_MSR_PSC_ERROR as GuestWord
  return TO_GUEST
}

/** Models: 6.17 arch/x86/kvm/svm/sev.c snp_complete_psc_msr. Compared: 7.0 and 7.1 source. */
export function snpCompletePscMsr(vcpu: KvmVcpu): number {
  const g = ghcbOf(vcpu)
  g.exitInfo2 = (g.ret === 0 ? 0 : GHCB_MSR_PSC_ERROR) as GuestWord
  return TO_GUEST
}

/** A VMM that does as KVM_HC_MAP_GPA_RANGE asks, and says whether it could. */
export const vmmMapGpaRange = fn(function* vmm_map_gpa_range(
  vm: number,
  vcpu: KvmVcpu,
): Kernel<void> {
  const g = ghcbOf(vcpu)
  const gpa = pgoffToBytes(g.gfn as number as Pgoff)
  const size = BigInt(g.npages) * PAGE_SIZE
  g.ret = yield* vmmConvert(vm, gpa, size, g.attributes)
})

/**
 * SVM_VMGEXIT_PSC from its beginning to where the guest goes on, user space's part included:
 * TO_GUEST. TO_USER: user space does not come back from the exit.
 */
export const snpPsc = fn(function* snp_psc(
  vm: number,
  vcpu: KvmVcpu,
  answered: boolean,
): Kernel<number> {
  const kvm = vcpu.kvm!
  srcuReadLock(kvm.srcu)
  let ret = yield* snpBeginPsc(vcpu)
  srcuReadUnlock(kvm.srcu)
  while (ret === TO_USER && answered) {
    yield* vmmMapGpaRange(vm, vcpu)
    srcuReadLock(kvm.srcu)
    ret = yield* snpCompleteOnePsc(vcpu)
    srcuReadUnlock(kvm.srcu)
  }
  return ret
})

/**
 * In the tree of 2023 user space gets the buffer as it is (KVM_EXIT_VMGEXIT) and reads it itself;
 * whatever it does, the guest hears that all went well.
 *
 * Models: 20230220183847.59159 arch/x86/kvm/svm/sev.c, as far as is told of it: SVM_VMGEXIT_PSC;
 * and a VMM that goes through the entries.
 */
export const snpPsc2023 = fn(function* snp_psc(
  vm: number,
  vcpu: KvmVcpu,
  answered: boolean,
): Kernel<number> {
  if (!answered) return TO_USER
  const g = ghcbOf(vcpu)
  g.index = Number(yield* loadScratch(g, CUR_ENTRY, 2))
  g.last = Number(yield* loadScratch(g, END_ENTRY, 2))
  while (g.index <= g.last && g.index < VMGEXIT_PSC_MAX_COUNT) {
    const entry = yield* loadScratch(g, entryAt(g.index), ENTRY_BYTES)
    mapGpaRange(g, gfnOf(entry), pagesOf(isLarge(entry)), operationOf(entry))
    yield* vmmMapGpaRange(vm, vcpu)
    g.index += 1
    yield* storeScratch(g, CUR_ENTRY, ALL_BITS, g.index)
  }
  return snpCompletePsc(g, 0)
})

/**
 * A guest's page fault as of 6.18. New against 6.2: what the guest asked for and what the gfn is
 * must agree; a slot may have all its memory in a guest_memfd file; the invalidation is looked at
 * before any page is touched, without a lock, and again under mmu_lock; an error of guest_memfd
 * leaves KVM_RUN; and the page is dirty as soon as it is mapped for writing.
 */

import { offStack, onStack } from '../../../../../machine/alloc.js'
import { alsoReads, alsoWrites, read, rmw } from '../../../../../machine/effects.js'
import { fn, type Kernel } from '../../../../../machine/fn.js'
import { readLock, readUnlock } from '../../../../../machine/locks.js'
import { srcuReadLock, srcuReadUnlock } from '../../../../../machine/rcu.js'
import { errPtr, isErr, ptrErr } from '../../../../../machine/struct.js'
import { isRootObsolete } from '../../../../arch/x86/kvm/mmu.js'
import { kvmTdpMmuMap } from '../../../../arch/x86/kvm/tdp_mmu.js'
import { kvmMmuFaultIsPrivate } from '../../../../arch/x86/kvm/x86_ops.js'
import { EAGAIN, EFAULT, EHWPOISON, EINTR, ENXIO } from '../../../../include/errno.js'
import {
  KVM_EXIT_INTR,
  KVM_EXIT_MEMORY_FAULT,
  KVM_EXIT_MMIO,
  KVM_EXIT_UNKNOWN,
  KVM_MEMORY_EXIT_FLAG_PRIVATE,
  KVM_MEMSLOT_GMEM_ONLY,
  KVM_MEMSLOT_INVALID,
  type Kvm,
  type KvmMemorySlot,
  KvmPageFault,
  type KvmVcpu,
  type Spte,
} from '../../../../include/kvm.js'
import { Folio } from '../../../../include/mm.js'
import type { Gfn } from '../../../../include/types.js'
import { KVM_MEM_GUEST_MEMFD } from '../../../../include/uapi.js'
import { xaErase } from '../../../../lib/xarray.js'
import { folioPut } from '../../../../mm/swap.js'
import { gfnToPfnMemslot, KVM_PFN_ERR_RO_FAULT } from '../../../../virt/kvm/hva_to_pfn.js'
import { mmuInvalidateRetryGfn } from '../../../../virt/kvm/invalidate.js'
import { attrPrivate } from '../../../../virt/kvm/memory_attributes.js'
import { searchMemslots } from '../../../../virt/kvm/memslots.js'
import { kvmGmemGetPfn } from '../../../virt/kvm/guest_memfd_slot.js'

/** RET_PF_*, as far as a caller tells them apart; negative numbers are errors. */
export const RET_PF_RETRY = 1
export const RET_PF_EMULATE = 2
export const RET_PF_FIXED = 3

/** Models: 6.18 include/linux/kvm_host.h kvm_prepare_memory_fault_exit. The size is a page. */
function prepareMemoryFaultExit(vcpu: KvmVcpu, gfn: Gfn, isPrivate: boolean): void {
  vcpu.exitReason = KVM_EXIT_MEMORY_FAULT
  vcpu.faultFlags = isPrivate ? KVM_MEMORY_EXIT_FLAG_PRIVATE : 0
  vcpu.faultGpa = BigInt.asIntN(64, BigInt(gfn) << 12n)
}

/** kvm_memslot_is_gmem_only(). */
function isGmemOnly(slot: KvmMemorySlot): boolean {
  return (slot.flags & KVM_MEMSLOT_GMEM_ONLY) !== 0
}

/**
 * Would the page be looked up in vain? No lock is held, so the answer may be wrong both ways.
 *
 * Models: 6.18 include/linux/kvm_host.h mmu_invalidate_retry_gfn_unsafe. Simplifies: count, range
 * and sequence are read in one step.
 */
export const retryGfnUnsafe = fn(function* mmu_invalidate_retry_gfn_unsafe(
  vcpu: KvmVcpu,
  gfn: Gfn,
): Kernel<boolean> {
  const kvm = vcpu.kvm!
  yield read(kvm, 'mmuInvalidateSeq')
  alsoReads(vcpu, 'mmuSeq')
  alsoReads(kvm, 'mmuInvalidateInProgress')
  alsoReads(kvm, 'mmuInvalidateRangeStart')
  const inRange = gfn >= kvm.mmuInvalidateRangeStart && gfn < kvm.mmuInvalidateRangeEnd
  return (kvm.mmuInvalidateInProgress !== 0 && inRange) || kvm.mmuInvalidateSeq !== vcpu.mmuSeq
})

/**
 * The page in guest_memfd, with a reference, or an ERR_PTR with the exit filled in.
 *
 * Models: 6.18 arch/x86/kvm/mmu/mmu.c kvm_mmu_faultin_pfn_gmem.
 */
export const faultinPfnGmem = fn(function* kvm_mmu_faultin_pfn_gmem(
  vcpu: KvmVcpu,
  fault: KvmPageFault,
  isPrivate: boolean,
): Kernel<Folio> {
  const slot = fault.slot!
  const gfn = fault.gfn
  if (!(slot.flags & KVM_MEM_GUEST_MEMFD)) {
    prepareMemoryFaultExit(vcpu, gfn, isPrivate)
    return errPtr(Folio, -EFAULT)
  }
  const folio = yield* kvmGmemGetPfn(slot, gfn)
  if (isErr(folio)) prepareMemoryFaultExit(vcpu, gfn, isPrivate)
  // A slot with such a file is never read-only.
  fault.mapWritable = true
  return folio
})

/**
 * No page of the process for the guest: RET_PF_EMULATE for a write to a slot that only reads, else
 * an error that fills in no exit. A poisoned page is a SIGBUS to the VMM: the vCPU is to try again,
 * and KVM_RUN leaves for the signal before it does.
 *
 * Models: 6.18 arch/x86/kvm/mmu/mmu.c kvm_handle_error_pfn, with kvm_handle_signal_exit. Simplifies:
 * the signal is only seen by its -EINTR.
 *
 * Compared: 6.17 source.
 */
function handleErrorPfn(vcpu: KvmVcpu, errno: number): number {
  if (errno === KVM_PFN_ERR_RO_FAULT) return RET_PF_EMULATE
  const poisoned = errno === -EHWPOISON
  vcpu.exitReason = poisoned ? KVM_EXIT_INTR : KVM_EXIT_UNKNOWN
  return poisoned ? -EINTR : -EFAULT
}

/**
 * The fault is done with its page, which may have become dirty by that.
 *
 * Models: 6.18 include/linux/kvm_host.h kvm_release_faultin_page.
 */
export const kvmReleaseFaultinPage = fn(function* kvm_release_faultin_page(
  folio: Folio,
  _fromFile: boolean,
  dirty: boolean,
): Kernel<void> {
  if (dirty) {
    yield rmw(folio, 'dirty')
    folio.dirty = true
  }
  yield* folioPut(folio)
})

/**
 * Map the page unless an invalidation came in between, and put it. If the mapping allows to write,
 * the page counts as written, whatever the guest does then.
 *
 * Models: 6.18 arch/x86/kvm/mmu/mmu.c kvm_tdp_mmu_page_fault and kvm_mmu_finish_page_fault.
 * Simplifies: the accessed bit.
 */
export const mapAndPut = fn(function* kvm_tdp_mmu_page_fault(
  vcpu: KvmVcpu,
  fault: KvmPageFault,
  folio: Folio,
  isPrivate: boolean,
  fromFile: boolean,
): Kernel<number> {
  const kvm = vcpu.kvm!
  let ret = RET_PF_RETRY
  yield* readLock(kvm.mmuLock)
  alsoReads(vcpu, 'rootObsolete')
  if (!vcpu.rootObsolete && !mmuInvalidateRetryGfn(kvm, vcpu.mmuSeq, fault.gfn)) {
    yield* kvmTdpMmuMap(kvm, fault, folio, isPrivate, fromFile)
    ret = RET_PF_FIXED
  }
  // Under mmu_lock, so that who zaps finds the page as dirty as it will be.
  yield* kvmReleaseFaultinPage(folio, fromFile, ret === RET_PF_FIXED && fault.mapWritable)
  readUnlock(kvm.mmuLock)
  return ret
})

/**
 * From the slot to the mapping: RET_PF_* or an error.
 *
 * Models: 6.18 arch/x86/kvm/mmu/mmu.c kvm_mmu_faultin_pfn, with kvm_tdp_mmu_page_fault. Simplifies:
 * no APIC page, no page tracking, no caches to fill.
 */
export const faultinAndMap = fn(function* kvm_mmu_faultin_pfn(
  vcpu: KvmVcpu,
  fault: KvmPageFault,
  isPrivate: boolean,
): Kernel<number> {
  const kvm = vcpu.kvm!
  const gfn = fault.gfn
  const slot = fault.slot
  // Noted before anything that backs the gfn is looked at: pairs with kvm_mmu_invalidate_end().
  yield read(kvm, 'mmuInvalidateSeq')
  alsoWrites(vcpu, 'mmuSeq')
  vcpu.mmuSeq = kvm.mmuInvalidateSeq
  yield read(kvm.memAttrArray, 'xaHead')
  if (isPrivate !== attrPrivate(kvm, gfn) || (slot === null && isPrivate)) {
    prepareMemoryFaultExit(vcpu, gfn, isPrivate)
    return -EFAULT
  }
  if (slot === null) return (yield* isRootObsolete(vcpu)) ? RET_PF_RETRY : RET_PF_EMULATE
  // A prefetch runs in one SRCU section, for whose end the deletion of the slot waits.
  if (slot.flags & KVM_MEMSLOT_INVALID) return fault.prefetch ? -EAGAIN : RET_PF_RETRY
  if (yield* retryGfnUnsafe(vcpu, gfn)) return RET_PF_RETRY

  const fromFile = isPrivate || isGmemOnly(slot)
  const folio = fromFile
    ? yield* faultinPfnGmem(vcpu, fault, isPrivate)
    : yield* gfnToPfnMemslot(fault)
  if (isErr(folio)) return fromFile ? ptrErr(folio) : handleErrorPfn(vcpu, ptrErr(folio))
  if (yield* retryGfnUnsafe(vcpu, gfn)) {
    yield* kvmReleaseFaultinPage(folio, fromFile, false)
    return RET_PF_RETRY
  }
  return yield* mapAndPut(vcpu, fault, folio, isPrivate, fromFile)
})

/**
 * One fault: RET_PF_* or an error.
 *
 * Models: 6.18 arch/x86/kvm/mmu/mmu_internal.h kvm_mmu_do_page_fault. SRCU is held.
 */
export const kvmMmuDoPageFault = fn(function* kvm_mmu_do_page_fault(
  vcpu: KvmVcpu,
  gfn: Gfn,
  toWrite: boolean,
  prefetch: boolean,
  isPrivate: boolean,
): Kernel<number> {
  const kvm = vcpu.kvm!
  yield read(kvm, 'memslots')
  const fault = onStack(KvmPageFault)
  fault.gfn = gfn
  fault.write = toWrite
  fault.prefetch = prefetch
  fault.slot = searchMemslots(kvm.memslots!, gfn)
  const ret = yield* faultinAndMap(vcpu, fault, isPrivate)
  alsoWrites(vcpu, 'mmuSeq')
  vcpu.mmuSeq = 0
  offStack(fault)
  return ret
})

/**
 * 0: back to the guest, which faults again if nothing was mapped; else the error with which
 * KVM_RUN returns, -ENXIO standing for an exit to a device.
 *
 * Models: 6.18 arch/x86/kvm/mmu/mmu.c kvm_mmu_page_fault. SRCU is held for all of it. Simplifies:
 * no fast path for who finds that another vCPU has given the right meanwhile; task work, such as the
 * release of a file whose last reference the fault had, waits until KVM_RUN returns, instead of only
 * until the guest would be entered again.
 */
export const kvmMmuPageFault618 = fn(function* kvm_mmu_page_fault(
  vcpu: KvmVcpu,
  gfn: Gfn,
  toWrite: boolean,
): Kernel<number> {
  const kvm = vcpu.kvm!
  srcuReadLock(kvm.srcu)
  // A software-protected VM cannot tell private accesses by itself: an access is private if the gfn
  // is at the moment of the exit.
  yield read(kvm.memAttrArray, 'xaHead')
  const isPrivate = kvmMmuFaultIsPrivate(vcpu, gfn)
  const r = yield* kvmMmuDoPageFault(vcpu, gfn, toWrite, false, isPrivate)
  srcuReadUnlock(kvm.srcu)
  if (r === RET_PF_EMULATE) {
    vcpu.exitReason = KVM_EXIT_MMIO
    return -ENXIO
  }
  return r < 0 ? r : 0
})

/**
 * A leaf goes. The page was marked dirty when it was mapped, so nothing is carried over.
 *
 * Compared: 6.12 source.
 * Models: 6.18 arch/x86/kvm/mmu/tdp_mmu.c handle_changed_spte.
 */
export const handleChangedSpte = fn(function* handle_changed_spte(
  kvm: Kvm,
  spte: Spte,
): Kernel<void> {
  // The hardware walks the table without any lock.
  yield rmw(kvm.tdpMmu, 'xaHead')
  xaErase(kvm.tdpMmu, spte.gfn)
  offStack(spte)
})

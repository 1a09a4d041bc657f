/**
 * A guest's page fault, from the exit to the mapping. The order is what makes it safe: first the
 * sequence is noted, then what backs the gfn is looked up, then, under mmu_lock, it is checked
 * that no invalidation came in between; and when the mapping stands, the page's reference is
 * dropped. From then on only the invalidation protocol keeps mapping and page together.
 */
import { offStack, onStack } from '../../../../machine/alloc.js'
import { alsoReads, alsoWrites, read } from '../../../../machine/effects.js'
import { fn, type Kernel } from '../../../../machine/fn.js'
import { readLock, readUnlock } from '../../../../machine/locks.js'
import { srcuReadLock, srcuReadUnlock } from '../../../../machine/rcu.js'
import { isErr, ptrErr } from '../../../../machine/struct.js'
import { EFAULT, EHWPOISON, EINTR, ENXIO } from '../../../include/errno.js'
import {
  KVM_EXIT_INTR,
  KVM_EXIT_MEMORY_FAULT,
  KVM_EXIT_MMIO,
  KVM_MEMSLOT_INVALID,
  KvmPageFault,
  type KvmVcpu,
} from '../../../include/kvm.js'
import type { Folio } from '../../../include/mm.js'
import type { Gfn } from '../../../include/types.js'
import { KVM_MEM_PRIVATE, KVM_MEM_READONLY } from '../../../include/uapi.js'
import { folioPut } from '../../../mm/swap.js'
import { gfnToPfnMemslot, KVM_PFN_ERR_RO_FAULT } from '../../../virt/kvm/hva_to_pfn.js'
import { mmuInvalidateRetryGfn } from '../../../virt/kvm/invalidate.js'
import { attrPrivate } from '../../../virt/kvm/memory_attributes.js'
import { searchMemslots } from '../../../virt/kvm/memslots.js'
import { kvmRestrictedMemGetPfn } from '../../../virt/kvm/restrictedmem.js'
import { kvmTdpMmuMap } from './tdp_mmu.js'
import { kvmMmuFaultIsPrivate } from './x86_ops.js'

/** Back to the guest, which faults again if nothing was mapped. RET_PF_RETRY and RET_PF_FIXED. */
const BACK_TO_GUEST = 0

/** Fill in the exit and leave KVM_RUN. */
function memoryFaultExit(vcpu: KvmVcpu): number {
  vcpu.exitReason = KVM_EXIT_MEMORY_FAULT
  return -EFAULT
}

/** Leave KVM_RUN for user space to emulate the access; -ENXIO stands for that exit. */
function mmioExit(vcpu: KvmVcpu): number {
  vcpu.exitReason = KVM_EXIT_MMIO
  return -ENXIO
}

/**
 * No page of the process for the guest: an error without an exit; for a poisoned page a SIGBUS, for
 * which KVM_RUN leaves instead of trying again; for a write to a slot that only reads an exit to a
 * device.
 *
 * Models: 6.2 arch/x86/kvm/mmu/mmu.c kvm_handle_error_pfn, with kvm_handle_signal_exit. Simplifies:
 * the signal is only seen by its -EINTR.
 *
 * Compared: 6.18 does not run it: what calls it is replaced.
 */
function errorPfn(vcpu: KvmVcpu, errno: number): number {
  if (errno === KVM_PFN_ERR_RO_FAULT) return mmioExit(vcpu)
  if (errno !== -EHWPOISON) return -EFAULT
  vcpu.exitReason = KVM_EXIT_INTR
  return -EINTR
}

/**
 * Has the page table been thrown away since the vCPU has loaded its root? Then a fault installs
 * nothing, not even that there is a device at the gfn.
 *
 * Models: 6.2 arch/x86/kvm/mmu/mmu.c is_page_fault_stale, for a gfn without a slot.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const isRootObsolete = fn(function* is_page_fault_stale(vcpu: KvmVcpu): Kernel<boolean> {
  const kvm = vcpu.kvm!
  yield* readLock(kvm.mmuLock)
  alsoReads(vcpu, 'rootObsolete')
  const obsolete = vcpu.rootObsolete
  readUnlock(kvm.mmuLock)
  return obsolete
})

/** The page behind the gfn of a fault, with a reference, or an ERR_PTR. */
export const faultinPfn = fn(function* kvm_faultin_pfn(
  fault: KvmPageFault,
  isPrivate: boolean,
): Kernel<Folio> {
  if (!isPrivate) return yield* gfnToPfnMemslot(fault)
  const slot = fault.slot!
  fault.mapWritable = !(slot.flags & KVM_MEM_READONLY)
  return yield* kvmRestrictedMemGetPfn(slot, fault.gfn)
})

/**
 * Handle a fault, under SRCU. 0: back to the guest; else the error with which KVM_RUN returns. An
 * error of restricted memory means to try again, as in the series.
 *
 * A fault's kind is what the guest has asked for, or the gfn's attribute at the moment of the exit;
 * if the gfn is of the other kind when its page is to be looked up, the VMM is to sort it out.
 *
 * Models: x86/upm_base_support arch/x86/kvm/mmu/mmu.c kvm_tdp_mmu_page_fault, kvm_faultin_pfn and
 * mmu_internal.h kvm_mmu_do_page_fault. Simplifies: every access to a device leaves KVM_RUN; no
 * caches to fill, so no -ENOMEM of its own; no fast path for who finds that another vCPU has given
 * the right meanwhile.
 *
 * Compared: 6.18 does not run it: what calls it is replaced.
 */
export const directPageFault = fn(function* direct_page_fault(
  vcpu: KvmVcpu,
  fault: KvmPageFault,
): Kernel<number> {
  const kvm = vcpu.kvm!
  const gfn = fault.gfn
  yield read(kvm.memAttrArray, 'xaHead')
  const isPrivate = kvmMmuFaultIsPrivate(vcpu, gfn)
  yield read(kvm, 'memslots')
  const slot = searchMemslots(kvm.memslots!, gfn)
  fault.slot = slot
  // Noted before anything that backs the gfn is looked at: pairs with kvm_mmu_invalidate_end().
  yield read(kvm, 'mmuInvalidateSeq')
  alsoWrites(vcpu, 'mmuSeq')
  vcpu.mmuSeq = kvm.mmuInvalidateSeq
  if (slot !== null && slot.flags & KVM_MEMSLOT_INVALID) return BACK_TO_GUEST
  yield read(kvm.memAttrArray, 'xaHead')
  if (isPrivate !== attrPrivate(kvm, gfn)) return memoryFaultExit(vcpu)
  if (isPrivate && !(slot !== null && slot.flags & KVM_MEM_PRIVATE)) return memoryFaultExit(vcpu)
  if (slot === null) return (yield* isRootObsolete(vcpu)) ? BACK_TO_GUEST : mmioExit(vcpu)

  const folio = yield* faultinPfn(fault, isPrivate)
  if (isErr(folio)) return isPrivate ? BACK_TO_GUEST : errorPfn(vcpu, ptrErr(folio))

  yield* readLock(kvm.mmuLock)
  alsoReads(vcpu, 'rootObsolete')
  if (!vcpu.rootObsolete && !mmuInvalidateRetryGfn(kvm, vcpu.mmuSeq, gfn)) {
    yield* kvmTdpMmuMap(kvm, fault, folio, isPrivate, isPrivate)
  }
  readUnlock(kvm.mmuLock)
  // kvm_release_pfn_clean(): the mapping holds no reference.
  yield* folioPut(folio)
  return BACK_TO_GUEST
})

/** Models: 6.2 arch/x86/kvm/mmu/mmu.c kvm_mmu_page_fault. SRCU is held for all of it. */
export const kvmMmuPageFault = fn(function* kvm_mmu_page_fault(
  vcpu: KvmVcpu,
  gfn: Gfn,
  toWrite: boolean,
): Kernel<number> {
  const kvm = vcpu.kvm!
  const fault = onStack(KvmPageFault)
  fault.gfn = gfn
  fault.write = toWrite
  srcuReadLock(kvm.srcu)
  const ret = yield* directPageFault(vcpu, fault)
  alsoWrites(vcpu, 'mmuSeq')
  vcpu.mmuSeq = 0
  srcuReadUnlock(kvm.srcu)
  offStack(fault)
  return ret
})

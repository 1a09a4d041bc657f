/**
 * A guest's page fault, from the exit to the mapping. The order is what makes it safe: first the
 * sequence is noted, then what backs the gfn is looked up, then, under mmu_lock, it is checked
 * that no invalidation came in between; and when the mapping stands, the page's reference is
 * dropped. From then on only the invalidation protocol keeps mapping and page together.
 */
import { read } from '../../../../machine/effects.js'
import { fn, type Kernel } from '../../../../machine/fn.js'
import { readLock, readUnlock } from '../../../../machine/locks.js'
import { srcuReadLock, srcuReadUnlock } from '../../../../machine/rcu.js'
import { isErr, ptrErr } from '../../../../machine/struct.js'
import { EFAULT, EHWPOISON, EINTR } from '../../../include/errno.js'
import {
  KVM_EXIT_MEMORY_FAULT,
  KVM_MEMSLOT_INVALID,
  type KvmMemorySlot,
  type KvmVcpu,
} from '../../../include/kvm.js'
import type { Folio } from '../../../include/mm.js'
import type { Gfn, Pgoff } from '../../../include/types.js'
import { KVM_MEM_PRIVATE } from '../../../include/uapi.js'
import { getUserPage } from '../../../mm/gup.js'
import { folioPut } from '../../../mm/swap.js'
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

/**
 * No page of the process for the guest: an error without an exit, or, for a poisoned page, a SIGBUS
 * that ends KVM_RUN.
 *
 * Models: 6.2 arch/x86/kvm/mmu/mmu.c kvm_handle_error_pfn. Simplifies: the signal is only seen by
 * its -EINTR.
 */
function errorPfn(errno: number): number {
  return errno === -EHWPOISON ? -EINTR : -EFAULT
}

/** The page behind a gfn, with a reference, or an ERR_PTR. */
const faultinPfn = fn(function* kvm_faultin_pfn(
  slot: KvmMemorySlot,
  gfn: Gfn,
  isPrivate: boolean,
): Kernel<Folio> {
  if (isPrivate) return yield* kvmRestrictedMemGetPfn(slot, gfn)
  return yield* getUserPage((slot.userspaceAddr + (gfn - slot.baseGfn)) as Pgoff)
})

/**
 * Handle a fault, under SRCU. 0: back to the guest; else the error with which KVM_RUN returns. An
 * error of restricted memory means to try again, as in the series.
 *
 * Models: x86/upm_base_support arch/x86/kvm/mmu/mmu.c direct_page_fault. Simplifies: a fault's
 * kind is the gfn's attribute, as in a software-protected VM, so the two never differ; no MMIO:
 * a gfn without a slot leaves KVM_RUN; no caches to fill, so no -ENOMEM of its own.
 */
export const directPageFault = fn(function* direct_page_fault(
  vcpu: KvmVcpu,
  gfn: Gfn,
): Kernel<number> {
  const kvm = vcpu.kvm!
  yield read(kvm, 'memslots')
  const slot = searchMemslots(kvm.memslots!, gfn)
  // Noted before anything that backs the gfn is looked at: pairs with kvm_mmu_invalidate_end().
  yield read(kvm, 'mmuInvalidateSeq')
  const seq = kvm.mmuInvalidateSeq
  yield read(kvm.memAttrArray, 'xaHead')
  const isPrivate = kvmMmuFaultIsPrivate(vcpu, gfn)
  if (isPrivate !== attrPrivate(kvm, gfn)) return memoryFaultExit(vcpu)
  if (slot === null) return memoryFaultExit(vcpu)
  if (slot.flags & KVM_MEMSLOT_INVALID) return BACK_TO_GUEST
  if (isPrivate && !(slot.flags & KVM_MEM_PRIVATE)) return memoryFaultExit(vcpu)

  const folio = yield* faultinPfn(slot, gfn, isPrivate)
  if (isErr(folio)) return isPrivate ? BACK_TO_GUEST : errorPfn(ptrErr(folio))

  yield* readLock(kvm.mmuLock)
  if (!mmuInvalidateRetryGfn(kvm, seq, gfn)) {
    yield* kvmTdpMmuMap(kvm, gfn, folio, isPrivate, isPrivate)
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
): Kernel<number> {
  const kvm = vcpu.kvm!
  srcuReadLock(kvm.srcu)
  const ret = yield* directPageFault(vcpu, gfn)
  srcuReadUnlock(kvm.srcu)
  return ret
})

/**
 * KVM's hooks in guest_memfd, as of 6.11: a page is assigned when it is first used, under the folio
 * lock, and released when it has left the file.
 */

import { EINVAL } from '../../kernel/include/errno.js'
import type { Kvm, KvmVcpu } from '../../kernel/include/kvm.js'
import type { Folio } from '../../kernel/include/mm.js'
import type { Gfn } from '../../kernel/include/types.js'
import { KVM_MEM_GUEST_MEMFD } from '../../kernel/include/uapi.js'
import { kvmReleaseFaultinPage } from '../../kernel/v6_18/arch/x86/kvm/mmu.js'
import { kvmGmemGetPfn } from '../../kernel/v6_18/virt/kvm/guest_memfd_slot.js'
import { attrPrivate } from '../../kernel/virt/kvm/memory_attributes.js'
import { searchMemslots } from '../../kernel/virt/kvm/memslots.js'
import { read } from '../../machine/effects.js'
import { warnOn } from '../../machine/fault.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { srcuReadLock, srcuReadUnlock } from '../../machine/rcu.js'
import { isErr } from '../../machine/struct.js'
import { rmpMakePrivate, rmpMakeShared, snpLookupAssigned } from './sev.js'
import { isSnpGuest, sevInfo } from './vm.js'

/**
 * Assign the page unless it is: for whom it is, nobody looks. 0 or -EINVAL. The folio is locked.
 *
 * Models: 6.17 arch/x86/kvm/svm/sev.c sev_gmem_prepare. Simplifies: a frame without an entry,
 * -ENOENT; order 0, so never 2 MiB: is_large_rmp_possible() is false for every folio of
 * guest_memfd. Compared: 7.0 source.
 */
export const sevGmemPrepare = fn(function* sev_gmem_prepare(
  kvm: Kvm,
  gfn: Gfn,
  folio: Folio,
): Kernel<number> {
  if (!isSnpGuest(kvm)) return 0
  if (yield* snpLookupAssigned(folio)) return 0
  return (yield* rmpMakePrivate(folio, gfn, sevInfo(kvm).asid, false)) === 0 ? 0 : -EINVAL
})

/**
 * Take a page back. If that fails there is a warning, and the page goes to the allocator as it is:
 * neither is the VM given up nor the page leaked, as everywhere else.
 *
 * Models: 6.17 arch/x86/kvm/svm/sev.c sev_gmem_invalidate. Simplifies: order 0, so never PSMASH;
 * caches are coherent, so nothing is flushed. Compared: 7.0 source.
 */
export const sevGmemInvalidate = fn(function* sev_gmem_invalidate(folio: Folio): Kernel<void> {
  if (!(yield* snpLookupAssigned(folio))) return
  const rc = yield* rmpMakeShared(folio)
  warnOn(rc !== 0, 'SEV: Failed to update RMP entry')
})

/**
 * After a nested fault with the RMP bit: an entry of 4 KiB needs nothing, so the guest tries again.
 * What else the reason may be, a page of somebody else or of nobody, is logged, and the guest tries
 * again. The look-up is that of a fault: it allocates and prepares a page that is missing.
 *
 * Models: 6.17 arch/x86/kvm/svm/sev.c sev_handle_rmp_fault. Simplifies: entries of 2 MiB, and so
 * PSMASH and the zap behind it, since guest_memfd gives no page to a guest by one; the warnings are
 * lines of the log, without a backtrace. Compared: 7.0 source.
 */
export const sevHandleRmpFault = fn(function* sev_handle_rmp_fault(
  vcpu: KvmVcpu,
  gfn: Gfn,
): Kernel<void> {
  const kvm = vcpu.kvm!
  yield read(kvm.memAttrArray, 'xaHead')
  if (!attrPrivate(kvm, gfn)) return
  srcuReadLock(kvm.srcu)
  yield read(kvm, 'memslots')
  const slot = searchMemslots(kvm.memslots!, gfn)
  if (slot !== null && slot.flags & KVM_MEM_GUEST_MEMFD) {
    const folio = yield* kvmGmemGetPfn(slot, gfn)
    if (!isErr(folio)) yield* kvmReleaseFaultinPage(folio, true, false)
  }
  srcuReadUnlock(kvm.srcu)
})

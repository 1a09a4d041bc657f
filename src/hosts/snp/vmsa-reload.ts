/**
 * Save areas as of 7.3: KVM remembers which gfn a vCPU's own save area is, and who invalidates it has
 * the vCPU look the page up again before it enters the guest. mmu_lock orders the two: who publishes
 * the gfn holds it for reading and looks at the invalidation sequence; who invalidates holds it for
 * writing and looks at the gfn.
 */
import {
  KVM_REQ_VMSA_PAGE_RELOAD,
  type Kvm,
  type KvmMemorySlot,
  type KvmVcpu,
} from '../../kernel/include/kvm.js'
import type { Gfn } from '../../kernel/include/types.js'
import { KVM_MEM_GUEST_MEMFD } from '../../kernel/include/uapi.js'
import { kvmReleaseFaultinPage } from '../../kernel/v6_18/arch/x86/kvm/mmu.js'
import { kvmUnmapGfnRange } from '../../kernel/v6_18/virt/kvm/guest_memfd.js'
import { mmuInvalidateRetryGfn } from '../../kernel/virt/kvm/invalidate.js'
import { kvmArchFlushShadowMemslot, searchMemslots } from '../../kernel/virt/kvm/memslots.js'
import { alsoWrites, read, write } from '../../machine/effects.js'
import { mark } from '../../machine/fault.js'
import { fn, type Kernel, original } from '../../machine/fn.js'
import {
  mutexLock,
  mutexUnlock,
  readLock,
  readUnlock,
  writeLock,
  writeUnlock,
} from '../../machine/locks.js'
import { srcuReadLock, srcuReadUnlock } from '../../machine/rcu.js'
import { isErr } from '../../machine/struct.js'
import { MAX_TASKS } from '../../machine/task.js'
import { HALTED, INVALID_VMSA, isSnpGuest, sevEs, sevInfo } from './vm.js'
import { makeRequestAndKick, vmsaPage } from './vmsa.js'

/**
 * Take the page of a gfn (+ 1; 0 for none) for the save area. There is none until that has worked;
 * an invalidation that comes in between has it tried again. snp_vmsa_mutex and SRCU are held.
 *
 * Models: kvm-x86 1a27afa0511e arch/x86/kvm/svm/sev.c __sev_snp_reload_vmsa.
 */
export const takeVmsa = fn(function* __sev_snp_reload_vmsa(
  vcpu: KvmVcpu,
  wanted: number,
): Kernel<void> {
  const kvm = vcpu.kvm!
  const es = sevEs(vcpu)
  es.vmsaPfn = INVALID_VMSA
  es.asid = sevInfo(kvm).asid
  yield write(es, 'guestVmsaGfn')
  es.guestVmsaGfn = 0
  if (wanted === 0) return
  const gfn = (wanted - 1) as Gfn
  yield read(kvm, 'memslots')
  const slot = searchMemslots(kvm.memslots!, gfn)
  if (slot === null || !(slot.flags & KVM_MEM_GUEST_MEMFD)) return
  // A sequence is compared with what a vCPU has noted; this one has no fault under way.
  yield read(kvm, 'mmuInvalidateSeq')
  alsoWrites(vcpu, 'mmuSeq')
  vcpu.mmuSeq = kvm.mmuInvalidateSeq
  const folio = yield* vmsaPage(slot, gfn)
  if (isErr(folio)) {
    vcpu.mmuSeq = 0
    return
  }
  yield* readLock(kvm.mmuLock)
  // Before the look at the sequence: who invalidates behind it sees the gfn.
  yield write(es, 'guestVmsaGfn')
  es.guestVmsaGfn = wanted
  if (mmuInvalidateRetryGfn(kvm, vcpu.mmuSeq, gfn)) {
    alsoWrites(vcpu, 'requests')
    vcpu.requests |= KVM_REQ_VMSA_PAGE_RELOAD
  } else {
    es.vmsaPfn = folio.pfn + 1
    mark('save-area-of-the-guest')
  }
  alsoWrites(vcpu, 'mmuSeq')
  vcpu.mmuSeq = 0
  readUnlock(kvm.mmuLock)
  yield* kvmReleaseFaultinPage(folio, true, false)
})

/**
 * What a vCPU goes on with that has asked for it: one that was told a page runs, and fails, even if
 * the page is not there. snp_vmsa_mutex and SRCU are held.
 *
 * Models: kvm-x86 1a27afa0511e arch/x86/kvm/svm/sev.c sev_snp_init_protected_guest_state.
 */
export const nextSaveAreaRemembered = fn(function* next_save_area(vcpu: KvmVcpu): Kernel<void> {
  const es = sevEs(vcpu)
  const wanted = es.vmsaGfn
  es.waitingForReset = false
  es.vmsaGfn = 0
  yield* takeVmsa(vcpu, wanted)
  if (wanted === 0) es.vmsaPfn = HALTED
})

/**
 * KVM_REQ_VMSA_PAGE_RELOAD. Models: kvm-x86 1a27afa0511e arch/x86/kvm/svm/sev.c
 * sev_snp_reload_vmsa.
 */
export const sevSnpReload = fn(function* sev_snp_reload_vmsa(vcpu: KvmVcpu): Kernel<void> {
  const kvm = vcpu.kvm!
  const es = sevEs(vcpu)
  srcuReadLock(kvm.srcu)
  yield* mutexLock(es.vmsaMutex)
  // One that was destroyed meanwhile stays so.
  if (es.vmsaPfn !== HALTED) yield* takeVmsa(vcpu, es.guestVmsaGfn)
  mutexUnlock(es.vmsaMutex)
  srcuReadUnlock(kvm.srcu)
})

/**
 * Whoever has its save area in [start, end) looks it up again. The gfn is read without the mutex: it
 * may go meanwhile, and then the request is for nothing. mmu_lock is held for writing.
 *
 * Models: kvm-x86 1a27afa0511e arch/x86/kvm/svm/sev.c sev_gmem_invalidate_range.
 */
export const sevGmemInvalidateRange = fn(function* sev_gmem_invalidate_range(
  kvm: Kvm,
  start: Gfn,
  end: Gfn,
): Kernel<void> {
  if (!isSnpGuest(kvm)) return
  let n = 0
  while (n < MAX_TASKS) {
    const vcpu = kvm.vcpus.get(n)
    n += 1
    if (vcpu === null) continue
    yield read(sevEs(vcpu), 'guestVmsaGfn')
    const gfn = sevEs(vcpu).guestVmsaGfn - 1
    if (gfn < start || gfn >= end) continue
    yield* makeRequestAndKick(vcpu, KVM_REQ_VMSA_PAGE_RELOAD)
  }
})

const unmapGfnRange = original(kvmUnmapGfnRange)

/** Models: kvm-x86 5e38e1bd4e7b virt/kvm/guest_memfd.c __kvm_gmem_invalidate_start. */
export const unmapAndReload = fn(function* kvm_mmu_unmap_gfn_range(
  kvm: Kvm,
  slot: KvmMemorySlot,
  first: Gfn,
  last: Gfn,
  filter: number,
): Kernel<boolean> {
  const flush = yield* unmapGfnRange(kvm, slot, first, last, filter)
  yield* sevGmemInvalidateRange(kvm, first, last)
  return flush
})

const flushSlot = original(kvmArchFlushShadowMemslot)

/**
 * A slot goes, and with it the save areas there.
 *
 * Derived: kvm_arch_flush_shadow_memslot of 7.3, as it is told; its hold of mmu_lock is one with that
 * of the zap in Linux.
 */
export const flushSlotAndReload = fn(function* kvm_arch_flush_shadow_memslot(
  kvm: Kvm,
  slot: KvmMemorySlot,
): Kernel<void> {
  yield* flushSlot(kvm, slot)
  yield* writeLock(kvm.mmuLock)
  yield* sevGmemInvalidateRange(kvm, slot.baseGfn, (slot.baseGfn + slot.npages) as Gfn)
  writeUnlock(kvm.mmuLock)
})

/**
 * The secondary MMU: gfn to SPTE. Installing holds mmu_lock for reading, zapping for writing. The
 * TLBs of the vCPUs keep what they have translated until they are flushed, which happens before
 * mmu_lock is released.
 */
import { GFP_ATOMIC, offStack, onStack } from '../../../../machine/alloc.js'
import { alsoWrites, rmw, write } from '../../../../machine/effects.js'
import { bug, mark, tracepoint } from '../../../../machine/fault.js'
import { fn, type Kernel } from '../../../../machine/fn.js'
import { writeLock, writeUnlock } from '../../../../machine/locks.js'
import {
  KVM_FILTER_PRIVATE,
  KVM_FILTER_SHARED,
  type Kvm,
  type KvmPageFault,
  Spte,
} from '../../../include/kvm.js'
import type { Folio } from '../../../include/mm.js'
import type { Gfn } from '../../../include/types.js'
import { xaErase, xaFindAfterIndex, xaFindIndex, xaLoad, xaStore } from '../../../lib/xarray.js'
import { pfnToFolio } from '../../../mm/page_alloc.js'

/** Behind every gfn. */
export const GFN_END = 2 ** 52

/**
 * A leaf where there was none. It is marked dirty before anybody has written: the dirty bit belongs
 * to what may be written through.
 *
 * Models: 6.2 arch/x86/kvm/mmu/spte.c make_spte. Simplifies: the accessed bit, no write tracking.
 *
 * Compared: 6.17 and 7.0 source.
 */
export function makeSpte(
  kvm: Kvm,
  fault: KvmPageFault,
  folio: Folio,
  isPrivate: boolean,
  fromFile: boolean,
): void {
  // A word of a page table, which the vCPU's cache has filled before mmu_lock was taken.
  const spte = onStack(Spte)
  spte.gfn = fault.gfn
  spte.pfn = folio.pfn
  spte.writable = fault.mapWritable
  spte.dirty = fault.mapWritable
  spte.private = isPrivate
  spte.fromFile = fromFile
  mark('spte-installed')
  if (fromFile) tracepoint('kvm_map_from_file', kvm, fault.gfn, folio)
  xaStore(kvm.tdpMmu, fault.gfn, spte, GFP_ATOMIC)
}

/**
 * A leaf is about to be replaced by one of another frame: whoever gave the gfn the other frame has
 * told nobody. The entry has been replaced when that is noticed, and the vCPU's thread dies of it.
 *
 * Models: 6.2 arch/x86/kvm/mmu/tdp_mmu.c __handle_changed_spte.
 *
 * Compared: 6.17 and 7.0 source.
 */
export function replaceLeaf(spte: Spte, folio: Folio): never {
  alsoWrites(spte, 'pfn')
  const was = spte.pfn
  spte.pfn = folio.pfn
  bug(`handle_changed_spte: a leaf of pfn ${was} is replaced by one of pfn ${folio.pfn}`)
}

/**
 * Install a leaf. Of one that is there already only the rights change, to what this fault has
 * found: a late fault to read takes the right to write away again, without a flush of TLBs, and the
 * dirty bit goes with it. mmu_lock is held for reading.
 *
 * Models: 6.2 arch/x86/kvm/mmu/tdp_mmu.c kvm_tdp_mmu_map and tdp_mmu_map_handle_target_level.
 * Simplifies: the table's levels; always 4 KiB. A leaf that is writable and stays so keeps its dirty
 * bit, where Linux hands it to the page at once and leaves the next to the hardware.
 */
export const kvmTdpMmuMap = fn(function* kvm_tdp_mmu_map(
  kvm: Kvm,
  fault: KvmPageFault,
  folio: Folio,
  isPrivate: boolean,
  fromFile: boolean,
): Kernel<void> {
  yield rmw(kvm.tdpMmu, 'xaHead')
  const old = xaLoad(kvm.tdpMmu, fault.gfn) as Spte | null
  if (old === null) {
    makeSpte(kvm, fault, folio, isPrivate, fromFile)
    return
  }
  if (old.pfn !== folio.pfn) replaceLeaf(old, folio)
  alsoWrites(old, 'writable')
  const dirtyGoes = old.dirty && !fault.mapWritable
  old.writable = fault.mapWritable
  old.dirty = fault.mapWritable
  if (!dirtyGoes) return
  yield rmw(folio, 'dirty')
  folio.dirty = true
})

/**
 * A leaf goes. Only now does the page become dirty, whether or not the guest has written to it;
 * while it was mapped, it looked clean.
 *
 * Models: 6.2 arch/x86/kvm/mmu/tdp_mmu.c __handle_changed_spte, with kvm_set_pfn_dirty.
 */
export const handleRemovedSpte = fn(function* handle_removed_spte(
  kvm: Kvm,
  spte: Spte,
): Kernel<void> {
  // The hardware walks the table without any lock.
  yield rmw(kvm.tdpMmu, 'xaHead')
  const folio = spte.dirty ? pfnToFolio(spte.pfn) : null
  xaErase(kvm.tdpMmu, spte.gfn)
  offStack(spte)
  if (folio === null) return
  yield rmw(folio, 'dirty')
  folio.dirty = true
})

/**
 * Remove the leaves of [start, end) from the roots that the filter names; here there is one for both
 * kinds of memory. True if the TLBs must be flushed. mmu_lock is held for writing.
 *
 * Models: 6.2 arch/x86/kvm/mmu/tdp_mmu.c kvm_tdp_mmu_unmap_gfn_range. Simplifies: does not yield
 * mmu_lock on the way.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const kvmTdpMmuZap = fn(function* tdp_mmu_zap_leafs(
  kvm: Kvm,
  start: Gfn,
  end: Gfn,
  _filter: number,
): Kernel<boolean> {
  let flush = false
  let gfn = xaFindIndex(kvm.tdpMmu, start, end - 1)
  while (gfn >= 0) {
    const next = xaFindAfterIndex(kvm.tdpMmu, gfn, end - 1)
    yield* handleRemovedSpte(kvm, xaLoad(kvm.tdpMmu, gfn) as Spte)
    flush = true
    gfn = next
  }
  return flush
})

/**
 * Zap all that the VM maps.
 *
 * Models: 6.2 arch/x86/kvm/mmu/mmu.c kvm_mmu_zap_all. Simplifies: TLBs are flushed; in Linux they
 * are not, since nobody will run in the guest any more.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const kvmMmuZapAll = fn(function* kvm_mmu_zap_all(kvm: Kvm): Kernel<void> {
  yield* writeLock(kvm.mmuLock)
  const both = KVM_FILTER_SHARED | KVM_FILTER_PRIVATE
  if (yield* kvmTdpMmuZap(kvm, 0 as Gfn, GFN_END as Gfn, both)) yield* kvmFlushRemoteTlbs(kvm)
  writeUnlock(kvm.mmuLock)
})

/**
 * Throw the whole page table away: the roots that vCPUs have loaded are obsolete from now on, and
 * nothing is installed any more by a fault that began with one.
 *
 * Models: 6.2 arch/x86/kvm/mmu/mmu.c kvm_mmu_zap_all_fast. Simplifies: what the old roots map goes
 * at once, where Linux leaves it to the end, when no vCPU can reach it any more, but MMU notifiers
 * can.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const kvmMmuZapAllFast = fn(function* kvm_mmu_zap_all_fast(kvm: Kvm): Kernel<void> {
  yield* writeLock(kvm.mmuLock)
  yield write(kvm, 'vcpus')
  for (let i = 0; i < kvm.vcpus.length; i++) {
    const vcpu = kvm.vcpus.get(i)
    if (vcpu === null) continue
    alsoWrites(vcpu, 'rootObsolete')
    vcpu.rootObsolete = true
  }
  const both = KVM_FILTER_SHARED | KVM_FILTER_PRIVATE
  if (yield* kvmTdpMmuZap(kvm, 0 as Gfn, GFN_END as Gfn, both)) yield* kvmFlushRemoteTlbs(kvm)
  writeUnlock(kvm.mmuLock)
})

/**
 * Make every vCPU forget its translations; returns when all have.
 *
 * Models: 6.2 virt/kvm/kvm_main.c kvm_flush_remote_tlbs. Simplifies: the request and its
 * acknowledgement are one step.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const kvmFlushRemoteTlbs = fn(function* kvm_flush_remote_tlbs(kvm: Kvm): Kernel<void> {
  yield write(kvm, 'vcpus')
  for (let i = 0; i < kvm.vcpus.length; i++) {
    const vcpu = kvm.vcpus.get(i)
    if (vcpu === null) continue
    alsoWrites(vcpu, 'tlbValid')
    alsoWrites(vcpu, 'tlbWritable')
    alsoWrites(vcpu, 'tlbGfn')
    alsoWrites(vcpu, 'tlbPfn')
    for (let e = 0; e < vcpu.tlbValid.length; e++) {
      vcpu.tlbValid.set(e, 0)
      vcpu.tlbWritable.set(e, 0)
      vcpu.tlbGfn.set(e, 0)
      vcpu.tlbPfn.set(e, 0)
    }
  }
})

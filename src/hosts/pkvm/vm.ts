/**
 * A protected VM of pKVM, as the host sees it: it asks the hypervisor for a handle, gives pages to
 * the guest as it faults, and takes them back when the VM is taken down. kvm->tdp_mmu has what it
 * has given, as the interval tree of mappings does in Linux; the guest runs on the hypervisor's own
 * table.
 *
 * Where the memory comes from a slot's user address this is what 7.1 does: the page is pinned for as
 * long as it is mapped, and no MMU notifier unmaps anything. No published kernel lets a protected VM
 * have its memory from one of the files here. What is here for them is the same without the pin, with
 * the check of the sequence that gmem_abort() makes of VMs that are not protected; what their callback
 * may do depends on the hypervisor, which up to 7.0 has no call that takes a page from a guest that
 * lives.
 */
import type { kvmX86VmDestroy } from '../../kernel/arch/x86/kvm/x86_ops.js'
import { EPERM } from '../../kernel/include/errno.js'
import { Kvm, type KvmMemorySlot, type Spte } from '../../kernel/include/kvm.js'
import type { Folio } from '../../kernel/include/mm.js'
import type { Gfn, Pfn } from '../../kernel/include/types.js'
import { xaErase, xaFindAfterIndex, xaFindIndex, xaLoad } from '../../kernel/lib/xarray.js'
import { pfnToFolio } from '../../kernel/mm/page_alloc.js'
import { folioPut } from '../../kernel/mm/swap.js'
import { sysKvmCreateVm } from '../../kernel/virt/kvm/kvm_main.js'
import { offStack } from '../../machine/alloc.js'
import { alsoReads, read, rmw } from '../../machine/effects.js'
import { tracepoint, warnOn } from '../../machine/fault.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { writeLock, writeUnlock } from '../../machine/locks.js'
import { constructAt, headerAt, type Obj, type Struct, vanishAt } from '../../machine/struct.js'
import {
  hostForceReclaimPageGuest,
  hostReclaimPageGuest,
  NOPAGE,
  PkvmVm,
  pkvmPowerOn,
} from './ownership.js'

/** KVM_VM_TYPE_ARM_PROTECTED is bit 31 of the type; that word is kept here for uninitialised memory. */
export const KVM_VM_TYPE_ARM_PROTECTED = 1 << 30

const VMS = PkvmVm as unknown as Struct<Obj>

/** The handle by which the hypervisor knows a VM; from 1. */
export function handleOf(kvm: Kvm): number {
  return (kvm.at - Kvm.base) / Kvm.words + 1
}

/** What the hypervisor has of a protected VM. */
export function hypVm(kvm: Kvm): PkvmVm {
  return PkvmVm.at(PkvmVm.base + (handleOf(kvm) - 1) * PkvmVm.words) as PkvmVm
}

export function isProtected(kvm: Kvm): boolean {
  return kvm.vmType === KVM_VM_TYPE_ARM_PROTECTED
}

export const pkvmInit = fn(function* pkvm_init(): Kernel<void> {
  pkvmPowerOn()
})

export const pkvmVmTypeSupported = fn(function kvm_is_vm_type_supported(type: number): boolean {
  return type === 0 || type === KVM_VM_TYPE_ARM_PROTECTED
})

export const pkvmHasPrivateMem = fn(function kvm_arch_has_private_mem(type: number): boolean {
  return type === KVM_VM_TYPE_ARM_PROTECTED
})

/** Models: 7.1 (notes) arch/arm64/kvm/pkvm.c pkvm_init_host_vm: the handle is reserved at once. */
export const pkvmInitHostVm = fn(function* pkvm_init_host_vm(kvm: Kvm): Kernel<number> {
  if (!isProtected(kvm)) return 0
  const vm = hypVm(kvm)
  constructAt(VMS, vm.at, 0)
  vm.protected = true
  for (let gfn = 0; gfn < vm.state.length; gfn++) vm.state.set(gfn, NOPAGE)
  return 0
})

/** A page of a mapping goes back to who had it; only pages of the process are pinned. */
export const unpin = fn(function* unpin_user_page(spte: Spte): Kernel<void> {
  const folio = pfnToFolio(spte.pfn)!
  tracepoint('pkvm_unpin', folio)
  yield rmw(folio, 'dirty')
  folio.dirty = true
  yield* folioPut(folio)
})

/**
 * The VM is taken down: the hypervisor is told first, then it gives the pages back one by one, and
 * each is unpinned behind that. mmu_lock is held for writing.
 *
 * Models: 7.1 (notes) arch/arm64/kvm/pkvm.c __pkvm_pgtable_stage2_reclaim, with start_teardown.
 */
export const reclaimAll = fn(function* __pkvm_pgtable_stage2_reclaim(kvm: Kvm): Kernel<void> {
  const vm = hypVm(kvm)
  yield rmw(vm, 'state')
  vm.dying = true
  let gfn = xaFindIndex(kvm.tdpMmu, 0, Number.MAX_SAFE_INTEGER)
  while (gfn >= 0) {
    const spte = xaLoad(kvm.tdpMmu, gfn) as Spte
    yield rmw(vm, 'state')
    const error = hostReclaimPageGuest(vm, gfn as Gfn)
    warnOn(error !== 0, `__pkvm_host_reclaim_page_guest answers ${error}`)
    if (!spte.fromFile) yield* unpin(spte)
    const next = xaFindAfterIndex(kvm.tdpMmu, gfn, Number.MAX_SAFE_INTEGER)
    xaErase(kvm.tdpMmu, gfn)
    offStack(spte)
    gfn = next
  }
})

/**
 * Nothing to do while dirty logging is left out, whatever flags have changed.
 *
 * Models: 6.17 arch/arm64/kvm/mmu.c kvm_arch_commit_memory_region.
 */
export const pkvmCommitMemoryRegion = fn(function kvm_arch_commit_memory_region(
  _old: KvmMemorySlot | null,
  _slot: KvmMemorySlot | null,
  _change: number,
): void {})

/** Models: 7.1 (notes) arch/arm64/kvm/mmu.c kvm_arch_flush_shadow_all. */
export const pkvmFlushShadowAll = fn(function* kvm_mmu_zap_all(kvm: Kvm): Kernel<void> {
  yield* writeLock(kvm.mmuLock)
  if (isProtected(kvm) && headerAt(VMS, hypVm(kvm).at) === PkvmVm.id) yield* reclaimAll(kvm)
  writeUnlock(kvm.mmuLock)
})

/** Models: 7.1 (notes) arch/arm64/kvm/pkvm.c pkvm_destroy_hyp_vm: the handle is free again. */
export const pkvmDestroyHypVm: typeof kvmX86VmDestroy = fn(function* pkvm_destroy_hyp_vm(
  kvm: Kvm,
): Kernel<void> {
  if (!isProtected(kvm)) return
  yield* pkvmFlushShadowAll(kvm)
  vanishAt(VMS, hypVm(kvm).at)
})

/**
 * Who backs the memory says that [start, end) goes. Nothing is unmapped: of a page of the process the
 * pin keeps it, of one of a file nothing does. True would mean that TLBs are to be flushed.
 *
 * Models: 7.1 (notes) arch/arm64/kvm/pkvm.c pkvm_pgtable_stage2_unmap, which refuses for a protected VM.
 */
export const pkvmUnmapRefused = fn(function* tdp_mmu_zap_leafs(
  _kvm: Kvm,
  _start: Gfn,
  _end: Gfn,
): Kernel<boolean> {
  return false
})

/**
 * Derived: the same with a hypervisor that can be asked to take a page by force. The file's page goes
 * back to the host, zeroed, before it leaves the file; if the guest has not given it away before, it
 * finds poison there.
 */
export const pkvmUnmapForced = fn(function* tdp_mmu_zap_leafs(
  kvm: Kvm,
  start: Gfn,
  end: Gfn,
): Kernel<boolean> {
  if (!isProtected(kvm)) return false
  let gfn = xaFindIndex(kvm.tdpMmu, start, end - 1)
  while (gfn >= 0) {
    const spte = xaLoad(kvm.tdpMmu, gfn) as Spte
    const next = xaFindAfterIndex(kvm.tdpMmu, gfn, end - 1)
    if (spte.fromFile) {
      yield read(hypVm(kvm), 'state')
      const error = hostForceReclaimPageGuest(spte.pfn)
      warnOn(error === -EPERM, 'pkvm: a page that a guest shares cannot be taken from it')
      xaErase(kvm.tdpMmu, gfn)
      offStack(spte)
    }
    gfn = next
  }
  return false
})

/** What a VMM does for a protected VM. A descriptor or an error. */
export const pkvmConfidentialVm = fn(function* confidential_vm(): Kernel<number> {
  return yield* sysKvmCreateVm(KVM_VM_TYPE_ARM_PROTECTED)
})

/** The frame that a guest has at a gfn, or NULL. */
export function guestFrame(vm: PkvmVm, gfn: Gfn): Folio | null {
  alsoReads(vm, 'state')
  return vm.state.get(gfn) >= NOPAGE ? null : pfnToFolio(vm.pfn.get(gfn) as Pfn)
}

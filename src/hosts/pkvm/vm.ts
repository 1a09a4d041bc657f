/**
 * A protected VM of pKVM, as the host sees it: it asks the hypervisor for a handle, gives pages to
 * the guest as it faults, and takes them back when the VM is taken down. kvm->tdp_mmu has what it
 * has given, as the interval tree of mappings does in Linux; the guest runs on the hypervisor's own
 * table.
 *
 * Linux has protected VMs since 7.1. Where the memory comes from a slot's user address this is what
 * it does: the page is pinned for as long as it is mapped, and no MMU notifier unmaps anything. No
 * published kernel lets a protected VM have its memory from one of the files here. What is here for
 * them is gmem_abort(), which serves VMs that are not protected; what their callback may do depends
 * on the hypervisor, which up to 7.0 has no call that takes a page from a guest that lives.
 *
 * Left out: what the hypervisor has of VMs that are not protected, and the pages that the host
 * shares with it or gives to it for its own use.
 */
import { kvmMmuZapAll, kvmTdpMmuZap } from '../../kernel/arch/x86/kvm/tdp_mmu.js'
import type { kvmX86VmDestroy } from '../../kernel/arch/x86/kvm/x86_ops.js'
import { EFAULT, EINVAL, EPERM } from '../../kernel/include/errno.js'
import { Kvm, type KvmMemorySlot, type Spte } from '../../kernel/include/kvm.js'
import type { Folio } from '../../kernel/include/mm.js'
import type { Gfn, Pfn } from '../../kernel/include/types.js'
import {
  KVM_MEM_LOG_DIRTY_PAGES,
  KVM_MEM_READONLY,
  KVM_VM_TYPE_ARM_PROTECTED,
} from '../../kernel/include/uapi.js'
import { xaErase, xaFindAfterIndex, xaFindIndex, xaLoad } from '../../kernel/lib/xarray.js'
import { pfnToFolio } from '../../kernel/mm/page_alloc.js'
import { folioPut } from '../../kernel/mm/swap.js'
import { kvmArchFlushSlotOnly } from '../../kernel/v6_18/virt/kvm/memslots.js'
import { sysKvmCreateVm } from '../../kernel/virt/kvm/kvm_main.js'
import {
  KVM_MR_CREATE,
  KVM_MR_DELETE,
  KVM_MR_FLAGS_ONLY,
  KVM_MR_MOVE,
} from '../../kernel/virt/kvm/memslots.js'
import { offStack } from '../../machine/alloc.js'
import { alsoReads, alsoWrites, choose, inject, read, rmw } from '../../machine/effects.js'
import { mark, tracepoint, warnOn } from '../../machine/fault.js'
import { fn, type Kernel, original } from '../../machine/fn.js'
import { mutexLock, mutexUnlock, writeLock, writeUnlock } from '../../machine/locks.js'
import {
  constructAt,
  flag,
  headerAt,
  type Obj,
  type Struct,
  struct,
  type Vec,
  vanishAt,
  vec,
} from '../../machine/struct.js'
import { MAX_TASKS } from '../../machine/task.js'
import { hostForceReclaimPageGuest, hostReclaimPageGuest } from './guest-calls.js'
import { handleOf, NOPAGE, PkvmVm, pkvmPowerOn } from './ownership.js'
import {
  FINALIZE_TEARDOWN,
  INIT_VM,
  RECLAIM_DYING_PAGE,
  RESERVE_VM,
  refusal,
  refusals,
  START_TEARDOWN,
} from './refusals.js'

/** struct kvm_arch of arm64, of a protected VM. */
export interface KvmArch extends Obj {
  /** mmu.pgt: there is a table. Guard: mmu_lock for writing. */
  pgt: boolean
  /** The hypervisor has its own of the VM. Guard: slots_lock. */
  isCreated: boolean
  /** By task: its vCPU has run once. */
  ranOnce: Vec
}

export const KvmArch: Struct<KvmArch> = struct<KvmArch>(
  'KvmArch',
  { pgt: flag(), isCreated: flag(), ranOnce: vec(MAX_TASKS) },
  { capacity: Kvm.capacity },
)

const VMS = PkvmVm as unknown as Struct<Obj>
const ARCHS = KvmArch as unknown as Struct<Obj>

/** What the hypervisor has of a protected VM, or will have. */
export function hypVm(kvm: Kvm): PkvmVm {
  return PkvmVm.at(PkvmVm.base + (handleOf(kvm) - 1) * PkvmVm.words) as PkvmVm
}

export function archOf(kvm: Kvm): KvmArch {
  return KvmArch.at(KvmArch.base + (handleOf(kvm) - 1) * KvmArch.words) as KvmArch
}

/** mmu.pgt. What is of arm64 goes a little before the rest of struct kvm here. */
function hasTable(kvm: Kvm): boolean {
  return headerAt(ARCHS, archOf(kvm).at) === KvmArch.id && archOf(kvm).pgt
}

/** kvm_vm_is_protected(). */
export function isProtected(kvm: Kvm): boolean {
  return kvm.vmType === KVM_VM_TYPE_ARM_PROTECTED
}

export const pkvmInit = fn(function* pkvm_init(): Kernel<void> {
  pkvmPowerOn()
})

/**
 * What a hypercall answers if a fault of the scenario's strikes here: one of the codes that it has. 0:
 * nothing strikes.
 */
export const hypercallRefuses = fn(function* hypercall_refuses(call: number): Kernel<number> {
  if ((yield inject()) === 0) return 0
  return refusal(call, yield choose(refusals(call)))
})

export const pkvmVmTypeSupported = fn(function kvm_is_vm_type_supported(type: number): boolean {
  return type === 0 || type === KVM_VM_TYPE_ARM_PROTECTED
})

export const pkvmHasPrivateMem = fn(function kvm_arch_has_private_mem(type: number): boolean {
  return type === KVM_VM_TYPE_ARM_PROTECTED
})

/**
 * The VM is made: the hypervisor reserves a handle. -ENOMEM if it has none left.
 *
 * Models: 7.1 arch/arm64/kvm/pkvm.c pkvm_init_host_vm. Compared: 7.0 source, which knows no VM that
 * is protected.
 */
export const pkvmInitHostVm = fn(function* pkvm_init_host_vm(kvm: Kvm): Kernel<number> {
  if (!isProtected(kvm)) return 0
  const refused = yield* hypercallRefuses(RESERVE_VM)
  if (refused !== 0) return refused
  const vm = hypVm(kvm)
  constructAt(VMS, vm.at, 0)
  constructAt(ARCHS, archOf(kvm).at, 0)
  vm.protected = true
  for (let gfn = 0; gfn < vm.state.length; gfn++) vm.state.set(gfn, NOPAGE)
  archOf(kvm).pgt = true
  return 0
})

/**
 * Before a vCPU runs for the first time: the hypervisor gets its own of the VM, once, and from then
 * on no memslot goes. -ENOMEM if the host has no memory to give to it.
 *
 * Models: 7.1 arch/arm64/kvm/pkvm.c pkvm_create_hyp_vm and pkvm_create_hyp_vcpu, from arm.c
 * kvm_arch_vcpu_run_pid_change. Simplifies: config_lock, under which the vCPU is made, is not here.
 * Compared: 7.0 source, which does not take slots_lock.
 */
export const pkvmCreateHypVm = fn(function* pkvm_create_hyp_vm(kvm: Kvm): Kernel<number> {
  let ret = 0
  yield* mutexLock(kvm.slotsLock)
  const arch = archOf(kvm)
  if (!arch.isCreated) {
    ret = yield* hypercallRefuses(INIT_VM)
    if (ret === 0) {
      yield rmw(hypVm(kvm), 'state')
      hypVm(kvm).created = true
      arch.isCreated = true
    }
  }
  mutexUnlock(kvm.slotsLock)
  return ret
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
 * The hypervisor gives the pages back one by one, and each is unpinned behind that. One that it
 * does not give back stays pinned, for good. No lock is held.
 *
 * Models: 7.1 arch/arm64/kvm/pkvm.c __pkvm_pgtable_stage2_reclaim. Compared: 7.0 source, which has
 * none.
 */
export const reclaimAll = fn(function* __pkvm_pgtable_stage2_reclaim(kvm: Kvm): Kernel<void> {
  const vm = hypVm(kvm)
  yield read(kvm.tdpMmu, 'xaHead')
  let gfn = xaFindIndex(kvm.tdpMmu, 0, Number.MAX_SAFE_INTEGER)
  while (gfn >= 0) {
    let error: number = yield* hypercallRefuses(RECLAIM_DYING_PAGE)
    if (error === 0) {
      yield rmw(vm, 'state')
      error = hostReclaimPageGuest(vm, gfn as Gfn)
    }
    yield rmw(kvm.tdpMmu, 'xaHead')
    const spte = xaLoad(kvm.tdpMmu, gfn) as Spte
    const next = xaFindAfterIndex(kvm.tdpMmu, gfn, Number.MAX_SAFE_INTEGER)
    if (!warnOn(error !== 0, `__pkvm_reclaim_dying_guest_page answers ${error}`)) {
      xaErase(kvm.tdpMmu, gfn)
      if (!spte.fromFile) yield* unpin(spte)
      offStack(spte)
    }
    gfn = next
  }
})

/**
 * From now on no vCPU of the VM can be loaded, and its pages can be taken back. -EINVAL for a VM
 * that is not there, or is dying already.
 *
 * Models: 7.1 arch/arm64/kvm/hyp/nvhe/pkvm.c __pkvm_start_teardown_vm. Simplifies: no vCPU is
 * loaded, which would be -EINVAL too. Compared: 7.0 source, which has no such call.
 */
function startTeardownVm(vm: PkvmVm): number {
  if (!vm.created || vm.dying) return -EINVAL
  vm.dying = true
  return 0
}

/**
 * The hypervisor is told first; if it does not listen, no page comes back.
 *
 * Models: 7.1 arch/arm64/kvm/pkvm.c pkvm_pgtable_stage2_destroy_range and
 * pkvm_pgtable_stage2_destroy_pgd. Compared: 7.0 source, which unshares the pages.
 */
export const stage2Destroy = fn(function* pkvm_pgtable_stage2_destroy_range(
  kvm: Kvm,
): Kernel<void> {
  if (archOf(kvm).isCreated) {
    let error: number = yield* hypercallRefuses(START_TEARDOWN)
    if (error === 0) {
      yield rmw(hypVm(kvm), 'state')
      error = startTeardownVm(hypVm(kvm))
    }
    warnOn(error !== 0, `__pkvm_start_teardown_vm answers ${error}`)
  }
  yield* reclaimAll(kvm)
  const left = xaFindIndex(kvm.tdpMmu, 0, Number.MAX_SAFE_INTEGER) >= 0
  warnOn(left, 'pkvm_pgtable_stage2_destroy_pgd: mappings are left')
})

const plainZapAll = original(kvmMmuZapAll)

/**
 * All memory of the VM goes. The table is taken away under mmu_lock, and what it maps is given up
 * behind that, without a lock: who invalidates meanwhile finds no table, and takes it that nothing
 * is mapped.
 *
 * Models: 7.1 arch/arm64/kvm/nested.c kvm_arch_flush_shadow_all, with mmu.c kvm_free_stage2_pgd.
 * Compared: 7.0 source.
 */
export const pkvmFlushShadowAll = fn(function* kvm_mmu_zap_all(kvm: Kvm): Kernel<void> {
  if (!isProtected(kvm)) {
    yield* plainZapAll(kvm)
    return
  }
  yield* writeLock(kvm.mmuLock)
  const pgt = archOf(kvm).pgt
  archOf(kvm).pgt = false
  writeUnlock(kvm.mmuLock)
  if (pgt) yield* stage2Destroy(kvm)
})

/**
 * The hypervisor forgets the VM, unless that is not dying; a handle that was only reserved is free
 * again.
 *
 * Models: 7.1 arch/arm64/kvm/pkvm.c pkvm_destroy_hyp_vm, with hyp/nvhe/pkvm.c
 * __pkvm_finalize_teardown_vm. Compared: 7.0 source, which has one call for all of the teardown.
 */
export const pkvmDestroyHypVm: typeof kvmX86VmDestroy = fn(function* pkvm_destroy_hyp_vm(
  kvm: Kvm,
): Kernel<void> {
  if (!isProtected(kvm)) return
  const vm = hypVm(kvm)
  let error: number = vm.created ? yield* hypercallRefuses(FINALIZE_TEARDOWN) : 0
  yield rmw(vm, 'state')
  if (error === 0 && vm.created && !vm.dying) error = -EINVAL
  if (!warnOn(error !== 0, `__pkvm_finalize_teardown_vm answers ${error}`)) vanishAt(VMS, vm.at)
  vanishAt(ARCHS, archOf(kvm).at)
})

/** No guest has more address bits than these. */
const MAX_GFN = 2 ** 40

/**
 * -EPERM for what a protected VM cannot have: dirty logging, memory that is only read, and, once it
 * has run, a slot that goes or moves. -EFAULT for memory behind the last address.
 *
 * Models: 7.1 arch/arm64/kvm/mmu.c kvm_arch_prepare_memory_region. Derived: -EINVAL for a file that
 * cannot be mapped by the process is left out, since that is what is asked here. Simplifies: no MTE,
 * no devices; the host has the most address bits that there are. Compared: 7.0 source, without the
 * rules for protected VMs, of which it knows none.
 */
export const pkvmPrepareMemoryRegion = fn(function kvm_arch_prepare_memory_region(
  kvm: Kvm,
  slot: KvmMemorySlot | null,
  change: number,
): number {
  if (isProtected(kvm)) {
    const goes = change === KVM_MR_DELETE || change === KVM_MR_MOVE
    if (goes && archOf(kvm).isCreated) {
      mark('memslot-kept')
      return -EPERM
    }
    const flags = KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY
    if (slot !== null && slot.flags & flags) return -EPERM
  }
  if (change !== KVM_MR_CREATE && change !== KVM_MR_MOVE && change !== KVM_MR_FLAGS_ONLY) return 0
  return slot!.baseGfn + slot!.npages > MAX_GFN ? -EFAULT : 0
})

/**
 * Nothing to do while dirty logging is left out, whatever flags have changed.
 *
 * Models: 7.1 arch/arm64/kvm/mmu.c kvm_arch_commit_memory_region. Compared: 7.0 source.
 */
export const pkvmCommitMemoryRegion = fn(function kvm_arch_commit_memory_region(
  _old: KvmMemorySlot | null,
  _slot: KvmMemorySlot | null,
  _change: number,
): void {})

/**
 * A slot goes, or would: nothing of a protected VM is unmapped.
 *
 * Models: 7.1 arch/arm64/kvm/mmu.c kvm_arch_flush_shadow_memslot, with kvm_stage2_unmap_range.
 * Compared: 7.0 source.
 */
export const pkvmFlushShadowMemslot = fn(function* kvm_arch_flush_shadow_memslot(
  kvm: Kvm,
  slot: KvmMemorySlot,
): Kernel<void> {
  if (!isProtected(kvm)) {
    yield* kvmArchFlushSlotOnly(kvm, slot)
    return
  }
  yield* writeLock(kvm.mmuLock)
  writeUnlock(kvm.mmuLock)
})

const plainZap = original(kvmTdpMmuZap)

/**
 * Who backs the memory says that [start, end) goes. Nothing of a protected VM is unmapped: of a page
 * of the process the pin keeps it, of one of a file nothing does. True would mean that TLBs are to be
 * flushed.
 *
 * Models: 7.1 arch/arm64/kvm/mmu.c kvm_unmap_gfn_range. Compared: 7.0 source, without the rule for
 * protected VMs.
 */
export const pkvmUnmapRefused = fn(function* tdp_mmu_zap_leafs(
  kvm: Kvm,
  start: Gfn,
  end: Gfn,
  filter: number,
): Kernel<boolean> {
  if (isProtected(kvm)) return false
  return yield* plainZap(kvm, start, end, filter)
})

/**
 * The same with a hypervisor that can be asked to take a page by force. The file's page goes back to
 * the host, zeroed, before it leaves the file; if the guest has not given it away before, it finds
 * poison there. Where the table is gone, nothing is looked for.
 *
 * Derived: 7.1 arch/arm64/kvm/mmu.c kvm_unmap_gfn_range, for a VM whose memory is from a file.
 */
export const pkvmUnmapForced = fn(function* tdp_mmu_zap_leafs(
  kvm: Kvm,
  start: Gfn,
  end: Gfn,
  filter: number,
): Kernel<boolean> {
  if (!isProtected(kvm)) return yield* plainZap(kvm, start, end, filter)
  if (!hasTable(kvm)) return false
  let gfn = xaFindIndex(kvm.tdpMmu, start, end - 1)
  while (gfn >= 0) {
    const spte = xaLoad(kvm.tdpMmu, gfn) as Spte
    const next = xaFindAfterIndex(kvm.tdpMmu, gfn, end - 1)
    if (spte.fromFile) {
      yield rmw(hypVm(kvm), 'state')
      const error = hostForceReclaimPageGuest(spte.pfn)
      warnOn(error === -EPERM, 'pkvm: a page that a guest shares cannot be taken from it')
      alsoWrites(kvm.tdpMmu, 'xaHead')
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

/**
 * The life of a TD: what kinds of VM there are, its beginning, its vCPUs, and its end, at which the
 * key goes first and then the pages.
 */
import { GFN_END } from '../../kernel/arch/x86/kvm/tdp_mmu.js'
import type { kvmX86VmDestroy } from '../../kernel/arch/x86/kvm/x86_ops.js'
import { EIO } from '../../kernel/include/errno.js'
import type { Kvm, Spte } from '../../kernel/include/kvm.js'
import type { Gfn } from '../../kernel/include/types.js'
import {
  KVM_X86_DEFAULT_VM,
  KVM_X86_SW_PROTECTED_VM,
  KVM_X86_TDX_VM,
} from '../../kernel/include/uapi.js'
import { xaErase, xaFindAfterIndex, xaFindIndex, xaLoad } from '../../kernel/lib/xarray.js'
import { pfnToFolio } from '../../kernel/mm/page_alloc.js'
import { sysKvmCreateVm } from '../../kernel/virt/kvm/kvm_main.js'
import { offStack } from '../../machine/alloc.js'
import { alsoReads, rmw } from '../../machine/effects.js'
import { fn, type Kernel, original } from '../../machine/fn.js'
import { writeLock, writeUnlock } from '../../machine/locks.js'
import { constructAt, type Obj, type Struct, vanishAt } from '../../machine/struct.js'
import {
  isTd,
  KvmTdx,
  opState,
  seamcallRefuses,
  tdOf,
  tdxBugOn,
  tdxClearPage,
  tdxOf,
  tdxUnpin,
} from './kvm.js'
import { lockTdr, Td, TEARDOWN, tdhPhymemPageReclaim, tdxPowerOn, unlockTdr } from './module.js'
import { VP_INIT } from './refusals.js'
import { SEPT_STATE, TDX_SUCCESS } from './sept.js'

const TDS = Td as unknown as Struct<Obj>
const TDX_VMS = KvmTdx as unknown as Struct<Obj>

export const tdxInit = fn(function* tdx_init(): Kernel<void> {
  tdxPowerOn()
})

export const tdxVmTypeSupported = fn(function kvm_is_vm_type_supported(type: number): boolean {
  return type === KVM_X86_DEFAULT_VM || type === KVM_X86_SW_PROTECTED_VM || type === KVM_X86_TDX_VM
})

export const tdxHasPrivateMem = fn(function kvm_arch_has_private_mem(type: number): boolean {
  return type === KVM_X86_SW_PROTECTED_VM || type === KVM_X86_TDX_VM
})

/**
 * Models: 6.17 arch/x86/kvm/vmx/tdx.c tdx_vm_init and __tdx_td_init. Simplifies: KVM_TDX_INIT_VM is
 * part of it; keys never run out.
 */
export const tdxVmInit = fn(function* tdx_vm_init(kvm: Kvm): Kernel<number> {
  if (!isTd(kvm)) return 0
  constructAt(TDS, tdOf(kvm).at, 0)
  constructAt(TDX_VMS, tdxOf(kvm).at, 0)
  tdOf(kvm).opState = opState('INITIALIZED')
  return 0
})

/** What a VMM does for a TD before it has memory. A descriptor or an error. */
export const tdxConfidentialVm = fn(function* confidential_vm(): Kernel<number> {
  return yield* sysKvmCreateVm(KVM_X86_TDX_VM)
})

/** KVM maps nothing ahead of a TD that is not finalised. Models: 6.17 vmx/tdx.c tdx_td_finalize. */
export const tdxPreFaultAllowed = fn(function kvm_pre_fault_allowed(kvm: Kvm): boolean {
  if (!isTd(kvm)) return true
  alsoReads(tdOf(kvm), 'state')
  return tdOf(kvm).opState === opState('RUNNABLE')
})

/** Has the module a page of the TD's yet, which was not taken back in time? */
function hasPages(td: Td): boolean {
  for (let gfn = 0; gfn < td.state.length; gfn++) {
    if (td.state.get(gfn) !== SEPT_STATE.FREE) return true
  }
  return false
}

/**
 * The key is given back, and then the pages, whatever became of the VM.
 *
 * Models: 6.17 vmx/tdx.c tdx_mmu_release_hkid and tdx_vm_destroy, with the zap of the mirror root in
 * between. Simplifies: no vCPU is inside, since nobody has the VM.
 */
export const tdxVmDestroy: typeof kvmX86VmDestroy = fn(function* tdx_vm_destroy(
  kvm: Kvm,
): Kernel<void> {
  if (!isTd(kvm)) return
  yield rmw(tdOf(kvm), 'state')
  tdOf(kvm).opState = TEARDOWN
  let gfn = xaFindIndex(kvm.tdpMmu, 0, GFN_END - 1)
  while (gfn >= 0) {
    const next = xaFindAfterIndex(kvm.tdpMmu, gfn, GFN_END - 1)
    const spte = xaLoad(kvm.tdpMmu, gfn) as Spte
    const folio = pfnToFolio(spte.pfn)!
    yield rmw(tdOf(kvm), 'state')
    const reclaimed = !spte.private || tdhPhymemPageReclaim(tdOf(kvm), gfn as Gfn) === TDX_SUCCESS
    xaErase(kvm.tdpMmu, gfn)
    const isPrivate = spte.private
    offStack(spte)
    if (isPrivate && reclaimed) {
      yield* tdxClearPage(folio)
      yield* tdxUnpin(folio)
    }
    gfn = next
  }
  // The TDR of a TD that has pages yet is not reclaimed: it is lost, and what it keeps with it.
  if (!hasPages(tdOf(kvm))) vanishAt(TDS, tdOf(kvm).at)
  vanishAt(TDX_VMS, tdxOf(kvm).at)
})

/**
 * KVM_TDX_INIT_VCPU: the call has the TDR to itself, which block, track and remove want for their
 * share, and another vCPU's call too. Two steps, since it takes a while. -EIO if somebody has it, and
 * KVM gives the VM up.
 *
 * Models: 6.17 vmx/tdx.c tdx_td_vcpu_init, its TDH.VP.INIT.
 */
export const tdVcpuInit = fn(function* tdx_td_vcpu_init(kvm: Kvm): Kernel<number> {
  const refused = yield* seamcallRefuses(VP_INIT)
  if (refused !== TDX_SUCCESS) return tdxBugOn(kvm, 'VP_INIT', refused) ? -EIO : 0
  yield rmw(tdOf(kvm), 'state')
  const code = lockTdr(tdOf(kvm))
  if (tdxBugOn(kvm, 'VP_INIT', code)) return -EIO
  yield rmw(tdOf(kvm), 'state')
  unlockTdr(tdOf(kvm))
  return 0
})

const plainVcpuInit = original(tdVcpuInit)

/**
 * Under mmu_lock, so that neither a zap nor another such call is under way.
 *
 * Models: 7.0 vmx/tdx.c tdx_td_vcpu_init.
 */
export const tdVcpuInitLocked = fn(function* tdx_td_vcpu_init(kvm: Kvm): Kernel<number> {
  yield* writeLock(kvm.mmuLock)
  const error = yield* plainVcpuInit(kvm)
  writeUnlock(kvm.mmuLock)
  return error
})

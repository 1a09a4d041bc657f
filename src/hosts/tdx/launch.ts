/**
 * What a TD begins with, and the end of its launch. Up to 6.18 a page is first mapped in KVM's own
 * table, by a fault, and counted; then it is added to the TD, and counted no more. From 6.19 on it is
 * added as the leaf is installed, and all such requests are made under the locks of the whole VM.
 *
 * Left out: measuring, TDH.MR.EXTEND.
 */

import { taskVcpu } from '../../kernel/arch/x86/kvm/guest.js'
import { kvmTdpMmuMap } from '../../kernel/arch/x86/kvm/tdp_mmu.js'
import { fput } from '../../kernel/fs/file_table.js'
import { EBUSY, EINVAL, EIO, ENOTTY } from '../../kernel/include/errno.js'
import { type Kvm, KvmPageFault } from '../../kernel/include/kvm.js'
import type { Folio } from '../../kernel/include/mm.js'
import { bytesToPgoff, type Gfn, isPageAligned, PAGE_SIZE } from '../../kernel/include/types.js'
import { xaLoad } from '../../kernel/lib/xarray.js'
import { getUserPages } from '../../kernel/mm/gup.js'
import { folioPut } from '../../kernel/mm/swap.js'
import { RET_PF_RETRY } from '../../kernel/v6_18/arch/x86/kvm/mmu.js'
import { kvmGmemPopulate } from '../../kernel/v6_18/virt/kvm/populate.js'
import { kvmTdpMapPage } from '../../kernel/v6_18/virt/kvm/pre_fault.js'
import { searchMemslots } from '../../kernel/virt/kvm/memslots.js'
import { kvmFget, kvmOf } from '../../kernel/virt/kvm/vm_file.js'
import { offStack, onStack } from '../../machine/alloc.js'
import { rmw, write } from '../../machine/effects.js'
import { mark } from '../../machine/fault.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { mutexLock, mutexUnlock, readLock, readUnlock } from '../../machine/locks.js'
import { isErr, ptrErr } from '../../machine/struct.js'
import { isBusy, isTd, opState, seamcallRefuses, tdOf, tdxBugOn, tdxOf } from './kvm.js'
import { pageAddBegin, pageAddCommit, tdhMrFinalize } from './module.js'
import { ADD, FINALIZE } from './refusals.js'
import { TDX_SUCCESS } from './sept.js'

/** TDH.MEM.PAGE.ADD, two steps: TDX_SUCCESS or a code. */
export const tdhMemPageAdd = fn(function* tdh_mem_page_add(
  kvm: Kvm,
  gfn: Gfn,
  folio: Folio,
  source: Folio,
): Kernel<number> {
  const refused = yield* seamcallRefuses(ADD)
  if (refused !== TDX_SUCCESS) return refused
  yield rmw(tdOf(kvm), 'state')
  const code = pageAddBegin(tdOf(kvm), gfn, folio.pfn)
  if (code !== TDX_SUCCESS) return code
  yield rmw(tdOf(kvm), 'state')
  pageAddCommit(tdOf(kvm), gfn, folio, source)
  return TDX_SUCCESS
})

/**
 * Map the page by a fault of the vCPU's, then add it. If the module is busy, -EBUSY, or refuses,
 * -EIO, the leaf stays, and so does the page's mark that it is prepared: who asks again is told
 * -EEXIST.
 *
 * Models: 6.17 arch/x86/kvm/vmx/tdx.c tdx_gmem_post_populate.
 */
export const tdxGmemPostPopulate = fn(function* tdx_gmem_post_populate(
  kvm: Kvm,
  gfn: Gfn,
  folio: Folio,
  src: bigint,
  _opaque: number,
): Kernel<number> {
  const source = yield* getUserPages(src, false)
  if (isErr(source)) return ptrErr(source)
  const vcpu = yield* taskVcpu(kvm)
  let ret = yield* kvmTdpMapPage(vcpu, gfn, true)
  if (ret === 0) {
    const code = yield* tdhMemPageAdd(kvm, gfn, folio, source)
    if (code !== TDX_SUCCESS) ret = isBusy(code) ? -EBUSY : -EIO
    else {
      yield write(tdxOf(kvm), 'premapped')
      tdxOf(kvm).premapped -= 1
      mark('page-launched')
    }
  }
  yield* folioPut(source)
  return ret
})

/**
 * Map this page, whatever a fault would find: 0, or -EIO if it is mapped already or KVM has given the
 * VM up. The module's being busy is waited for.
 *
 * Models: 7.0 arch/x86/kvm/mmu/mmu.c kvm_tdp_mmu_map_private_pfn. Simplifies: no signals.
 */
export const mapPrivatePfn = fn(function* kvm_tdp_mmu_map_private_pfn(
  kvm: Kvm,
  gfn: Gfn,
  folio: Folio,
): Kernel<number> {
  const fault = onStack(KvmPageFault)
  fault.gfn = gfn
  fault.prefetch = true
  fault.mapWritable = true
  fault.slot = searchMemslots(kvm.memslots!, gfn)
  let ret = RET_PF_RETRY
  while (ret === RET_PF_RETRY) {
    yield* readLock(kvm.mmuLock)
    if (kvm.vmDead || xaLoad(kvm.tdpMmu, gfn) !== null) ret = -EIO
    else {
      yield* kvmTdpMmuMap(kvm, fault, folio, true, true)
      if (xaLoad(kvm.tdpMmu, gfn) !== null) ret = 0
    }
    readUnlock(kvm.mmuLock)
  }
  if (ret === 0) mark('page-launched')
  offStack(fault)
  return ret
})

/**
 * Install the leaf, which adds the page to the TD.
 *
 * Models: 7.0 arch/x86/kvm/vmx/tdx.c tdx_gmem_post_populate. Simplifies: the source is got here, and
 * in Linux before invalidate_lock is taken.
 */
export const tdxGmemPostPopulateAdds = fn(function* tdx_gmem_post_populate(
  kvm: Kvm,
  gfn: Gfn,
  folio: Folio,
  src: bigint,
  _opaque: number,
): Kernel<number> {
  const source = yield* getUserPages(src, false)
  if (isErr(source)) return ptrErr(source)
  tdxOf(kvm).pageAddSrc = source
  const ret = yield* mapPrivatePfn(kvm, gfn, folio)
  tdxOf(kvm).pageAddSrc = null
  yield* folioPut(source)
  return ret
})

/** tdh_mem_page_add() as the leaf is installed: a code. Models: 7.0 vmx/tdx.c tdx_mem_page_add. */
export const tdxMemPageAdd = fn(function* tdx_mem_page_add(
  kvm: Kvm,
  gfn: Gfn,
  folio: Folio,
): Kernel<number> {
  return yield* tdhMemPageAdd(kvm, gfn, folio, tdxOf(kvm).pageAddSrc!)
})

/** The locks that a request about a TD's launch is made under, beside the vCPU's own. */
export const tdxLockState = fn(function* tdx_vcpu_ioctl_lock(kvm: Kvm): Kernel<void> {
  yield* mutexLock(kvm.slotsLock)
})

/** From 6.19 on. Models: 7.0 vmx/tdx.c tdx_acquire_vm_state_locks. */
export const tdxLockAllState = fn(function* tdx_acquire_vm_state_locks(kvm: Kvm): Kernel<void> {
  yield* mutexLock(kvm.lock)
  yield* mutexLock(kvm.slotsLock)
})

export const tdxUnlockState = fn(function tdx_vcpu_ioctl_unlock(kvm: Kvm): void {
  mutexUnlock(kvm.slotsLock)
})

/** From 6.19 on. Models: 7.0 vmx/tdx.c tdx_release_vm_state_locks. */
export const tdxUnlockAllState = fn(function tdx_release_vm_state_locks(kvm: Kvm): void {
  mutexUnlock(kvm.slotsLock)
  mutexUnlock(kvm.lock)
})

/**
 * Page after page, until one fails: 0 or its error. -EINVAL for a TD that is finalised, a size that
 * is no pages, and what is not page aligned.
 *
 * Models: 6.17 vmx/tdx.c tdx_vcpu_init_mem_region. Simplifies: what is left of the request is not
 * written back; no signals. Compared: 7.0 source.
 */
export const initMemRegion = fn(function* tdx_vcpu_init_mem_region(
  kvm: Kvm,
  gpa: bigint,
  size: bigint,
  uaddr: bigint,
): Kernel<number> {
  if (tdOf(kvm).opState !== opState('INITIALIZED')) return -EINVAL
  if (!isPageAligned(uaddr) || !isPageAligned(gpa) || !isPageAligned(size) || size === 0n) {
    return -EINVAL
  }
  let done = 0n
  let ret = 0
  while (done < size && ret === 0) {
    const gfn = bytesToPgoff(gpa + done) as number as Gfn
    const count = yield* kvmGmemPopulate(kvm, gfn, uaddr + done, 1, 0)
    if (count < 0) ret = count
    else if (count !== 1) ret = -EIO
    done += PAGE_SIZE
  }
  return ret
})

/**
 * KVM_TDX_INIT_MEM_REGION by the task's vCPU. -ENOTTY of a VM that is no TD.
 *
 * Models: 6.17 vmx/tdx.c tdx_vcpu_ioctl. Simplifies: a vCPU that no scenario has created is
 * initialised. Compared: 7.0 source, tdx_vcpu_unlocked_ioctl.
 */
export const tdxLaunchUpdate = fn(function* launch_update(
  vm: number,
  gpa: bigint,
  size: bigint,
  uaddr: bigint,
  _type: number,
): Kernel<number> {
  const file = yield* kvmFget(vm)
  if (isErr(file)) return ptrErr(file)
  const kvm = kvmOf(file)
  let ret = -ENOTTY
  if (isTd(kvm)) {
    yield* tdxLockState(kvm)
    ret = yield* initMemRegion(kvm, gpa, size, uaddr)
    tdxUnlockState(kvm)
  }
  yield* fput(file)
  return ret
})

/**
 * -EINVAL if that was done or, up to 6.18, a page is counted that was not added; -EBUSY and -EIO from
 * the module.
 *
 * Models: 6.17 vmx/tdx.c tdx_td_finalize. Compared: 7.0 source.
 */
export const tdFinalize = fn(function* tdx_td_finalize(kvm: Kvm): Kernel<number> {
  const td = tdOf(kvm)
  yield rmw(td, 'state')
  if (td.opState !== opState('INITIALIZED') || tdxOf(kvm).premapped > 0) return -EINVAL
  let code = yield* seamcallRefuses(FINALIZE)
  if (code === TDX_SUCCESS) {
    yield rmw(td, 'state')
    code = tdhMrFinalize(td)
  }
  if (isBusy(code)) return -EBUSY
  return tdxBugOn(kvm, 'MR_FINALIZE', code) ? -EIO : 0
})

/**
 * KVM_TDX_FINALIZE_VM, under kvm->lock and slots_lock.
 *
 * Models: 6.17 vmx/tdx.c tdx_vm_ioctl. Compared: 7.0 source, which takes those of the vCPUs too; none
 * runs before that.
 */
export const tdxLaunch = fn(function* launch(vm: number): Kernel<number> {
  const file = yield* kvmFget(vm)
  if (isErr(file)) return ptrErr(file)
  const kvm = kvmOf(file)
  let ret = -ENOTTY
  if (isTd(kvm)) {
    yield* tdxLockAllState(kvm)
    ret = yield* tdFinalize(kvm)
    tdxUnlockAllState(kvm)
  }
  yield* fput(file)
  return ret
})

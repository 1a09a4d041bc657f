/**
 * KVM's half of TDX: a page is added to the S-EPT when a fault installs its leaf in KVM's own copy of
 * it, and removed, with block, track and remove, when the leaf is zapped. Every call may be refused
 * because somebody else has a lock of the module; then all vCPUs are driven out of the guest and kept
 * out while the call is made once more. What fails then has no way back: KVM gives the VM up.
 *
 * There are two versions. Up to 6.18 each leaf keeps a reference to its page, and a page that comes
 * back is cleared; from 6.19 on neither.
 */

import { GFN_END, kvmFlushRemoteTlbs, makeSpte } from '../../kernel/arch/x86/kvm/tdp_mmu.js'
import type { kvmX86VmDestroy } from '../../kernel/arch/x86/kvm/x86_ops.js'
import { EIO } from '../../kernel/include/errno.js'
import {
  KVM_FILTER_PRIVATE,
  KVM_FILTER_SHARED,
  Kvm,
  type KvmPageFault,
  type Spte,
} from '../../kernel/include/kvm.js'
import type { Folio } from '../../kernel/include/mm.js'
import type { Gfn } from '../../kernel/include/types.js'
import {
  KVM_X86_DEFAULT_VM,
  KVM_X86_SW_PROTECTED_VM,
  KVM_X86_TDX_VM,
} from '../../kernel/include/uapi.js'
import { xaErase, xaFindAfterIndex, xaFindIndex, xaLoad } from '../../kernel/lib/xarray.js'
import { clearFolio, pfnToFolio } from '../../kernel/mm/page_alloc.js'
import { folioGet, folioPut } from '../../kernel/mm/swap.js'
import { kvmBugOn } from '../../kernel/virt/kvm/dead.js'
import { sysKvmCreateVm } from '../../kernel/virt/kvm/kvm_main.js'
import { offStack } from '../../machine/alloc.js'
import {
  alsoReads,
  alsoWrites,
  choose,
  inject,
  rmw,
  untilElement,
  write,
} from '../../machine/effects.js'
import { mark, tracepoint } from '../../machine/fault.js'
import { fn, type Kernel, original } from '../../machine/fn.js'
import { writeLock, writeUnlock } from '../../machine/locks.js'
import {
  constructAt,
  flag,
  num,
  type Obj,
  ptr,
  type Struct,
  struct,
  type Vec,
  vanishAt,
  vec,
} from '../../machine/struct.js'
import { MAX_TASKS } from '../../machine/task.js'
import {
  GUEST_FRAMES,
  lockTdr,
  Td,
  TEARDOWN,
  tdhMemPageAug,
  tdhMemPageRemove,
  tdhMemRangeBlock,
  tdhMemTrack,
  tdhPhymemPageReclaim,
  tdxPowerOn,
  unlockTdr,
} from './module.js'
import {
  OP_STATES,
  type OpState,
  SEPT_STATE,
  TDX_EPT_ENTRY_STATE_INCORRECT,
  TDX_OPERAND_BUSY,
  TDX_OPERAND_INVALID,
  TDX_SUCCESS,
} from './sept.js'

/** struct kvm_tdx. */
export interface KvmTdx extends Obj {
  /** wait_for_sept_zap: no vCPU may enter. Guard: mmu_lock for writing. */
  barred: boolean
  /** By gfn: a fault is changing the leaf, and nobody else may. */
  frozen: Vec
  /** By gfn: the guest's own page table has the shared bit. Guard: the guest's. */
  sharedGfns: Vec
  /** By task: how the access under way was made; 0 for none, 1 private, 2 shared. */
  exitKind: Vec
  /** By task: its vCPU is wanted outside, and has not been there since. */
  kicked: Vec
  /** nr_premapped: leaves whose page is not added yet. Guard: mmu_lock, for reading or writing. */
  premapped: number
  /** page_add_src: what the page that is being added is to hold. Guard: slots_lock. */
  pageAddSrc: Folio | null
}

export const KvmTdx: Struct<KvmTdx> = struct<KvmTdx>(
  'KvmTdx',
  {
    barred: flag(),
    frozen: vec(GUEST_FRAMES),
    sharedGfns: vec(GUEST_FRAMES),
    exitKind: vec(MAX_TASKS),
    kicked: vec(MAX_TASKS),
    premapped: num(),
    pageAddSrc: ptr('Folio'),
  },
  { capacity: Kvm.capacity },
)

const TDS = Td as unknown as Struct<Obj>
const TDX_VMS = KvmTdx as unknown as Struct<Obj>

function numberOf(kvm: Kvm): number {
  return (kvm.at - Kvm.base) / Kvm.words
}

/** The TD of a VM. */
export function tdOf(kvm: Kvm): Td {
  return Td.at(Td.base + numberOf(kvm) * Td.words) as Td
}

/** to_kvm_tdx(). */
export function tdxOf(kvm: Kvm): KvmTdx {
  return KvmTdx.at(KvmTdx.base + numberOf(kvm) * KvmTdx.words) as KvmTdx
}

export function isTd(kvm: Kvm): boolean {
  return kvm.vmType === KVM_X86_TDX_VM
}

export const tdxInit = fn(function* tdx_init(): Kernel<void> {
  tdxPowerOn()
})

export const tdxVmTypeSupported = fn(function kvm_is_vm_type_supported(type: number): boolean {
  return type === KVM_X86_DEFAULT_VM || type === KVM_X86_SW_PROTECTED_VM || type === KVM_X86_TDX_VM
})

export const tdxHasPrivateMem = fn(function kvm_arch_has_private_mem(type: number): boolean {
  return type === KVM_X86_SW_PROTECTED_VM || type === KVM_X86_TDX_VM
})

export function opState(s: OpState): number {
  return OP_STATES.indexOf(s)
}

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

/** A leaf's reference to its page. Models: 6.17 vmx/tdx.c tdx_sept_set_private_spte, get_page(). */
export const tdxPin = fn(function* tdx_pin(folio: Folio): Kernel<void> {
  yield* folioGet(folio)
})

/** Models: 6.17 vmx/tdx.c tdx_unpin. */
export const tdxUnpin = fn(function* tdx_unpin(folio: Folio): Kernel<void> {
  yield* folioPut(folio)
})

/** From 6.19 on, for both. */
export const noPin = fn(function* tdx_pin(_folio: Folio): Kernel<void> {})

/**
 * A page comes back with the TD's ciphertext in it: the host clears it with stores of whole lines.
 *
 * Models: 6.17 vmx/tdx.c tdx_clear_page.
 */
export const tdxClearPage = fn(function* tdx_clear_page(folio: Folio): Kernel<void> {
  yield write(folio, 'data')
  clearFolio(folio)
})

/** From 6.19 on, on parts without the erratum that makes partial writes dangerous. */
export const noClear = fn(function* tdx_clear_page(_folio: Folio): Kernel<void> {})

/** tdx_operand_busy(): an epoch that is not over is none of it. */
export function isBusy(code: number): boolean {
  return code === TDX_OPERAND_BUSY
}

/** KVM_BUG_ON() of what the module has answered. */
export function tdxBugOn(kvm: Kvm, call: string, code: number): boolean {
  const text = `SEAMCALL TDH_${call} failed: 0x${(code >>> 0).toString(16)}`
  return kvmBugOn(kvm, code !== TDX_SUCCESS, text)
}

/**
 * What a call of the module answers if a fault of the scenario's strikes here: that somebody has a
 * lock, as a vCPU that steps over one instruction again and again can, or that something is wrong.
 * TDX_SUCCESS: nothing strikes.
 */
export const seamcallRefuses = fn(function* seamcall_refuses(): Kernel<number> {
  if ((yield inject()) === 0) return TDX_SUCCESS
  return (yield choose(2)) === 0 ? TDX_OPERAND_BUSY : TDX_OPERAND_INVALID
})

/** TDH.MEM.PAGE.AUG: a code. Models: 6.17 vmx/tdx.c tdx_mem_page_aug. Compared: 7.0 source. */
export const tdxMemPageAug = fn(function* tdx_mem_page_aug(
  kvm: Kvm,
  gfn: Gfn,
  folio: Folio,
): Kernel<number> {
  const refused = yield* seamcallRefuses()
  if (refused !== TDX_SUCCESS) return refused
  yield rmw(tdOf(kvm), 'state')
  return tdhMemPageAug(tdOf(kvm), gfn, folio.pfn)
})

/**
 * Of a TD that is not finalised: the leaf stands for a page that is not added yet.
 *
 * Models: 6.17 vmx/tdx.c tdx_mem_page_record_premap_cnt.
 */
export const beforeFinal = fn(function* tdx_mem_page_record_premap_cnt(
  kvm: Kvm,
  _gfn: Gfn,
  _folio: Folio,
): Kernel<number> {
  yield write(tdxOf(kvm), 'premapped')
  tdxOf(kvm).premapped += 1
  return TDX_SUCCESS
})

/**
 * Install a private leaf: KVM's own is frozen, so that nobody else changes it, the page is added to
 * the TD, and then the leaf is written. If a lock of the module is taken nothing is installed, and
 * the guest faults again. mmu_lock is held for reading.
 *
 * Models: 6.17 arch/x86/kvm/mmu/tdp_mmu.c set_external_spte_present, vmx/tdx.c
 * tdx_sept_set_private_spte. Compared: 7.0 source, which keeps no reference.
 */
export const setPrivateSpte = fn(function* tdx_sept_set_private_spte(
  kvm: Kvm,
  fault: KvmPageFault,
  folio: Folio,
): Kernel<void> {
  const tdx = tdxOf(kvm)
  yield rmw(kvm.tdpMmu, 'xaHead')
  alsoWrites(tdx, 'frozen')
  if (xaLoad(kvm.tdpMmu, fault.gfn) !== null || tdx.frozen.get(fault.gfn) !== 0) return
  tdx.frozen.set(fault.gfn, 1)
  yield* tdxPin(folio)
  let code = TDX_SUCCESS
  if (tdOf(kvm).opState === opState('RUNNABLE')) {
    code = yield* tdxMemPageAug(kvm, fault.gfn, folio)
  } else code = yield* beforeFinal(kvm, fault.gfn, folio)
  yield rmw(kvm.tdpMmu, 'xaHead')
  alsoWrites(tdx, 'frozen')
  tdx.frozen.set(fault.gfn, 0)
  if (code === TDX_SUCCESS) {
    mark('page-added')
    makeSpte(kvm, fault, folio, true, true)
    return
  }
  if (!isBusy(code)) tdxBugOn(kvm, 'MEM_PAGE_AUG', code)
  yield* tdxUnpin(folio)
})

/**
 * Drive every vCPU out of the guest that is inside, and wait until each has been outside; it may be
 * inside again by then.
 *
 * Models: 6.17 virt/kvm/kvm_main.c kvm_make_all_cpus_request with KVM_REQ_OUTSIDE_GUEST_MODE, which
 * waits for the acknowledgements.
 */
export const kickAll = fn(function* kvm_make_all_cpus_request(kvm: Kvm): Kernel<void> {
  const tdx = tdxOf(kvm)
  yield rmw(tdOf(kvm), 'state')
  alsoWrites(tdx, 'kicked')
  for (let n = 0; n < MAX_TASKS; n++) if (tdOf(kvm).inside.get(n) !== 0) tdx.kicked.set(n, 1)
  let n = 0
  while (n < MAX_TASKS) {
    if (tdx.kicked.get(n) !== 0) yield untilElement(tdx, 'kicked', n, 0)
    n += 1
  }
})

/** Models: 6.17 vmx/tdx.c tdx_no_vcpus_enter_start. mmu_lock is held for writing. */
export const noVcpusEnterStart = fn(function* tdx_no_vcpus_enter_start(kvm: Kvm): Kernel<void> {
  yield write(tdxOf(kvm), 'barred')
  tdxOf(kvm).barred = true
  yield* kickAll(kvm)
})

/** Models: 6.17 vmx/tdx.c tdx_no_vcpus_enter_stop. */
export const noVcpusEnterStop = fn(function* tdx_no_vcpus_enter_stop(kvm: Kvm): Kernel<void> {
  yield write(tdxOf(kvm), 'barred')
  tdxOf(kvm).barred = false
})

/** Calls of a zap, for `seamcall`. */
const BLOCK = 0
const TRACK = 1
const REMOVE = 2
const WBINVD = 3
const CALLS = ['MEM_RANGE_BLOCK', 'MEM_TRACK', 'MEM_PAGE_REMOVE', 'PHYMEM_PAGE_WBINVD']

/** One call of the module, which a fault of the scenario's may make fail: a code. */
export const seamcall = fn(function* seamcall(kvm: Kvm, call: number, gfn: Gfn): Kernel<number> {
  const refused = yield* seamcallRefuses()
  if (refused !== TDX_SUCCESS) return refused
  yield rmw(tdOf(kvm), 'state')
  if (call === BLOCK) return tdhMemRangeBlock(tdOf(kvm), gfn)
  if (call === TRACK) return tdhMemTrack(tdOf(kvm))
  // Caches are not in the model: nothing is left to write back.
  return call === REMOVE ? tdhMemPageRemove(tdOf(kvm), gfn) : TDX_SUCCESS
})

/**
 * The call, and once more with all vCPUs out if somebody had a lock: the code of the last one.
 *
 * Models: 6.17 vmx/tdx.c tdx_sept_zap_private_spte, tdx_track and tdx_sept_drop_private_spte, what
 * they share; 7.0 has a macro of this name. Simplifies: the write-back of caches, which Linux calls
 * once, goes by here too.
 */
export const seamcallRetried = fn(function* tdh_do_no_vcpus(
  kvm: Kvm,
  call: number,
  gfn: Gfn,
): Kernel<number> {
  let code = yield* seamcall(kvm, call, gfn)
  if (!isBusy(code)) return code
  yield* noVcpusEnterStart(kvm)
  code = yield* seamcall(kvm, call, gfn)
  if (isBusy(code)) tracepoint('tdx_busy_again', kvm, gfn)
  yield* noVcpusEnterStop(kvm)
  return code
})

/** The same where it must not fail. False: the VM is given up. */
const mustSucceed = fn(function* tdx_bug_on(kvm: Kvm, call: number, gfn: Gfn): Kernel<boolean> {
  const code = yield* seamcallRetried(kvm, call, gfn)
  return !tdxBugOn(kvm, CALLS[call]!, code)
})

/**
 * A new epoch, and every vCPU out of the guest, so that none is in an old one. Nobody is told that
 * it failed, but by the VM that is given up: the removal that comes next fails too.
 *
 * Models: 6.17 vmx/tdx.c tdx_track. Compared: 7.0 source.
 */
export const tdxTrack = fn(function* tdx_track(kvm: Kvm, gfn: Gfn): Kernel<void> {
  if (tdOf(kvm).opState !== opState('RUNNABLE')) return
  yield* mustSucceed(kvm, TRACK, gfn)
  yield* kickAll(kvm)
})

/**
 * Take one page from the TD. If that fails the page is neither cleared nor unpinned; KVM's own leaf
 * goes all the same. One that was not added yet, up to 6.18, is counted no more. mmu_lock is held for
 * writing.
 *
 * Models: 6.17 vmx/tdx.c tdx_sept_remove_private_spte with tdx_sept_zap_private_spte,
 * tdx_is_sept_zap_err_due_to_premap and tdx_sept_drop_private_spte. Compared: 7.0 source.
 */
export const removePrivateSpte = fn(function* tdx_sept_remove_private_spte(
  kvm: Kvm,
  spte: Spte,
): Kernel<void> {
  const folio = pfnToFolio(spte.pfn)!
  const gfn = spte.gfn
  const code = yield* seamcallRetried(kvm, BLOCK, gfn)
  const premapped = code === TDX_EPT_ENTRY_STATE_INCORRECT && tdxOf(kvm).premapped > 0
  let done = premapped || !tdxBugOn(kvm, CALLS[BLOCK]!, code)
  if (done && !premapped) {
    yield* tdxTrack(kvm, gfn)
    done = yield* mustSucceed(kvm, REMOVE, gfn)
    if (done) done = yield* mustSucceed(kvm, WBINVD, gfn)
  }
  yield rmw(kvm.tdpMmu, 'xaHead')
  xaErase(kvm.tdpMmu, gfn)
  offStack(spte)
  if (!done) return
  mark('page-removed')
  if (premapped) {
    yield write(tdxOf(kvm), 'premapped')
    tdxOf(kvm).premapped -= 1
  } else yield* tdxClearPage(folio)
  yield* tdxUnpin(folio)
})

/**
 * The leaves of [start, end) that a VM's own table has, of a TD those of the roots that the filter
 * names; shared ones as in every VM.
 *
 * Models: 6.17 arch/x86/kvm/mmu/tdp_mmu.h kvm_gfn_range_filter_to_root_types. Compared: 7.0 source.
 */
export const tdxZap = fn(function* tdp_mmu_zap_leafs(
  kvm: Kvm,
  start: Gfn,
  end: Gfn,
  filter: number,
): Kernel<boolean> {
  let flush = false
  let gfn = xaFindIndex(kvm.tdpMmu, start, end - 1)
  while (gfn >= 0) {
    const next = xaFindAfterIndex(kvm.tdpMmu, gfn, end - 1)
    const spte = xaLoad(kvm.tdpMmu, gfn) as Spte
    const root = spte.private ? KVM_FILTER_PRIVATE : KVM_FILTER_SHARED
    if (!isTd(kvm) || filter & root) {
      if (isTd(kvm) && spte.private) yield* removePrivateSpte(kvm, spte)
      else {
        yield rmw(kvm.tdpMmu, 'xaHead')
        xaErase(kvm.tdpMmu, gfn)
        offStack(spte)
      }
      flush = true
    }
    gfn = next
  }
  return flush
})

/**
 * The process's memory goes; the TD's own pages are none of it.
 *
 * Models: 6.17 arch/x86/kvm/mmu/tdp_mmu.c kvm_tdp_mmu_zap_all, which leaves mirror roots.
 */
export const tdxZapAll = fn(function* kvm_mmu_zap_all(kvm: Kvm): Kernel<void> {
  yield* writeLock(kvm.mmuLock)
  let gfn = xaFindIndex(kvm.tdpMmu, 0, GFN_END - 1)
  while (gfn >= 0) {
    const next = xaFindAfterIndex(kvm.tdpMmu, gfn, GFN_END - 1)
    const spte = xaLoad(kvm.tdpMmu, gfn) as Spte
    if (!spte.private) {
      yield rmw(kvm.tdpMmu, 'xaHead')
      xaErase(kvm.tdpMmu, gfn)
      offStack(spte)
    }
    gfn = next
  }
  yield* kvmFlushRemoteTlbs(kvm)
  writeUnlock(kvm.mmuLock)
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
  const refused = yield* seamcallRefuses()
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

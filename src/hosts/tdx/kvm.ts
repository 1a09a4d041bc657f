/**
 * KVM's half of TDX: what it keeps of each TD, and how a page is added to the S-EPT when a fault
 * installs its leaf in KVM's own copy of it. How leaves are zapped is in `zap.ts`, the TD's life in
 * `vm.ts`.
 *
 * There are two versions. Up to 6.18 each leaf keeps a reference to its page, and a page that comes
 * back is cleared; from 6.19 on neither.
 */
import { makeSpte } from '../../kernel/arch/x86/kvm/tdp_mmu.js'
import { Kvm, type KvmPageFault } from '../../kernel/include/kvm.js'
import type { Folio } from '../../kernel/include/mm.js'
import type { Gfn } from '../../kernel/include/types.js'
import { KVM_X86_TDX_VM } from '../../kernel/include/uapi.js'
import { xaLoad } from '../../kernel/lib/xarray.js'
import { clearFolio } from '../../kernel/mm/page_alloc.js'
import { folioGet, folioPut } from '../../kernel/mm/swap.js'
import { kvmBugOn } from '../../kernel/virt/kvm/dead.js'
import { alsoWrites, choose, inject, rmw, write } from '../../machine/effects.js'
import { mark } from '../../machine/fault.js'
import { fn, type Kernel } from '../../machine/fn.js'
import {
  flag,
  num,
  numberIn,
  type Obj,
  ptr,
  type Struct,
  struct,
  type Vec,
  vec,
} from '../../machine/struct.js'
import { MAX_TASKS } from '../../machine/task.js'
import { GUEST_FRAMES, Td, tdhMemPageAug } from './module.js'
import { AUG, refusal, refusals } from './refusals.js'
import { OP_STATES, type OpState, TDX_OPERAND_BUSY, TDX_SUCCESS } from './sept.js'

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

/** The TD of a VM. */
export function tdOf(kvm: Kvm): Td {
  return Td.at(Td.base + numberIn(Kvm, kvm) * Td.words) as Td
}

/** to_kvm_tdx(). */
export function tdxOf(kvm: Kvm): KvmTdx {
  return KvmTdx.at(KvmTdx.base + numberIn(Kvm, kvm) * KvmTdx.words) as KvmTdx
}

export function isTd(kvm: Kvm): boolean {
  return kvm.vmType === KVM_X86_TDX_VM
}

/** Between the module's call and KVM's own leaf, the S-EPT has the page and KVM's copy has not. */
export const isLeafFrozen = fn(function is_frozen(kvm: Kvm, gfn: Gfn): boolean {
  return isTd(kvm) && tdxOf(kvm).frozen.get(gfn) !== 0
})

export function opState(s: OpState): number {
  return OP_STATES.indexOf(s)
}

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
 * lock, as a vCPU that steps over one instruction again and again can, or what else the call has.
 * TDX_SUCCESS: nothing strikes.
 */
export const seamcallRefuses = fn(function* seamcall_refuses(call: number): Kernel<number> {
  if ((yield inject()) === 0) return TDX_SUCCESS
  return refusal(call, yield choose(refusals(call)))
})

/** TDH.MEM.PAGE.AUG: a code. Models: 6.17 vmx/tdx.c tdx_mem_page_aug. Compared: 7.0 source. */
export const tdxMemPageAug = fn(function* tdx_mem_page_aug(
  kvm: Kvm,
  gfn: Gfn,
  folio: Folio,
): Kernel<number> {
  const refused = yield* seamcallRefuses(AUG)
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

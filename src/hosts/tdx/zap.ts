/**
 * A leaf of a TD's is zapped: block, track and remove. Every call may be refused because somebody
 * else has a lock of the module; then all vCPUs are driven out of the guest and kept out while the
 * call is made once more. What fails then has no way back: KVM gives the VM up.
 */
import { GFN_END, kvmFlushRemoteTlbs } from '../../kernel/arch/x86/kvm/tdp_mmu.js'
import {
  KVM_FILTER_PRIVATE,
  KVM_FILTER_SHARED,
  type Kvm,
  type Spte,
} from '../../kernel/include/kvm.js'
import type { Gfn } from '../../kernel/include/types.js'
import { xaErase, xaFindAfterIndex, xaFindIndex, xaLoad } from '../../kernel/lib/xarray.js'
import { pfnToFolio } from '../../kernel/mm/page_alloc.js'
import { offStack } from '../../machine/alloc.js'
import { alsoWrites, rmw, untilElement, write } from '../../machine/effects.js'
import { mark, tracepoint } from '../../machine/fault.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { writeLock, writeUnlock } from '../../machine/locks.js'
import { MAX_TASKS } from '../../machine/task.js'
import {
  isBusy,
  isTd,
  opState,
  seamcallRefuses,
  tdOf,
  tdxBugOn,
  tdxClearPage,
  tdxOf,
  tdxUnpin,
} from './kvm.js'
import { tdhMemPageRemove, tdhMemRangeBlock, tdhMemTrack } from './module.js'
import { BLOCK, REMOVE, SEAMCALLS, TRACK, WBINVD } from './refusals.js'
import { TDX_EPT_ENTRY_STATE_INCORRECT, TDX_SUCCESS } from './sept.js'

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

/** One call of the module, which a fault of the scenario's may make fail: a code. */
export const seamcall = fn(function* seamcall(kvm: Kvm, call: number, gfn: Gfn): Kernel<number> {
  const refused = yield* seamcallRefuses(call)
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
export const mustSucceed = fn(function* tdx_bug_on(
  kvm: Kvm,
  call: number,
  gfn: Gfn,
): Kernel<boolean> {
  const code = yield* seamcallRetried(kvm, call, gfn)
  return !tdxBugOn(kvm, SEAMCALLS[call]!, code)
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
  let done = premapped || !tdxBugOn(kvm, SEAMCALLS[BLOCK]!, code)
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

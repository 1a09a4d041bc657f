/**
 * What becomes of an access of the host to a page that is not its own. Up to 7.0 the hypervisor finds
 * an entry in the host's table that it cannot fill, and that is a BUG at EL2: the machine is gone.
 * From 7.1 on it hands the fault back to the host. A process gets a signal, and the page stays whose
 * it is; the kernel takes the page by force, zeroed, if it is a guest's, and the guest finds its
 * entry poisoned.
 */
import { EAGAIN } from '../../kernel/include/errno.js'
import type { Folio } from '../../kernel/include/mm.js'
import { SIGSEGV_ACCERR } from '../../kernel/include/uapi.js'
import { alsoReads } from '../../machine/effects.js'
import { mark, tracepoint } from '../../machine/fault.js'
import { fn } from '../../machine/fn.js'
import { hostForceReclaimPageGuest } from './guest-calls.js'
import { hypPanicOn, isCovered, NOPAGE, pkvmPage } from './ownership.js'

/**
 * Does the host's table let it at the page? What it shares or borrows, it may use; what is its own
 * and not in the table yet comes there at the first fault.
 *
 * Models: 7.1 arch/arm64/kvm/hyp/nvhe/mem_protect.c host_stage2_idmap and host_stage2_adjust_range.
 * Simplifies: an entry that is missing is there at once. Compared: 7.0 source.
 */
function hostHas(folio: Folio): boolean {
  if (!isCovered(folio.pfn)) return true
  const page = pkvmPage(folio.pfn)
  alsoReads(page, 'host')
  return page.host !== NOPAGE
}

/**
 * A BUG at EL2 stops every CPU: nothing comes after it.
 *
 * Models: 7.0 arch/arm64/kvm/hyp/nvhe/mem_protect.c handle_host_mem_abort. Compared: 6.12 source.
 */
export const hostMemAbort = fn(function host_may_store(folio: Folio): boolean {
  const has = hostHas(folio)
  hypPanicOn(!has, `the host touches pfn ${folio.pfn}, which is not its own`)
  return true
})

/**
 * The same of a process.
 *
 * Models: 7.0 arch/arm64/kvm/hyp/nvhe/mem_protect.c handle_host_mem_abort. Compared: 6.12 source.
 */
export const hostUserAbort = fn(function host_user_fault(folio: Folio, _write: boolean): number {
  return hostMemAbort(folio) ? 0 : SIGSEGV_ACCERR
})

/**
 * The kernel's access is tried again once the page is its own, or somebody else was quicker. False:
 * "access to hypervisor-protected memory", of which the thread dies.
 *
 * Models: 7.1 arch/arm64/mm/fault.c __do_kernel_fault and is_spurious_el1_translation_fault, with
 * arch/arm64/kvm/pkvm.c pkvm_force_reclaim_guest_page. Simplifies: no access here has a fixup, which
 * would come first; where the guest's VM is gone and the page is not back, Linux tries for ever.
 * Compared: 7.0 source, which knows no such fault.
 */
export const hostMemAbortInjected = fn(function host_may_store(folio: Folio): boolean {
  if (hostHas(folio)) return true
  tracepoint('pkvm_stage2_abort', folio)
  const ret = hostForceReclaimPageGuest(folio.pfn)
  mark('page-taken-by-force')
  return ret === 0 || ret === -EAGAIN
})

/**
 * A process gets a signal, before anybody looks at its memory; nothing is taken from the guest.
 *
 * Models: 7.1 arch/arm64/mm/fault.c do_page_fault, where the hypervisor has injected the fault.
 * Compared: 7.0 source, which knows no such fault.
 */
export const hostUserAbortInjected = fn(function host_user_fault(
  folio: Folio,
  _write: boolean,
): number {
  if (hostHas(folio)) return 0
  mark('process-hit-guest-page')
  return SIGSEGV_ACCERR
})

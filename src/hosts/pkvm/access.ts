/**
 * What becomes of an access of the host to a page that is not its own. Up to 7.0 the hypervisor finds
 * an entry in the host's table that it cannot fill, and that is a BUG at EL2: the machine is gone.
 * From 7.1 on it hands the fault back to the host. The kernel then takes the page by force, zeroed,
 * if it is a guest's, and the guest finds its entry poisoned; a process gets a signal.
 */
import { EAGAIN } from '../../kernel/include/errno.js'
import type { Folio } from '../../kernel/include/mm.js'
import { alsoReads } from '../../machine/effects.js'
import { KernelFault, mark } from '../../machine/fault.js'
import { fn } from '../../machine/fn.js'
import { hostForceReclaimPageGuest, isCovered, NOPAGE, pkvmPage } from './ownership.js'

/** Does the host's table let it at the page? What it shares or borrows, it may use. */
function hostHas(folio: Folio): boolean {
  if (!isCovered(folio.pfn)) return true
  const page = pkvmPage(folio.pfn)
  alsoReads(page, 'host')
  return page.host !== NOPAGE
}

/**
 * A BUG at EL2 stops every CPU: nothing comes after it.
 *
 * Models: 6.12 arch/arm64/kvm/hyp/nvhe/mem_protect.c handle_host_mem_abort and host_stage2_idmap.
 */
export const hostMemAbort = fn(function host_may_store(folio: Folio): boolean {
  if (hostHas(folio)) return true
  const text = `the host touches pfn ${folio.pfn}, which is not its own: BUG at EL2, the machine stops`
  throw new KernelFault('hypervisor-panic', 'undefined', text)
})

/**
 * The kernel's access is tried again once the page is its own, or somebody else was quicker. False:
 * "access to hypervisor-protected memory", of which the thread dies.
 *
 * Models: 7.1 arch/arm64/mm/fault.c, its case of a fault that the hypervisor injects. From notes on
 * 7.3-rc4, not from the source.
 */
export const hostMemAbortInjected = fn(function host_may_store(folio: Folio): boolean {
  if (hostHas(folio)) return true
  const ret = hostForceReclaimPageGuest(folio.pfn)
  mark('page-taken-by-force')
  return ret === 0 || ret === -EAGAIN
})

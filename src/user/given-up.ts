/**
 * What judges of all machines must know of the machine under the kernel. A host that has such pages
 * replaces the function; no kernel code calls it.
 */
import type { Kvm } from '../kernel/include/kvm.js'
import type { Folio } from '../kernel/include/mm.js'
import type { Gfn } from '../kernel/include/types.js'
import { fn } from '../machine/fn.js'

/** The kernel has put the page where nobody will ever free it, since the machine keeps it. */
export const isGivenUp = fn(function is_given_up(_folio: Folio): boolean {
  return false
})

/**
 * KVM is about to write the leaf, and the machine has the page at this address already: a vCPU may
 * translate by that.
 */
export const isFrozen = fn(function is_frozen(_kvm: Kvm, _gfn: Gfn): boolean {
  return false
})

/** The machine has taken the page from the guest by force: there is nothing behind the leaf. */
export const isTaken = fn(function is_taken(_kvm: Kvm, _gfn: Gfn): boolean {
  return false
})

/**
 * Unmapping of 6.18: an entry that says poison is left only by who deals with the poison, and what
 * was given up with MADV_FREE stays so while somebody refers to it.
 */
import { fn } from '../../../machine/fn.js'
import { TTU_HWPOISON, TTU_IGNORE_HWPOISON } from '../../mm/rmap.js'

/**
 * Reclaim, which does not ask for it, leaves the slot of a page that is marked poisoned while it is
 * being unmapped: a fault finds the poison in the swap cache.
 *
 * Models: 6.18 mm/rmap.c try_to_unmap_one, its TTU_HWPOISON; read in 6.17 and 7.0, which agree.
 */
export const unmapLeavesPoisonAsked = fn(function unmap_leaves_poison(flags: number): boolean {
  return (flags & (TTU_HWPOISON | TTU_IGNORE_HWPOISON)) === TTU_HWPOISON
})

/**
 * Who refers to a page marks it dirty if it stores there, and only that ends it.
 *
 * Models: 6.18 mm/rmap.c try_to_unmap_one, the check of MADV_FREE pages; read in 6.17 and 7.0, which
 * agree.
 */
export const referenceKeepsLazyfree = fn(function reference_ends_lazyfree(): boolean {
  return false
})

/** The allocator of 6.18 does not look at what it hands out. */
import { fn } from '../../../machine/fn.js'
import type { Folio } from '../../include/mm.js'

/**
 * A frame from the free list is fit for use, also one that has been marked as poisoned a moment
 * ago, and not been taken off yet.
 *
 * Models: 6.18 mm/page_alloc.c check_new_pages as of a kernel without CONFIG_DEBUG_VM, whose
 * check_pages_enabled is off.
 */
export const newPageUnchecked = fn(function check_new_page(_folio: Folio): boolean {
  return false
})

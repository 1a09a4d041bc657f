/** Reclaim of 6.18 writes to swap alone, and asks the mapping whether it is shmem's. */
import { fn } from '../../../machine/fn.js'
import type { AddressSpace } from '../../include/fs.js'
import type { Folio } from '../../include/mm.js'
import { shmemMapping } from '../../mm/shmem.js'

/**
 * Does reclaim write folios of this mapping? For an anonymous folio that is the swap cache, which
 * is asked all the same.
 *
 * Models: 6.18 mm/vmscan.c pageout, one of its tests. Simplifies: shmem's mapping has a writepage
 * operation where 6.18 calls shmem_writeout().
 */
export const pageoutToSwap = fn(function pageout_writes(
  folio: Folio,
  mapping: AddressSpace,
): boolean {
  if (!shmemMapping(mapping) && !folio.anon) return false
  return mapping.aOps!.writepage !== undefined
})

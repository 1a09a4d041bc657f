/**
 * Reclaim of 6.18 writes to swap alone, asks the mapping whether it is shmem's, and does not give a
 * poisoned page back.
 */
import { read } from '../../../machine/effects.js'
import { fn, type Kernel } from '../../../machine/fn.js'
import type { AddressSpace } from '../../include/fs.js'
import type { Folio } from '../../include/mm.js'
import { folioUnlock } from '../../mm/filemap.js'
import { unmapPoisonedFolio } from '../../mm/memory_failure.js'
import { shmemMapping } from '../../mm/shmem.js'
import { folioPut } from '../../mm/swap.js'

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

/**
 * A poisoned folio is unmapped as memory failure would have done it, and stays off the lists.
 *
 * Models: 6.18 mm/vmscan.c shrink_folio_list, its part for poisoned folios. Simplifies: no large
 * folios.
 */
export const shrinkPoisonedUnmaps = fn(function* shrink_poisoned(folio: Folio): Kernel<boolean> {
  yield read(folio, 'hwpoison')
  if (!folio.hwpoison) return false
  yield* unmapPoisonedFolio(folio)
  yield* folioUnlock(folio)
  yield* folioPut(folio)
  return true
})

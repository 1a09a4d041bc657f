/** mincore(2) of 6.18 looks into the swap cache itself, and asks no mapping what it is. */
import { alsoReads, read } from '../../../machine/effects.js'
import { fn, type Kernel } from '../../../machine/fn.js'
import type { Folio } from '../../include/mm.js'
import type { VmArea } from '../../include/mm_types.js'
import type { SwpEntry } from '../../include/swap.js'
import { xaLoad } from '../../lib/xarray.js'
import { mincoreUnmapped } from '../../mm/mincore.js'
import { PTE_SWAP, pteAt, pteSwpEntry } from '../../mm/pgtable.js'
import { swapAddressSpace, swpOffset } from '../../mm/swap_state.js'

/**
 * Is the page of a slot in the swap cache and up to date? A shadow is no page.
 *
 * Models: 6.18 mm/mincore.c mincore_swap, for an entry of the page table, under its lock.
 */
function mincoreSwap(entry: SwpEntry): number {
  const { iPages } = swapAddressSpace()
  alsoReads(iPages, 'xaHead')
  const folio = xaLoad(iPages, swpOffset(entry)) as Folio | null
  if (folio === null) return 0
  alsoReads(folio, 'uptodate')
  return folio.uptodate ? 1 : 0
}

/** Models: 6.18 mm/mincore.c mincore_pte_range, for one page. */
export const mincorePteSwap = fn(function* mincore_pte_range(
  vma: VmArea,
  address: bigint,
): Kernel<number> {
  const mm = vma.vmMm!
  yield read(mm.pageTable, 'xaHead')
  const pte = pteAt(mm, address)
  if (pte === 0) return yield* mincoreUnmapped(vma, address)
  return pte & PTE_SWAP ? mincoreSwap(pteSwpEntry(pte)) : 1
})

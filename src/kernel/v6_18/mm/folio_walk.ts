/** The page table is asked for a page in another way than by get_user_pages(): for what it has. */
import { alsoWrites, read } from '../../../machine/effects.js'
import { fn, type Kernel } from '../../../machine/fn.js'
import type { Folio } from '../../include/mm.js'
import type { VmArea } from '../../include/mm_types.js'
import { PTE_PRESENT, pteAt, pteFolio } from '../../mm/pgtable.js'

/**
 * The page that an address maps now, with a reference, or NULL. Secret memory is like any other,
 * and what the protection says does not matter. mmap_lock is held.
 *
 * Models: 6.18 mm/pagewalk.c folio_walk_start. Simplifies: the reference stands for the page table
 * lock, which is held until the page has been dealt with; there is no zero page.
 */
export const folioWalkStart = fn(function* folio_walk_start(
  vma: VmArea,
  address: bigint,
): Kernel<Folio | null> {
  const mm = vma.vmMm!
  yield read(mm.pageTable, 'xaHead')
  const pte = pteAt(mm, address)
  if (!(pte & PTE_PRESENT)) return null
  const folio = pteFolio(pte)
  alsoWrites(folio, 'refcount')
  folio.refcount++
  return folio
})

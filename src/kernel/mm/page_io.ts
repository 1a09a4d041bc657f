/**
 * Reading and writing pages of the swap area. It is a RAM disk: its rw_page copies at once, so
 * writeback has ended when the write returns, and what one page table entry alone names is read
 * into a page that the swap cache never sees.
 */
import { alsoReads, alsoWrites, read } from '../../machine/effects.js'
import { mark } from '../../machine/fault.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { directMapLoad, directMapStore } from '../arch/x86/mm/direct_map.js'
import type { Folio } from '../include/mm.js'
import { type SwpEntry, swapInfo } from '../include/swap.js'
import { folioUnlock } from './filemap.js'
import { folioFreeSwap } from './swapfile.js'

/**
 * Write a locked folio of the swap cache to its slot; if no page table entry names that any more,
 * drop it from the cache instead. 0, and the folio is unlocked.
 *
 * Models: 6.2 mm/page_io.c swap_writepage and block/bdev.c bdev_write_page. Simplifies: writeback
 * begins and ends in one step, under the folio lock; it never fails; no frontswap.
 *
 * Compared: 6.17 source.
 */
export const swapWritepage = fn(function* swap_writepage(folio: Folio): Kernel<number> {
  alsoReads(swapInfo(), 'swapMap')
  if (!folioFreeSwap(folio)) {
    yield read(folio, 'data')
    directMapLoad(folio)
    alsoWrites(swapInfo(), 'data')
    swapInfo().data.set(folio.swap, folio.data)
    mark('page-swapped-out')
  }
  yield* folioUnlock(folio)
  return 0
})

/**
 * Read a slot into a new folio, which nobody else knows.
 *
 * Models: 6.2 mm/page_io.c swap_readpage. Simplifies: it never fails.
 *
 * Compared: 6.17 source.
 */
export const swapReadpage = fn(function* swap_readpage(
  folio: Folio,
  entry: SwpEntry,
): Kernel<void> {
  yield read(swapInfo(), 'data')
  directMapStore(folio)
  folio.data = swapInfo().data.get(entry)
  folio.uptodate = true
})

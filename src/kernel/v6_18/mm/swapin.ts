/**
 * Reading a page past the swap cache in 6.18. The slot counts as cached meanwhile, so that nobody
 * else brings the same page in, frees the slot, and uses it again before the page is mapped.
 */
import { read, rmw } from '../../../machine/effects.js'
import { fn, type Kernel } from '../../../machine/fn.js'
import { VM_FAULT_OOM, type VmFault } from '../../include/mm_types.js'
import { SWAP_HAS_CACHE, type SwpEntry, swapInfo } from '../../include/swap.js'
import { folioSetLocked, folioUnlock } from '../../mm/filemap.js'
import { allocFolioMayFail } from '../../mm/page_alloc.js'
import { swapReadpage } from '../../mm/page_io.js'
import { type Pte, pteAt, pteSwpEntry } from '../../mm/pgtable.js'
import { folioAddLru, folioPut } from '../../mm/swap.js'
import { putSwapFolio } from '../../mm/swapfile.js'
import { mapSwappedPage } from '../../mm/swapin.js'

/**
 * Let a slot that page table entries name count as cached; false if it does already, or is free.
 *
 * Models: 6.18 mm/swapfile.c swapcache_prepare.
 */
export const swapcachePrepare = fn(function* swapcache_prepare(entry: SwpEntry): Kernel<boolean> {
  const si = swapInfo()
  yield rmw(si, 'swapMap')
  const usage = si.swapMap.get(entry)
  if (usage === 0 || usage & SWAP_HAS_CACHE) return false
  si.swapMap.set(entry, usage | SWAP_HAS_CACHE)
  return true
})

/** Models: 6.18 mm/swapfile.c swapcache_clear. */
export const swapcacheClear = fn(function* swapcache_clear(entry: SwpEntry): Kernel<void> {
  yield rmw(swapInfo(), 'swapMap')
  putSwapFolio(entry)
})

/**
 * Read a slot into a new folio and map that. 0, also if somebody else is about to; or VM_FAULT_OOM.
 *
 * Models: 6.18 mm/memory.c do_swap_page, its way past the swap cache. Simplifies: who finds
 * somebody else there tries again at once, not a tick later.
 */
export const readSwappedPagePinned = fn(function* do_swap_page_read(
  vmf: VmFault,
  orig: Pte,
): Kernel<number> {
  const folio = yield* allocFolioMayFail(true)
  if (folio === null) {
    const mm = vmf.vma!.vmMm!
    yield read(mm.pageTable, 'xaHead')
    return pteAt(mm, vmf.address) === orig ? VM_FAULT_OOM : 0
  }
  const entry = pteSwpEntry(orig)
  folioSetLocked(folio)
  folio.swapbacked = true
  if (!(yield* swapcachePrepare(entry))) {
    yield* folioUnlock(folio)
    yield* folioPut(folio)
    return 0
  }
  yield* folioAddLru(folio)
  yield* swapReadpage(folio, entry)
  const fault = yield* mapSwappedPage(vmf, orig, folio)
  yield* swapcacheClear(entry)
  return fault
})

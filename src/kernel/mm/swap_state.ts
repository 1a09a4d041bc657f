/**
 * The swap cache: pages that have a slot of the swap area, by slot. A page is in it from before it
 * is written out until it is reclaimed, and then its slot keeps a shadow: what reclaim wants to
 * remember of the page, in the form of a value entry.
 *
 * i_pages' lock is part of the step that calls these functions. Left out: readahead, and with it
 * the way of reading a page into the cache: see `mm/page_io`.
 */
import { GFP_ATOMIC } from '../../machine/alloc.js'
import { alsoReads, alsoWrites, rmw } from '../../machine/effects.js'
import { fn, type Kernel } from '../../machine/fn.js'
import type { AddressSpace } from '../include/fs.js'
import { type Folio, nrPages } from '../include/mm.js'
import { type SwpEntry, swapInfo } from '../include/swap.js'
import type { Pgoff } from '../include/types.js'
import { xaMkValue, xaStore, xaStoreEntry } from '../lib/xarray.js'
import { filemapGetFolio, folioTrylock, folioUnlock } from './filemap.js'
import { folioPut } from './swap.js'
import { folioAllocSwap, folioFreeSwap, putSwapFolio } from './swapfile.js'

/** A value that says nothing: when a page was reclaimed decides nothing here. */
const SHADOW = xaMkValue(0)

/** Models: 6.2 mm/swap.h swap_address_space, for the one area. Compared: 6.17 source. */
export function swapAddressSpace(): AddressSpace {
  return swapInfo().space
}

/** Models: 6.2 include/linux/swapops.h swp_offset. Compared: 6.17 source. */
export function swpOffset(entry: SwpEntry): Pgoff {
  return entry as number as Pgoff
}

/**
 * The mapping that a folio can be found through, with its page table entries not counted: the swap
 * cache, that of a file, or NULL. Models: 6.2 mm/util.c folio_mapping.
 *
 * Compared: 6.17 source.
 */
export function folioMapping(folio: Folio): AddressSpace | null {
  alsoReads(folio, 'swap')
  if (folio.swap !== 0) return swapAddressSpace()
  // One word in C. Callers that hold no folio lock race with whoever maps or truncates the page.
  alsoReads(folio, 'anon')
  alsoReads(folio, 'mapping')
  return folio.anon ? null : folio.mapping
}

/**
 * Put a locked folio into the cache at a slot that is its own, over the shadow that may be there.
 *
 * Models: 6.2 mm/swap_state.c add_to_swap_cache. Simplifies: nodes of the array never lack memory.
 *
 * Compared: 6.17 source.
 */
export const addToSwapCache = fn(function* add_to_swap_cache(
  folio: Folio,
  entry: SwpEntry,
): Kernel<void> {
  const space = swapAddressSpace()
  yield rmw(space.iPages, 'xaHead')
  alsoWrites(folio, 'refcount')
  folio.refcount += nrPages(folio)
  alsoWrites(folio, 'swap')
  folio.swap = entry
  xaStore(space.iPages, swpOffset(entry), folio, GFP_ATOMIC)
  alsoWrites(space, 'nrpages')
  space.nrpages += nrPages(folio)
})

/**
 * Give a locked anonymous folio a slot, and put it into the cache. False without a free slot.
 *
 * Models: 6.2 mm/swap_state.c add_to_swap.
 *
 * Compared: 6.17 source.
 */
export const addToSwap = fn(function* add_to_swap(folio: Folio): Kernel<boolean> {
  const entry = yield* folioAllocSwap()
  if (entry === 0) return false
  yield* addToSwapCache(folio, entry)
  // Unmapping would make it dirty only if it is dirty in a page table.
  alsoWrites(folio, 'dirty')
  folio.dirty = true
  return true
})

/**
 * Take a locked folio out of the cache, perhaps with a shadow in its place. Its slot and the
 * cache's references are the caller's to give up.
 *
 * Models: 6.2 mm/swap_state.c __delete_from_swap_cache.
 *
 * Compared: 6.17 source.
 */
export function __deleteFromSwapCache(folio: Folio, reclaimed: boolean): void {
  const space = swapAddressSpace()
  alsoWrites(space.iPages, 'xaHead')
  xaStoreEntry(space.iPages, swpOffset(folio.swap), reclaimed ? SHADOW : 0, GFP_ATOMIC)
  alsoWrites(folio, 'swap')
  folio.swap = 0 as SwpEntry
  alsoWrites(space, 'nrpages')
  space.nrpages -= nrPages(folio)
}

/**
 * The same for good: the slot and the reference go too. The caller has another reference.
 *
 * Models: 6.2 mm/swap_state.c delete_from_swap_cache.
 *
 * Compared: 6.17 source.
 */
export function deleteFromSwapCache(folio: Folio): void {
  const entry = folio.swap
  __deleteFromSwapCache(folio, false)
  putSwapFolio(entry)
  alsoWrites(folio, 'refcount')
  folio.refcount -= nrPages(folio)
}

/**
 * A slot is free: its shadow goes.
 *
 * Models: 6.2 mm/swap_state.c clear_shadow_from_swap_cache.
 *
 * Compared: 6.17 source.
 */
export function clearShadowFromSwapCache(entry: SwpEntry): void {
  const { iPages } = swapAddressSpace()
  alsoWrites(iPages, 'xaHead')
  xaStoreEntry(iPages, swpOffset(entry), 0)
}

/**
 * The folio of a slot, with a reference, or NULL.
 *
 * Models: 6.2 mm/swap_state.c swap_cache_get_folio. Simplifies: no readahead to keep count of.
 *
 * Compared: 6.17 source.
 */
export const swapCacheGetFolio = fn(function* swap_cache_get_folio(
  entry: SwpEntry,
): Kernel<Folio | null> {
  return yield* filemapGetFolio(swapAddressSpace(), swpOffset(entry))
})

/**
 * Put a folio that a page table entry mapped until now. If that was the last, and no entry names
 * its slot, it leaves the swap cache, unless somebody has it locked.
 *
 * Models: 6.2 mm/swap_state.c free_page_and_swap_cache and free_swap_cache.
 */
export const freePageAndSwapCache = fn(function* free_page_and_swap_cache(
  folio: Folio,
): Kernel<void> {
  alsoReads(folio, 'swap')
  if (folio.swap !== 0 && folio.mapcount === 0 && (yield* folioTrylock(folio))) {
    folioFreeSwap(folio)
    yield* folioUnlock(folio)
  }
  yield* folioPut(folio)
})

/**
 * The slots of the swap area. A slot counts the page table entries that name it, and whether the
 * swap cache uses it; with the last of them it is free, and what the cache remembers of it goes.
 *
 * Left out: more than one area, swapoff(), priorities, clusters, and the caches of slots of each
 * CPU, through which a slot is given out and comes back late. si->lock and the locks inside are
 * leaves: what gives up a slot, or names it once more, is part of its caller's step.
 */
import { alsoReads, alsoWrites, rmw } from '../../machine/effects.js'
import { fn, type Kernel } from '../../machine/fn.js'
import type { Folio } from '../include/mm.js'
import { SWAP_HAS_CACHE, type SwpEntry, swapInfo } from '../include/swap.js'
import { filemapGetFolio, folioTrylock, folioUnlock } from './filemap.js'
import { folioPut } from './swap.js'
import {
  clearShadowFromSwapCache,
  deleteFromSwapCache,
  swapAddressSpace,
  swpOffset,
} from './swap_state.js'

/**
 * A free slot for a folio, from now on in use by the swap cache; 0 if there is none.
 *
 * Models: 6.2 mm/swap_slots.c folio_alloc_swap and mm/swapfile.c get_swap_pages. Simplifies: the
 * lowest free slot.
 *
 * Compared: 6.17 source.
 */
export const folioAllocSwap = fn(function* folio_alloc_swap(): Kernel<SwpEntry> {
  const si = swapInfo()
  alsoReads(si, 'max')
  if (si.max === 0) return 0 as SwpEntry
  yield rmw(si, 'swapMap')
  for (let slot = 1; slot < si.max; slot++) {
    if (si.swapMap.get(slot) !== 0) continue
    si.swapMap.set(slot, SWAP_HAS_CACHE)
    return slot as SwpEntry
  }
  return 0 as SwpEntry
})

/**
 * Is more than half of the area in use, so that slots are worth having back?
 *
 * Models: 6.2 include/linux/swap.h vm_swap_full.
 *
 * Compared: 6.17 and 7.0 source.
 */
export function vmSwapFull(): boolean {
  const si = swapInfo()
  alsoReads(si, 'swapMap')
  let free = 0
  for (let slot = 1; slot < si.max; slot++) if (si.swapMap.get(slot) === 0) free++
  return free * 2 < si.max - 1
}

/**
 * One more page table entry names a slot.
 *
 * Models: 6.2 mm/swapfile.c swap_duplicate.
 *
 * Compared: 6.17 source.
 */
export function swapDuplicate(entry: SwpEntry): void {
  const { swapMap } = swapInfo()
  alsoWrites(swapInfo(), 'swapMap')
  swapMap.set(entry, swapMap.get(entry) + 1)
}

/**
 * Take one user from a slot; returns who is left.
 *
 * Models: 6.2 mm/swapfile.c __swap_entry_free_locked, with free_swap_slot and swap_range_free.
 *
 * Compared: 6.17 source.
 */
function swapEntryFree(entry: SwpEntry, user: number): number {
  const { swapMap } = swapInfo()
  alsoWrites(swapInfo(), 'swapMap')
  const usage = swapMap.get(entry) - user
  swapMap.set(entry, usage)
  if (usage === 0) clearShadowFromSwapCache(entry)
  return usage
}

/**
 * A page table entry names the slot no longer.
 *
 * Models: 6.2 mm/swapfile.c swap_free.
 *
 * Compared: 6.17 source.
 */
export function swapFree(entry: SwpEntry): number {
  return swapEntryFree(entry, 1)
}

/**
 * The swap cache uses the slot no longer.
 *
 * Models: 6.2 mm/swapfile.c put_swap_folio.
 *
 * Compared: 6.17 source.
 */
export function putSwapFolio(entry: SwpEntry): void {
  swapEntryFree(entry, SWAP_HAS_CACHE)
}

/**
 * Take a folio out of the swap cache if no page table entry names its slot: then it is dirty, for
 * it has no copy any more. The folio is locked. True: done.
 *
 * Models: 6.2 mm/swapfile.c folio_free_swap.
 *
 * Compared: 6.17 source.
 */
export function folioFreeSwap(folio: Folio): boolean {
  if (folio.swap === 0 || folio.writeback) return false
  alsoReads(swapInfo(), 'swapMap')
  if (swapInfo().swapMap.get(folio.swap) !== SWAP_HAS_CACHE) return false
  deleteFromSwapCache(folio)
  alsoWrites(folio, 'dirty')
  folio.dirty = true
  return true
}

/**
 * A page table entry that named a slot has been cleared. If then only the swap cache uses the slot,
 * its folio is given up too, unless somebody has it locked.
 *
 * Models: 6.2 mm/swapfile.c free_swap_and_cache and __try_to_reclaim_swap. Simplifies: `left`, who
 * still uses the slot, comes from the step that cleared the entry, under the page table lock; the
 * rest is done without that lock, in which it changes nothing that the lock guards.
 *
 * Compared: 6.17 source.
 */
export const freeSwapAndCache = fn(function* free_swap_and_cache(
  entry: SwpEntry,
  left: number,
): Kernel<void> {
  if (left !== SWAP_HAS_CACHE) return
  const folio = yield* filemapGetFolio(swapAddressSpace(), swpOffset(entry))
  if (folio === null) return
  if (yield* folioTrylock(folio)) {
    alsoReads(folio, 'mapcount')
    if (folio.swap === entry && (folio.mapcount === 0 || vmSwapFull())) folioFreeSwap(folio)
    yield* folioUnlock(folio)
  }
  yield* folioPut(folio)
})

/**
 * Reclaim of one page that somebody has named. An anonymous one gets a slot of the swap area, if
 * there is one; then the page leaves all page tables, is written if it is dirty, and leaves its
 * cache if it is clean and nobody else knows it. Of shmem nothing is ever written. What the process
 * has given up needs no slot: it is dropped.
 */
import { alsoReads, read, rmw, write } from '../../machine/effects.js'
import { bugOn, mark, tracepoint } from '../../machine/fault.js'
import { fn, type Kernel } from '../../machine/fn.js'
import type { AddressSpace } from '../include/fs.js'
import { AOP_WRITEPAGE_ACTIVATE, type Folio, nrPages } from '../include/mm.js'
import { __filemapRemoveFolio, folioTrylock, folioUnlock } from './filemap.js'
import { folioEvictable } from './mlocked.js'
import { TTU_RECLAIM, tryToUnmap } from './rmap.js'
import { __folioPut, folioPutbackLru } from './swap.js'
import { __deleteFromSwapCache, addToSwap, folioMapping } from './swap_state.js'
import { folioFreeSwap, putSwapFolio, vmSwapFull } from './swapfile.js'

/** enum pageout_t: kept, or active from now on, and locked; written and unlocked; clean, locked. */
const PAGE_KEEP = 0
const PAGE_ACTIVATE = 1
const PAGE_SUCCESS = 2
const PAGE_CLEAN = 3

/**
 * Does reclaim write folios of this mapping?
 *
 * Models: 6.2 mm/vmscan.c pageout, one of its tests.
 */
export const pageoutWrites = fn(function pageout_writes(
  _folio: Folio,
  mapping: AddressSpace,
): boolean {
  return mapping.aOps!.writepage !== undefined
})

/**
 * Have a locked dirty folio written. PAGE_*.
 *
 * Models: 6.2 mm/vmscan.c pageout.
 */
export const pageout = fn(function* pageout(
  folio: Folio,
  mapping: AddressSpace | null,
): Kernel<number> {
  yield read(folio, 'refcount')
  // Only the cache, and who isolated it, may know it.
  if (folio.refcount !== nrPages(folio) + 1) return PAGE_KEEP
  if (mapping === null) return PAGE_KEEP
  if (!pageoutWrites(folio, mapping)) return PAGE_ACTIVATE
  yield rmw(folio, 'dirty')
  if (!folio.dirty) return PAGE_CLEAN
  folio.dirty = false
  const ret = yield* mapping.aOps!.writepage!(folio)
  return ret === AOP_WRITEPAGE_ACTIVATE ? PAGE_ACTIVATE : PAGE_SUCCESS
})

/**
 * Drop a locked folio from its mapping if it is clean and only the cache and the caller refer to
 * it: then its count is frozen at 0. One that was `reclaimed` from the swap cache leaves a shadow.
 *
 * Models: 6.2 mm/vmscan.c __remove_mapping. Simplifies: freezing the count, clearing the place in
 * the mapping and giving up a slot are one step, under i_pages' lock.
 */
export const __removeMapping = fn(function* __remove_mapping(
  mapping: AddressSpace,
  folio: Folio,
  reclaimed: boolean,
): Kernel<boolean> {
  yield rmw(folio, 'refcount')
  alsoReads(folio, 'lockOwner')
  bugOn(folio.lockOwner === 0, '__remove_mapping: the folio is not locked')
  alsoReads(folio, 'dirty')
  if (folio.refcount !== nrPages(folio) + 1 || folio.dirty) return false
  folio.refcount = 0
  const entry = folio.swap
  if (entry !== 0) {
    __deleteFromSwapCache(folio, reclaimed)
    putSwapFolio(entry)
    return true
  }
  mark('page-evicted')
  tracepoint('mm_folio_evicted', folio)
  __filemapRemoveFolio(folio, mapping)
  return true
})

/**
 * The same, and the caller keeps its reference.
 *
 * Models: 6.2 mm/vmscan.c remove_mapping.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const removeMapping = fn(function* remove_mapping(
  mapping: AddressSpace,
  folio: Folio,
): Kernel<boolean> {
  const removed = yield* __removeMapping(mapping, folio, false)
  if (removed) folio.refcount = 1
  return removed
})

/**
 * Nobody but the caller refers to the folio, and nobody will: its count is frozen at 0.
 *
 * Models: 6.2 include/linux/page_ref.h folio_ref_freeze.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const folioRefFreeze = fn(function* folio_ref_freeze(folio: Folio): Kernel<boolean> {
  yield rmw(folio, 'refcount')
  if (folio.refcount !== 1) return false
  folio.refcount = 0
  return true
})

/**
 * Free a folio that is locked and isolated, if that can be. PAGE_KEEP or PAGE_ACTIVATE, and it is
 * still locked; PAGE_SUCCESS: not now, and somebody else may have locked it; PAGE_CLEAN: nobody
 * refers to it any more, the caller included.
 *
 * Models: 6.2 mm/vmscan.c shrink_folio_list, between the locks. Simplifies: references through
 * page tables are not looked at, for who names a page has cleared them; nothing is under writeback.
 */
export const shrinkFolio = fn(function* shrink_folio(folio: Folio): Kernel<number> {
  alsoReads(folio, 'swapbacked')
  const needsSlot = folio.anon && folio.swapbacked && folio.swap === 0
  if (needsSlot && !(yield* addToSwap(folio))) return PAGE_ACTIVATE
  alsoReads(folio, 'mapcount')
  if (folio.mapcount > 0) {
    yield* tryToUnmap(folio, TTU_RECLAIM)
    if (folio.mapcount > 0) return PAGE_ACTIVATE
  }
  yield read(folio, 'dirty')
  if (folio.dirty) {
    const written = yield* pageout(folio, folioMapping(folio))
    if (written === PAGE_KEEP || written === PAGE_ACTIVATE) return written
    if (written === PAGE_SUCCESS) {
      alsoReads(folio, 'dirty')
      if (folio.dirty || !(yield* folioTrylock(folio))) return PAGE_SUCCESS
      alsoReads(folio, 'dirty')
      if (folio.dirty) return PAGE_KEEP
    }
  }
  alsoReads(folio, 'swapbacked')
  if (folio.anon && !folio.swapbacked)
    return (yield* folioRefFreeze(folio)) ? PAGE_CLEAN : PAGE_KEEP
  const mapping = folioMapping(folio)
  if (mapping === null || !(yield* __removeMapping(mapping, folio, true))) return PAGE_KEEP
  return PAGE_CLEAN
})

/**
 * Deal with a locked, isolated folio that is poisoned: true if that was all. 6.2 takes it for any
 * other. Replaced by 6.18.
 */
export const shrinkPoisoned = fn(function* shrink_poisoned(_folio: Folio): Kernel<boolean> {
  return false
})

/**
 * Try to reclaim an isolated folio; what is not freed goes back to its list.
 *
 * Models: 6.2 mm/vmscan.c reclaim_pages and shrink_folio_list. Simplifies: one folio at a time; no
 * folio is pinned as FOLL_PIN would, which 6.18 asks.
 */
export const reclaimFolio = fn(function* shrink_folio_list(folio: Folio): Kernel<void> {
  if (!(yield* folioTrylock(folio))) {
    yield* folioPutbackLru(folio)
    return
  }
  if (yield* shrinkPoisoned(folio)) return
  // What has been locked since it was isolated has to stay.
  alsoReads(folio, 'mlocked')
  alsoReads(folio, 'mapping')
  const result = folioEvictable(folio) ? yield* shrinkFolio(folio) : PAGE_ACTIVATE
  if (result === PAGE_ACTIVATE) {
    if (folio.swap !== 0 && (vmSwapFull() || folio.mlocked)) folioFreeSwap(folio)
    yield write(folio, 'active')
    alsoReads(folio, 'mlocked')
    folio.active = !folio.mlocked
  }
  if (result !== PAGE_SUCCESS) yield* folioUnlock(folio)
  if (result === PAGE_CLEAN) __folioPut(folio)
  else yield* folioPutbackLru(folio)
})

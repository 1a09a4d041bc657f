/**
 * The page cache: a mapping's XArray of folios, and the folio lock. A lookup takes a reference
 * under RCU and looks again, because the folio may have left the slot, or its life, in between;
 * who locks a folio looks once more whether it still belongs to the mapping.
 */
import { acquire, alsoReads, alsoWrites, read, rmw, write } from '../../machine/effects.js'
import { bugOn, mark, tracepoint } from '../../machine/fault.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { addressOf, errPtr } from '../../machine/struct.js'
import { current, dropLock, holdLock, lockClass, mightSleep } from '../../machine/task.js'
import { EEXIST, ENOMEM } from '../include/errno.js'
import type { AddressSpace } from '../include/fs.js'
// Gives the classes of locks their numbers, before this file asks for one.
import '../include/lockdep.js'
import { Folio, nrPages } from '../include/mm.js'
import type { Pgoff } from '../include/types.js'
import { xaErase, xaFindIndex, xaLacksNode, xaLoad, xaStore } from '../lib/xarray.js'
import { shouldFailslab } from './failslab.js'
import { allocFolioMayFail } from './page_alloc.js'
import { folioAddLru, folioPut, folioPutRefs, folioTryGet } from './swap.js'

function nowLocked(folio: Folio, tried: boolean): void {
  folio.lockOwner = current().number + 1
  holdLock(addressOf(folio, 'lockOwner'), lockClass('folio_lock'), tried)
}

/** A new folio is born locked; nobody else can reach it yet. */
export function folioSetLocked(folio: Folio): void {
  nowLocked(folio, true)
}

/** Models: 6.2 include/linux/pagemap.h folio_lock. Sleeps. */
export const folioLock = fn(function* folio_lock(folio: Folio): Kernel<void> {
  mightSleep('folio_lock')
  yield acquire(folio, 'lockOwner')
  nowLocked(folio, false)
})

/** Models: 6.2 include/linux/pagemap.h folio_trylock. */
export const folioTrylock = fn(function* folio_trylock(folio: Folio): Kernel<boolean> {
  yield rmw(folio, 'lockOwner')
  if (folio.lockOwner !== 0) return false
  nowLocked(folio, true)
  return true
})

/** Models: 6.2 mm/filemap.c folio_unlock. */
export const folioUnlock = fn(function* folio_unlock(folio: Folio): Kernel<void> {
  yield write(folio, 'lockOwner')
  bugOn(folio.lockOwner === 0, 'folio_unlock: the folio is not locked')
  dropLock(addressOf(folio, 'lockOwner'))
  folio.lockOwner = 0
})

/**
 * The folio at an index, with a reference, or NULL.
 *
 * Models: 6.2 mm/filemap.c mapping_get_entry. Simplifies: taking the reference and looking again
 * are one step, since a change between the two cannot be told from one right after.
 */
export const filemapGetFolio = fn(function* filemap_get_folio(
  mapping: AddressSpace,
  index: Pgoff,
): Kernel<Folio | null> {
  for (;;) {
    yield read(mapping.iPages, 'xaHead')
    const folio = xaLoad(mapping.iPages, index) as Folio | null
    if (folio === null) return null
    if (!(yield* folioTryGet(folio))) continue
    alsoReads(mapping.iPages, 'xaHead')
    if (xaLoad(mapping.iPages, index) === folio) return folio
    yield* folioPut(folio)
  }
})

/**
 * The folio at an index, locked and with a reference, or NULL.
 *
 * Models: 6.2 mm/filemap.c __filemap_get_folio, with FGP_ENTRY and FGP_LOCK.
 */
export const filemapLockFolio = fn(function* filemap_lock_folio(
  mapping: AddressSpace,
  index: Pgoff,
): Kernel<Folio | null> {
  for (;;) {
    const folio = yield* filemapGetFolio(mapping, index)
    if (folio === null) return null
    yield* folioLock(folio)
    if (folio.mapping === mapping) return folio
    yield* folioUnlock(folio)
    yield* folioPut(folio)
  }
})

/**
 * The first folio from `start` to `end` (inclusive), with a reference, or NULL.
 *
 * Models: 6.2 mm/filemap.c find_get_entry, as find_get_entries and find_lock_entries use it.
 * Simplifies: one folio at a time instead of a batch, so that each is held for less time.
 */
export const findGetEntry = fn(function* find_get_entry(
  mapping: AddressSpace,
  start: Pgoff,
  end: Pgoff,
): Kernel<Folio | null> {
  for (;;) {
    yield read(mapping.iPages, 'xaHead')
    const index = xaFindIndex(mapping.iPages, start, end) as Pgoff
    if (index < 0) return null
    const folio = xaLoad(mapping.iPages, index) as Folio
    if (!(yield* folioTryGet(folio))) continue
    alsoReads(mapping.iPages, 'xaHead')
    if (xaLoad(mapping.iPages, index) === folio) return folio
    yield* folioPut(folio)
  }
})

/**
 * Put a new, locked folio into the cache: 0; -EEXIST if somebody was faster; -ENOMEM if the array
 * has no node for it yet, and gets none.
 *
 * Models: 6.2 mm/shmem.c shmem_add_to_page_cache, with xas_nomem. Simplifies: i_pages' lock is one
 * step; the node is asked for before it is tried without; no memcg that could refuse.
 *
 * Compared: 6.1 source.
 */
export const addToPageCache = fn(function* shmem_add_to_page_cache(
  folio: Folio,
  mapping: AddressSpace,
  index: Pgoff,
): Kernel<number> {
  alsoReads(mapping.iPages, 'xaHead')
  const nodeless = xaLacksNode(mapping.iPages, index)
  if (nodeless && (yield* shouldFailslab())) return -ENOMEM
  yield rmw(mapping.iPages, 'xaHead')
  if (xaLoad(mapping.iPages, index) !== null) return -EEXIST
  folio.refcount += nrPages(folio)
  folio.mapping = mapping
  folio.index = index
  xaStore(mapping.iPages, index, folio)
  alsoWrites(mapping, 'nrpages')
  mapping.nrpages += nrPages(folio)
  return 0
})

/**
 * The folio at an index, locked and with a reference. If there is none, a new one: clean, not up to
 * date, on its way to the LRU. ERR_PTR: -ENOMEM.
 *
 * Models: 6.18 include/linux/pagemap.h filemap_grab_folio, that is __filemap_get_folio with
 * FGP_LOCK, FGP_ACCESSED and FGP_CREAT. Simplifies: order 0; a folio that is there already is not
 * marked as accessed, since its users here are never reclaimed by age.
 */
export const filemapGrabFolio = fn(function* filemap_grab_folio(
  mapping: AddressSpace,
  index: Pgoff,
): Kernel<Folio> {
  for (;;) {
    const known = yield* filemapLockFolio(mapping, index)
    if (known !== null) return known
    const folio = yield* allocFolioMayFail(mapping.gfpMovable)
    if (folio === null) return errPtr(Folio, -ENOMEM)
    folio.referenced = true
    folioSetLocked(folio)
    const error = yield* addToPageCache(folio, mapping, index)
    if (error === 0) {
      yield* folioAddLru(folio)
      return folio
    }
    yield* folioUnlock(folio)
    yield* folioPut(folio)
    if (error !== -EEXIST) return errPtr(Folio, error)
  }
})

/** Take a folio out of the cache's slots; i_pages is locked, which is the caller's step. */
export function __filemapRemoveFolio(folio: Folio, mapping: AddressSpace): void {
  alsoWrites(mapping.iPages, 'xaHead')
  alsoWrites(mapping, 'nrpages')
  xaErase(mapping.iPages, folio.index)
  mapping.nrpages -= nrPages(folio)
  alsoWrites(folio, 'mapping')
  folio.mapping = null
}

/**
 * Take a locked folio out of the cache and put the cache's references. The index stays.
 *
 * Models: 6.2 mm/filemap.c filemap_remove_folio, with filemap_free_folio. Simplifies: the host's
 * i_lock and i_pages' lock are one step.
 */
export const filemapRemoveFolio = fn(function* filemap_remove_folio(folio: Folio): Kernel<void> {
  alsoReads(folio, 'lockOwner')
  bugOn(folio.lockOwner === 0, 'filemap_remove_folio: the folio is not locked')
  const mapping = folio.mapping!
  yield rmw(mapping.iPages, 'xaHead')
  mark('page-truncated')
  tracepoint('mm_folio_removed', folio)
  __filemapRemoveFolio(folio, mapping)
  if (mapping.aOps!.freeFolio !== undefined) yield* mapping.aOps!.freeFolio!(folio)
  yield* folioPutRefs(folio, nrPages(folio))
})

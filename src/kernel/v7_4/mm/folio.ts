/** mm/folio.c of 7.4, as far as guest_memfd asks for it. */
import { read } from '../../../machine/effects.js'
import { mark } from '../../../machine/fault.js'
import { fn, type Kernel } from '../../../machine/fn.js'
import { type Folio, nrPages } from '../../include/mm.js'
import { lruAddDrain, lruAddDrainAll, lruAddDrainPerCpu } from '../../mm/swap.js'

/** enum lru_cache_drained: what a series of folios has had drained on the way. */
export const LRU_CACHE_NOT_DRAINED = 0
const LRU_CACHE_DRAINED_LOCAL = 1
const LRU_CACHE_DRAINED_ALL = 2

/** folio_expected_ref_count(), of a folio in a page cache. */
function expectedRefCount(folio: Folio): number {
  return nrPages(folio) + folio.mapcount
}

/**
 * If somebody besides the page cache, page tables and the caller, with `ownRefs`, has a reference, it
 * may be a batch: drain this CPU's, and if that is not it, those of all CPUs, each at most once for a
 * series of folios. How far the series has come by now.
 *
 * Models: 7.4 mm/folio.c lru_cache_drain_for_folio. Simplifies: the level is a result, not an
 * argument that points to it. Known from notes on its source.
 */
export const lruCacheDrainForFolio = fn(function* lru_cache_drain_for_folio(
  folio: Folio,
  ownRefs: number,
  drained: number,
): Kernel<number> {
  let level = drained
  yield* lruAddDrainPerCpu(folio)
  yield read(folio, 'refcount')
  if (folio.refcount === expectedRefCount(folio) + ownRefs) return level
  if (level === LRU_CACHE_NOT_DRAINED) {
    mark('lru-drained-for-folio')
    yield* lruAddDrain()
    level = LRU_CACHE_DRAINED_LOCAL
    yield read(folio, 'refcount')
    if (folio.refcount === expectedRefCount(folio) + ownRefs) return level
  }
  if (level === LRU_CACHE_DRAINED_LOCAL) {
    mark('lru-drained-everywhere')
    yield* lruAddDrainAll()
    level = LRU_CACHE_DRAINED_ALL
  }
  return level
})

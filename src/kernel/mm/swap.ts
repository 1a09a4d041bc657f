/**
 * References to folios, and the LRU: per-CPU batches of pages on their way to it, isolation and
 * putting back. A batch holds a reference and PG_lru is clear until it is drained.
 *
 * Left out: the lists themselves, whose order decides nothing here; lru_lock, whose sections are
 * one step each.
 */
import { alsoReads, alsoWrites, choose, rmw } from '../../machine/effects.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { currentTaskNumber } from '../../machine/task.js'
import type { Folio } from '../include/mm.js'
import { folioEvictable, mlockDrain, mlockFolioBatch } from './mlocked.js'
import { forEachFolio, freeFolio } from './page_alloc.js'

/** Models: 6.2 include/linux/mm.h folio_get. The caller has a reference already. */
export const folioGet = fn(function* folio_get(folio: Folio): Kernel<void> {
  yield rmw(folio, 'refcount')
  folio.refcount++
})

/** Models: 6.2 include/linux/page_ref.h folio_try_get. False if the count is 0: free or frozen. */
export const folioTryGet = fn(function* folio_try_get(folio: Folio): Kernel<boolean> {
  yield rmw(folio, 'refcount')
  if (folio.refcount === 0) return false
  folio.refcount++
  return true
})

/**
 * Models: 6.2 mm/swap.c __folio_put. The last reference is gone; nobody can reach the folio.
 *
 * Compared: 6.17 and 7.0 source.
 */
export function __folioPut(folio: Folio): void {
  // Who looks for pages by frame reads this with no reference, at any moment.
  alsoReads(folio, 'refcount')
  alsoWrites(folio, 'lru')
  alsoWrites(folio, 'buddy')
  if (folio.lru) {
    folio.lru = false
    folio.active = false
    folio.unevictable = false
  }
  alsoWrites(folio, 'mlocked')
  folio.mlocked = false
  freeFolio(folio)
}

/**
 * Nothing happens to a folio of which a reference too many is put: its count is below zero, as on a
 * kernel without CONFIG_DEBUG_VM.
 *
 * Models: 6.2 include/linux/mm.h folio_put_refs.
 */
export const folioPutRefs = fn(function* folio_put_refs(folio: Folio, refs: number): Kernel<void> {
  yield rmw(folio, 'refcount')
  folio.refcount -= refs
  if (folio.refcount === 0) __folioPut(folio)
})

/** Models: 6.2 include/linux/mm.h folio_put. */
export const folioPut = fn(function* folio_put(folio: Folio): Kernel<void> {
  yield* folioPutRefs(folio, 1)
})

/**
 * PAGEVEC_SIZE: a batch that holds so many is drained. Replaced by 6.18.
 *
 * Models: 6.2 include/linux/pagevec.h.
 */
export const pagevecSize = fn(function pagevec_size(): number {
  return 15
})

/** How many folios wait in a CPU's batch. */
function batchCount(batch: number): number {
  let count = 0
  forEachFolio((folio) => {
    alsoReads(folio, 'lruBatch')
    if (folio.lruBatch === batch) count++
  })
  return count
}

/**
 * Put a folio into this CPU's batch, with a reference of the batch's own. A full batch is drained.
 *
 * Models: 6.2 mm/swap.c folio_add_lru and folio_batch_add_and_move.
 */
export const folioAddLru = fn(function* folio_add_lru(folio: Folio): Kernel<void> {
  yield rmw(folio, 'refcount')
  folio.refcount++
  alsoWrites(folio, 'lruBatch')
  folio.lruBatch = currentTaskNumber() + 1
  if (batchCount(folio.lruBatch) >= pagevecSize()) yield* lruAddDrain()
})

/**
 * Somebody has used the folio: referenced at first, active the second time. A folio that must not
 * be evicted is never active. The folio is locked.
 *
 * Models: 6.2 mm/swap.c folio_mark_accessed. Simplifies: a folio on a list is activated at once,
 * not by way of a batch, which would hold a reference meanwhile.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const folioMarkAccessed = fn(function folio_mark_accessed(folio: Folio): void {
  alsoWrites(folio, 'referenced')
  if (!folio.referenced) {
    folio.referenced = true
    return
  }
  // A drain or an isolation, which ask for no folio lock, may come at any moment.
  alsoReads(folio, 'unevictable')
  alsoReads(folio, 'lru')
  alsoReads(folio, 'lruBatch')
  if (folio.unevictable || folio.active) return
  if (folio.lru || folio.lruBatch === currentTaskNumber() + 1) folio.active = true
  folio.referenced = false
})

/**
 * The process has given up an anonymous folio with MADV_FREE: it is no longer backed by swap, and
 * reclaim may drop it, unless somebody stores to it before.
 *
 * Models: 6.2 mm/swap.c mark_page_lazyfree and lru_lazyfree_fn. Simplifies: at once, not by way of a
 * batch, which would hold a reference meanwhile.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const folioMarkLazyfree = fn(function mark_page_lazyfree(folio: Folio): void {
  alsoReads(folio, 'lru')
  alsoReads(folio, 'swap')
  alsoReads(folio, 'unevictable')
  alsoWrites(folio, 'swapbacked')
  if (!folio.lru || !folio.anon || !folio.swapbacked) return
  if (folio.swap !== 0 || folio.unevictable) return
  folio.active = false
  alsoWrites(folio, 'referenced')
  folio.referenced = false
  folio.swapbacked = false
})

/** The folio of lowest frame in a batch (of one CPU, or of any if 0), or null. */
function nextInBatch(batch: number): Folio | null {
  let found: Folio | null = null
  forEachFolio((folio) => {
    alsoReads(folio, 'lruBatch')
    if (folio.lruBatch === 0 || (batch !== 0 && folio.lruBatch !== batch)) return
    if (found === null || folio.pfn < found.pfn) found = folio
  })
  return found
}

/**
 * Move one folio from a batch to its LRU list. A file that must not be evicted has its pages on
 * the unevictable one.
 *
 * Models: 6.2 mm/swap.c lru_add_fn, called from folio_batch_move_lru.
 */
export const lruAddFn = fn(function* lru_add_fn(folio: Folio): Kernel<void> {
  yield rmw(folio, 'lru')
  alsoWrites(folio, 'lruBatch')
  if (folio.lruBatch === 0) return
  folio.lruBatch = 0
  folio.lru = true
  alsoReads(folio, 'mapping')
  alsoReads(folio, 'mlocked')
  folio.unevictable = !folioEvictable(folio)
  if (folio.unevictable) {
    folio.active = false
    alsoWrites(folio, 'mlockCount')
    // Whether an entry of a batch has been counted already is not known: rather too low.
    folio.mlockCount = 0
  }
  yield* folioPut(folio)
})

/**
 * May the batches have been emptied by now? Everything that runs on its CPU may do that: another task's
 * fault, the 15th page, somebody's lru_add_drain_all(). What others see of a batch is PG_lru and one
 * reference, so it is enough to ask before somebody looks at these (docs/decisions/0016-drains.md).
 *
 * Models: 6.2 mm/swap.c lru_add_drain_per_cpu, at any moment. Simplifies: one page leaves its batch
 * and not all that are in it: tasks go from CPU to CPU, and so do the pages that they touch.
 */
export const lruAddDrainPerCpu = fn(function* lru_add_drain_per_cpu(folio: Folio): Kernel<void> {
  alsoReads(folio, 'lruBatch')
  if (folio.lruBatch !== 0 && (yield choose(2)) !== 0) yield* lruAddFn(folio)
  alsoReads(folio, 'mlockBatch')
  if (folio.mlockBatch !== 0 && (yield choose(2)) !== 0) yield* mlockFolioBatch(folio, 0)
})

/** Models: 6.2 mm/swap.c lru_add_drain: this CPU's batches. */
export const lruAddDrain = fn(function* lru_add_drain(): Kernel<void> {
  let folio = nextInBatch(currentTaskNumber() + 1)
  while (folio !== null) {
    yield* lruAddFn(folio)
    folio = nextInBatch(currentTaskNumber() + 1)
  }
  yield* mlockDrain(currentTaskNumber() + 1)
})

/**
 * This CPU's batch is emptied before page tables are, though nothing there needs it. Replaced by
 * 6.18.
 *
 * Models: 6.2 mm/memory.c zap_page_range_single, mm/mmap.c unmap_region and exit_mmap.
 */
export const lruAddDrainToUnmap = fn(function* lru_add_drain_to_unmap(): Kernel<void> {
  yield* lruAddDrain()
})

/**
 * Models: 6.2 mm/swap.c lru_add_drain_all. Simplifies: the caller drains the batches of other CPUs
 * itself instead of waiting for their workers, whose steps would come between the same others.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const lruAddDrainAll = fn(function* lru_add_drain_all(): Kernel<void> {
  let folio = nextInBatch(0)
  while (folio !== null) {
    yield* lruAddFn(folio)
    folio = nextInBatch(0)
  }
  yield* mlockDrain(0)
})

/**
 * Take a folio off its list, with a reference. False if it is on none. The caller has a reference.
 *
 * Models: 6.2 mm/vmscan.c folio_isolate_lru.
 */
export const folioIsolateLru = fn(function* folio_isolate_lru(folio: Folio): Kernel<boolean> {
  yield* lruAddDrainPerCpu(folio)
  yield rmw(folio, 'lru')
  if (!folio.lru) return false
  folio.lru = false
  yield* folioGet(folio)
  return true
})

/**
 * Put an isolated folio back and drop the isolation's reference.
 *
 * Models: 6.2 mm/vmscan.c folio_putback_lru.
 */
export const folioPutbackLru = fn(function* folio_putback_lru(folio: Folio): Kernel<void> {
  yield* folioAddLru(folio)
  yield* folioPut(folio)
})

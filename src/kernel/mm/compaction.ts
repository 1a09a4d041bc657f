/**
 * Compaction: go through the frames in order, take the movable pages off the LRU and migrate them.
 * It knows frames, not files: that a page belongs to restricted memory it cannot see, and that it
 * is unevictable keeps it away only if the administrator says so.
 *
 * Left out: the zone's statistics, skip hints and deferral, which decide when and where compaction
 * looks, not what it does to a page that it finds.
 */
import { alsoReads, read, rmw } from '../../machine/effects.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { EBUSY, ENOMEM } from '../include/errno.js'
import { type Folio, MIGRATE_SYNC, MR_COMPACTION, NUMA_NO_NODE } from '../include/mm.js'
import { folioTrylock, folioUnlock } from './filemap.js'
import { migratePages, putbackMovablePages } from './migrate.js'
import { forEachFolio } from './page_alloc.js'
import { folioPut, folioTryGet, lruAddDrain, lruAddDrainAll, lruAddDrainPerCpu } from './swap.js'
import { folioMapping } from './swap_state.js'

/** isolate_mode_t. */
export const ISOLATE_ASYNC_MIGRATE = 4
export const ISOLATE_UNEVICTABLE = 8

/**
 * The sysctl vm.compact_unevictable_allowed.
 *
 * Models: 6.2 mm/compaction.c sysctl_compact_unevictable_allowed, at its default.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const compactUnevictableAllowed = fn(function compact_unevictable_allowed(): boolean {
  return true
})

/** The frame in use that follows `after` in the memmap, or the first one; null behind the last. */
export function nextFrame(after: Folio | null): Folio | null {
  let next: Folio | null = null
  forEachFolio((folio) => {
    alsoReads(folio, 'buddy')
    if (folio.buddy || (after !== null && folio.pfn <= after.pfn)) return
    if (next === null || folio.pfn < next.pfn) next = folio
  })
  return next
}

/**
 * What is guessed from without a lock is read at once: each answer is also that of some order of
 * reading, and a wrong one only makes the migration fail, or be tried another time.
 */
export function alsoReadsGuess(folio: Folio): void {
  alsoReads(folio, 'refcount')
  alsoReads(folio, 'mapcount')
  alsoReads(folio, 'lru')
  alsoReads(folio, 'unevictable')
  alsoReads(folio, 'writeback')
  alsoReads(folio, 'dirty')
}

/**
 * May a folio of this kind be isolated? It has our reference. The mapping is read without any
 * lock, and so is the count: for an anonymous page more references than mappings mean a pin, for
 * a page of a file they mean nothing here, and the migration will find out.
 *
 * Models: 6.2 mm/compaction.c isolate_migratepages_block, its tests behind get_page_unless_zero.
 */
export const migratepageSuitable = fn(function* migratepage_suitable(
  folio: Folio,
  mode: number,
): Kernel<boolean> {
  yield read(folio, 'mapping')
  const mapping = folioMapping(folio)
  alsoReadsGuess(folio)
  if (mapping === null && folio.refcount - 1 > folio.mapcount) return false
  if (!folio.lru) return false
  if (!(mode & ISOLATE_UNEVICTABLE) && folio.unevictable) return false
  if (!(mode & ISOLATE_ASYNC_MIGRATE)) return true

  if (folio.writeback) return false
  if (!folio.dirty) return true
  // Truncation clears the mapping under this lock; without it there may be no a_ops to ask.
  if (!(yield* folioTrylock(folio))) return false
  const locked = folioMapping(folio)
  const movable = locked === null || locked.aOps!.migrateFolio !== undefined
  yield* folioUnlock(folio)
  return movable
})

/**
 * Isolate the page in a frame: 0, with a reference, or -EBUSY if there is nothing to migrate.
 * Free frames, pages on no LRU list (also those in a batch of another CPU) and unsuitable pages
 * stay.
 *
 * Models: 6.2 mm/compaction.c isolate_migratepages_block, for one frame. Simplifies: lru_lock is
 * not modelled; what it covers here is one step.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const isolateMigratepage = fn(function* isolate_migratepages_block(
  folio: Folio,
  mode: number,
): Kernel<number> {
  yield* lruAddDrainPerCpu(folio)
  yield read(folio, 'lru')
  alsoReads(folio, 'buddy')
  if (folio.buddy || !folio.lru) return -EBUSY
  // Not before the reference is ours may PG_lru be cleared: who frees the page relies on it.
  if (!(yield* folioTryGet(folio))) return -EBUSY

  if (yield* migratepageSuitable(folio, mode)) {
    yield rmw(folio, 'lru')
    if (folio.lru) {
      folio.lru = false
      return 0
    }
  }
  yield* folioPut(folio)
  return -EBUSY
})

/**
 * Compact all frames. What cannot be migrated goes back to the LRU.
 *
 * Models: 6.2 mm/compaction.c compact_zone. Simplifies: isolates and migrates one page at a time
 * instead of up to 32, so a page is never isolated for as long as a whole batch takes; and the
 * scanner of free pages does not limit that of pages to migrate, so a page that was just moved to
 * a higher frame can be met again, once it has left its batch. Free frames are passed over within
 * the step before, which only looks at PageBuddy a little earlier.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const compactZone = fn(function* compact_zone(mode: number): Kernel<void> {
  const isolateMode =
    (compactUnevictableAllowed() ? ISOLATE_UNEVICTABLE : 0) |
    (mode !== MIGRATE_SYNC ? ISOLATE_ASYNC_MIGRATE : 0)
  yield* lruAddDrain()
  let folio = nextFrame(null)
  while (folio !== null) {
    if ((yield* isolateMigratepage(folio, isolateMode)) === 0) {
      const err = yield* migratePages(folio, NUMA_NO_NODE, mode, MR_COMPACTION)
      if (err !== 0) yield* putbackMovablePages(folio)
      // Without targets it gives the zone up.
      if (err === -ENOMEM) return
    }
    folio = nextFrame(folio)
  }
})

/**
 * Write to /proc/sys/vm/compact_memory. Always 0.
 *
 * Models: 6.2 mm/compaction.c compact_nodes and compact_node.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const compact = fn(function* compact_nodes(): Kernel<number> {
  yield* lruAddDrainAll()
  yield* compactZone(MIGRATE_SYNC)
  return 0
})

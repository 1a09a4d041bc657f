/**
 * Memory offline: make every page of a memory block go elsewhere, for as long as that takes. A
 * page that refuses is asked again and again; in Linux only a signal ends it, and there are no
 * signals here, so it shows as a livelock.
 *
 * The block is the set of frames with the task's bit in `offlineBlock`; `isolateBlock` is set while it
 * is isolated.
 * Left out: the frames' removal from the memmap.
 */
import { alsoReads, alsoWrites, read, rmw } from '../../machine/effects.js'
import { warnOn } from '../../machine/fault.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { currentTaskNumber } from '../../machine/task.js'
import { EBUSY } from '../include/errno.js'
import { type Folio, MIGRATE_SYNC, MR_MEMORY_HOTPLUG, NUMA_NO_NODE } from '../include/mm.js'
import { memHotplugBegin, memHotplugDone } from './hotplug_lock.js'
import { migratePages, putbackMovablePages } from './migrate.js'
import { forEachFolio } from './page_alloc.js'
import { tryToUnmap } from './rmap.js'
import { folioIsolateLru, folioPut, folioTryGet, lruAddDrainAll } from './swap.js'

/** The frame of the block that follows `after`, or its first one; null behind the last. */
function nextInBlock(after: Folio | null): Folio | null {
  let next: Folio | null = null
  forEachFolio((folio) => {
    alsoReads(folio, 'offlineBlock')
    if (!(folio.offlineBlock & (1 << currentTaskNumber()))) return
    if (after !== null && folio.pfn <= after.pfn) return
    if (next === null || folio.pfn < next.pfn) next = folio
  })
  return next
}

/**
 * Isolate the block, so that nothing is allocated from it any more. -EBUSY if one of its pages can
 * never move: it is in use, but on no LRU list.
 *
 * Models: 6.2 mm/page_isolation.c start_isolate_page_range, with has_unmovable_pages. Simplifies:
 * a block is made to measure instead of 128 MiB; what else a real one would hold, and be refused
 * for, is not there. The scan is one step, as under the zone's lock.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const startIsolatePageRange = fn(function* start_isolate_page_range(): Kernel<number> {
  const first = nextInBlock(null) as Folio
  yield rmw(first, 'buddy')
  let unmovable = false
  for (let folio: Folio | null = first; folio !== null; folio = nextInBlock(folio)) {
    alsoWrites(folio, 'buddy')
    alsoReads(folio, 'refcount')
    alsoReads(folio, 'hwpoison')
    alsoReads(folio, 'lru')
    folio.isolateBlock = true
    if (folio.refcount > 0 && !folio.hwpoison && !folio.lru) unmovable = true
  }
  if (!unmovable) return 0
  undoIsolatePageRange()
  return -EBUSY
})

/** Models: 6.2 mm/page_isolation.c undo_isolate_page_range. Compared: 6.17 and 7.0 source. */
export const undoIsolatePageRange = fn(function undo_isolate_page_range(): void {
  forEachFolio((folio) => {
    if (folio.isolateBlock) folio.isolateBlock = false
  })
})

/**
 * Are all frames of the block free, or poisoned? 0 or -EBUSY.
 *
 * Models: 6.2 mm/page_isolation.c test_pages_isolated. One step, as under the zone's lock.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const testPagesIsolated = fn(function* test_pages_isolated(): Kernel<number> {
  const first = nextInBlock(null) as Folio
  yield read(first, 'buddy')
  let folio: Folio | null = first
  while (folio !== null) {
    alsoReads(folio, 'buddy')
    alsoReads(folio, 'hwpoison')
    if (!folio.buddy && !folio.hwpoison) return -EBUSY
    folio = nextInBlock(folio)
  }
  return 0
})

/**
 * The first frame of the block whose page is on an LRU list, or null.
 *
 * Models: 6.2 mm/memory_hotplug.c scan_movable_pages. Simplifies: always from the first frame on,
 * where Linux goes on from the last that it found until there is none behind that.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const scanMovablePages = fn(function* scan_movable_pages(): Kernel<Folio | null> {
  let folio = nextInBlock(null)
  while (folio !== null) {
    alsoReads(folio, 'buddy')
    if (!folio.buddy) {
      yield read(folio, 'lru')
      if (folio.lru) return folio
    }
    folio = nextInBlock(folio)
  }
  return null
})

/**
 * Isolate a page, of which the caller has a reference, put that, and migrate the page. What cannot
 * be migrated goes back to the LRU, and nobody is told.
 */
export const migrateOffBlock = fn(function* isolate_folio_to_list(folio: Folio): Kernel<void> {
  const isolated = yield* folioIsolateLru(folio)
  yield* folioPut(folio)
  if (!isolated) return
  const ret = yield* migratePages(folio, NUMA_NO_NODE, MIGRATE_SYNC, MR_MEMORY_HOTPLUG)
  if (ret !== 0) yield* putbackMovablePages(folio)
})

/**
 * Try to move the page of a frame. A poisoned one is not migrated, since its poison reference would
 * defeat every attempt, but taken out of the page table, as a last net. That it could be on an LRU
 * list is not believed, and the unmap forgets the folio lock: a kernel built with DEBUG_VM, as the
 * recorded one was, stops at it.
 *
 * Models: 6.2 mm/memory_hotplug.c do_migrate_range, for one frame.
 */
export const doMigrateFrame = fn(function* do_migrate_frame(folio: Folio): Kernel<void> {
  yield read(folio, 'hwpoison')
  if (folio.hwpoison) {
    alsoReads(folio, 'lru')
    if (warnOn(folio.lru, 'do_migrate_range: a poisoned page is on an LRU list')) {
      yield* folioIsolateLru(folio)
    }
    yield read(folio, 'mapcount')
    if (folio.mapcount > 0) yield* tryToUnmap(folio, 0)
    return
  }
  alsoReads(folio, 'buddy')
  if (!folio.buddy && (yield* folioTryGet(folio))) yield* migrateOffBlock(folio)
})

/**
 * Try to move the pages of the block, from frame `first` on.
 *
 * Models: 6.2 mm/memory_hotplug.c do_migrate_range. Simplifies: migrates each page as soon as it
 * is isolated instead of all together, so each is isolated for less time; to the node that it is
 * on, while Linux prefers any other.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const doMigrateRange = fn(function* do_migrate_range(first: Folio): Kernel<void> {
  let folio: Folio | null = first
  while (folio !== null) {
    yield* doMigrateFrame(folio)
    folio = nextInBlock(folio)
  }
})

/**
 * Offline the block: 0 when all its frames are free. Never returns while a page stays, and holds
 * mem_hotplug_lock all the time. -EBUSY if the block could not be isolated; then nothing has been
 * tried.
 *
 * Models: 6.2 mm/memory_hotplug.c offline_pages; later versions take the lock in their callers.
 * Simplifies: lru_cache_disable() is a drain in
 * each round, which finds the pages that Linux would not let into the batches; no signals; no
 * notifier chain; the frames stay isolated instead of being taken out of the memmap.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const offlinePages = fn(function* offline_pages(): Kernel<number> {
  yield* memHotplugBegin()
  yield* lruAddDrainAll()
  const ret = yield* startIsolatePageRange()
  if (ret !== 0) {
    yield* memHotplugDone()
    return ret
  }
  do {
    yield* lruAddDrainAll()
    let folio = yield* scanMovablePages()
    while (folio !== null) {
      yield* doMigrateRange(folio)
      yield* lruAddDrainAll()
      folio = yield* scanMovablePages()
    }
  } while ((yield* testPagesIsolated()) !== 0)
  yield* memHotplugDone()
  return 0
})

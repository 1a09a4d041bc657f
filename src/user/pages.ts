/**
 * What a scenario does to a page that it names by file and page offset. Real users name a frame
 * (debugfs, sysfs, a machine check) or a whole node; these look the frame up first, in one step,
 * and then call what the kernel calls. The page may leave the file in between, as on a real
 * machine.
 */

import { EBUSY, ENOENT } from '../kernel/include/errno.js'
import { filesStruct } from '../kernel/include/fs.js'
import {
  type Folio,
  MF_SW_SIMULATED,
  MIGRATE_SYNC,
  MR_COMPACTION,
  NUMA_NO_NODE,
} from '../kernel/include/mm.js'
import { PGOFF_MAX, type Pgoff } from '../kernel/include/types.js'
import { xaFindAfterIndex, xaFindIndex, xaLoad } from '../kernel/lib/xarray.js'
import { memoryFailure } from '../kernel/mm/memory_failure.js'
import { offlinePages } from '../kernel/mm/memory_hotplug.js'
import { migratePagesLoop, putbackMovablePages } from '../kernel/mm/migrate.js'
import { forEachFolio } from '../kernel/mm/page_alloc.js'
import { softOffline, unpoison } from '../kernel/mm/soft_offline.js'
import { folioIsolateLru, folioPut, folioTryGet, lruAddDrainAll } from '../kernel/mm/swap.js'
import { alsoReads, alsoWrites, read } from '../machine/effects.js'
import { fn, type Kernel } from '../machine/fn.js'
import { currentTaskNumber } from '../machine/task.js'
import { fileMapping } from './harness.js'

/** The folio that holds a page of the file now, without a reference; null if none is cached. */
export const cachedFolio = fn(function* cached_folio(
  fd: number,
  page: number,
): Kernel<Folio | null> {
  yield read(filesStruct(), 'fd')
  const mapping = fileMapping(fd)
  if (mapping === null) return null
  alsoReads(mapping.iPages, 'xaHead')
  return xaLoad(mapping.iPages, page as Pgoff) as Folio | null
})

/** The frame that holds a page of the file now, or -ENOENT. */
export const pageFrame = fn(function* page_frame(fd: number, page: number): Kernel<number> {
  const folio = yield* cachedFolio(fd, page)
  return folio === null ? -ENOENT : folio.pfn
})

/**
 * Migrate one page as synchronous compaction would: drain the batches, isolate, migrate, put back
 * on failure. 0, or what the last attempt answered (-EAGAIN, -EBUSY, -ENOMEM, …); -ENOENT if the
 * page is not cached, -EBUSY if it cannot be isolated.
 *
 * Models: the test driver of the recorded kernel runs: migrate_pages() on one page, MIGRATE_SYNC.
 */
export const migratePage = fn(function* migrate_page(fd: number, page: number): Kernel<number> {
  yield* lruAddDrainAll()
  const folio = yield* cachedFolio(fd, page)
  if (folio === null) return -ENOENT
  if (!(yield* folioTryGet(folio))) return -EBUSY
  const isolated = yield* folioIsolateLru(folio)
  yield* folioPut(folio)
  if (!isolated) return -EBUSY

  const rc = yield* migratePagesLoop(folio, NUMA_NO_NODE, MIGRATE_SYNC, MR_COMPACTION)
  if (rc !== 0) yield* putbackMovablePages(folio)
  return rc
})

/**
 * An injected failure of the frame that holds a page of the file; -ENOENT if none does.
 *
 * Models: 6.2 mm/hwpoison-inject.c hwpoison_inject, with the filter off.
 */
export const memoryFailureOp = fn(function* hwpoison_inject(
  fd: number,
  page: number,
): Kernel<number> {
  const folio = yield* cachedFolio(fd, page)
  if (folio === null) return -ENOENT
  return yield* memoryFailure(folio.pfn, MF_SW_SIMULATED)
})

/**
 * Soft offline of the frame that holds a page of the file; -ENOENT if none does.
 *
 * Models: 6.2 drivers/base/memory.c soft_offline_page_store.
 */
export const softOfflineOp = fn(function* soft_offline_page_store(
  fd: number,
  page: number,
): Kernel<number> {
  const folio = yield* cachedFolio(fd, page)
  if (folio === null) return -ENOENT
  return yield* softOffline(folio.pfn, 0)
})

/**
 * Unpoison the frame that holds a page of the file; -ENOENT if none does. A frame that has left
 * the file is unpoisoned by its number: see `pageFrame`, `unpoison`.
 *
 * Models: 6.2 mm/hwpoison-inject.c hwpoison_unpoison.
 */
export const unpoisonOp = fn(function* hwpoison_unpoison(fd: number, page: number): Kernel<number> {
  const folio = yield* cachedFolio(fd, page)
  if (folio === null) return -ENOENT
  return yield* unpoison(folio.pfn)
})

/**
 * Empty the LRU batches of all CPUs, as many paths of a real kernel do on their way.
 *
 * Models: 6.2 mm/swap.c lru_add_drain_all.
 */
export const drainLru = fn(function* drain_lru(): Kernel<number> {
  yield* lruAddDrainAll()
  return 0
})

/**
 * Offline the memory block that holds the pages which a file has now, wherever they go. 0, -EBUSY,
 * -ENOENT for a file without pages; or it never returns.
 *
 * Models: 6.2 drivers/base/memory.c memory_subsys_offline, of a block made to measure.
 */
export const offlineMemory = fn(function* offline_memory(fd: number): Kernel<number> {
  yield read(filesStruct(), 'fd')
  const mapping = fileMapping(fd)
  if (mapping === null) return -ENOENT
  alsoReads(mapping.iPages, 'xaHead')
  let index = xaFindIndex(mapping.iPages, 0, PGOFF_MAX) as Pgoff
  if (index < 0) return -ENOENT
  const bit = 1 << currentTaskNumber()
  // What this task has asked of other blocks before is over.
  forEachFolio((folio) => {
    alsoWrites(folio, 'offlineBlock')
    if (folio.offlineBlock & bit) folio.offlineBlock &= ~bit
  })
  while (index >= 0) {
    const folio = xaLoad(mapping.iPages, index) as Folio
    folio.offlineBlock |= bit
    index = xaFindAfterIndex(mapping.iPages, index, PGOFF_MAX) as Pgoff
  }
  return yield* offlinePages()
})

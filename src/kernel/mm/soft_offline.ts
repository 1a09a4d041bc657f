/**
 * Soft offline and unpoison. Soft offline takes a frame that still works out of use, without harm
 * to who uses the page: a clean page of a file is dropped, any other migrated. That a page can be
 * read again from its file is what makes dropping harmless; of shmem and guest memory it is not
 * true. Unpoison takes a software mark back.
 *
 * Both run under mf_mutex, so they and memory failure never meet on one frame.
 */
import { read, rmw, until } from '../../machine/effects.js'
import { mark } from '../../machine/fault.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { mutexLock, mutexUnlock } from '../../machine/locks.js'
import { EBUSY, EHWPOISON, ENXIO, EOPNOTSUPP } from '../include/errno.js'
import {
  type Folio,
  MF_COUNT_INCREASED,
  MF_SOFT_OFFLINE,
  MF_UNPOISON,
  MIGRATE_SYNC,
  MR_MEMORY_FAILURE,
  mmState,
  NUMA_NO_NODE,
} from '../include/mm.js'
import type { Pfn } from '../include/types.js'
import { folioLock, folioUnlock } from './filemap.js'
import { getOnlineMems, putOnlineMems } from './hotplug_lock.js'
import { getHwpoisonPage, pageRefInc, takePageOffBuddy } from './hwpoison.js'
import { migratePages, putbackMovablePages } from './migrate.js'
import { freeFolio, pfnToFolio } from './page_alloc.js'
import { folioIsolateLru, folioPut, lruAddDrainPerCpu } from './swap.js'
import { invalidateInodePage } from './truncate.js'

/**
 * Mark a page that nobody uses any more and keep it with a reference: a free one, which is taken
 * off the free list first (false if somebody was faster), or one of which the caller holds the
 * last reference, which is put if `release`.
 *
 * Models: 6.2 mm/memory-failure.c page_handle_poison.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const pageHandlePoison = fn(function* page_handle_poison(
  p: Folio,
  freepage: boolean,
  release: boolean,
): Kernel<boolean> {
  if (freepage && !(yield* takePageOffBuddy(p))) return false
  // Marked before the put, so that the allocator does not take it.
  yield rmw(p, 'hwpoison')
  p.hwpoison = true
  if (release) yield* folioPut(p)
  pageRefInc(p)
  mmState().numPoisoned++
  return true
})

/**
 * Isolate the page for migration; the caller's reference is put in either case.
 *
 * Models: 6.2 mm/memory-failure.c isolate_page.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const isolatePage = fn(function* isolate_page(p: Folio): Kernel<boolean> {
  const isolated = yield* folioIsolateLru(p)
  yield* folioPut(p)
  return isolated
})

/**
 * Empty a page in use: drop it from its file if it is clean and nobody else refers to it, else
 * migrate it. Neither asks who maps the frame without page tables. 0, or -EBUSY or -ENOMEM, and
 * the page is as it was. Consumes the caller's reference.
 *
 * Models: 6.2 mm/memory-failure.c soft_offline_in_use_page.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const softOfflineInUsePage = fn(function* soft_offline_in_use_page(
  p: Folio,
): Kernel<number> {
  yield* folioLock(p)
  if (p.writeback) yield until(p, 'writeback', 0)
  yield* lruAddDrainPerCpu(p)
  yield read(p, 'lru')
  if (p.hwpoison) {
    yield* folioUnlock(p)
    yield* folioPut(p)
    return 0
  }
  // mapping_evict_folio() grants one reference besides the cache's: ours.
  const invalidated = p.lru && p.swap === 0 && (yield* invalidateInodePage(p))
  yield* folioUnlock(p)
  if (invalidated) {
    yield* pageHandlePoison(p, false, true)
    return 0
  }

  if (!(yield* isolatePage(p))) return -EBUSY
  const ret = yield* migratePages(p, NUMA_NO_NODE, MIGRATE_SYNC, MR_MEMORY_FAILURE)
  if (ret === 0) {
    // The isolation's reference is still there, and nobody else's: release it.
    return (yield* pageHandlePoison(p, false, true)) ? 0 : -EBUSY
  }
  yield* putbackMovablePages(p)
  return ret > 0 ? -EBUSY : ret
})

/**
 * The page was free, and somebody else had it sooner, twice. Nobody is told. Replaced by 6.18.
 *
 * Models: 6.2 mm/memory-failure.c soft_offline_page, its last way out.
 */
export const softOfflineLost = fn(function soft_offline_lost(): number {
  return 0
})

/**
 * Soft offline a page; mf_mutex is held. See `softOffline`.
 *
 * Models: 6.2 mm/memory-failure.c soft_offline_page, between the mutex and its end.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const softOfflineOnline = fn(function* soft_offline_online(
  p: Folio,
  flags: number,
): Kernel<number> {
  yield read(p, 'hwpoison')
  if (p.hwpoison) {
    if (flags & MF_COUNT_INCREASED) yield* folioPut(p)
    return 0
  }
  let tryAgain = true
  let how = flags | MF_SOFT_OFFLINE
  for (;;) {
    // An offline under way is waited for, with mf_mutex held: no failure is handled meanwhile.
    yield* getOnlineMems()
    const ret = yield* getHwpoisonPage(p, how)
    yield* putOnlineMems()
    if (ret > 0) return yield* softOfflineInUsePage(p)
    if (ret < 0) return ret
    // Free. Who allocates it before we have it may keep it the second time: it still works.
    if (yield* pageHandlePoison(p, true, false)) return 0
    if (!tryAgain) {
      mark('soft-offline-lost')
      return softOfflineLost()
    }
    tryAgain = false
    how = MF_SOFT_OFFLINE
  }
})

/**
 * Take a frame out of use. 0: done, or poisoned before, or free and allocated again twice. -ENXIO:
 * no such frame. -EBUSY, -EIO, -ENOMEM: still in use. Takes mf_mutex.
 *
 * Models: 6.2 mm/memory-failure.c soft_offline_page. Simplifies: no hwpoison_filter.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const softOffline = fn(function* soft_offline_page(pfn: Pfn, flags: number): Kernel<number> {
  const p = pfnToFolio(pfn)
  if (p === null) return -ENXIO
  const state = mmState()
  yield* mutexLock(state.mfMutex)
  const ret = yield* softOfflineOnline(p, flags)
  mutexUnlock(state.mfMutex)
  return ret
})

/**
 * Give a page that was taken off the free list back to it. False if somebody holds a reference
 * more.
 *
 * Models: 6.2 mm/page_alloc.c put_page_back_buddy. Simplifies: the zone's lock is this one step;
 * the mark is cleared before the page is freed instead of right after.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const putPageBackBuddy = fn(function* put_page_back_buddy(p: Folio): Kernel<boolean> {
  yield rmw(p, 'refcount')
  p.refcount--
  if (p.refcount !== 0) return false
  p.hwpoisonTakenOff = false
  const marked = p.hwpoison
  p.hwpoison = false
  freeFolio(p)
  return marked
})

/**
 * Unpoison a page whose poison reference is the last one; mf_mutex is held. See `unpoison`.
 *
 * Models: 6.2 mm/memory-failure.c unpoison_memory, between the mutex and its end.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const unpoisonOnline = fn(function* unpoison_online(p: Folio): Kernel<number> {
  yield* lruAddDrainPerCpu(p)
  yield read(p, 'refcount')
  if (!p.hwpoison || p.refcount > 1 || p.mapcount > 0) return -EBUSY
  yield read(p, 'mapping')
  if (p.mapping !== null) return -EBUSY

  const got = yield* getHwpoisonPage(p, MF_UNPOISON)
  if (got === -EHWPOISON) return (yield* putPageBackBuddy(p)) ? 0 : -EBUSY
  if (got > 0) yield* folioPut(p)
  yield rmw(p, 'hwpoison')
  if (!p.hwpoison) return -EBUSY
  p.hwpoison = false
  // The poison reference; this frees the page.
  if (got > 0) yield* folioPut(p)
  return 0
})

/**
 * Take the mark of an injected failure back. 0; -ENXIO: no such frame; -EOPNOTSUPP after a real
 * failure; -EBUSY if the page is not marked, or still in use, as a page of shmem is until it is
 * truncated. Takes mf_mutex.
 *
 * Models: 6.2 mm/memory-failure.c unpoison_memory.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const unpoison = fn(function* unpoison_memory(pfn: Pfn): Kernel<number> {
  const p = pfnToFolio(pfn)
  if (p === null) return -ENXIO
  const state = mmState()
  yield* mutexLock(state.mfMutex)
  const ret = state.hwMemoryFailure ? -EOPNOTSUPP : yield* unpoisonOnline(p)
  mutexUnlock(state.mfMutex)
  if (ret === 0) state.numPoisoned--
  return ret
})

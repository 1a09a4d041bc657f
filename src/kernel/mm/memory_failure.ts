/**
 * memory_failure(): the hardware, or an injection, says that a frame is broken. The page is
 * marked, caught with a reference and the folio lock, and handled by its state: the table of
 * states and their handlers come first, the way there last. One failure at a time, under mf_mutex,
 * which is held across everything that follows, file system callbacks included.
 *
 * The reference that it takes is never put when it succeeds, so the frame does not return to the
 * allocator. Left out: slab, reserved, huge and device pages, of which this kernel has none.
 */
import { alsoReads, read, rmw, until, write } from '../../machine/effects.js'
import { mark, tracepoint } from '../../machine/fault.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { mutexLock, mutexUnlock } from '../../machine/locks.js'
import { EBUSY, EFAULT, EHWPOISON, EIO, ENXIO } from '../include/errno.js'
import type { AddressSpace } from '../include/fs.js'
import {
  type Folio,
  MF_ACTION_REQUIRED,
  MF_COUNT_INCREASED,
  MF_DELAYED,
  MF_FAILED,
  MF_IGNORED,
  MF_RECOVERED,
  MF_SW_SIMULATED,
  mmState,
} from '../include/mm.js'
import type { Pfn } from '../include/types.js'
import { folioLock, folioUnlock } from './filemap.js'
import { getHwpoisonPage, pageRefInc, shakePage, takePageOffBuddy } from './hwpoison.js'
import { pfnToFolio } from './page_alloc.js'
import { TTU_HWPOISON, TTU_IGNORE_HWPOISON, tryToUnmap } from './rmap.js'
import { shmemMapping } from './shmem.js'
import { folioIsolateLru, folioPut, lruAddDrainPerCpu } from './swap.js'
import { deleteFromSwapCache, swapAddressSpace } from './swap_state.js'
import { invalidateInodePage } from './truncate.js'

/** enum mf_action_page_type, as far as it is used. */
export const MF_MSG_KERNEL_HIGH_ORDER = 1
export const MF_MSG_UNMAP_FAILED = 6
export const MF_MSG_DIRTY_SWAPCACHE = 7
export const MF_MSG_CLEAN_SWAPCACHE = 8
export const MF_MSG_DIRTY_MLOCKED_LRU = 9
export const MF_MSG_CLEAN_MLOCKED_LRU = 10
export const MF_MSG_DIRTY_UNEVICTABLE_LRU = 11
export const MF_MSG_CLEAN_UNEVICTABLE_LRU = 12
export const MF_MSG_DIRTY_LRU = 13
export const MF_MSG_CLEAN_LRU = 14
export const MF_MSG_TRUNCATED_LRU = 15
export const MF_MSG_BUDDY = 16
export const MF_MSG_UNKNOWN = 19

const PG_DIRTY = 1
const PG_LRU = 2
const PG_UNEVICTABLE = 4
const PG_SWAPCACHE = 8
const PG_MLOCKED = 16

interface PageState {
  readonly mask: number
  readonly res: number
  readonly type: number
}

const errorStates: readonly PageState[] = [
  { mask: PG_SWAPCACHE | PG_DIRTY, res: PG_SWAPCACHE | PG_DIRTY, type: MF_MSG_DIRTY_SWAPCACHE },
  { mask: PG_SWAPCACHE | PG_DIRTY, res: PG_SWAPCACHE, type: MF_MSG_CLEAN_SWAPCACHE },
  { mask: PG_MLOCKED | PG_DIRTY, res: PG_MLOCKED | PG_DIRTY, type: MF_MSG_DIRTY_MLOCKED_LRU },
  { mask: PG_MLOCKED | PG_DIRTY, res: PG_MLOCKED, type: MF_MSG_CLEAN_MLOCKED_LRU },
  {
    mask: PG_UNEVICTABLE | PG_DIRTY,
    res: PG_UNEVICTABLE | PG_DIRTY,
    type: MF_MSG_DIRTY_UNEVICTABLE_LRU,
  },
  { mask: PG_UNEVICTABLE | PG_DIRTY, res: PG_UNEVICTABLE, type: MF_MSG_CLEAN_UNEVICTABLE_LRU },
  { mask: PG_LRU | PG_DIRTY, res: PG_LRU | PG_DIRTY, type: MF_MSG_DIRTY_LRU },
  { mask: PG_LRU | PG_DIRTY, res: PG_LRU, type: MF_MSG_CLEAN_LRU },
]

/** The flags that the table asks for, as `page->flags` would be copied. */
export function pageFlags(p: Folio): number {
  alsoReads(p, 'dirty')
  alsoReads(p, 'lru')
  alsoReads(p, 'unevictable')
  alsoReads(p, 'swap')
  alsoReads(p, 'mlocked')
  return (
    (p.dirty ? PG_DIRTY : 0) |
    (p.lru ? PG_LRU : 0) |
    (p.unevictable ? PG_UNEVICTABLE : 0) |
    (p.swap !== 0 ? PG_SWAPCACHE : 0) |
    (p.mlocked ? PG_MLOCKED : 0)
  )
}

/** The first state of the table that fits the flags; the catch-all is MF_MSG_UNKNOWN. */
function pageState(flags: number): number {
  for (const s of errorStates) if ((flags & s.mask) === s.res) return s.type
  return MF_MSG_UNKNOWN
}

/**
 * Count the event and turn its result into what memory_failure() returns: 0 if the page was
 * recovered or will be, else -EBUSY. PG_hwpoison stays set in every case.
 *
 * Models: 6.2 mm/memory-failure.c action_result.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const actionResult = fn(function action_result(
  p: Folio,
  _type: number,
  result: number,
): number {
  tracepoint('memory_failure_event', p, result)
  mmState().numPoisoned++
  return result === MF_RECOVERED || result === MF_DELAYED ? 0 : -EBUSY
})

/**
 * Take the page off its LRU list, for good. 0, or -EIO if it is not on one; then somebody has
 * isolated it and holds a reference.
 *
 * Models: 6.2 mm/memory-failure.c delete_from_lru_cache.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const deleteFromLruCache = fn(function* delete_from_lru_cache(p: Folio): Kernel<number> {
  if (!(yield* folioIsolateLru(p))) return -EIO
  p.active = false
  p.unevictable = false
  yield* folioPut(p)
  return 0
})

/**
 * Take the page out of its file as the file system wants it, which may be not at all. MF_RECOVERED
 * or MF_FAILED. The folio is locked.
 *
 * Models: 6.2 mm/memory-failure.c truncate_error_page, later truncate_error_folio. Simplifies: no
 * folio has private data.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const truncateErrorPage = fn(function* truncate_error_page(
  p: Folio,
  mapping: AddressSpace,
): Kernel<number> {
  if (mapping.aOps!.errorRemovePage !== undefined) {
    const err = yield* mapping.aOps!.errorRemovePage!(mapping, p)
    return err !== 0 ? MF_FAILED : MF_RECOVERED
  }
  return (yield* invalidateInodePage(p)) ? MF_RECOVERED : MF_FAILED
})

/**
 * Is the page referenced by more than us, and by more than the page cache if `extraPins`?
 *
 * Models: 6.2 mm/memory-failure.c has_extra_refcount.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const hasExtraRefcount = fn(function* has_extra_refcount(
  p: Folio,
  extraPins: boolean,
): Kernel<boolean> {
  yield read(p, 'refcount')
  const count = p.refcount - 1 - (extraPins ? 1 : 0)
  return count > 0
})

/**
 * Models: 6.2 mm/memory-failure.c me_unknown. Simplifies: 6.18 calls it ignored, not failed, which
 * is the same to who called memory_failure().
 *
 * Compared: 6.17 and 7.0 source.
 */
export const meUnknown = fn(function* me_unknown(p: Folio): Kernel<number> {
  yield* folioUnlock(p)
  return MF_FAILED
})

/**
 * A clean page, or one whose loss has been noted. A page of shmem stays in the page cache, where
 * later reads find the poison; so one reference more is expected of it.
 *
 * Models: 6.2 mm/memory-failure.c me_pagecache_clean.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const mePagecacheClean = fn(function* me_pagecache_clean(p: Folio): Kernel<number> {
  yield* deleteFromLruCache(p)
  // An anonymous page is referenced by nobody but us once it is unmapped and off the list.
  if (p.anon) {
    yield* folioUnlock(p)
    return MF_RECOVERED
  }
  const mapping = p.mapping
  if (mapping === null) {
    yield* folioUnlock(p)
    return MF_FAILED
  }

  const extraPins = shmemMapping(mapping)
  let ret = yield* truncateErrorPage(p, mapping)
  if (yield* hasExtraRefcount(p, extraPins)) ret = MF_FAILED
  yield* folioUnlock(p)
  return ret
})

/**
 * A dirty page: its data is lost, and the next fsync of the file says so.
 *
 * Models: 6.2 mm/memory-failure.c me_pagecache_dirty. Simplifies: no PG_error, which nobody reads.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const mePagecacheDirty = fn(function* me_pagecache_dirty(p: Folio): Kernel<number> {
  const mapping = p.anon ? null : p.mapping
  if (mapping !== null) {
    yield write(mapping, 'wbErr')
    mapping.wbErr = EIO
  }
  return yield* mePagecacheClean(p)
})

/**
 * A page of the swap cache whose slot does not have what it has: it stays there, so that a fault
 * finds the poison instead of the slot.
 *
 * Models: 6.2 mm/memory-failure.c me_swapcache_dirty.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const meSwapcacheDirty = fn(function* me_swapcache_dirty(p: Folio): Kernel<number> {
  yield rmw(p, 'dirty')
  p.dirty = false
  p.uptodate = false
  const ret = (yield* deleteFromLruCache(p)) !== 0 ? MF_FAILED : MF_DELAYED
  yield* folioUnlock(p)
  return (yield* hasExtraRefcount(p, ret === MF_DELAYED)) ? MF_FAILED : ret
})

/**
 * One whose slot has the same.
 *
 * Models: 6.2 mm/memory-failure.c me_swapcache_clean.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const meSwapcacheClean = fn(function* me_swapcache_clean(p: Folio): Kernel<number> {
  yield rmw(swapAddressSpace().iPages, 'xaHead')
  deleteFromSwapCache(p)
  const ret = (yield* deleteFromLruCache(p)) !== 0 ? MF_FAILED : MF_RECOVERED
  yield* folioUnlock(p)
  return (yield* hasExtraRefcount(p, false)) ? MF_FAILED : ret
})

/**
 * Handle a page of a known state. The handler has unlocked it when this returns.
 *
 * Models: 6.2 mm/memory-failure.c page_action.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const pageAction = fn(function* page_action(type: number, p: Folio): Kernel<number> {
  let result = MF_IGNORED
  switch (type) {
    case MF_MSG_DIRTY_SWAPCACHE:
      result = yield* meSwapcacheDirty(p)
      break
    case MF_MSG_CLEAN_SWAPCACHE:
      result = yield* meSwapcacheClean(p)
      break
    case MF_MSG_DIRTY_MLOCKED_LRU:
    case MF_MSG_DIRTY_UNEVICTABLE_LRU:
    case MF_MSG_DIRTY_LRU:
      result = yield* mePagecacheDirty(p)
      break
    case MF_MSG_CLEAN_MLOCKED_LRU:
    case MF_MSG_CLEAN_UNEVICTABLE_LRU:
    case MF_MSG_CLEAN_LRU:
      result = yield* mePagecacheClean(p)
      break
    default:
      result = yield* meUnknown(p)
      break
  }
  mark('memory-failure-handled')
  return actionResult(p, type, result)
})

/**
 * Find the page's state and handle it. The flags of now decide; those saved when the page was
 * locked are for a page that lost them meanwhile, as one that was isolated.
 *
 * Models: 6.2 mm/memory-failure.c identify_page_state.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const identifyPageState = fn(function* identify_page_state(
  p: Folio,
  savedFlags: number,
): Kernel<number> {
  yield read(p, 'lru')
  const now = pageFlags(p)
  let type = pageState(now)
  if (type === MF_MSG_UNKNOWN) type = pageState(savedFlags | (now & PG_DIRTY))
  return yield* pageAction(type, p)
})

/**
 * An entry that says so takes a poisoned page's place in the page table; of a page in the swap cache
 * nothing has to be said, since a fault will find it there. The folio is locked.
 *
 * Models: 6.18 mm/memory-failure.c unmap_poisoned_folio; 6.2 has it in hwpoison_user_mappings.
 * Simplifies: the file systems here write nothing back, so a clean page is no exception.
 */
export const unmapPoisonedFolio = fn(function* unmap_poisoned_folio(p: Folio): Kernel<void> {
  yield* tryToUnmap(p, p.swap !== 0 ? TTU_HWPOISON | TTU_IGNORE_HWPOISON : TTU_HWPOISON)
})

/**
 * Take the page out of the process's page table, where an entry then says that it is poisoned.
 * False if it is still mapped. Restricted memory is mapped nowhere: nobody hears of it from here.
 *
 * Models: 6.2 mm/memory-failure.c hwpoison_user_mappings. Simplifies: nobody asked to be killed
 * early, so the signal waits for the next access.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const hwpoisonUserMappings = fn(function* hwpoison_user_mappings(p: Folio): Kernel<boolean> {
  yield read(p, 'mapcount')
  alsoReads(p, 'lru')
  if (!p.lru || p.mapcount === 0) return true
  alsoReads(p, 'mlocked')
  const mlocked = p.mlocked
  yield* unmapPoisonedFolio(p)
  // What was mlocked may wait in a batch now.
  if (mlocked) yield* shakePage(p)
  return p.mapcount === 0
})

/**
 * The page has a reference of ours and is locked: take it out of use, then unlock it. Returns
 * memory_failure()'s result.
 *
 * Models: 6.2 mm/memory-failure.c memory_failure, from lock_page() on. Simplifies: no
 * hwpoison_filter.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const memoryFailureLocked = fn(function* memory_failure_locked(p: Folio): Kernel<number> {
  yield* lruAddDrainPerCpu(p)
  yield read(p, 'lru')
  const savedFlags = pageFlags(p)
  // A page on no list and not under I/O: isolated by somebody, or of unknown kind.
  if (p.lru || p.writeback) {
    if (p.writeback) yield until(p, 'writeback', 0)
    if (!(yield* hwpoisonUserMappings(p))) {
      yield* folioUnlock(p)
      return actionResult(p, MF_MSG_UNMAP_FAILED, MF_IGNORED)
    }
    alsoReads(p, 'lru')
    if (p.lru && p.mapping === null && !p.anon) {
      yield* folioUnlock(p)
      return actionResult(p, MF_MSG_TRUNCATED_LRU, MF_IGNORED)
    }
  }
  return yield* identifyPageState(p, savedFlags)
})

/**
 * Do tests want to spare the page? Never here; 6.2 asks later, under the folio lock that it has
 * then. Replaced by 6.18.
 */
export const hwpoisonFilter = fn(function* hwpoison_filter(_p: Folio): Kernel<void> {})

/**
 * Handle the failure of an online page; mf_mutex is held. See `memoryFailure`.
 *
 * Models: 6.2 mm/memory-failure.c memory_failure, from try_again on. Simplifies: a task that must
 * be told of an old poison (MF_ACTION_REQUIRED) is not looked for in the page table; 6.18 also
 * traces, but does not count, a failure of a page that was poisoned before. With a reference of the
 * caller's 7.0 asks once more whether the page can be handled, 6.17 does not; 6.18.2 was not read,
 * and 6.17's form is taken for it.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const memoryFailureOnline = fn(function* memory_failure_online(
  p: Folio,
  flags: number,
): Kernel<number> {
  let retry = true
  for (;;) {
    yield rmw(p, 'hwpoison')
    if (p.hwpoison) {
      if (flags & MF_COUNT_INCREASED) yield* folioPut(p)
      return flags & MF_ACTION_REQUIRED ? -EFAULT : -EHWPOISON
    }
    p.hwpoison = true
    if (flags & MF_COUNT_INCREASED) break

    const got = yield* getHwpoisonPage(p, flags)
    if (got > 0) break
    if (got < 0) return actionResult(p, MF_MSG_UNKNOWN, MF_IGNORED)
    yield read(p, 'buddy')
    if (!p.buddy) return actionResult(p, MF_MSG_KERNEL_HIGH_ORDER, MF_IGNORED)
    if (yield* takePageOffBuddy(p)) {
      pageRefInc(p)
      return actionResult(p, MF_MSG_BUDDY, MF_RECOVERED)
    }
    if (!retry) return actionResult(p, MF_MSG_BUDDY, MF_FAILED)
    // Lost against an allocation; from the start, without the mark, as if nothing had been.
    yield rmw(p, 'hwpoison')
    p.hwpoison = false
    retry = false
  }

  yield* hwpoisonFilter(p)
  yield* shakePage(p)
  yield* folioLock(p)
  return yield* memoryFailureLocked(p)
})

/**
 * Handle the failure of a frame. `flags` are MF_*; with MF_COUNT_INCREASED the caller's reference
 * is taken over. 0: recovered, and nobody uses the page any more as far as mm knows. -EBUSY:
 * ignored or failed, with the page marked all the same. -EHWPOISON: was marked before. -ENXIO: no
 * such frame. Takes mf_mutex; the caller holds no lock.
 *
 * Models: 6.2 mm/memory-failure.c memory_failure. Simplifies: its part between the mutex and its
 * end is split into two functions.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const memoryFailure = fn(function* memory_failure(pfn: Pfn, flags: number): Kernel<number> {
  const state = mmState()
  yield* mutexLock(state.mfMutex)
  if (!(flags & MF_SW_SIMULATED)) state.hwMemoryFailure = true
  const p = pfnToFolio(pfn)
  if (p === null) {
    mutexUnlock(state.mfMutex)
    return -ENXIO
  }
  const res = yield* memoryFailureOnline(p, flags)
  mutexUnlock(state.mfMutex)
  return res
})

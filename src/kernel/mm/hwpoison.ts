/**
 * How memory failure, soft offline and unpoison get hold of a page: by its frame, at any moment of
 * its life, with no lock. A reference is taken only of a page that is known to be on an LRU list,
 * because a count says nothing about whose page it is.
 */
import { alsoReads, read, rmw } from '../../machine/effects.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { EBUSY, EHWPOISON, EIO } from '../include/errno.js'
import { type Folio, MF_COUNT_INCREASED, MF_UNPOISON } from '../include/mm.js'
import { folioPut, folioTryGet, lruAddDrainAll } from './swap.js'

/** How often get_hwpoison_page() starts again when it meets a page on its way elsewhere. */
const GET_RETRIES = 3

/**
 * Make PG_lru tell the truth: a page that waits in some CPU's batch is put on its list.
 *
 * Models: 6.2 mm/memory-failure.c shake_page.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const shakePage = fn(function* shake_page(_p: Folio): Kernel<void> {
  yield* lruAddDrainAll()
})

/** HWPoisonHandlable(): on an LRU list, or free. Not so a page that somebody has isolated. */
function hwpoisonHandlable(p: Folio): boolean {
  alsoReads(p, 'buddy')
  return p.lru || p.buddy
}

/**
 * Take a free page off the free list, so that nobody gets it. False if it is not free any more.
 *
 * Models: 6.2 mm/page_alloc.c take_page_off_buddy. Simplifies: the zone's lock is this one step.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const takePageOffBuddy = fn(function* take_page_off_buddy(p: Folio): Kernel<boolean> {
  yield rmw(p, 'buddy')
  if (!p.buddy) return false
  p.buddy = false
  p.hwpoisonTakenOff = true
  return true
})

/** page_ref_inc() on a page that only memory failure can reach: its count may be 0. */
export function pageRefInc(p: Folio): void {
  p.refcount++
}

/**
 * Models: 6.2 mm/memory-failure.c __get_hwpoison_page. Simplifies: no compound pages.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const __getHwpoisonPage = fn(function* __get_hwpoison_page(p: Folio): Kernel<number> {
  yield read(p, 'lru')
  if (!hwpoisonHandlable(p)) return -EBUSY
  return (yield* folioTryGet(p)) ? 1 : 0
})

/**
 * A reference to a page of a kind that can be handled: 1; 0 for a free page, which needs none;
 * -EBUSY or -EIO if the page kept changing, or is of no such kind even after a shake.
 *
 * Models: 6.2 mm/memory-failure.c get_any_page.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const getAnyPage = fn(function* get_any_page(p: Folio, flags: number): Kernel<number> {
  let pass = 0
  let countIncreased = (flags & MF_COUNT_INCREASED) !== 0
  for (;;) {
    if (!countIncreased) {
      const ret = yield* __getHwpoisonPage(p)
      if (ret === 0) {
        yield read(p, 'refcount')
        alsoReads(p, 'buddy')
        // In use again: raced with an allocation. Neither: raced with the last put.
        if (p.refcount === 0 && p.buddy) return 0
        if (pass >= GET_RETRIES) return p.refcount > 0 ? -EBUSY : -EIO
        pass += 1
        continue
      }
      if (ret === -EBUSY) {
        if (pass >= GET_RETRIES) return -EIO
        pass += 1
        yield* shakePage(p)
        continue
      }
    }
    yield read(p, 'lru')
    if (hwpoisonHandlable(p)) return 1
    yield* folioPut(p)
    if (pass >= GET_RETRIES) return -EIO
    pass += 1
    yield* shakePage(p)
    countIncreased = false
  }
})

/**
 * A reference for unpoisoning: 1, 0 for a page with none, -EHWPOISON if it was taken off the free
 * list.
 *
 * Models: 6.2 mm/memory-failure.c __get_unpoison_page.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const __getUnpoisonPage = fn(function* __get_unpoison_page(p: Folio): Kernel<number> {
  if (p.hwpoisonTakenOff) return -EHWPOISON
  return (yield* folioTryGet(p)) ? 1 : 0
})

/**
 * Models: 6.2 mm/memory-failure.c get_hwpoison_page. Simplifies: no per-CPU page lists to disable.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const getHwpoisonPage = fn(function* get_hwpoison_page(
  p: Folio,
  flags: number,
): Kernel<number> {
  if (flags & MF_UNPOISON) return yield* __getUnpoisonPage(p)
  return yield* getAnyPage(p, flags)
})

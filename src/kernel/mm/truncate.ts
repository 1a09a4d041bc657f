/**
 * Taking pages out of a mapping: truncation, which asks nobody, and invalidation, which takes only
 * what is clean and what nobody else has a reference to.
 */
import { alsoWrites, read, until } from '../../machine/effects.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { EIO } from '../include/errno.js'
import type { AddressSpace } from '../include/fs.js'
import { type Folio, nrPages } from '../include/mm.js'
import { addPages, bytesToPgoff, PGOFF_MAX, type Pgoff } from '../include/types.js'
import {
  filemapLockFolio,
  filemapRemoveFolio,
  findGetEntry,
  folioLock,
  folioTrylock,
  folioUnlock,
} from './filemap.js'
import { folioPut, lruAddDrainPerCpu } from './swap.js'
import { removeMapping } from './vmscan.js'
import { unmapMappingFolio } from './zap.js'

/**
 * Take a locked folio out of its mapping, dirty or not. -EIO if it has left it already.
 *
 * Models: 6.2 mm/truncate.c truncate_inode_folio.
 */
export const truncateInodeFolio = fn(function* truncate_inode_folio(
  mapping: AddressSpace,
  folio: Folio,
): Kernel<number> {
  if (folio.mapping !== mapping) return -EIO
  yield* unmapMappingFolio(folio)
  // Whoever sets it now, as a zap of KVM's may, sets it of a page that is on its way out.
  alsoWrites(folio, 'dirty')
  folio.dirty = false
  yield* filemapRemoveFolio(folio)
  return 0
})

/**
 * Drop a locked folio from its mapping if it is clean and only the cache and the caller refer to
 * it. It asks nobody who maps the frame in other ways.
 *
 * Models: 6.2 mm/truncate.c mapping_evict_folio and invalidate_inode_page. Simplifies: no private
 * data; nobody asks this of a page in the swap cache.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const invalidateInodePage = fn(function* mapping_evict_folio(folio: Folio): Kernel<boolean> {
  const mapping = folio.mapping
  if (mapping === null) return false
  yield read(folio, 'dirty')
  if (folio.dirty || folio.writeback) return false
  yield* lruAddDrainPerCpu(folio)
  yield read(folio, 'refcount')
  if (folio.refcount > nrPages(folio) + 1) return false
  return yield* removeMapping(mapping, folio)
})

/**
 * Drop what can be dropped of a whole mapping without waiting for anything. Pages that wait in an
 * LRU batch have a reference too many and stay, as long as they wait.
 *
 * Models: 6.2 mm/truncate.c invalidate_mapping_pages. Simplifies: one folio at a time; what stays
 * does not move to the end of its list, by way of a batch that would hold a reference meanwhile.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const invalidateMappingPages = fn(function* invalidate_mapping_pages(
  mapping: AddressSpace,
): Kernel<number> {
  let count = 0
  let index = 0 as Pgoff
  for (;;) {
    const folio = yield* findGetEntry(mapping, index, PGOFF_MAX)
    if (folio === null) return count
    index = addPages(folio.index, nrPages(folio))
    if (yield* folioTrylock(folio)) {
      if (folio.mapping === mapping && (yield* invalidateInodePage(folio))) count++
      yield* folioUnlock(folio)
    }
    yield* folioPut(folio)
  }
})

/** The first pass of a truncation: what can be locked at once goes. `end` is inclusive. */
export const truncateTry = fn(function* find_lock_entries(
  mapping: AddressSpace,
  start: Pgoff,
  end: Pgoff,
): Kernel<void> {
  let index = start
  while (index <= end) {
    const folio = yield* findGetEntry(mapping, index, end)
    if (folio === null) return
    index = addPages(folio.index, nrPages(folio))
    if (yield* folioTrylock(folio)) {
      if (folio.mapping === mapping && !folio.writeback) yield* truncateInodeFolio(mapping, folio)
      yield* folioUnlock(folio)
    }
    yield* folioPut(folio)
  }
})

/** What may be there of a range's first or last page, waiting for its lock. */
export const truncateEdge = fn(function* truncate_inode_partial_folio(
  mapping: AddressSpace,
  index: Pgoff,
): Kernel<void> {
  const folio = yield* filemapLockFolio(mapping, index)
  if (folio === null) return
  if (folio.writeback) yield until(folio, 'writeback', 0)
  yield* truncateInodeFolio(mapping, folio)
  yield* folioUnlock(folio)
  yield* folioPut(folio)
})

/**
 * The last pass, which waits for every lock. It starts again from the front until it finds
 * nothing on the way, because pages may come back meanwhile. `end` is inclusive.
 */
export const truncateWait = fn(function* truncate_find_get_entries(
  mapping: AddressSpace,
  start: Pgoff,
  end: Pgoff,
): Kernel<void> {
  let index = start
  while (index <= end) {
    const folio = yield* findGetEntry(mapping, index, end)
    if (folio === null) {
      if (index === start) return
      index = start
      continue
    }
    index = addPages(folio.index, nrPages(folio))
    yield* folioLock(folio)
    if (folio.writeback) yield until(folio, 'writeback', 0)
    yield* truncateInodeFolio(mapping, folio)
    yield* folioUnlock(folio)
    yield* folioPut(folio)
  }
})

/**
 * Drop the pages of [lstart, lend] (bytes, both inclusive). Between the two passes the pages at
 * both ends are looked up, since they might be there in part only; that waits for their locks.
 *
 * Models: 6.2 mm/truncate.c truncate_inode_pages_range. Simplifies: whole pages only, which is
 * what its callers here ask for; one folio at a time; does not ask first whether the mapping is
 * empty.
 */
export const truncateInodePagesRange = fn(function* truncate_inode_pages_range(
  mapping: AddressSpace,
  lstart: bigint,
  lend: bigint,
): Kernel<void> {
  const start = bytesToPgoff(lstart)
  const end = bytesToPgoff(lend)
  yield* truncateTry(mapping, start, end)
  yield* truncateEdge(mapping, start)
  if (end !== start) yield* truncateEdge(mapping, end)
  yield* truncateWait(mapping, start, end)
})

/**
 * Empty a mapping for good.
 *
 * Models: 6.2 mm/truncate.c truncate_inode_pages_final. Simplifies: the passes over the pages are
 * one that waits for each folio's lock.
 */
export const truncateInodePagesFinal = fn(function* truncate_inode_pages_final(
  mapping: AddressSpace,
): Kernel<void> {
  mapping.exiting = true
  for (;;) {
    const folio = yield* findGetEntry(mapping, 0 as Pgoff, PGOFF_MAX)
    if (folio === null) return
    yield* folioLock(folio)
    yield* truncateInodeFolio(mapping, folio)
    yield* folioUnlock(folio)
    yield* folioPut(folio)
  }
})

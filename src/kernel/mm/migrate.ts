/**
 * Page migration: the content of an isolated folio moves to a new frame, and the page cache then
 * points to the new one. Both folios are locked meanwhile, and the old one's references are frozen
 * at 0 for the moment of the exchange. Where the process maps the folio, migration entries take the
 * place of its PTEs meanwhile, and the MMU notifiers hear of it. Whoever maps the frame without a
 * reference and without a PTE of the process, as KVM does with restricted memory, learns nothing.
 *
 * Left out: large folios, hugetlb, movable pages of drivers, and buffers.
 */
import { GFP_ATOMIC } from '../../machine/alloc.js'
import { alsoReads, alsoWrites, read, rmw, until, write } from '../../machine/effects.js'
import { bugOn, mark } from '../../machine/fault.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { directMapLoad, directMapStore } from '../arch/x86/mm/direct_map.js'
import { EAGAIN, EBUSY, EINVAL, EIO, ENOMEM } from '../include/errno.js'
import type { AddressSpace } from '../include/fs.js'
import {
  AOP_WRITEPAGE_ACTIVATE,
  type Folio,
  MIGRATE_ASYNC,
  MIGRATE_SYNC,
  MR_MEMORY_FAILURE,
  NUMA_NO_NODE,
  nrPages,
} from '../include/mm.js'
import type { SwpEntry } from '../include/swap.js'
import { xaStore } from '../lib/xarray.js'
import { folioLock, folioTrylock, folioUnlock } from './filemap.js'
import { allocFolioMayFail } from './page_alloc.js'
import { removeMigrationPtes, TTU_MIGRATION, tryToUnmap } from './rmap.js'
import { folioAddLru, folioPut, folioPutbackLru, lruAddDrain } from './swap.js'
import { folioMapping, swpOffset } from './swap_state.js'

/** The passes that migrate_pages() makes over what answers -EAGAIN. */
const MIGRATE_PASSES = 10
/** Passes before it waits for locks instead of trying them. */
const LAST_NONBLOCKING_PASS = 2

/** References that only the migration itself and the page cache account for. */
function folioExpectedRefs(mapping: AddressSpace | null, folio: Folio): number {
  return mapping === null ? 1 : 1 + nrPages(folio)
}

/**
 * Put `newfolio` where `folio` is in the page cache, or the swap cache. -EAGAIN, and nothing has
 * changed, if somebody else holds a reference. Both folios are locked.
 *
 * Models: 6.2 mm/migrate.c folio_migrate_mapping. Simplifies: freezing the count, storing in the
 * slot and unfreezing are one step, because i_pages is locked from before the freeze and nobody
 * can tell apart a lookup that fails on the frozen count from one that finds the slot changed:
 * both start again.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const folioMigrateMapping = fn(function* folio_migrate_mapping(
  mapping: AddressSpace | null,
  newfolio: Folio,
  folio: Folio,
  extraCount: number,
): Kernel<number> {
  const expected = folioExpectedRefs(mapping, folio) + extraCount
  yield rmw(folio, 'refcount')
  if (folio.refcount !== expected) return -EAGAIN
  newfolio.index = folio.index
  newfolio.mapping = folio.mapping
  newfolio.anon = folio.anon
  newfolio.swapbacked = folio.swapbacked
  if (mapping === null) return 0

  newfolio.refcount += nrPages(folio)
  // Dirty moves while nobody can set it on the old folio or has seen the new one.
  alsoWrites(newfolio, 'dirty')
  alsoWrites(folio, 'dirty')
  newfolio.dirty = folio.dirty
  folio.dirty = false
  let index = folio.index
  if (folio.swap !== 0) {
    index = swpOffset(folio.swap)
    newfolio.swap = folio.swap
    alsoWrites(folio, 'swap')
    folio.swap = 0 as SwpEntry
  }
  alsoWrites(mapping.iPages, 'xaHead')
  // The array has its nodes already: one entry takes the place of another.
  xaStore(mapping.iPages, index, newfolio, GFP_ATOMIC)
  folio.refcount = expected - nrPages(folio)
  return 0
})

/**
 * Copy what describes the content; the old folio is on no list any more.
 *
 * Models: 6.2 mm/migrate.c folio_migrate_flags. Simplifies: the flags that this kernel has.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const folioMigrateFlags = fn(function folio_migrate_flags(
  newfolio: Folio,
  folio: Folio,
): void {
  if (folio.referenced) newfolio.referenced = true
  if (folio.uptodate) newfolio.uptodate = true
  if (folio.active) newfolio.active = true
  else if (folio.unevictable) newfolio.unevictable = true
  folio.active = false
  folio.unevictable = false
  alsoReads(folio, 'dirty')
  if (!folio.dirty) return
  alsoWrites(newfolio, 'dirty')
  newfolio.dirty = true
})

/**
 * Copy the content, then the flags. The old frame is read without regard to who may still write
 * to it: a write that comes later, through a mapping that nobody has told, is lost.
 *
 * Models: 6.2 mm/migrate.c folio_migrate_copy. Simplifies: the bytes of a page are copied in one
 * step, so a copy is never torn; a lost write shows all the same.
 *
 * Compared: 6.18 does not run it: what calls it is replaced.
 */
export const folioMigrateCopy = fn(function* folio_migrate_copy(
  newfolio: Folio,
  folio: Folio,
): Kernel<void> {
  yield read(folio, 'data')
  directMapLoad(folio)
  directMapStore(newfolio)
  newfolio.data = folio.data
  // The flags come later: who looks without the lock may see the copy and yet no PG_uptodate.
  yield write(newfolio, 'uptodate')
  folioMigrateFlags(newfolio, folio)
})

/**
 * The migrate_folio operation of file systems that keep nothing of their own at a folio. 0 or
 * -EAGAIN. Both folios are locked, before and after.
 *
 * Models: 6.2 mm/migrate.c migrate_folio, with migrate_folio_extra. Simplifies: no
 * MIGRATE_SYNC_NO_COPY, which only device drivers use.
 */
export const migrateFolio = fn(function* migrate_folio(
  mapping: AddressSpace | null,
  dst: Folio,
  src: Folio,
  _mode: number,
): Kernel<number> {
  bugOn(src.writeback, 'migrate_folio: the folio is under writeback')
  const rc = yield* folioMigrateMapping(mapping, dst, src, 0)
  if (rc !== 0) return rc
  yield* folioMigrateCopy(dst, src)
  return 0
})

/**
 * Start to write a dirty folio, so that a later attempt may find it clean. Always an error:
 * -EINVAL if the mapping cannot write, -EAGAIN, or -EIO if writing failed. The folio is locked,
 * before and after.
 *
 * Models: 6.2 mm/migrate.c writeout.
 *
 * Compared: 6.18 does not run it: what calls it is replaced.
 */
export const writeout = fn(function* writeout(mapping: AddressSpace, folio: Folio): Kernel<number> {
  if (mapping.aOps!.writepage === undefined) return -EINVAL
  yield rmw(folio, 'dirty')
  if (!folio.dirty) return -EAGAIN
  folio.dirty = false
  yield* removeMigrationPtes(folio, folio)
  const rc = yield* mapping.aOps!.writepage!(folio)
  if (rc !== AOP_WRITEPAGE_ACTIVATE) yield* folioLock(folio)
  return rc < 0 ? -EIO : -EAGAIN
})

/**
 * Migration for a mapping without migrate_folio: a clean folio moves like any other, so the lack
 * of the operation is no refusal. -EBUSY if the folio is dirty and `mode` must not write.
 *
 * Models: 6.2 mm/migrate.c fallback_migrate_folio. Simplifies: no folio has private data.
 */
export const fallbackMigrateFolio = fn(function* fallback_migrate_folio(
  mapping: AddressSpace,
  dst: Folio,
  src: Folio,
  mode: number,
): Kernel<number> {
  yield read(src, 'dirty')
  if (src.dirty) {
    if (mode !== MIGRATE_SYNC) return -EBUSY
    return yield* writeout(mapping, src)
  }
  return yield* migrateFolio(mapping, dst, src, mode)
})

/**
 * Move to a folio that nobody else knows. 0, or the error of the mapping's operation, which is
 * asked before any reference count is looked at. Both folios are locked.
 *
 * Models: 6.2 mm/migrate.c move_to_new_folio. Simplifies: only LRU folios.
 */
export const moveToNewFolio = fn(function* move_to_new_folio(
  dst: Folio,
  src: Folio,
  mode: number,
): Kernel<number> {
  const mapping = folioMapping(src)
  let rc = 0
  if (mapping === null) rc = yield* migrateFolio(mapping, dst, src, mode)
  else if (mapping.aOps!.migrateFolio !== undefined) {
    rc = yield* mapping.aOps!.migrateFolio!(mapping, dst, src, mode)
  } else rc = yield* fallbackMigrateFolio(mapping, dst, src, mode)

  if (rc === 0) {
    // Announced, since memory failure and compaction read it with a reference only.
    yield write(src, 'mapping')
    src.mapping = null
  }
  return rc
})

/**
 * Lock both folios and move. -EAGAIN if a lock is taken and `force` is not set, or if a reference
 * is too many; -EBUSY for a folio under writeback unless the mode is SYNC; else as the mapping's
 * operation says. A folio that nobody maps is moved without a word to any MMU notifier.
 *
 * Models: 6.2 mm/migrate.c __unmap_and_move.
 *
 * Compared: 6.18 does not run it: what calls it is replaced.
 */
export const __unmapAndMove = fn(function* __unmap_and_move(
  src: Folio,
  dst: Folio,
  force: boolean,
  mode: number,
): Kernel<number> {
  if (!(yield* folioTrylock(src))) {
    if (!force || mode === MIGRATE_ASYNC) return -EAGAIN
    yield* folioLock(src)
  }
  if (src.writeback) {
    if (mode !== MIGRATE_SYNC || !force) {
      yield* folioUnlock(src)
      return mode === MIGRATE_SYNC ? -EAGAIN : -EBUSY
    }
    yield until(src, 'writeback', 0)
  }
  if (!(yield* folioTrylock(dst))) {
    yield* folioUnlock(src)
    return -EAGAIN
  }

  let rc = -EAGAIN
  mark('migrate-attempted')
  // PTEs come and go under the folio lock, but for those that are zapped: the count may fall.
  alsoReads(src, 'mapcount')
  const wasMapped = src.mapcount > 0 && (src.mapping !== null || src.anon)
  if (wasMapped) yield* tryToUnmap(src, TTU_MIGRATION)
  if (src.mapcount === 0) rc = yield* moveToNewFolio(dst, src, mode)
  if (rc === 0) {
    yield* folioAddLru(dst)
    if (wasMapped) yield* lruAddDrain()
  }
  if (wasMapped) yield* removeMigrationPtes(src, rc === 0 ? dst : src)
  yield* folioUnlock(dst)
  yield* folioUnlock(src)
  if (rc === 0) yield* folioPut(dst)
  return rc
})

/**
 * A frame to move to, on node `nid` or else on that of `src`, with one reference, or NULL. Movable,
 * whatever the mapping's gfp mask says: those who migrate choose the target, not the owner of the
 * page.
 *
 * Models: 6.2 mm/migrate.c alloc_migration_target and mm/compaction.c compaction_alloc. Simplifies:
 * one zone, and no node is ever full; compaction takes its targets from the allocator instead of
 * scanning the zone from its end, so it runs out of them only by an injected fault.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const allocMigrationTarget = fn(function* alloc_migration_target(
  src: Folio,
  nid: number,
): Kernel<Folio | null> {
  const dst = yield* allocFolioMayFail(true)
  if (dst !== null) dst.nid = nid === NUMA_NO_NODE ? src.nid : nid
  return dst
})

/**
 * One attempt on one isolated folio. 0: moved, or freed by everybody else meanwhile; the isolation
 * reference is then put, unless the reason is memory failure, which keeps the old frame. -ENOMEM
 * without a target; else as `__unmapAndMove`, and the folio is still isolated.
 *
 * Models: 6.2 mm/migrate.c unmap_and_move.
 *
 * Compared: 6.18 does not run it: what calls it is replaced.
 */
export const unmapAndMove = fn(function* unmap_and_move(
  src: Folio,
  nid: number,
  force: boolean,
  mode: number,
  reason: number,
): Kernel<number> {
  yield read(src, 'refcount')
  if (src.refcount === 1) {
    src.active = false
    src.unevictable = false
    if (reason !== MR_MEMORY_FAILURE) yield* folioPut(src)
    return 0
  }

  const dst = yield* allocMigrationTarget(src, nid)
  if (dst === null) return -ENOMEM
  const rc = yield* __unmapAndMove(src, dst, force, mode)
  if (rc !== 0) yield* folioPut(dst)
  else if (reason !== MR_MEMORY_FAILURE) yield* folioPut(src)
  return rc
})

/**
 * The passes of migrate_pages() over one folio: -EAGAIN is tried again, ten times in all, with
 * waiting for locks from the fourth on; everything else ends it at once. Returns what the last
 * attempt returned.
 *
 * Models: 6.2 mm/migrate.c migrate_pages, its loop. Simplifies: one folio instead of a list, as
 * its callers here isolate one at a time.
 */
export const migratePagesLoop = fn(function* migrate_pages_loop(
  folio: Folio,
  nid: number,
  mode: number,
  reason: number,
): Kernel<number> {
  let rc = -EAGAIN
  let pass = 0
  while (pass < MIGRATE_PASSES && rc === -EAGAIN) {
    rc = yield* unmapAndMove(folio, nid, pass > LAST_NONBLOCKING_PASS, mode, reason)
    pass += 1
  }
  return rc
})

/**
 * Migrate an isolated folio, to node `nid` or within its own. 0, or -ENOMEM, or 1 for one folio
 * that was not migrated; then it is still isolated and the caller puts it back.
 *
 * Models: 6.2 mm/migrate.c migrate_pages, its return value.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const migratePages = fn(function* migrate_pages(
  folio: Folio,
  nid: number,
  mode: number,
  reason: number,
): Kernel<number> {
  const rc = yield* migratePagesLoop(folio, nid, mode, reason)
  if (rc === 0 || rc === -ENOMEM) return rc
  return 1
})

/**
 * Put a folio that was isolated back on its list and drop the isolation reference.
 *
 * Models: 6.2 mm/migrate.c putback_movable_pages, for one LRU folio.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const putbackMovablePages = fn(function* putback_movable_pages(folio: Folio): Kernel<void> {
  yield* folioPutbackLru(folio)
})

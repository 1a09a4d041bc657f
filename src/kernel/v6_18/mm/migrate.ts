/**
 * Migration of 6.18. The content is copied before the old folio's references are frozen; taking a
 * folio from its mappings and moving it are two phases, each with passes of its own, and between
 * them the folio stays locked; and what is synchronous tries without waiting first.
 */
import { alsoReads, read, until, write } from '../../../machine/effects.js'
import { bugOn, mark } from '../../../machine/fault.js'
import { fn, type Kernel } from '../../../machine/fn.js'
import { directMapLoad, directMapStore } from '../../arch/x86/mm/direct_map.js'
import { EAGAIN, EBUSY, ENOMEM } from '../../include/errno.js'
import type { AddressSpace } from '../../include/fs.js'
import {
  type Folio,
  MIGRATE_ASYNC,
  MIGRATE_SYNC,
  MIGRATE_SYNC_LIGHT,
  MR_MEMORY_FAILURE,
  nrPages,
} from '../../include/mm.js'
import { folioLock, folioTrylock, folioUnlock } from '../../mm/filemap.js'
import {
  allocMigrationTarget,
  folioMigrateFlags,
  folioMigrateMapping,
  migrateFolio,
  moveToNewFolio,
} from '../../mm/migrate.js'
import { removeMigrationPtes, TTU_MIGRATION, tryToUnmap } from '../../mm/rmap.js'
import { folioAddLru, folioPut, lruAddDrain } from '../../mm/swap.js'

const NR_MAX_MIGRATE_PAGES_RETRY = 10
/** What is remembered of a folio that has been unmapped. */
const PAGE_WAS_MAPPED = 1
const PAGE_WAS_MLOCKED = 2
const NR_MAX_MIGRATE_ASYNC_RETRY = 3
const NR_MAX_MIGRATE_SYNC_RETRY = NR_MAX_MIGRATE_PAGES_RETRY - NR_MAX_MIGRATE_ASYNC_RETRY

/**
 * Copy, then exchange: -EAGAIN, before or after the copy, if somebody else has a reference.
 *
 * Models: 6.18 mm/migrate.c migrate_folio and __migrate_folio. Simplifies: no machine check on the
 * way.
 */
export const migrateFolioCopyFirst = fn(function* migrate_folio(
  mapping: AddressSpace | null,
  dst: Folio,
  src: Folio,
  _mode: number,
): Kernel<number> {
  bugOn(src.writeback, 'migrate_folio: the folio is under writeback')
  yield read(src, 'refcount')
  if (src.refcount !== 1 + (mapping === null ? 0 : nrPages(src))) return -EAGAIN
  yield read(src, 'data')
  directMapLoad(src)
  directMapStore(dst)
  dst.data = src.data
  const rc = yield* folioMigrateMapping(mapping, dst, src, 0)
  if (rc !== 0) return rc
  yield write(dst, 'uptodate')
  folioMigrateFlags(dst, src)
  return 0
})

/**
 * Migration for a mapping without migrate_folio: a clean folio moves like any other, a dirty one is
 * refused whatever the mode.
 *
 * Models: 6.18 mm/migrate.c fallback_migrate_folio. Simplifies: no folio has private data.
 */
export const fallbackMigrateFolioClean = fn(function* fallback_migrate_folio(
  mapping: AddressSpace,
  dst: Folio,
  src: Folio,
  mode: number,
): Kernel<number> {
  yield read(src, 'dirty')
  if (src.dirty) return -EBUSY
  return yield* migrateFolio(mapping, dst, src, mode)
})

/**
 * Lock both folios and take `src` from its mappings: PAGE_WAS_* bits, and both are locked.
 * -EAGAIN if a lock is taken, -EBUSY for a folio under writeback unless the mode is SYNC; neither is
 * locked then.
 *
 * Models: 6.18 mm/migrate.c migrate_folio_unmap.
 */
export const migrateFolioUnmap = fn(function* migrate_folio_unmap(
  src: Folio,
  dst: Folio,
  mode: number,
): Kernel<number> {
  if (!(yield* folioTrylock(src))) {
    if (mode === MIGRATE_ASYNC) return -EAGAIN
    if (mode === MIGRATE_SYNC_LIGHT) {
      yield read(src, 'uptodate')
      if (!src.uptodate) return -EAGAIN
    }
    yield* folioLock(src)
  }
  if (src.writeback) {
    if (mode !== MIGRATE_SYNC) {
      yield* folioUnlock(src)
      return -EBUSY
    }
    yield until(src, 'writeback', 0)
  }
  if (!(yield* folioTrylock(dst))) {
    yield* folioUnlock(src)
    return -EAGAIN
  }
  mark('migrate-attempted')
  alsoReads(src, 'mlocked')
  const mlocked = src.mlocked ? PAGE_WAS_MLOCKED : 0
  alsoReads(src, 'mapcount')
  if (src.mapcount === 0 || (src.mapping === null && !src.anon)) return mlocked
  yield* tryToUnmap(src, TTU_MIGRATION)
  return mlocked | PAGE_WAS_MAPPED
})

/**
 * Give both folios back as they were. Models: 6.18 mm/migrate.c migrate_folio_undo_src and _dst.
 */
export const migrateFolioUndo = fn(function* migrate_folio_undo_src(
  src: Folio,
  dst: Folio,
  state: number,
): Kernel<void> {
  if (state & PAGE_WAS_MAPPED) yield* removeMigrationPtes(src, src)
  yield* folioUnlock(src)
  yield* folioUnlock(dst)
  yield* folioPut(dst)
})

/**
 * Move what was unmapped, in some passes; `state` is what unmapping has answered. 0, -EAGAIN after
 * the last pass, or the mapping's error. Both
 * folios are unlocked then.
 *
 * Models: 6.18 mm/migrate.c migrate_folio_move and the second loop of migrate_pages_batch.
 */
export const migrateFolioMove = fn(function* migrate_folio_move(
  src: Folio,
  dst: Folio,
  mode: number,
  passes: number,
  state: number,
): Kernel<number> {
  let rc = -EAGAIN
  let pass = 0
  while (pass < passes && rc === -EAGAIN) {
    rc = yield* moveToNewFolio(dst, src, mode)
    pass += 1
  }
  if (rc !== 0) {
    yield* migrateFolioUndo(src, dst, state)
    return rc
  }
  yield* folioAddLru(dst)
  if (state & PAGE_WAS_MLOCKED) yield* lruAddDrain()
  if (state & PAGE_WAS_MAPPED) yield* removeMigrationPtes(src, dst)
  yield* folioUnlock(dst)
  yield* folioPut(dst)
  yield* folioUnlock(src)
  return 0
})

/**
 * Models: 6.18 mm/migrate.c migrate_pages_batch, for one folio. 0: moved, or freed by everybody
 * else meanwhile.
 */
export const migratePagesBatch = fn(function* migrate_pages_batch(
  src: Folio,
  nid: number,
  mode: number,
  reason: number,
  passes: number,
): Kernel<number> {
  let rc = -EAGAIN
  let pass = 0
  while (pass < passes && rc === -EAGAIN) {
    pass += 1
    yield read(src, 'refcount')
    if (src.refcount === 1) {
      src.active = false
      src.unevictable = false
      if (reason !== MR_MEMORY_FAILURE) yield* folioPut(src)
      return 0
    }
    const dst = yield* allocMigrationTarget(src, nid)
    if (dst === null) return -ENOMEM
    rc = yield* migrateFolioUnmap(src, dst, mode)
    if (rc < 0) yield* folioPut(dst)
    else {
      rc = yield* migrateFolioMove(src, dst, mode, passes, rc)
      if (rc === 0 && reason !== MR_MEMORY_FAILURE) yield* folioPut(src)
      return rc
    }
  }
  return rc
})

/**
 * What is not asynchronous tries so first, and then, whatever that answered but for want of
 * memory, once more and waits: so a mapping that refuses is asked twice.
 *
 * Models: 6.18 mm/migrate.c migrate_pages and migrate_pages_sync, for one folio.
 */
export const migratePagesTwice = fn(function* migrate_pages_sync(
  folio: Folio,
  nid: number,
  mode: number,
  reason: number,
): Kernel<number> {
  if (mode === MIGRATE_ASYNC) {
    return yield* migratePagesBatch(folio, nid, mode, reason, NR_MAX_MIGRATE_PAGES_RETRY)
  }
  const rc = yield* migratePagesBatch(folio, nid, MIGRATE_ASYNC, reason, NR_MAX_MIGRATE_ASYNC_RETRY)
  if (rc === 0 || rc === -ENOMEM) return rc
  return yield* migratePagesBatch(folio, nid, mode, reason, NR_MAX_MIGRATE_SYNC_RETRY)
})

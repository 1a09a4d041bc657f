/**
 * Pages of a mapping that the host must not touch stay where they are. Two places refuse:
 * compaction before it isolates such a page, and, for those who isolate without asking, migration
 * itself.
 */
import { read, write } from '../../../machine/effects.js'
import { fn, type Kernel } from '../../../machine/fn.js'
import { EOPNOTSUPP } from '../../include/errno.js'
import type { Folio } from '../../include/mm.js'
import { alsoReadsGuess, ISOLATE_ASYNC_MIGRATE, ISOLATE_UNEVICTABLE } from '../../mm/compaction.js'
import { folioTrylock, folioUnlock } from '../../mm/filemap.js'
import { fallbackMigrateFolio, migrateFolio } from '../../mm/migrate.js'
import { folioMapping } from '../../mm/swap_state.js'

/**
 * May a folio of this kind be isolated? It has our reference. Its mapping has to be asked, and
 * that needs the folio lock, which is tried, since truncation may take the mapping away.
 *
 * Models: 6.18 mm/compaction.c isolate_migratepages_block, its tests behind folio_get_nontail_page.
 */
export const migratepageAccessible = fn(function* migratepage_suitable(
  folio: Folio,
  mode: number,
): Kernel<boolean> {
  yield read(folio, 'mapping')
  const mapping = folioMapping(folio)
  alsoReadsGuess(folio)
  if (mapping === null && folio.refcount - 1 > folio.mapcount) return false
  if (!folio.lru) return false
  if (!(mode & ISOLATE_UNEVICTABLE) && folio.unevictable) return false
  const async = (mode & ISOLATE_ASYNC_MIGRATE) !== 0
  if (async && folio.writeback) return false

  const asyncDirty = async && folio.dirty
  if (!asyncDirty && (mapping === null || !folio.unevictable)) return true
  if (!(yield* folioTrylock(folio))) return false
  const locked = folioMapping(folio)
  const movable = locked === null || !locked.inaccessible
  const writable = !asyncDirty || locked === null || locked.aOps!.migrateFolio !== undefined
  yield* folioUnlock(folio)
  return movable && writable
})

/**
 * Move to a folio that nobody else knows. 0, -EOPNOTSUPP for a folio of an inaccessible mapping, or
 * the error of the mapping's operation. Both folios are locked.
 *
 * Models: 6.18 mm/migrate.c move_to_new_folio. Simplifies: only LRU folios.
 */
export const moveToNewFolioAccessible = fn(function* move_to_new_folio(
  dst: Folio,
  src: Folio,
  mode: number,
): Kernel<number> {
  const mapping = folioMapping(src)
  let rc = 0
  if (mapping === null) rc = yield* migrateFolio(mapping, dst, src, mode)
  else if (mapping.inaccessible) rc = -EOPNOTSUPP
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

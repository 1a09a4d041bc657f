/** Memory offline of 6.18: a poisoned page on an LRU list is nothing to be surprised at. */
import { alsoReads, read } from '../../../machine/effects.js'
import { fn, type Kernel } from '../../../machine/fn.js'
import type { Folio } from '../../include/mm.js'
import { folioLock, folioUnlock } from '../../mm/filemap.js'
import { unmapPoisonedFolio } from '../../mm/memory_failure.js'
import { migrateOffBlock } from '../../mm/memory_hotplug.js'
import { folioIsolateLru, folioPut, folioTryGet } from '../../mm/swap.js'

/**
 * Try to move the page of a frame. A poisoned one is taken off its list, for good, and then out of
 * the page table, under the folio lock. One that somebody else has isolated is left to him.
 *
 * Compared: 6.17 and 7.0 source.
 * Models: 6.18 mm/memory_hotplug.c do_migrate_range, for one frame.
 */
export const doMigrateFrameLocked = fn(function* do_migrate_frame(folio: Folio): Kernel<void> {
  alsoReads(folio, 'buddy')
  if (folio.buddy || !(yield* folioTryGet(folio))) return
  yield read(folio, 'hwpoison')
  if (!folio.hwpoison) {
    yield* migrateOffBlock(folio)
    return
  }
  yield read(folio, 'lru')
  if (folio.lru && !(yield* folioIsolateLru(folio))) {
    yield* folioPut(folio)
    return
  }
  yield read(folio, 'mapcount')
  if (folio.mapcount > 0) {
    yield* folioLock(folio)
    yield* unmapPoisonedFolio(folio)
    yield* folioUnlock(folio)
  }
  yield* folioPut(folio)
})

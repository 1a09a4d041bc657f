/**
 * Reclaim of one page that somebody has named: out of all page tables, then out of its file if it
 * is clean. There is no swap, so what is dirty, and what is anonymous, stays.
 */
import { alsoReads, read, rmw, write } from '../../machine/effects.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { AOP_WRITEPAGE_ACTIVATE, type Folio, nrPages } from '../include/mm.js'
import { folioTrylock, folioUnlock } from './filemap.js'
import { TTU_RECLAIM, tryToUnmap } from './rmap.js'
import { folioPut, folioPutbackLru } from './swap.js'
import { invalidateInodePage } from './truncate.js'

/**
 * Have a dirty folio written. True: nobody took it, and it stays, active. It is locked.
 *
 * Models: 6.2 mm/vmscan.c pageout. Simplifies: no folio here is ever written.
 */
const pageout = fn(function* pageout(folio: Folio): Kernel<boolean> {
  yield read(folio, 'refcount')
  // Only the cache, and who isolated it, may know it.
  if (folio.refcount !== nrPages(folio) + 1) return false
  const mapping = folio.mapping
  if (mapping === null) return false
  if (mapping.aOps!.writepage === undefined) return true
  yield rmw(folio, 'dirty')
  folio.dirty = false
  return (yield* mapping.aOps!.writepage!(folio)) === AOP_WRITEPAGE_ACTIVATE
})

/**
 * Try to reclaim an isolated folio; what is not freed goes back to its list.
 *
 * Models: 6.2 mm/vmscan.c reclaim_pages and shrink_folio_list. Simplifies: one folio at a time;
 * references through page tables are not looked at.
 */
export const reclaimFolio = fn(function* shrink_folio_list(folio: Folio): Kernel<void> {
  if (!(yield* folioTrylock(folio))) {
    yield* folioPutbackLru(folio)
    return
  }
  let activate = folio.anon
  alsoReads(folio, 'mapcount')
  if (!folio.anon && folio.mapcount > 0) {
    yield* tryToUnmap(folio, TTU_RECLAIM)
    if (folio.mapcount > 0) activate = true
  }
  let freed = false
  if (!activate) {
    yield read(folio, 'dirty')
    if (folio.dirty) activate = yield* pageout(folio)
    else freed = yield* invalidateInodePage(folio)
  }
  if (activate) {
    yield write(folio, 'active')
    folio.active = true
  }
  yield* folioUnlock(folio)
  if (freed) yield* folioPut(folio)
  else yield* folioPutbackLru(folio)
})

/**
 * Pages of the user process, for guest memory that is shared with it: anonymous memory, a page for
 * each address that was touched. Nobody unmaps it before the process exits.
 */
import { rmw } from '../../machine/effects.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { errPtr } from '../../machine/struct.js'
import { ENOMEM } from '../include/errno.js'
import { Folio, mmState } from '../include/mm.js'
import { PGOFF_MAX, type Pgoff } from '../include/types.js'
import { xaErase, xaFindIndex, xaLoad, xaStore } from '../lib/xarray.js'
import { allocFolioMayFail, clearFolio } from './page_alloc.js'
import { folioGet, folioPut } from './swap.js'

/**
 * The page at a user address (in pages), with a reference; faulted in, zeroed, if it is absent.
 * ERR_PTR: -ENOMEM.
 *
 * Models: 6.2 mm/gup.c get_user_pages_unlocked with a fault on anonymous memory. Simplifies: the
 * page table is an XArray of the process; no MMU notifier, since nothing is ever unmapped.
 */
export const getUserPage = fn(function* get_user_pages_unlocked(hva: Pgoff): Kernel<Folio> {
  const pages = mmState().anonPages
  yield rmw(pages, 'xaHead')
  let folio = xaLoad(pages, hva) as Folio | null
  if (folio === null) {
    const fresh = yield* allocFolioMayFail(true)
    if (fresh === null) return errPtr(Folio, -ENOMEM)
    clearFolio(fresh)
    fresh.uptodate = true
    fresh.anon = true
    yield rmw(pages, 'xaHead')
    folio = xaLoad(pages, hva) as Folio | null
    if (folio === null) {
      xaStore(pages, hva, fresh)
      folio = fresh
    } else yield* folioPut(fresh)
  }
  yield* folioGet(folio)
  return folio
})

/** The process exits: its memory goes. Models: 6.2 mm/mmap.c exit_mmap. */
export const exitMmap = fn(function* exit_mmap(): Kernel<void> {
  const pages = mmState().anonPages
  for (;;) {
    yield rmw(pages, 'xaHead')
    const hva = xaFindIndex(pages, 0, PGOFF_MAX)
    if (hva < 0) return
    const folio = xaErase(pages, hva) as Folio
    yield* folioPut(folio)
  }
})

/**
 * upm-pin: the alternative that was tried on SNP. get_page asks with SGP_NOALLOC whether the page
 * exists; if not, it allocates it and keeps one more reference, which makes migration fail. The
 * pin is dropped by looking the page up again when its offset is invalidated or unbound.
 *
 * The code of that attempt was never published: this is written from the one sentence in the
 * thread. How it remembered which pages are pinned is unknown; here a mark in the inner page
 * cache says so.
 */

import { ENOENT } from '../kernel/include/errno.js'
import type { File, Inode } from '../kernel/include/fs.js'
import type { Folio } from '../kernel/include/mm.js'
import { SGP_NOALLOC } from '../kernel/include/mm.js'
import { addPages, type Pgoff } from '../kernel/include/types.js'
import {
  xaClearMark,
  xaFindAfterIndex,
  xaFindIndex,
  xaGetMark,
  xaLoad,
  xaSetMark,
} from '../kernel/lib/xarray.js'
import { folioUnlock } from '../kernel/mm/filemap.js'
import { shmemGetFolio } from '../kernel/mm/shmem.js'
import { folioGet, folioPut } from '../kernel/mm/swap.js'
import { rmw } from '../machine/effects.js'
import { fn, type Kernel, original, replace } from '../machine/fn.js'
import { isErr, ptrErr } from '../machine/struct.js'
import { defineDesign } from './design.js'
import { upm } from './upm.js'
import { type Restrictedmem, shmemUptodateFolio, upmNotifyStart, upmUnbind } from './upm-mm.js'

/** The mark of a pinned page in the inner page cache. */
const PINNED = 2

/**
 * Derived: get_page's tail with a pin on a page that this call found absent. Between the question
 * and the allocation another vCPU may ask the same and hear the same answer.
 */
export const pinUptodateFolio = fn(function* restrictedmem_get_page_pinned(
  inode: Inode,
  offset: Pgoff,
): Kernel<Folio> {
  const present = yield* shmemGetFolio(inode, offset, SGP_NOALLOC)
  if (present !== null && !isErr(present)) {
    present.uptodate = true
    yield* folioUnlock(present)
    return present
  }
  const absent = present !== null && ptrErr(present) === -ENOENT
  const folio = yield* tailOf(inode, offset)
  if (isErr(folio) || !absent) return folio
  yield* folioGet(folio)
  yield rmw(inode.iMapping!.iPages, 'xaHead')
  xaSetMark(inode.iMapping!.iPages, offset, PINNED)
  return folio
})

/**
 * Derived: drop the pins of the pages in [start, end) that are still in the cache. Each page is
 * found and its mark taken away in one step, as under the array's lock: whose step it is, puts.
 */
export const unpinRange = fn(function* restrictedmem_unpin(
  rm: Restrictedmem,
  start: Pgoff,
  end: Pgoff,
): Kernel<void> {
  const pages = rm.memfd!.fMapping!.iPages
  yield rmw(pages, 'xaHead')
  let index = xaFindIndex(pages, start, addPages(end, -1))
  while (index >= 0) {
    if (xaGetMark(pages, index, PINNED)) {
      const folio = xaLoad(pages, index) as Folio
      xaClearMark(pages, index, PINNED)
      yield* folioPut(folio)
      yield rmw(pages, 'xaHead')
    }
    index = xaFindAfterIndex(pages, index, addPages(end, -1))
  }
})

const tailOf = original(shmemUptodateFolio)
const notifyStart = original(upmNotifyStart)
const unbind = original(upmUnbind)

export const pinNotifyStart = fn(function* restrictedmem_notify_start(
  rm: Restrictedmem,
  start: Pgoff,
  end: Pgoff,
): Kernel<void> {
  yield* notifyStart(rm, start, end)
  yield* unpinRange(rm, start, end)
})

export const pinUnbind = fn(function* restrictedmem_unbind(
  file: File,
  start: Pgoff,
  end: Pgoff,
): Kernel<void> {
  yield* unpinRange(file.fMapping!.privateData as Restrictedmem, start, end)
  yield* unbind(file, start, end)
})

export const upmPin = defineDesign({
  id: 'upm-pin',
  summary: 'upm, and get_page keeps a reference on a page that SGP_NOALLOC found absent.',
  base: upm,
  cite: ['20230213131011.uoabwhapj2ukdmwx@amd.com'],
  replaces: [
    replace(shmemUptodateFolio, pinUptodateFolio),
    replace(upmNotifyStart, pinNotifyStart),
    replace(upmUnbind, pinUnbind),
  ],
})

/** Memory failure and soft offline as of 6.18, where they differ. */
import { fn, type Kernel } from '../../../machine/fn.js'
import { EBUSY } from '../../include/errno.js'
import type { Folio } from '../../include/mm.js'
import { folioLock, folioUnlock } from '../../mm/filemap.js'

/** Models: 6.18 mm/memory-failure.c soft_offline_page, its last way out. */
export const softOfflineLostBusy = fn(function soft_offline_lost(): number {
  return -EBUSY
})

/**
 * Whether tests want to spare the page is asked under the folio lock, which is dropped again
 * before the page is put on its list: who holds it now holds memory failure up twice.
 *
 * Models: 6.18 mm/memory-failure.c memory_failure, its call of hwpoison_filter.
 */
export const hwpoisonFilterLocked = fn(function* hwpoison_filter(p: Folio): Kernel<void> {
  yield* folioLock(p)
  yield* folioUnlock(p)
})

/**
 * The hook that v10 and upm put into memory-failure.c: before a page of any file is taken out of
 * its cache, restrictedmem is asked whether it is one of its own.
 */

import type { AddressSpace } from '../kernel/include/fs.js'
import { type Folio, MF_FAILED, MF_RECOVERED } from '../kernel/include/mm.js'
import { folioUnlock } from '../kernel/mm/filemap.js'
import {
  deleteFromLruCache,
  hasExtraRefcount,
  truncateErrorPage,
} from '../kernel/mm/memory_failure.js'
import { shmemMapping } from '../kernel/mm/shmem.js'
import { fn, type Kernel } from '../machine/fn.js'

/**
 * Tell who uses the page that it failed, if it is restricted memory. Replaced by each design that
 * has the hook.
 */
export const restrictedmemErrorPage = fn(function* restrictedmem_error_page(
  _folio: Folio,
  _mapping: AddressSpace,
): Kernel<void> {})

/**
 * The function of 6.2 with one line more.
 *
 * Models: v10 mm/memory-failure.c me_pagecache_clean.
 */
export const mePagecacheCleanHooked = fn(function* me_pagecache_clean(p: Folio): Kernel<number> {
  yield* deleteFromLruCache(p)
  if (p.anon) {
    yield* folioUnlock(p)
    return MF_RECOVERED
  }
  const mapping = p.mapping
  if (mapping === null) {
    yield* folioUnlock(p)
    return MF_FAILED
  }
  const extraPins = shmemMapping(mapping)
  yield* restrictedmemErrorPage(p, mapping)
  let ret = yield* truncateErrorPage(p, mapping)
  if (yield* hasExtraRefcount(p, extraPins)) ret = MF_FAILED
  yield* folioUnlock(p)
  return ret
})

/**
 * The page allocator. Each task has frames of its own and takes the lowest that is free, so that
 * which frame a page gets does not depend on the order of events between tasks. A frame's content
 * outlives its owner: it is handed out as residue.
 *
 * A frame is on the node that it was last asked for: there is no telling how many a node has.
 *
 * Left out: zones, orders, per-CPU lists and watermarks. An allocation fails only where a scenario
 * lets a fault strike.
 */
import { mightAlloc } from '../../machine/alloc.js'
import { type Blob, residueOf, STALE_PAGE, ZERO_PAGE } from '../../machine/blob.js'
import { alsoReads, alsoWrites, inject } from '../../machine/effects.js'
import { LimitError } from '../../machine/fault.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { badPage, constructAt, headerAt, type Obj, type Struct } from '../../machine/struct.js'
import { currentTaskNumber, MAX_TASKS } from '../../machine/task.js'
import { directMapStore } from '../arch/x86/mm/direct_map.js'
import { Folio } from '../include/mm.js'
import type { Pfn } from '../include/types.js'

const MEMMAP = Folio as unknown as Struct<Obj>

/** The folio of a frame, or NULL if there is no such frame (or nobody has ever had it). */
export function pfnToFolio(pfn: Pfn): Folio | null {
  if (pfn < 0 || pfn >= Folio.capacity) return null
  const at = Folio.base + pfn * Folio.words
  return headerAt(MEMMAP, at) === Folio.id ? Folio.at(at) : null
}

/** Every frame that somebody has had, in order. */
export function forEachFolio(visit: (folio: Folio) => void): void {
  for (let i = 0; i < Folio.capacity / MAX_TASKS; i++) {
    let any = false
    for (let t = 0; t < MAX_TASKS; t++) {
      const folio = pfnToFolio((i * MAX_TASKS + t) as Pfn)
      if (folio === null) continue
      any = true
      visit(folio)
    }
    if (!any) return
  }
}

/** The struct page of a frame, initialised when it is first needed. */
function frame(pfn: Pfn): Folio {
  const at = Folio.base + pfn * Folio.words
  if (headerAt(MEMMAP, at) === 0) {
    constructAt(MEMMAP, at, 0)
    const folio = Folio.at(at) as Folio
    folio.pfn = pfn
    alsoWrites(folio, 'buddy')
    folio.buddy = true
    folio.data = STALE_PAGE
  }
  return Folio.at(at) as Folio
}

/**
 * Is a frame from the free list not fit for use? A poisoned one is left out without a word, and
 * then it is nobody's: neither free nor taken off the list by who has marked it.
 *
 * Models: 6.2 mm/page_alloc.c check_pcp_refill and check_new_page. Replaced by 6.18.
 */
export const checkNewPage = fn(function check_new_page(folio: Folio): boolean {
  return folio.hwpoison
})

/**
 * A frame with one reference. `movable` says which kind of page block it may come from.
 *
 * Models: 6.2 mm/page_alloc.c __alloc_pages. Simplifies: order 0; the zone's lock is the step
 * that calls this; no fallback to another task's frames.
 *
 * Compared: 6.17 and 7.0 source.
 */
export function allocFolio(movable: boolean): Folio {
  mightAlloc('alloc_pages')
  const task = currentTaskNumber()
  for (let i = 0; i < Folio.capacity / MAX_TASKS; i++) {
    const folio = frame((i * MAX_TASKS + task) as Pfn)
    // Who looks for pages by frame reads this with no reference, at any moment.
    alsoWrites(folio, 'buddy')
    if (!folio.buddy || folio.isolateBlock) continue
    folio.buddy = false
    alsoReads(folio, 'hwpoison')
    if (checkNewPage(folio)) continue
    folio.refcount = 1
    folio.movableBlock = movable
    folio.data = residueOf(folio.data as Blob)
    return folio
  }
  throw new LimitError(`a task has ${Folio.capacity / MAX_TASKS} page frames here`)
}

/** `allocFolio`, which a fault may make fail. */
export const allocFolioMayFail = fn(function* alloc_pages(movable: boolean): Kernel<Folio | null> {
  mightAlloc('alloc_pages')
  if ((yield inject()) !== 0) return null
  return allocFolio(movable)
})

/**
 * Give a frame back. A page that is not fit to be freed is reported and stays out of the allocator,
 * and so does a poisoned one, without a report; each with the flags that it has.
 *
 * Models: 6.2 mm/page_alloc.c free_unref_page, with free_pages_prepare and free_page_is_bad.
 * Simplifies: 6.18 looks, and reports, only with CONFIG_DEBUG_VM; what it would report is a bug in
 * any case.
 *
 * Compared: 6.17 and 7.0 source.
 */
export function freeFolio(folio: Folio): void {
  // Memory failure marks a page whoever it belongs to, and looks at the free list afterwards.
  alsoReads(folio, 'hwpoison')
  if (folio.hwpoison) return
  const bad = badReason(folio)
  if (bad !== undefined) {
    badPage(folio, `pfn ${folio.pfn} is freed but ${bad}`)
    return
  }
  folio.mapping = null
  folio.uptodate = false
  // KVM may still zap a mapping that it should not have.
  alsoWrites(folio, 'dirty')
  folio.dirty = false
  folio.unevictable = false
  folio.active = false
  folio.referenced = false
  folio.swapbacked = false
  folio.anon = false
  folio.movableBlock = false
  folio.nid = 0
  folio.lru = false
  folio.buddy = true
}

function badReason(folio: Folio): string | undefined {
  if (folio.refcount !== 0) return `has ${folio.refcount} references`
  if (folio.mapcount !== 0) return 'is mapped'
  if (folio.mapping !== null) return 'is in a page cache'
  if (folio.lockOwner !== 0) return 'is locked'
  if (folio.swap !== 0) return 'is in the swap cache'
  if (folio.lruBatch !== 0) return 'waits in an LRU batch'
  if (folio.mlockBatch !== 0) return 'waits in a batch of mlock'
  if (folio.buddy) return 'is free already'
  return undefined
}

/** clear_highpage(). */
export function clearFolio(folio: Folio): void {
  directMapStore(folio)
  folio.data = ZERO_PAGE
}

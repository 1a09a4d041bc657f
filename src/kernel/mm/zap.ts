/**
 * Taking PTEs away: for munmap and MADV_DONTNEED by address, for truncation and punching by page
 * offset of the file. Both tell the MMU notifiers, so KVM never translates through what was zapped.
 */
import { alsoReads, alsoWrites, read, rmw } from '../../machine/effects.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { downRead, upRead } from '../../machine/locks.js'
import type { AddressSpace } from '../include/fs.js'
import { type Folio, nrPages } from '../include/mm.js'
import type { VmArea } from '../include/mm_types.js'
import {
  addPages,
  bytesToPgoff,
  bytesToPgoffUp,
  PAGE_SIZE,
  PGOFF_MAX,
  type Pgoff,
} from '../include/types.js'
import { munlockVmaFolio } from './mlocked.js'
import { mmuNotifierInvalidateRangeEnd, mmuNotifierInvalidateRangeStart } from './mmu_notifier.js'
import {
  nextPte,
  PTE_DIRTY,
  PTE_HWPOISON,
  PTE_PRESENT,
  PTE_SWAP,
  type Pte,
  pteAt,
  pteFolio,
  pteSwpEntry,
  setPteAt,
} from './pgtable.js'
import { lruAddDrainToUnmap } from './swap.js'
import { freePageAndSwapCache } from './swap_state.js'
import { freeSwapAndCache, swapFree } from './swapfile.js'

/** May this entry go? Truncating a file also takes private copies, punching a hole does not. */
function shouldZap(pte: Pte, evenCows: boolean): boolean {
  if (evenCows) return true
  if (pte & (PTE_HWPOISON | PTE_SWAP)) return false
  alsoReads(pteFolio(pte), 'anon')
  return !pteFolio(pte).anon
}

/**
 * Clear the PTEs of [start, end) and put what they map.
 *
 * Models: 6.2 mm/memory.c zap_pte_range. Simplifies: pages are put one by one, not after the whole
 * range; without a TLB nobody can tell.
 */
export const zapPteRange = fn(function* zap_pte_range(
  vma: VmArea,
  start: bigint,
  end: bigint,
  evenCows: boolean,
): Kernel<void> {
  const mm = vma.vmMm!
  let at = start
  for (;;) {
    yield rmw(mm.pageTable, 'xaHead')
    at = nextPte(mm, at, end)
    if (at < 0n) return
    const pte = pteAt(mm, at)
    if (shouldZap(pte, evenCows)) {
      setPteAt(mm, at, 0)
      if (pte & PTE_PRESENT) {
        const folio = pteFolio(pte)
        if (pte & PTE_DIRTY && !folio.anon) {
          alsoWrites(folio, 'dirty')
          folio.dirty = true
        }
        alsoWrites(folio, 'mapcount')
        folio.mapcount--
        munlockVmaFolio(folio, vma)
        yield* freePageAndSwapCache(folio)
      } else if (pte & PTE_SWAP) {
        const entry = pteSwpEntry(pte)
        yield* freeSwapAndCache(entry, swapFree(entry))
      }
    }
    at += PAGE_SIZE
  }
})

/**
 * Zap [start, end) of a VMA. mmap_lock, or the mapping's i_mmap_rwsem, is held.
 *
 * Models: 6.2 mm/memory.c zap_page_range_single.
 */
export const zapPageRange = fn(function* zap_page_range_single(
  vma: VmArea,
  start: bigint,
  end: bigint,
  evenCows: boolean,
): Kernel<void> {
  yield* lruAddDrainToUnmap()
  yield* mmuNotifierInvalidateRangeStart(vma.vmMm!, start, end)
  yield* zapPteRange(vma, start, end, evenCows)
  yield* mmuNotifierInvalidateRangeEnd(vma.vmMm!, start, end)
})

/** The part of a VMA that maps [first, last] of its file, in bytes; empty if start >= end. */
function startIn(vma: VmArea, first: Pgoff): bigint {
  return first <= vma.vmPgoff ? vma.vmStart : vma.vmStart + BigInt(first - vma.vmPgoff) * PAGE_SIZE
}

function endIn(vma: VmArea, last: Pgoff): bigint {
  if (last < vma.vmPgoff) return vma.vmStart
  const end = vma.vmStart + BigInt(last - vma.vmPgoff + 1) * PAGE_SIZE
  return end < vma.vmEnd ? end : vma.vmEnd
}

/**
 * Take pages [first, last] of a mapping out of every page table; private copies too with
 * `evenCows`. Faults may map them again at once, unless something else keeps them away.
 *
 * Models: 6.2 mm/memory.c unmap_mapping_pages. Simplifies: that nobody maps the file is read
 * without i_mmap_rwsem, as if it were taken for that moment; for a file that nobody maps, waiting
 * for that lock and its place in the lock order are not judged.
 */
export const unmapMappingPages = fn(function* unmap_mapping_pages(
  mapping: AddressSpace,
  first: Pgoff,
  last: Pgoff,
  evenCows: boolean,
): Kernel<void> {
  yield read(mapping, 'iMmap')
  if (mapping.iMmap === null) return
  yield* downRead(mapping.iMmapRwsem)
  let vma = mapping.iMmap as VmArea | null
  while (vma !== null) {
    const start = startIn(vma, first)
    const end = endIn(vma, last)
    if (start < end) yield* zapPageRange(vma, start, end, evenCows)
    vma = vma.iMmapNext
  }
  yield* upRead(mapping.iMmapRwsem)
})

/**
 * The same in bytes: whole pages that `holebegin` to `holebegin + holelen` touches; a length of 0
 * means to the end.
 *
 * Models: 6.2 mm/memory.c unmap_mapping_range.
 */
export const unmapMappingRange = fn(function* unmap_mapping_range(
  mapping: AddressSpace,
  holebegin: bigint,
  holelen: bigint,
  evenCows: boolean,
): Kernel<void> {
  const first = bytesToPgoff(holebegin)
  const last = holelen === 0n ? PGOFF_MAX : addPages(first, bytesToPgoffUp(holelen) - 1)
  yield* unmapMappingPages(mapping, first, last, evenCows)
})

/**
 * Take a locked folio of a file out of every page table, before it leaves the file.
 *
 * Models: 6.2 mm/memory.c unmap_mapping_folio. Simplifies: the count is looked at in the step
 * that is under way; while the folio is locked it can only fall.
 */
export const unmapMappingFolio = fn(function* unmap_mapping_folio(folio: Folio): Kernel<void> {
  alsoReads(folio, 'mapcount')
  if (folio.mapcount === 0) return
  const last = addPages(folio.index, nrPages(folio) - 1)
  yield* unmapMappingPages(folio.mapping!, folio.index, last, false)
})

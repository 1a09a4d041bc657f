/**
 * madvise(2): what takes pages away, brings them in, or breaks them. Other advice changes nothing.
 */
import { alsoReads, alsoWrites, read, rmw } from '../../machine/effects.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { downRead, upRead } from '../../machine/locks.js'
import { isErr, ptrErr } from '../../machine/struct.js'
import { fput, getFile } from '../fs/file_table.js'
import { isVmHugetlbPage, offsetInHugePage } from '../fs/hugetlbfs.js'
import { vfsFallocate } from '../fs/open.js'
import { EACCES, EFAULT, EHWPOISON, EINVAL, ENOMEM, EOPNOTSUPP } from '../include/errno.js'
import { type Folio, MF_COUNT_INCREASED, MF_SW_SIMULATED } from '../include/mm.js'
import {
  currentMm,
  type MmStruct,
  VM_LOCKED,
  VM_SHARED,
  VM_WRITE,
  type VmArea,
} from '../include/mm_types.js'
import { isPageAligned, PAGE_SIZE, pgoffToBytes, roundUpToPage } from '../include/types.js'
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  MADV_COLD,
  MADV_COLLAPSE,
  MADV_DODUMP,
  MADV_DOFORK,
  MADV_DONTDUMP,
  MADV_DONTFORK,
  MADV_DONTNEED,
  MADV_DONTNEED_LOCKED,
  MADV_FREE,
  MADV_HUGEPAGE,
  MADV_HWPOISON,
  MADV_NOHUGEPAGE,
  MADV_NORMAL,
  MADV_PAGEOUT,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
  MADV_RANDOM,
  MADV_REMOVE,
  MADV_SEQUENTIAL,
  MADV_SOFT_OFFLINE,
  MADV_WILLNEED,
} from '../include/uapi.js'
import { getUserPages } from './gup.js'
import { hasTransparentHugepage, madviseCollapse } from './khugepaged.js'
import { memoryFailure } from './memory_failure.js'
import { mmuNotifierInvalidateRangeEnd, mmuNotifierInvalidateRangeStart } from './mmu_notifier.js'
import {
  nextPte,
  PTE_DIRTY,
  PTE_HWPOISON,
  PTE_PRESENT,
  PTE_SWAP,
  pteAt,
  pteFolio,
  pteSwpEntry,
  setPteAt,
} from './pgtable.js'
import { madvisePopulate } from './populate.js'
import { softOffline } from './soft_offline.js'
import {
  folioIsolateLru,
  folioMarkLazyfree,
  folioPut,
  folioPutbackLru,
  folioTryGet,
  lruAddDrain,
  lruAddDrainPerCpu,
} from './swap.js'
import { folioFreeSwap, freeSwapAndCache, swapFree } from './swapfile.js'
import { findVma, linearPageIndex, vmaIsAnonymous } from './vma.js'
import { reclaimFolio } from './vmscan.js'
import { zapPageRange } from './zap.js'

const VALID: readonly number[] = [
  MADV_NORMAL,
  MADV_RANDOM,
  MADV_SEQUENTIAL,
  MADV_WILLNEED,
  MADV_DONTNEED,
  MADV_FREE,
  MADV_REMOVE,
  MADV_DONTFORK,
  MADV_DOFORK,
  MADV_DONTDUMP,
  MADV_DODUMP,
  MADV_COLD,
  MADV_PAGEOUT,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
  MADV_DONTNEED_LOCKED,
  MADV_HWPOISON,
  MADV_SOFT_OFFLINE,
]

const HUGE: readonly number[] = [MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_COLLAPSE]

/**
 * Is there such advice?
 *
 * Models: 6.2 mm/madvise.c madvise_behavior_valid. Simplifies: not that about forks, KSM and, in
 * 6.18, guards.
 *
 * Compared: 6.17 and 7.0 source.
 */
function madviseBehaviorValid(advice: number): boolean {
  return VALID.includes(advice) || (HUGE.includes(advice) && hasTransparentHugepage())
}

/**
 * Break the pages of [start, end), one by one, for good: the first error ends it.
 *
 * Models: 6.2 mm/madvise.c madvise_inject_error. Simplifies: 6.18 also signals a caller that has a
 * dirty page mapped, and answers 0 to the second of two that break one page at once if that page is
 * mapped no more.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const injectError = fn(function* madvise_inject_error(
  start: bigint,
  end: bigint,
  advice: number,
): Kernel<number> {
  for (let at = start; at < end; at += PAGE_SIZE) {
    const folio = yield* getUserPages(at, false)
    // Without FOLL_HWPOISON, a page that is broken already is one that cannot be had.
    if (isErr(folio)) return ptrErr(folio) === -EHWPOISON ? -EFAULT : ptrErr(folio)
    const pfn = folio.pfn
    let ret = 0
    if (advice === MADV_SOFT_OFFLINE) ret = yield* softOffline(pfn, MF_COUNT_INCREASED)
    else ret = yield* memoryFailure(pfn, MF_COUNT_INCREASED | MF_SW_SIMULATED)
    if (ret !== 0 && ret !== -EOPNOTSUPP) return ret
  }
  return 0
})

/**
 * May pages be punched through this mapping? In 6.2 it must be shared and writable.
 *
 * Models: 6.2 mm/madvise.c madvise_remove, one of its tests.
 */
export const vmaMayRemove = fn(function vma_may_remove(vma: VmArea): boolean {
  const both = VM_SHARED | VM_WRITE
  return (vma.vmFlags & both) === both
})

/**
 * Punch the pages out of the file, without mmap_lock meanwhile.
 *
 * Models: 6.2 mm/madvise.c madvise_remove.
 */
export const madviseRemove = fn(function* madvise_remove(
  vma: VmArea,
  start: bigint,
  end: bigint,
): Kernel<number> {
  const mm = vma.vmMm!
  if (vma.vmFlags & VM_LOCKED) return -EINVAL
  const file = vma.vmFile
  if (file === null) return -EINVAL
  if (!vmaMayRemove(vma)) return -EACCES
  const offset = pgoffToBytes(linearPageIndex(vma, start))
  yield* getFile(file)
  yield* upRead(mm.mmapLock)
  const mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
  const error = yield* vfsFallocate(file, mode, offset, end - start)
  yield* fput(file)
  yield* downRead(mm.mmapLock)
  return error
})

/**
 * Reclaim what only this mapping maps.
 *
 * Models: 6.2 mm/madvise.c madvise_cold_or_pageout_pte_range, for MADV_PAGEOUT. Simplifies: one
 * page at a time.
 */
export const madvisePageout = fn(function* madvise_cold_or_pageout_pte_range(
  mm: MmStruct,
  start: bigint,
  end: bigint,
): Kernel<void> {
  let at = start
  for (;;) {
    yield read(mm.pageTable, 'xaHead')
    at = nextPte(mm, at, end)
    if (at < 0n) return
    const pte = pteAt(mm, at)
    at += PAGE_SIZE
    if (!(pte & PTE_PRESENT)) continue
    const folio = pteFolio(pte)
    yield* lruAddDrainPerCpu(folio)
    alsoReads(folio, 'lru')
    alsoReads(folio, 'mapcount')
    if (!folio.lru || folio.mapcount !== 1) continue
    if (!(yield* folioTryGet(folio))) continue
    const isolated = yield* folioIsolateLru(folio)
    yield* folioPut(folio)
    if (!isolated) continue
    alsoReads(folio, 'unevictable')
    if (folio.unevictable) yield* folioPutbackLru(folio)
    else yield* reclaimFolio(folio)
  }
})

/**
 * Give up [start, end): reclaim may drop each page that nobody stores to before. What is swapped out
 * is gone at once. A page that somebody has locked stays as it is.
 *
 * Models: 6.2 mm/madvise.c madvise_free_pte_range. Simplifies: between two pages the page table lock
 * is let go of; whether a page is locked is asked, for the lock would be held for this step alone.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const madviseFree = fn(function* madvise_free_pte_range(
  mm: MmStruct,
  start: bigint,
  end: bigint,
): Kernel<void> {
  let at = start
  for (;;) {
    yield rmw(mm.pageTable, 'xaHead')
    at = nextPte(mm, at, end)
    if (at < 0n) return
    const pte = pteAt(mm, at)
    if (pte & (PTE_SWAP | PTE_HWPOISON)) setPteAt(mm, at, 0)
    if (pte & PTE_PRESENT && becomesClean(pteFolio(pte))) {
      setPteAt(mm, at, pte & ~PTE_DIRTY)
      folioMarkLazyfree(pteFolio(pte))
    }
    at += PAGE_SIZE
    if (pte & PTE_SWAP) {
      const entry = pteSwpEntry(pte)
      yield* freeSwapAndCache(entry, swapFree(entry))
    }
  }
})

/** Part of that: no dirty page, nor one with a slot, unless it is locked or others map it. */
function becomesClean(folio: Folio): boolean {
  alsoReads(folio, 'swap')
  alsoWrites(folio, 'dirty')
  if (folio.swap === 0 && !folio.dirty) return true
  alsoReads(folio, 'lockOwner')
  alsoReads(folio, 'mapcount')
  if (folio.lockOwner !== 0 || folio.mapcount !== 1) return false
  if (folio.swap !== 0 && !folioFreeSwap(folio)) return false
  folio.dirty = false
  return true
}

/**
 * The same for a part of a VMA, with word to those who are told of changes.
 *
 * Models: 6.2 mm/madvise.c madvise_free_single_vma.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const madviseFreeVma = fn(function* madvise_free_single_vma(
  vma: VmArea,
  start: bigint,
  end: bigint,
): Kernel<number> {
  if (!vmaIsAnonymous(vma)) return -EINVAL
  const mm = vma.vmMm!
  yield* lruAddDrain()
  yield* mmuNotifierInvalidateRangeStart(mm, start, end)
  yield* madviseFree(mm, start, end)
  yield* mmuNotifierInvalidateRangeEnd(mm, start, end)
  return 0
})

/**
 * Advice for the part of one VMA.
 *
 * Models: 6.2 mm/madvise.c madvise_vma_behavior. Simplifies: flags of a VMA that only reclaim,
 * fork, core dumps or huge pages would look at are not kept, and no VMA is split for them;
 * MADV_WILLNEED reads nothing, also not from swap; of huge pages none is ever there to be zapped.
 */
export const madviseVma = fn(function* madvise_vma_behavior(
  vma: VmArea,
  start: bigint,
  end: bigint,
  advice: number,
): Kernel<number> {
  const locked = (vma.vmFlags & VM_LOCKED) !== 0
  switch (advice) {
    case MADV_REMOVE:
      return yield* madviseRemove(vma, start, end)
    case MADV_DONTNEED:
    case MADV_DONTNEED_LOCKED:
      if (isVmHugetlbPage(vma)) return offsetInHugePage(vma, start) === 0n ? 0 : -EINVAL
      if (locked && advice === MADV_DONTNEED) return -EINVAL
      yield* zapPageRange(vma, start, end, true)
      return 0
    case MADV_FREE:
      return locked ? -EINVAL : yield* madviseFreeVma(vma, start, end)
    case MADV_COLD:
    case MADV_PAGEOUT:
      if (locked || isVmHugetlbPage(vma)) return -EINVAL
      yield* lruAddDrain()
      if (advice === MADV_PAGEOUT) yield* madvisePageout(vma.vmMm!, start, end)
      return 0
    case MADV_COLLAPSE:
      return yield* madviseCollapse(vma, start, end)
    case MADV_POPULATE_READ:
    case MADV_POPULATE_WRITE:
      return yield* madvisePopulate(vma.vmMm!, start, end, advice === MADV_POPULATE_WRITE)
    default:
      return 0
  }
})

/**
 * Every VMA of [start, end) in turn; where there is none, -ENOMEM, but only at the end.
 *
 * Models: 6.2 mm/madvise.c madvise_walk_vmas. Simplifies: mmap_lock is held for reading, whatever
 * the advice; 6.18 tries the lock of a single VMA first.
 */
export const madviseWalkVmas = fn(function* madvise_walk_vmas(
  mm: MmStruct,
  start: bigint,
  end: bigint,
  advice: number,
): Kernel<number> {
  let unmapped = 0
  let at = start
  while (at < end) {
    const vma = findVma(mm, at)
    if (vma === null) return -ENOMEM
    if (at < vma.vmStart) {
      unmapped = -ENOMEM
      at = vma.vmStart
      if (at >= end) return unmapped
    }
    const stop = vma.vmEnd < end ? vma.vmEnd : end
    const error = yield* madviseVma(vma, at, stop, advice)
    if (error !== 0) return error
    at = stop
  }
  return unmapped
})

/**
 * madvise(2), bytes: 0 or, in this order, -EINVAL for advice that there is not, an address that is
 * not page aligned, a length that wraps; then as the advice has it; -ENOMEM where nothing is
 * mapped.
 *
 * Models: 6.2 mm/madvise.c do_madvise. Simplifies: the process may break pages.
 */
export const sysMadvise = fn(function* madvise(
  start: bigint,
  length: bigint,
  advice: number,
): Kernel<number> {
  if (!madviseBehaviorValid(advice)) return -EINVAL
  if (!isPageAligned(start) || length < 0n) return -EINVAL
  const end = start + roundUpToPage(length)
  if (end === start) return 0
  if (advice === MADV_HWPOISON || advice === MADV_SOFT_OFFLINE) {
    return yield* injectError(start, end, advice)
  }
  const mm = currentMm()
  yield* downRead(mm.mmapLock)
  const ret = yield* madviseWalkVmas(mm, start, end, advice)
  yield* upRead(mm.mmapLock)
  return ret
})

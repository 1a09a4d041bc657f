/**
 * Reverse mapping: from a page to the PTEs that map it. A page of a file is found through its
 * mapping's VMAs, under i_mmap_rwsem; an anonymous one through the VMAs of its process, under the
 * anon_vma's lock. Each PTE holds a reference.
 *
 * Here is where a page that leaves its place is taken from those who map it, and where KVM hears
 * of it, if the process has mapped the page: restricted memory is mapped nowhere.
 */
import { alsoReads, alsoWrites, rmw } from '../../machine/effects.js'
import { bugOn } from '../../machine/fault.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { downRead, upRead } from '../../machine/locks.js'
import type { Folio } from '../include/mm.js'
import { currentMm, VM_LOCKED, type VmArea } from '../include/mm_types.js'
import { PAGE_SIZE } from '../include/types.js'
import { mlockDrainLocal, mlockVmaFolio, munlockVmaFolio } from './mlocked.js'
import { mmuNotifierInvalidateRangeEnd, mmuNotifierInvalidateRangeStart } from './mmu_notifier.js'
import {
  mkPte,
  mkSwapPte,
  PTE_DIRTY,
  PTE_HWPOISON,
  PTE_MIGRATION,
  PTE_PRESENT,
  PTE_PROTNONE,
  PTE_WRITE,
  type Pte,
  pteAt,
  pteFolio,
  setPteAt,
} from './pgtable.js'
import { folioPut } from './swap.js'
import { swapDuplicate } from './swapfile.js'
import { vmaAddress } from './vma.js'

/** enum ttu_flags, as far as it matters: what replaces the PTE. */
export const TTU_MIGRATION = 1
export const TTU_HWPOISON = 2
/**
 * The slot of a page in the swap cache, or nothing, unless the page is poisoned. Locked memory is
 * spared: the absence of TTU_IGNORE_MLOCK, which all others have.
 */
export const TTU_RECLAIM = 4
/** With one of the others: the page's poison is not looked at. */
export const TTU_IGNORE_HWPOISON = 8

/**
 * Is a poisoned folio's place taken by an entry that says so? In 6.2 unless the caller forbids it;
 * 6.18 asks for the caller's word.
 *
 * Models: 6.2 mm/rmap.c try_to_unmap_one, one of its tests.
 */
export const unmapLeavesPoison = fn(function unmap_leaves_poison(flags: number): boolean {
  return !(flags & TTU_IGNORE_HWPOISON)
})

/**
 * Does a reference that somebody has, though nothing was stored, make an ordinary anonymous page
 * again of one that was given up with MADV_FREE? Replaced by 6.18.
 *
 * Models: 6.2 mm/rmap.c try_to_unmap_one, one of its tests.
 */
export const referenceEndsLazyfree = fn(function reference_ends_lazyfree(): boolean {
  return true
})

/**
 * Must reclaim spare a page that was given up with MADV_FREE? Who has stored to it since, by way of
 * the page table or of a reference, keeps it; and so does, for now, who refers to it.
 *
 * Models: 6.2 mm/rmap.c try_to_unmap_one, the check of MADV_FREE pages. Simplifies: 6.18's memory
 * that is dropped for good (VM_DROPPABLE). Compared: 6.17 and 7.0 source.
 */
function sparesLazyfree(folio: Folio, pte: Pte, flags: number): boolean {
  alsoReads(folio, 'swapbacked')
  if (!folio.anon || folio.swapbacked) return false
  alsoReads(folio, 'hwpoison')
  if (folio.hwpoison && unmapLeavesPoison(flags)) return false
  alsoWrites(folio, 'dirty')
  if (pte & PTE_DIRTY) folio.dirty = true
  alsoReads(folio, 'refcount')
  alsoReads(folio, 'mapcount')
  // One is of who has isolated it.
  if (!folio.dirty && folio.refcount === 1 + folio.mapcount) return false
  alsoWrites(folio, 'swapbacked')
  if (folio.dirty || referenceEndsLazyfree()) folio.swapbacked = true
  return true
}

/**
 * Take a folio from the one PTE of a VMA that may map it, between start and end of the notifiers.
 * False if it may not be taken from there, because the memory is locked, or because a page that was
 * given up is in use again; then nobody else is asked.
 *
 * Models: 6.2 mm/rmap.c try_to_unmap_one and try_to_migrate_one. Simplifies: a migration entry
 * forgets that the page table had it dirty; the folio knows.
 */
export const tryToUnmapOne = fn(function* try_to_unmap_one(
  folio: Folio,
  vma: VmArea,
  flags: number,
): Kernel<boolean> {
  const mm = vma.vmMm!
  const address = vmaAddress(vma, folio.index)
  if (address < 0n) return true
  yield* mmuNotifierInvalidateRangeStart(mm, address, address + PAGE_SIZE)
  yield rmw(mm.pageTable, 'xaHead')
  const pte = pteAt(mm, address)
  const mapped = (pte & PTE_PRESENT) !== 0 && pteFolio(pte) === folio
  alsoReads(vma, 'vmFlags')
  const locked = (vma.vmFlags & VM_LOCKED) !== 0
  // A lock that the page has lost is restored.
  if (mapped && flags & TTU_RECLAIM && locked) mlockVmaFolio(folio, vma)
  if (mapped && flags & TTU_RECLAIM && (locked || sparesLazyfree(folio, pte, flags))) {
    yield* mmuNotifierInvalidateRangeEnd(mm, address, address + PAGE_SIZE)
    return false
  }
  if (mapped) {
    setPteAt(mm, address, replacement(folio, pte, flags))
    alsoWrites(folio, 'dirty')
    if (pte & PTE_DIRTY) folio.dirty = true
    alsoWrites(folio, 'mapcount')
    folio.mapcount--
    munlockVmaFolio(folio, vma)
  }
  if (mapped && locked) yield* mlockDrainLocal()
  if (mapped) yield* folioPut(folio)
  yield* mmuNotifierInvalidateRangeEnd(mm, address, address + PAGE_SIZE)
  return true
})

function replacement(folio: Folio, pte: Pte, flags: number): Pte {
  // Bound to the page's own flag: memory failure sets it before it has the lock, and so also of a
  // page that is being migrated. Whoever mapped that keeps the poison, wherever the page goes.
  alsoReads(folio, 'hwpoison')
  const migrates = (flags & TTU_MIGRATION) !== 0
  if (folio.hwpoison && (migrates || unmapLeavesPoison(flags))) return mkPte(folio, PTE_HWPOISON)
  if (migrates) return mkPte(folio, PTE_MIGRATION | (pte & (PTE_WRITE | PTE_PROTNONE)))
  if (folio.swap === 0) return 0
  swapDuplicate(folio.swap)
  return mkSwapPte(folio.swap)
}

/**
 * Take a locked folio out of every page table. What replaces the entries is a migration entry, on
 * which faults wait; or a hwpoison entry if the page is marked poisoned; or a swap entry for an
 * anonymous page, which is in the swap cache then; or nothing. When nobody maps it any more the
 * other VMAs are not asked, and their listeners hear nothing.
 *
 * Models: 6.2 mm/rmap.c try_to_unmap and try_to_migrate, with rmap_walk, folio_not_mapped and
 * folio_lock_anon_vma_read.
 */
export const tryToUnmap = fn(function* try_to_unmap(folio: Folio, flags: number): Kernel<void> {
  if (folio.anon) {
    alsoReads(folio, 'mapcount')
    if (folio.mapcount === 0) return
    const mm = currentMm()
    yield* downRead(mm.anonVmaLock)
    let vma = mm.anonVmas
    while (vma !== null && (yield* tryToUnmapOne(folio, vma, flags))) {
      alsoReads(folio, 'mapcount')
      vma = folio.mapcount > 0 ? vma.anonNext : null
    }
    yield* upRead(mm.anonVmaLock)
    return
  }
  alsoReads(folio, 'lockOwner')
  bugOn(folio.lockOwner === 0, 'rmap_walk_file: the folio is not locked')
  const mapping = folio.mapping
  if (mapping === null) return
  yield* downRead(mapping.iMmapRwsem)
  let vma = mapping.iMmap
  while (vma !== null && (yield* tryToUnmapOne(folio, vma, flags))) {
    alsoReads(folio, 'mapcount')
    vma = folio.mapcount > 0 ? vma.iMmapNext : null
  }
  yield* upRead(mapping.iMmapRwsem)
})

/** Models: 6.2 mm/migrate.c remove_migration_pte. Compared: 6.17 and 7.0 source. */
export const removeMigrationPte = fn(function* remove_migration_pte(
  old: Folio,
  folio: Folio,
  vma: VmArea,
): Kernel<void> {
  const mm = vma.vmMm!
  const address = vmaAddress(vma, folio.index)
  if (address < 0n) return
  yield rmw(mm.pageTable, 'xaHead')
  const pte = pteAt(mm, address)
  if (!(pte & PTE_MIGRATION) || pteFolio(pte) !== old) return
  alsoWrites(folio, 'refcount')
  folio.refcount++
  alsoWrites(folio, 'mapcount')
  folio.mapcount++
  mlockVmaFolio(folio, vma)
  setPteAt(mm, address, mkPte(folio, PTE_PRESENT | (pte & (PTE_WRITE | PTE_PROTNONE))))
  alsoReads(vma, 'vmFlags')
  if (vma.vmFlags & VM_LOCKED) yield* mlockDrainLocal()
})

/**
 * Map `folio`, which is locked, wherever a migration entry stands for `old`.
 *
 * Models: 6.2 mm/migrate.c remove_migration_ptes.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const removeMigrationPtes = fn(function* remove_migration_ptes(
  old: Folio,
  folio: Folio,
): Kernel<void> {
  if (folio.anon) {
    const mm = currentMm()
    yield* downRead(mm.anonVmaLock)
    let vma = mm.anonVmas
    while (vma !== null) {
      yield* removeMigrationPte(old, folio, vma)
      vma = vma.anonNext
    }
    yield* upRead(mm.anonVmaLock)
    return
  }
  const mapping = folio.mapping
  if (mapping === null) return
  yield* downRead(mapping.iMmapRwsem)
  let vma = mapping.iMmap
  while (vma !== null) {
    yield* removeMigrationPte(old, folio, vma)
    vma = vma.iMmapNext
  }
  yield* upRead(mapping.iMmapRwsem)
})

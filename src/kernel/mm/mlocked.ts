/**
 * Pages of memory that is locked. A page counts the locked VMAs that map it, and while there is
 * one it is unevictable.
 *
 * Left out: the batches through which Linux passes such pages. They hold a reference meanwhile, and
 * PG_mlocked can get lost in them: seen on 6.18.44 of a page that was unmapped, mapped again, and
 * then met by the next drain.
 */
import { alsoReads, alsoWrites } from '../../machine/effects.js'
import type { Folio } from '../include/mm.js'
import { VM_LOCKED, type VmArea } from '../include/mm_types.js'

/** What a page that is on a list, or will be, has as unevictable. */
export function folioEvictable(folio: Folio): boolean {
  if (folio.mlockCount > 0) return false
  return folio.mapping === null || !folio.mapping.unevictable
}

/**
 * A VMA maps a folio from now on. Part of the step that sets the PTE.
 *
 * Models: 6.2 mm/internal.h mlock_vma_folio and mm/mlock.c mlock_folio.
 *
 * Compared: 6.17 and 7.0 source.
 */
export function mlockVmaFolio(folio: Folio, vma: VmArea): void {
  // Who comes by way of the page holds no mmap_lock.
  alsoReads(vma, 'vmFlags')
  if (!(vma.vmFlags & VM_LOCKED)) return
  alsoWrites(folio, 'mlockCount')
  folio.mlockCount++
  update(folio)
}

/**
 * A VMA no longer maps a folio, or is no longer locked. Part of the step that clears the PTE.
 *
 * Models: 6.2 mm/internal.h munlock_vma_folio and mm/mlock.c munlock_page.
 *
 * Compared: 6.17 and 7.0 source.
 */
export function munlockVmaFolio(folio: Folio, vma: VmArea): void {
  alsoReads(vma, 'vmFlags')
  if (!(vma.vmFlags & VM_LOCKED)) return
  alsoWrites(folio, 'mlockCount')
  folio.mlockCount--
  update(folio)
}

/** The folio joins the list that it now belongs to. */
function update(folio: Folio): void {
  alsoReads(folio, 'lru')
  if (!folio.lru) return
  alsoReads(folio, 'mapping')
  alsoWrites(folio, 'unevictable')
  folio.unevictable = !folioEvictable(folio)
  if (folio.unevictable) folio.active = false
}

/**
 * get_user_pages(): the page behind an address of the process, with a reference, for somebody
 * who, like KVM, wants more than one access. The fast way walks the page table without a lock.
 */
import { alsoReads, alsoWrites, read, rmw } from '../../machine/effects.js'
import { tracepoint } from '../../machine/fault.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { downRead, upRead } from '../../machine/locks.js'
import { errPtr, isErr } from '../../machine/struct.js'
import { EAGAIN, EFAULT, EHWPOISON, ENOMEM } from '../include/errno.js'
import { Folio } from '../include/mm.js'
import {
  currentMm,
  FAULT_FLAG_ALLOW_RETRY,
  FAULT_FLAG_WRITE,
  VM_FAULT_ERROR,
  VM_FAULT_HWPOISON,
  VM_FAULT_OOM,
  VM_FAULT_RETRY,
  VM_READ,
  VM_WRITE,
  type VmArea,
} from '../include/mm_types.js'
import { handleMmFault } from './memory.js'
import {
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_PROTNONE,
  PTE_WRITE,
  type Pte,
  pteAt,
  pteFolio,
} from './pgtable.js'
import { folioIsSecretmem, vmaIsSecretmem } from './secretmem.js'
import { folioMarkAccessed, folioPut, folioPutRefs, folioTryGet } from './swap.js'
import { vmaIsAnonymous, vmaLookup } from './vma.js'

/** Do these bits of a PTE allow what is asked for? */
export function pteAllows(pte: Pte, write: boolean): boolean {
  const wanted = PTE_PRESENT | (write ? PTE_WRITE : 0)
  return (pte & (wanted | PTE_PROTNONE)) === wanted
}

/**
 * Whoever gets a page has used it; if to write, perhaps without the page table's knowledge, so it
 * is dirty. Part of the step that reads the PTE.
 *
 * Models: 6.2 mm/gup.c follow_page_pte, FOLL_TOUCH.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const touchPage = fn(function follow_page_pte(pte: Pte, write: boolean): void {
  const folio = pteFolio(pte)
  alsoReads(folio, 'dirty')
  if (write && !(pte & PTE_DIRTY) && !folio.dirty) {
    alsoWrites(folio, 'dirty')
    folio.dirty = true
  }
  folioMarkAccessed(folio)
})

/** FAULT_FLAG_* of a fault on behalf of get_user_pages(). */
export function gupFaultFlags(write: boolean): number {
  return FAULT_FLAG_ALLOW_RETRY | (write ? FAULT_FLAG_WRITE : 0)
}

/**
 * May the pages of a VMA be handed out? 0 or -EFAULT.
 *
 * Models: 6.2 mm/gup.c check_vma_flags.
 *
 * Compared: 6.17 and 7.0 source.
 */
export function checkVmaFlags(vma: VmArea, write: boolean): number {
  if (vmaIsSecretmem(vma)) return -EFAULT
  return vma.vmFlags & (write ? VM_WRITE : VM_READ) ? 0 : -EFAULT
}

/**
 * Without mmap_lock: NULL if the page table does not have it, or has changed meanwhile.
 *
 * Models: 6.2 mm/gup.c gup_pte_range, by get_user_page_fast_only. Simplifies: taking the reference
 * and looking at the PTE again are one step.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const gupFast = fn(function* gup_pte_range(
  address: bigint,
  write: boolean,
): Kernel<Folio | null> {
  const mm = currentMm()
  yield read(mm.pageTable, 'xaHead')
  const pte = pteAt(mm, address)
  if (!pteAllows(pte, write)) return null
  const folio = pteFolio(pte)
  alsoReads(folio, 'mapping')
  if (folioIsSecretmem(folio)) return null
  if (!(yield* folioTryGet(folio))) return null
  alsoReads(mm.pageTable, 'xaHead')
  if (pteAt(mm, address) === pte) {
    alsoWrites(folio, 'referenced')
    folio.referenced = true
    return folio
  }
  yield* folioPut(folio)
  return null
})

/**
 * The page that an address maps now, with a reference, but neither faulted in nor marked as used.
 * NULL if none is there to be had, which is so of all secret memory; ERR_PTR(-EFAULT) where
 * anonymous memory has nothing. mmap_lock is held.
 *
 * Models: 6.2 mm/gup.c follow_page, with FOLL_GET and FOLL_DUMP, and no_page_table. Simplifies:
 * there is no zero page, which would be -EFAULT too.
 */
export const followPage = fn(function* follow_page(
  vma: VmArea,
  address: bigint,
): Kernel<Folio | null> {
  if (vmaIsSecretmem(vma)) return null
  const mm = vma.vmMm!
  yield read(mm.pageTable, 'xaHead')
  const pte = pteAt(mm, address)
  if (!pteAllows(pte, false)) {
    return pte === 0 && vmaIsAnonymous(vma) ? errPtr(Folio, -EFAULT) : null
  }
  const folio = pteFolio(pte)
  alsoWrites(folio, 'refcount')
  folio.refcount++
  return folio
})

/**
 * What a fault on behalf of get_user_pages() means to it.
 *
 * Models: 6.2 mm/gup.c faultin_page and include/linux/mm.h vm_fault_to_errno, with FOLL_HWPOISON.
 *
 * Compared: 6.17 and 7.0 source.
 */
export function faultErrno(fault: number): number {
  if (fault & VM_FAULT_OOM) return -ENOMEM
  return fault & VM_FAULT_HWPOISON ? -EHWPOISON : -EFAULT
}

/**
 * One try of the slow way: the page, or an ERR_PTR; -EAGAIN: a fault has brought it, look again.
 */
export const gupSlow = fn(function* __get_user_pages(
  address: bigint,
  write: boolean,
): Kernel<Folio> {
  const mm = currentMm()
  yield* downRead(mm.mmapLock)
  const vma = vmaLookup(mm, address)
  const error = vma === null ? -EFAULT : checkVmaFlags(vma, write)
  if (error !== 0) {
    yield* upRead(mm.mmapLock)
    return errPtr(Folio, error)
  }
  yield read(mm.pageTable, 'xaHead')
  const pte = pteAt(mm, address)
  if (pteAllows(pte, write)) {
    const folio = pteFolio(pte)
    alsoWrites(folio, 'refcount')
    folio.refcount++
    touchPage(pte, write)
    yield* upRead(mm.mmapLock)
    return folio
  }
  const fault = yield* handleMmFault(vma!, address, gupFaultFlags(write))
  if (!(fault & VM_FAULT_RETRY)) yield* upRead(mm.mmapLock)
  return errPtr(Folio, fault & VM_FAULT_ERROR ? faultErrno(fault) : -EAGAIN)
})

/**
 * The page at an address (bytes), with a reference; faulted in if it is absent. ERR_PTRs: -EFAULT
 * where the process has no such memory, -ENOMEM, -EHWPOISON.
 *
 * Models: 6.2 mm/gup.c get_user_pages_unlocked, one page, FOLL_GET and FOLL_HWPOISON.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const getUserPagesUnlocked = fn(function* get_user_pages_unlocked(
  address: bigint,
  write: boolean,
): Kernel<Folio> {
  for (;;) {
    const folio = yield* gupSlow(address, write)
    if (!isErr(folio) || folio.at !== -EAGAIN) return folio
  }
})

/**
 * The same, without mmap_lock if the page table has the page already.
 *
 * Models: 6.2 mm/gup.c get_user_pages_fast, one page, FOLL_GET.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const getUserPages = fn(function* get_user_pages_fast(
  address: bigint,
  write: boolean,
): Kernel<Folio> {
  const fast = yield* gupFast(address, write)
  if (fast !== null) return fast
  return yield* getUserPagesUnlocked(address, write)
})

/** A pin counts as so many references. */
export const GUP_PIN_COUNTING_BIAS = 1024

/**
 * Models: 6.2 include/linux/mm.h folio_maybe_dma_pinned, order 0. Compared: 6.17 and 7.0 source.
 */
export function folioMaybeDmaPinned(folio: Folio): boolean {
  return folio.refcount >= GUP_PIN_COUNTING_BIAS
}

/**
 * The page at an address (bytes), pinned for as long as a device likes; else as `getUserPages`. The
 * fast way does not see the VMA, so where a file's page may be written, it is none.
 *
 * Models: 6.2 mm/gup.c pin_user_pages and pin_user_pages_fast, one page, FOLL_LONGTERM. Simplifies:
 * the pin is a reference first, and counts as a pin in the next step; to write, the fast way is not
 * tried for anonymous memory and tmpfs either; no memory is such that a page would have to move away
 * first.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const pinUserPages = fn(function* pin_user_pages(
  address: bigint,
  write: boolean,
  fast: boolean,
): Kernel<Folio> {
  const folio =
    fast && !write
      ? yield* getUserPages(address, false)
      : yield* getUserPagesUnlocked(address, write)
  if (isErr(folio)) return folio
  yield rmw(folio, 'refcount')
  folio.refcount += GUP_PIN_COUNTING_BIAS - 1
  tracepoint('folio_held', folio)
  return folio
})

/** Models: 6.2 mm/gup.c unpin_user_page. Compared: 6.17 and 7.0 source. */
export const unpinUserPage = fn(function* unpin_user_page(folio: Folio): Kernel<void> {
  yield* folioPutRefs(folio, GUP_PIN_COUNTING_BIAS)
})

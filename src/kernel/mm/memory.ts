/**
 * Page faults, from the VMA down: find or make the page, and put it into the page table. The order
 * is mmap_lock, folio lock, page table lock; a handler of a file takes the folio lock and returns
 * with it, so the page cannot leave the file until its PTE stands.
 *
 * Left out: the zero page, huge pages, userfaultfd.
 */

import { offStack, onStack } from '../../machine/alloc.js'
import { alsoReads, alsoWrites, read, rmw } from '../../machine/effects.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { currentTaskNumber } from '../../machine/task.js'
import { directMapLoad, directMapStore } from '../arch/x86/mm/direct_map.js'
import { ENOMEM } from '../include/errno.js'
import type { Folio } from '../include/mm.js'
import {
  FAULT_FLAG_WRITE,
  VM_FAULT_ERROR,
  VM_FAULT_HWPOISON,
  VM_FAULT_LOCKED,
  VM_FAULT_NOPAGE,
  VM_FAULT_OOM,
  VM_FAULT_RETRY,
  VM_FAULT_SIGBUS,
  VM_LOCKED,
  VM_MAYSHARE,
  VM_SHARED,
  VM_WRITE,
  type VmArea,
  VmFault,
} from '../include/mm_types.js'
import { PAGE_SIZE } from '../include/types.js'
import { doFaultAround } from './fault_around.js'
import { folioLock, folioUnlock } from './filemap.js'
import { mlockNewFolio, mlockVmaFolio, munlockVmaFolio } from './mlocked.js'
import { mmuNotifierInvalidateRangeEnd, mmuNotifierInvalidateRangeStart } from './mmu_notifier.js'
import { allocFolioMayFail, clearFolio } from './page_alloc.js'
import {
  mkPte,
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_WRITE,
  type Pte,
  pteAt,
  pteFolio,
  setPteAt,
} from './pgtable.js'
import { folioPut } from './swap.js'
import { doSwapPage } from './swapin.js'
import { invalidateInodePage } from './truncate.js'
import { linearPageIndex, vmaIsAnonymous } from './vma.js'
import { unmapMappingFolio } from './zap.js'

/** vmf_error(): what a fault answers when getting its page failed with an errno. */
export function vmfError(errno: number): number {
  return errno === -ENOMEM ? VM_FAULT_OOM : VM_FAULT_SIGBUS
}

export function isWrite(vmf: VmFault): boolean {
  return (vmf.flags & FAULT_FLAG_WRITE) !== 0
}

/** What a new PTE of this VMA allows: writing, at once where nobody needs to hear of it. */
export function pteFlags(vmf: VmFault): number {
  const { vmFlags } = vmf.vma!
  const write = (vmFlags & VM_WRITE) !== 0 && (isWrite(vmf) || (vmFlags & VM_SHARED) !== 0)
  return PTE_PRESENT | (write ? PTE_WRITE : 0) | (isWrite(vmf) ? PTE_DIRTY : 0)
}

/**
 * A new anonymous folio, which nobody else can reach, joins a batch and gets its place.
 *
 * Models: 6.2 mm/rmap.c page_add_new_anon_rmap and mm/swap.c folio_add_lru_vma. Simplifies: memory
 * that is special and locked; 6.18's that is dropped for good (VM_DROPPABLE). Compared: 6.17 and 7.0
 * source.
 */
function newAnonRmap(folio: Folio, vmf: VmFault): void {
  folio.anon = true
  folio.swapbacked = true
  folio.index = linearPageIndex(vmf.vma!, vmf.address)
  folio.mapcount = 1
  alsoReads(vmf.vma!, 'vmFlags')
  if (vmf.vma!.vmFlags & VM_LOCKED) {
    mlockNewFolio(folio)
    return
  }
  folio.refcount++
  folio.lruBatch = currentTaskNumber() + 1
}

/**
 * A page for private memory, up to date but not yet mapped, or NULL without memory.
 *
 * Models: 6.2 mm/memory.c alloc_page_vma as its callers use it. Simplifies: no memcg.
 */
export const allocAnonFolio = fn(function* alloc_anon_folio(): Kernel<Folio | null> {
  const folio = yield* allocFolioMayFail(true)
  if (folio === null) return null
  clearFolio(folio)
  folio.uptodate = true
  return folio
})

/**
 * Models: 6.2 mm/memory.c do_anonymous_page. Simplifies: a read fault allocates too, where Linux
 * maps the one page of zeroes until the first write.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const doAnonymousPage = fn(function* do_anonymous_page(vmf: VmFault): Kernel<number> {
  const vma = vmf.vma!
  const folio = yield* allocAnonFolio()
  if (folio === null) return VM_FAULT_OOM
  const mm = vma.vmMm!
  yield rmw(mm.pageTable, 'xaHead')
  if (pteAt(mm, vmf.address) !== 0) {
    yield* folioPut(folio)
    return 0
  }
  newAnonRmap(folio, vmf)
  const write = vma.vmFlags & VM_WRITE ? PTE_WRITE | PTE_DIRTY : 0
  setPteAt(mm, vmf.address, mkPte(folio, PTE_PRESENT | write))
  return 0
})

/**
 * Get the page of a file, locked, into `vmf.page`. A poisoned one is refused; one that was clean
 * and could be dropped is, and the fault starts again.
 *
 * Models: 6.2 mm/memory.c __do_fault.
 */
export const __doFault = fn(function* __do_fault(vmf: VmFault): Kernel<number> {
  const ret = yield* vmf.vma!.vmOps!.fault!(vmf)
  if (ret & (VM_FAULT_ERROR | VM_FAULT_NOPAGE | VM_FAULT_RETRY)) return ret
  const folio = vmf.page!
  yield read(folio, 'hwpoison')
  if (folio.hwpoison) {
    let poisonret = VM_FAULT_HWPOISON
    if (ret & VM_FAULT_LOCKED) {
      yield* unmapMappingFolio(folio)
      if (yield* invalidateInodePage(folio)) poisonret = VM_FAULT_NOPAGE
      yield* folioUnlock(folio)
    }
    yield* folioPut(folio)
    vmf.page = null
    return poisonret
  }
  if (!(ret & VM_FAULT_LOCKED)) yield* folioLock(folio)
  return ret | VM_FAULT_LOCKED
})

/**
 * Map the page that a fault has found, or its private copy. 0, or VM_FAULT_NOPAGE if somebody else
 * was faster.
 *
 * Models: 6.2 mm/memory.c finish_fault and do_set_pte.
 */
export const finishFault = fn(function* finish_fault(vmf: VmFault): Kernel<number> {
  const vma = vmf.vma!
  const mm = vma.vmMm!
  const cow = isWrite(vmf) && !(vma.vmFlags & VM_SHARED)
  const folio = (cow ? vmf.cowPage : vmf.page) as Folio
  yield rmw(mm.pageTable, 'xaHead')
  if (pteAt(mm, vmf.address) !== 0) return VM_FAULT_NOPAGE
  if (cow) newAnonRmap(folio, vmf)
  else {
    alsoWrites(folio, 'mapcount')
    folio.mapcount++
    mlockVmaFolio(folio, vma)
  }
  setPteAt(mm, vmf.address, mkPte(folio, pteFlags(vmf)))
  return 0
})

const NO_PTE = VM_FAULT_ERROR | VM_FAULT_NOPAGE | VM_FAULT_RETRY

/** Models: 6.2 mm/memory.c do_read_fault. */
export const doReadFault = fn(function* do_read_fault(vmf: VmFault): Kernel<number> {
  if (vmf.vma!.vmOps!.mapsAround === true) {
    const around = yield* doFaultAround(vmf, pteFlags(vmf))
    if (around !== 0) return around
  }
  let ret = yield* __doFault(vmf)
  if (ret & NO_PTE) return ret
  ret |= yield* finishFault(vmf)
  yield* folioUnlock(vmf.page!)
  if (ret & NO_PTE) yield* folioPut(vmf.page!)
  return ret
})

/** Models: 6.2 mm/memory.c do_cow_fault. */
export const doCowFault = fn(function* do_cow_fault(vmf: VmFault): Kernel<number> {
  const copy = yield* allocAnonFolio()
  if (copy === null) return VM_FAULT_OOM
  vmf.cowPage = copy
  let ret = yield* __doFault(vmf)
  if (!(ret & NO_PTE)) {
    yield read(vmf.page!, 'data')
    directMapLoad(vmf.page!)
    directMapStore(copy)
    copy.data = vmf.page!.data
    ret |= yield* finishFault(vmf)
    yield* folioUnlock(vmf.page!)
    yield* folioPut(vmf.page!)
  }
  if (ret & NO_PTE) yield* folioPut(copy)
  return ret
})

/**
 * Models: 6.2 mm/memory.c do_shared_fault and fault_dirty_shared_page. Simplifies: no
 * page_mkwrite, which no file here has.
 */
export const doSharedFault = fn(function* do_shared_fault(vmf: VmFault): Kernel<number> {
  let ret = yield* __doFault(vmf)
  if (ret & NO_PTE) return ret
  ret |= yield* finishFault(vmf)
  const folio = vmf.page!
  if (!(ret & NO_PTE)) {
    yield rmw(folio, 'dirty')
    folio.dirty = true
  }
  yield* folioUnlock(folio)
  if (ret & NO_PTE) yield* folioPut(folio)
  return ret
})

/** A fault on a file's memory where nothing is mapped. Models: 6.2 mm/memory.c do_fault. */
export const doFault = fn(function* do_fault(vmf: VmFault): Kernel<number> {
  if (vmf.vma!.vmOps!.fault === undefined) return VM_FAULT_SIGBUS
  if (!isWrite(vmf)) return yield* doReadFault(vmf)
  if (!(vmf.vma!.vmFlags & VM_SHARED)) return yield* doCowFault(vmf)
  return yield* doSharedFault(vmf)
})

/**
 * A private write to a page of the file that is mapped for reading: the task gets a copy.
 *
 * Models: 6.2 mm/memory.c wp_page_copy. `vmf.page` is the old page, with a reference.
 */
export const wpPageCopy = fn(function* wp_page_copy(vmf: VmFault, orig: Pte): Kernel<number> {
  const mm = vmf.vma!.vmMm!
  const old = vmf.page!
  let copy = yield* allocAnonFolio()
  if (copy === null) {
    yield* folioPut(old)
    return VM_FAULT_OOM
  }
  yield read(old, 'data')
  directMapLoad(old)
  directMapStore(copy)
  copy.data = old.data
  yield* mmuNotifierInvalidateRangeStart(mm, vmf.address, vmf.address + PAGE_SIZE)
  yield rmw(mm.pageTable, 'xaHead')
  if (pteAt(mm, vmf.address) === orig) {
    newAnonRmap(copy, vmf)
    setPteAt(mm, vmf.address, mkPte(copy, pteFlags(vmf)))
    alsoWrites(old, 'mapcount')
    old.mapcount--
    munlockVmaFolio(old, vmf.vma!)
    // What the PTE held is put in its place.
    copy = old
  }
  yield* folioPut(copy)
  yield* mmuNotifierInvalidateRangeEnd(mm, vmf.address, vmf.address + PAGE_SIZE)
  yield* folioPut(old)
  return 0
})

/**
 * A write through a PTE that does not allow it, in a VMA that does.
 *
 * Models: 6.2 mm/memory.c do_wp_page, wp_page_shared and wp_page_reuse. Simplifies: nobody forks,
 * so an anonymous page is always exclusive.
 */
export const doWpPage = fn(function* do_wp_page(vmf: VmFault, orig: Pte): Kernel<number> {
  const vma = vmf.vma!
  const mm = vma.vmMm!
  const folio = pteFolio(orig)
  const shared = (vma.vmFlags & (VM_SHARED | VM_MAYSHARE)) !== 0
  alsoReads(folio, 'anon')
  if (!shared && !folio.anon) {
    vmf.page = folio
    yield rmw(mm.pageTable, 'xaHead')
    if (pteAt(mm, vmf.address) !== orig) return 0
    alsoWrites(folio, 'refcount')
    folio.refcount++
    return yield* wpPageCopy(vmf, orig)
  }
  yield rmw(mm.pageTable, 'xaHead')
  if (pteAt(mm, vmf.address) !== orig) return 0
  setPteAt(mm, vmf.address, orig | PTE_WRITE | PTE_DIRTY)
  if (!shared) return 0
  alsoWrites(folio, 'refcount')
  folio.refcount++
  yield* folioLock(folio)
  alsoWrites(folio, 'dirty')
  folio.dirty = true
  yield* folioUnlock(folio)
  yield* folioPut(folio)
  return 0
})

/** Models: 6.2 mm/memory.c handle_pte_fault. */
export const handlePteFault = fn(function* handle_pte_fault(vmf: VmFault): Kernel<number> {
  const vma = vmf.vma!
  const mm = vma.vmMm!
  yield read(mm.pageTable, 'xaHead')
  const pte = pteAt(mm, vmf.address)
  if (pte === 0) {
    if (vmaIsAnonymous(vma)) return yield* doAnonymousPage(vmf)
    return yield* doFault(vmf)
  }
  if (!(pte & PTE_PRESENT)) return yield* doSwapPage(vmf, pte)
  if (isWrite(vmf) && !(pte & PTE_WRITE)) return yield* doWpPage(vmf, pte)
  return 0
})

/**
 * Handle a fault at an address (bytes) of a VMA that allows the access. VM_FAULT_* bits; 0 or
 * VM_FAULT_NOPAGE: try the access again. mmap_lock is held for reading, and dropped with
 * VM_FAULT_RETRY.
 *
 * Models: 6.2 mm/memory.c handle_mm_fault. Simplifies: faults take mmap_lock in both versions,
 * where 6.18 tries a lock of the VMA first.
 */
export const handleMmFault = fn(function* handle_mm_fault(
  vma: VmArea,
  address: bigint,
  flags: number,
): Kernel<number> {
  const vmf = onStack(VmFault)
  vmf.vma = vma
  vmf.address = address & ~(PAGE_SIZE - 1n)
  vmf.pgoff = linearPageIndex(vma, vmf.address)
  vmf.flags = flags
  const ret = yield* handlePteFault(vmf)
  offStack(vmf)
  return ret
})

/**
 * Page faults on entries that are not present: a page that is in swap comes back, one that is being
 * migrated is waited for, a poisoned one refused. mmap_lock is held for reading.
 */
import { alsoReads, alsoWrites, read, rmw, until } from '../../machine/effects.js'
import { fn, type Kernel } from '../../machine/fn.js'
import type { Folio } from '../include/mm.js'
import {
  VM_FAULT_HWPOISON,
  VM_FAULT_OOM,
  VM_FAULT_SIGBUS,
  VM_LOCKED,
  type VmFault,
} from '../include/mm_types.js'
import { folioLock, folioSetLocked, folioUnlock } from './filemap.js'
import { isWrite, pteFlags } from './memory.js'
import { mlockVmaFolio } from './mlocked.js'
import { allocFolioMayFail } from './page_alloc.js'
import { swapReadpage } from './page_io.js'
import {
  mkPte,
  PTE_HWPOISON,
  PTE_MIGRATION,
  type Pte,
  pteAt,
  pteFolio,
  pteSwpEntry,
  setPteAt,
} from './pgtable.js'
import { folioAddLru, folioPut, lruAddDrain, lruAddDrainPerCpu } from './swap.js'
import { swapCacheGetFolio } from './swap_state.js'
import { folioFreeSwap, swapFree, vmSwapFull } from './swapfile.js'
import { linearPageIndex } from './vma.js'

/**
 * Is a locked folio of the swap cache better off without its slot?
 *
 * Models: 6.2 mm/memory.c should_try_to_free_swap.
 *
 * Compared: 6.17 source.
 */
function shouldTryToFreeSwap(folio: Folio, vmf: VmFault): boolean {
  if (folio.swap === 0) return false
  if (vmSwapFull() || vmf.vma!.vmFlags & VM_LOCKED || folio.mlocked) return true
  alsoReads(folio, 'refcount')
  return isWrite(vmf) && folio.refcount === 2
}

/**
 * Map a locked folio, of which we have a reference, where `orig` names its slot: 0. Or put it: 0 if
 * the entry has changed meanwhile, VM_FAULT_SIGBUS if memory failure has taken the folio's content.
 * It is unlocked then.
 *
 * Models: 6.2 mm/memory.c do_swap_page, from the page table lock on. Simplifies: nobody forks, so
 * an anonymous page is always exclusive; 6.18 makes the entry writable also when it was read, where
 * here, as in 6.2, the first write faults once more.
 *
 * Compared: 6.17 source.
 */
export const mapSwappedPage = fn(function* do_swap_page_map(
  vmf: VmFault,
  orig: Pte,
  folio: Folio,
): Kernel<number> {
  const vma = vmf.vma!
  const mm = vma.vmMm!
  yield rmw(mm.pageTable, 'xaHead')
  const same = pteAt(mm, vmf.address) === orig
  alsoReads(folio, 'uptodate')
  const lost = same && !folio.uptodate
  const maps = same && !lost
  if (maps) {
    swapFree(pteSwpEntry(orig))
    if (shouldTryToFreeSwap(folio, vmf)) folioFreeSwap(folio)
    alsoWrites(folio, 'anon')
    folio.anon = true
    alsoWrites(folio, 'index')
    folio.index = linearPageIndex(vma, vmf.address)
    alsoWrites(folio, 'mapcount')
    folio.mapcount++
    mlockVmaFolio(folio, vma)
    setPteAt(mm, vmf.address, mkPte(folio, pteFlags(vmf)))
  }
  yield* folioUnlock(folio)
  if (!maps) yield* folioPut(folio)
  return lost ? VM_FAULT_SIGBUS : 0
})

/**
 * Read a slot into a new folio and map that. 0, or VM_FAULT_OOM.
 *
 * Models: 6.2 mm/memory.c do_swap_page, its way past the swap cache: only one page table entry
 * names the slot, and the device is synchronous. Simplifies: what the shadow says of the page's
 * age decides nothing here.
 */
export const readSwappedPage = fn(function* do_swap_page_read(
  vmf: VmFault,
  orig: Pte,
): Kernel<number> {
  const folio = yield* allocFolioMayFail(true)
  if (folio === null) {
    const mm = vmf.vma!.vmMm!
    yield read(mm.pageTable, 'xaHead')
    return pteAt(mm, vmf.address) === orig ? VM_FAULT_OOM : 0
  }
  folioSetLocked(folio)
  folio.swapbacked = true
  yield* folioAddLru(folio)
  yield* swapReadpage(folio, pteSwpEntry(orig))
  return yield* mapSwappedPage(vmf, orig, folio)
})

/**
 * VM_FAULT_* bits; 0: try the access again.
 *
 * Models: 6.2 mm/memory.c do_swap_page. Simplifies: it keeps mmap_lock while it waits for the
 * folio lock.
 *
 * Compared: 6.17 source.
 */
export const doSwapPage = fn(function* do_swap_page(vmf: VmFault, orig: Pte): Kernel<number> {
  if (orig & PTE_HWPOISON) return VM_FAULT_HWPOISON
  if (orig & PTE_MIGRATION) {
    // migration_entry_wait(): whoever migrates has the page locked. It takes no reference.
    yield until(pteFolio(orig), 'lockOwner', 0)
    return 0
  }
  const entry = pteSwpEntry(orig)
  const folio = yield* swapCacheGetFolio(entry)
  if (folio === null) return yield* readSwappedPage(vmf, orig)
  yield read(folio, 'hwpoison')
  if (folio.hwpoison) {
    yield* folioPut(folio)
    return VM_FAULT_HWPOISON
  }
  yield* folioLock(folio)
  if (folio.swap !== entry) {
    yield* folioUnlock(folio)
    yield* folioPut(folio)
    return 0
  }
  alsoReads(folio, 'lru')
  if (isWrite(vmf)) {
    if (!folio.lru) yield* lruAddDrain()
    yield* lruAddDrainPerCpu(folio)
  }
  return yield* mapSwappedPage(vmf, orig, folio)
})

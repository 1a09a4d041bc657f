/**
 * What lies around a read fault: pages of the file that are there already are mapped along with the
 * one that was asked for, before anybody asks the file. It waits for nothing, and takes no page
 * that is locked, poisoned or without content. A page may so be mapped in a VMA nobody read it
 * through, which shows wherever somebody counts mappings.
 */
import { alsoReads, alsoWrites, read, rmw } from '../../machine/effects.js'
import { fn, type Kernel } from '../../machine/fn.js'
import type { AddressSpace } from '../include/fs.js'
import { type Folio, nrPages } from '../include/mm.js'
import { VM_FAULT_NOPAGE, type VmFault } from '../include/mm_types.js'
import {
  addPages,
  bytesToPgoff,
  bytesToPgoffUp,
  type Pgoff,
  pgoffToBytes,
} from '../include/types.js'
import { findGetEntry, folioTrylock, folioUnlock } from './filemap.js'
import { mlockVmaFolio } from './mlocked.js'
import { mkPte, type Pte, pteAt, setPteAt } from './pgtable.js'
import { folioPut } from './swap.js'

/**
 * Pages of the window: fault_around_bytes at its default. It begins at an address so aligned, or
 * with the VMA.
 */
const WINDOW = 16
/** Pages of a page table, beyond which it does not reach. */
const PTRS_PER_PTE = 512

/** Is this folio to be mapped? Then it is locked. Never waits. */
export const tryUptodate = fn(function* next_uptodate_page(
  mapping: AddressSpace,
  folio: Folio,
): Kernel<boolean> {
  alsoReads(folio, 'lockOwner')
  if (folio.lockOwner !== 0 || !folio.uptodate) return false
  if (!(yield* folioTrylock(folio))) return false
  yield read(mapping.host!, 'iSize')
  const isIn = folio.mapping === mapping && folio.uptodate && !folio.hwpoison
  if (isIn && folio.index < bytesToPgoffUp(mapping.host!.iSize)) return true
  yield* folioUnlock(folio)
  return false
})

/**
 * Map what the page cache has of [start, end] (page offsets, inclusive). VM_FAULT_NOPAGE if the
 * faulting address is now mapped, else 0.
 *
 * Models: 6.2 mm/filemap.c filemap_map_pages, with next_uptodate_page and do_set_pte. Simplifies:
 * a lookup takes its own reference instead of going on under one RCU section, in 6.2 also to a page
 * that it finds locked; the page table lock is taken for each page, not for all.
 */
export const filemapMapPages = fn(function* filemap_map_pages(
  vmf: VmFault,
  start: Pgoff,
  end: Pgoff,
  flags: number,
): Kernel<number> {
  const vma = vmf.vma!
  const mm = vma.vmMm!
  const mapping = vma.vmFile!.fMapping!
  let ret = 0
  let index = start
  while (index <= end) {
    const folio = yield* findGetEntry(mapping, index, end)
    if (folio === null) return ret
    index = addPages(folio.index, nrPages(folio))
    let mapped = false
    if (yield* tryUptodate(mapping, folio)) {
      const address = vmf.address + pgoffToBytes(folio.index) - pgoffToBytes(vmf.pgoff)
      yield rmw(mm.pageTable, 'xaHead')
      if (pteAt(mm, address) === 0) {
        alsoWrites(folio, 'mapcount')
        folio.mapcount++
        mlockVmaFolio(folio, vma)
        setPteAt(mm, address, mkPte(folio, flags) as Pte)
        mapped = true
        if (address === vmf.address) ret = VM_FAULT_NOPAGE
      }
      yield* folioUnlock(folio)
    }
    // The mapping keeps the reference of a page that it has got.
    if (!mapped) yield* folioPut(folio)
  }
  return ret
})

/**
 * Map around a fault; `flags` are those of the new PTEs. VM_FAULT_NOPAGE if nothing is left to do,
 * else 0. mmap_lock is held for reading.
 *
 * Models: 6.2 mm/memory.c do_fault_around.
 */
export const doFaultAround = fn(function* do_fault_around(
  vmf: VmFault,
  flags: number,
): Kernel<number> {
  const vma = vmf.vma!
  const first = bytesToPgoff(vma.vmStart)
  const at = bytesToPgoff(vmf.address)
  const from = Math.max(at - (at % WINDOW), first)
  const table = at - (at % PTRS_PER_PTE) + PTRS_PER_PTE
  const to = Math.min(from + WINDOW, table, bytesToPgoff(vma.vmEnd)) - 1
  const start = addPages(vmf.pgoff, from - at)
  return yield* filemapMapPages(vmf, start, addPages(start, to - from), flags)
})

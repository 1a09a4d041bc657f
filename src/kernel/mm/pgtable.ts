/**
 * Page table entries. The table of the process maps the page of an address to one number: flags
 * and a frame. Hardware walks it, and sets dirty bits, without any lock, so each change of an
 * entry is one announced step; the page table lock is a leaf, and that step is its section.
 *
 * Left out: the levels of the table, huge leaves, the accessed bit, and the TLB of the process:
 * clearing an entry and flushing what a CPU has cached of it are one step.
 */

import { GFP_ATOMIC } from '../../machine/alloc.js'
import type { Folio } from '../include/mm.js'
import type { MmStruct } from '../include/mm_types.js'
import type { SwpEntry } from '../include/swap.js'
import { bytesToPgoff, PAGE_SHIFT, type Pfn } from '../include/types.js'
import {
  xaFindIndex,
  xaIsValue,
  xaLoadEntry,
  xaMkValue,
  xaStoreEntry,
  xaToValue,
} from '../lib/xarray.js'
import { pfnToFolio } from './page_alloc.js'

/** 0: nothing is there. Else flags, and the frame's number above them. */
export type Pte = number

export const PTE_PRESENT = 1
/** Of a migration entry: what the new frame will be mapped with. */
export const PTE_WRITE = 2
export const PTE_DIRTY = 4
/** Not present: the frame is being migrated. */
export const PTE_MIGRATION = 8
/** Not present: the frame is poisoned. */
export const PTE_HWPOISON = 16
/** Present for the kernel's eyes only: the mapping's protection allows no access. */
export const PTE_PROTNONE = 32
/** Not present: the page is in swap; the slot's number stands where the frame's does else. */
export const PTE_SWAP = 64

const PTE_PFN_SHIFT = 8

/** An entry that refers to a folio. */
export function mkPte(folio: Folio, flags: number): Pte {
  return flags | (folio.pfn << PTE_PFN_SHIFT)
}

/** The folio that an entry, present or not, refers to. */
export function pteFolio(pte: Pte): Folio {
  return pfnToFolio((pte >>> PTE_PFN_SHIFT) as Pfn) as Folio
}

/** swp_entry_to_pte() and pte_to_swp_entry(). */
export function mkSwapPte(entry: SwpEntry): Pte {
  return PTE_SWAP | (entry << PTE_PFN_SHIFT)
}

export function pteSwpEntry(pte: Pte): SwpEntry {
  return (pte >>> PTE_PFN_SHIFT) as SwpEntry
}

/** The entry of an address (bytes). */
export function pteAt(mm: MmStruct, address: bigint): Pte {
  const entry = xaLoadEntry(mm.pageTable, bytesToPgoff(address))
  return xaIsValue(entry) ? xaToValue(entry) : 0
}

export function setPteAt(mm: MmStruct, address: bigint, pte: Pte): void {
  xaStoreEntry(mm.pageTable, bytesToPgoff(address), pte === 0 ? 0 : xaMkValue(pte), GFP_ATOMIC)
}

/** The first address from `start` to `end` (exclusive) that has an entry, or -1. */
export function nextPte(mm: MmStruct, start: bigint, end: bigint): bigint {
  if (start >= end) return -1n
  const index = xaFindIndex(mm.pageTable, bytesToPgoff(start), bytesToPgoff(end - 1n))
  return index < 0 ? -1n : BigInt(index) << PAGE_SHIFT
}

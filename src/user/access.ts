/**
 * What the process does with its memory: it loads and stores bytes. The hardware walks the page
 * table, in one step with the access; if that does not allow it, the kernel gets a fault.
 */

import { hostUserFault, USER_FAULT } from '../kernel/arch/x86/mm/direct_map.js'
import { doUserAddrFault } from '../kernel/arch/x86/mm/fault.js'
import type { Folio } from '../kernel/include/mm.js'
import { currentMm, type MmStruct } from '../kernel/include/mm_types.js'
import { PAGE_SIZE } from '../kernel/include/types.js'
import { SIGBUS_MCEERR_AR } from '../kernel/include/uapi.js'
import {
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_PROTNONE,
  PTE_WRITE,
  pteAt,
  pteFolio,
  setPteAt,
} from '../kernel/mm/pgtable.js'
import { type Blob, byteAt, withBytes } from '../machine/blob.js'
import { alsoReads, alsoWrites, read, rmw } from '../machine/effects.js'
import { tracepoint } from '../machine/fault.js'
import { fn, type Kernel } from '../machine/fn.js'
import type { UserAddress } from './layout.js'

/** Walk the page table for one access; NULL: it does not allow it. */
function walk(mm: MmStruct, address: bigint, write: boolean): Folio | null {
  const pte = pteAt(mm, address)
  const wanted = PTE_PRESENT | (write ? PTE_WRITE : 0)
  return (pte & (wanted | PTE_PROTNONE)) === wanted ? pteFolio(pte) : null
}

function setDirtyBit(mm: MmStruct, address: bigint): void {
  const pte = pteAt(mm, address)
  if (!(pte & PTE_DIRTY)) setPteAt(mm, address, pte | PTE_DIRTY)
}

/** The access itself. A poisoned frame raises a machine check, and that a signal. */
function access(folio: Folio, address: bigint, byte: number): number {
  alsoReads(folio, 'hwpoison')
  if (folio.hwpoison) return SIGBUS_MCEERR_AR
  const offset = Number(address & (PAGE_SIZE - 1n))
  if (byte >= 0) {
    alsoWrites(folio, 'data')
    folio.data = withBytes(folio.data as Blob, offset, 1, byte)
    return 0
  }
  alsoReads(folio, 'data')
  tracepoint('user_load', address, folio, offset)
  return byteAt(folio.data as Blob, offset)
}

export const userAccess = fn(function* user_access(address: bigint, byte: number): Kernel<number> {
  const mm = currentMm()
  for (;;) {
    if (byte < 0) yield read(mm.pageTable, 'xaHead')
    else yield rmw(mm.pageTable, 'xaHead')
    const write = byte >= 0
    const folio = walk(mm, address, write)
    const refused = folio === null ? USER_FAULT : hostUserFault(folio, write)
    if (refused === 0) {
      if (write) setDirtyBit(mm, address)
      return access(folio!, address, byte)
    }
    if (refused !== USER_FAULT) return refused
    const signal = yield* doUserAddrFault(address, write)
    if (signal !== 0) return signal
  }
})

/** The process loads a byte: the byte, or the signal (SIGBUS_*, SIGSEGV_*) that it gets. */
export const userLoadAt = fn(function* load(address: UserAddress, offset: bigint): Kernel<number> {
  return yield* userAccess(BigInt(address) + offset, -1)
})

/** The process stores a byte: 0 or the signal that it gets. */
export const userStoreAt = fn(function* store(
  address: UserAddress,
  offset: bigint,
  byte: number,
): Kernel<number> {
  return yield* userAccess(BigInt(address) + offset, byte)
})

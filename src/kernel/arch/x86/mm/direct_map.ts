/**
 * Accesses of the host to physical memory: through the direct map, or a process's page table. As a
 * rule the processor lets it at everything. A host that protects its guests' memory says no, and
 * then a store of the kernel's is an oops, and one of a process faults although its PTE is there.
 * Where memory is not encrypted but taken away, what holds for stores holds for loads too.
 */
import { loadFault, storeFault } from '../../../../machine/fault.js'
import { fn } from '../../../../machine/fn.js'
import { factsOf } from '../../../../machine/struct.js'
import type { Folio } from '../../../include/mm.js'

/** Does the processor let the host store to a frame? Replaced by hosts. */
export const hostMayStore = fn(function host_may_store(_folio: Folio): boolean {
  return true
})

/** Does the processor let the host load from a frame? Replaced by hosts. */
export const hostMayLoad = fn(function host_may_load(_folio: Folio): boolean {
  return true
})

/** The access of a process faults, although its page table allows it. */
export const USER_FAULT = 1

/**
 * A process accesses a frame by its page table, which allows it: 0 if the processor does too,
 * USER_FAULT for a page fault, or the signal (negative) that the process gets. Replaced by hosts.
 */
export const hostUserFault = fn(function host_user_fault(folio: Folio, write: boolean): number {
  return !write || hostMayStore(folio) ? 0 : USER_FAULT
})

/** The kernel loads what is in a frame of a guest's or a file's: memcpy() and its like. */
export function directMapLoad(folio: Folio): void {
  if (hostMayLoad(folio)) return
  const text = `the kernel loads from pfn ${folio.pfn}, which the host does not own`
  loadFault(text, factsOf([folio], { pfn: folio.pfn }))
}

/** The kernel stores to a frame: memset(), memcpy() and their like through the direct map. */
export function directMapStore(folio: Folio): void {
  if (hostMayStore(folio)) return
  const text = `the kernel stores to pfn ${folio.pfn}, which the host does not own`
  storeFault(text, factsOf([folio], { pfn: folio.pfn }))
}

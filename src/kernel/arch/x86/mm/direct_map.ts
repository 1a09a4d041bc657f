/**
 * Stores of the host to physical memory: through the direct map, or a process's page table. As a
 * rule the processor lets it store anywhere. A host that protects its guests' memory says no, and
 * then a store of the kernel's is an oops, and one of a process faults although its PTE is there.
 */
import { storeFault } from '../../../../machine/fault.js'
import { fn } from '../../../../machine/fn.js'
import { factsOf } from '../../../../machine/struct.js'
import type { Folio } from '../../../include/mm.js'

/** Does the processor let the host store to a frame? Replaced by hosts. */
export const hostMayStore = fn(function host_may_store(_folio: Folio): boolean {
  return true
})

/** The kernel stores to a frame: memset(), memcpy() and their like through the direct map. */
export function directMapStore(folio: Folio): void {
  if (hostMayStore(folio)) return
  const text = `the kernel stores to pfn ${folio.pfn}, which the host does not own`
  storeFault(text, factsOf([folio], { pfn: folio.pfn }))
}

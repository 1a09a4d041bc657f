/** The secondary MMU as of 6.18, where it differs: a leaf that allows the access stays as it is. */
import { alsoReads, alsoWrites, rmw } from '../../../../../machine/effects.js'
import { warnOn } from '../../../../../machine/fault.js'
import { fn, type Kernel } from '../../../../../machine/fn.js'
import { makeSpte, replaceLeaf } from '../../../../arch/x86/kvm/tdp_mmu.js'
import type { Kvm, KvmPageFault, Spte } from '../../../../include/kvm.js'
import type { Folio } from '../../../../include/mm.js'
import { xaLoad } from '../../../../lib/xarray.js'

/**
 * Install a leaf. One that is there already gets the right to write if that is what the fault is
 * about; nothing takes the right away, and a prefetch leaves it as it is, though another frame may
 * be what backs the gfn now. mmu_lock is held for reading.
 *
 * Compared: 6.12 source.
 * Models: 6.18 arch/x86/kvm/mmu/tdp_mmu.c kvm_tdp_mmu_map and tdp_mmu_map_handle_target_level.
 * Simplifies: the table's levels; always 4 KiB.
 */
export const kvmTdpMmuMapUnlessAllowed = fn(function* kvm_tdp_mmu_map(
  kvm: Kvm,
  fault: KvmPageFault,
  folio: Folio,
  isPrivate: boolean,
  fromFile: boolean,
): Kernel<void> {
  yield rmw(kvm.tdpMmu, 'xaHead')
  const old = xaLoad(kvm.tdpMmu, fault.gfn) as Spte | null
  if (old === null) {
    makeSpte(kvm, fault, folio, isPrivate, fromFile)
    return
  }
  alsoReads(old, 'writable')
  if (fault.prefetch || !fault.write || old.writable) {
    warnOn(old.pfn !== folio.pfn, `tdp_mmu_map: the leaf that is there is of pfn ${old.pfn}`)
    return
  }
  if (old.pfn !== folio.pfn) replaceLeaf(old, folio)
  alsoWrites(old, 'writable')
  old.writable = fault.mapWritable
})

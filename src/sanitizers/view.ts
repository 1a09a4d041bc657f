/** What several judges look at: the secondary MMU, and what backs a guest frame. */
import type { AddressSpace } from '../kernel/include/fs.js'
import { Kvm, type KvmMemorySlot, type Spte } from '../kernel/include/kvm.js'
import type { Folio } from '../kernel/include/mm.js'
import type { Gfn, Pgoff } from '../kernel/include/types.js'
import { xaFindAfterIndex, xaFindIndex, xaLoad } from '../kernel/lib/xarray.js'
import { mlockEntries } from '../kernel/mm/mlocked.js'
import { pfnToFolio } from '../kernel/mm/page_alloc.js'
import { forEachAlive } from '../machine/struct.js'
import { isTaken } from '../user/given-up.js'
import { backingMapping } from '../user/harness.js'

export { forEachAlive }

const LAST_INDEX = Number.MAX_SAFE_INTEGER as Gfn

/** Every present leaf of every VM's secondary MMU, with the frame that it maps. */
export function forEachSpte(visit: (kvm: Kvm, spte: Spte, folio: Folio | null) => void): void {
  forEachAlive(Kvm, (kvm) => {
    let index = xaFindIndex(kvm.tdpMmu, 0 as Gfn, LAST_INDEX)
    while (index >= 0) {
      const spte = xaLoad(kvm.tdpMmu, index as Gfn) as Spte
      if (!isTaken(kvm, spte.gfn)) visit(kvm, spte, pfnToFolio(spte.pfn))
      index = xaFindAfterIndex(kvm.tdpMmu, index as Gfn, LAST_INDEX)
    }
  })
}

/** The slot of the active memslots that contains a gfn. */
export function slotOf(kvm: Kvm, gfn: Gfn): KvmMemorySlot | null {
  const slots = kvm.memslots?.slots
  if (slots === undefined) return null
  for (let id = 0; id < slots.length; id++) {
    const slot = slots.get(id)
    if (slot !== null && gfn >= slot.baseGfn && gfn < slot.baseGfn + slot.npages) return slot
  }
  return null
}

/** The page cache of a slot's file, and the offset of a gfn in it. */
export function backingOf(
  slot: KvmMemorySlot,
  gfn: Gfn,
): { mapping: AddressSpace; index: Pgoff } | undefined {
  const [file, first] =
    slot.gmemFile === null
      ? [slot.restrictedFile, slot.restrictedOffset]
      : [slot.gmemFile, slot.gmemPgoff]
  const mapping = file === null ? null : backingMapping(file)
  if (mapping === null) return undefined
  return { mapping, index: (first + (gfn - slot.baseGfn)) as Pgoff }
}

/**
 * Is a frame free, or about to be: only batches refer to its page, and anything that runs on
 * that CPU may empty them, without a look at anything else (docs/decisions/0016-drains.md)?
 */
export function isFree(folio: Folio): boolean {
  if (folio.buddy) return true
  const cached = folio.mapping !== null || folio.swap !== 0
  const batched = (folio.lruBatch === 0 ? 0 : 1) + mlockEntries(folio)
  return batched > 0 && folio.refcount === batched && !cached && !folio.hwpoison
}

/** How a frame is free, of one that is. */
export function freeText(folio: Folio): string {
  return folio.buddy ? 'has been freed' : 'is free once its batch is emptied'
}

/** What `isFree` reads. */
export const WATCHED_FOR_FREE = [
  'Folio.buddy',
  'Folio.lruBatch',
  'Folio.mlockBatch',
  'Folio.refcount',
  'Folio.hwpoison',
  'Folio.mapping',
  'Folio.swap',
] as const

/** Is an invalidation of this gfn under way? */
export function isCovered(kvm: Kvm, gfn: Gfn): boolean {
  return (
    kvm.mmuInvalidateInProgress > 0 &&
    gfn >= kvm.mmuInvalidateRangeStart &&
    gfn < kvm.mmuInvalidateRangeEnd
  )
}

/** How reports name a guest frame. */
export function gfnText(gfn: Gfn): string {
  return `gfn 0x${gfn.toString(16)}`
}

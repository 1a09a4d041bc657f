/**
 * From a guest frame of ordinary memory to the page that the process has there. A guest that only
 * reads is given what the process may only read, so a private mapping keeps its file's page; but
 * whatever the process can write already is mapped writable at once, to save the second fault.
 *
 * Left out: memory without struct pages, and asynchronous page faults.
 */
import { fn, type Kernel } from '../../../machine/fn.js'
import { errPtr, isErr } from '../../../machine/struct.js'
import { EROFS } from '../../include/errno.js'
import type { KvmMemorySlot, KvmPageFault } from '../../include/kvm.js'
import { Folio } from '../../include/mm.js'
import { type Pgoff, pgoffToBytes } from '../../include/types.js'
import { KVM_MEM_READONLY } from '../../include/uapi.js'
import { getUserPagesUnlocked, gupFast } from '../../mm/gup.js'
import { folioPut } from '../../mm/swap.js'

/** What a write to a slot that only reads is answered: user space is to emulate it. */
export const KVM_PFN_ERR_RO_FAULT = -EROFS

function memslotIsReadonly(slot: KvmMemorySlot): boolean {
  return (slot.flags & KVM_MEM_READONLY) !== 0
}

/**
 * Without mmap_lock, and only for writing: a page that can only be read might be the old one of a
 * copy-on-write that is under way.
 *
 * Models: 6.2 virt/kvm/kvm_main.c hva_to_pfn_fast.
 *
 * Compared: 6.12 source.
 */
export const hvaToPfnFast = fn(function* hva_to_pfn_fast(
  address: bigint,
  fault: KvmPageFault,
  mayMapWritable: boolean,
): Kernel<Folio | null> {
  if (!fault.write && !mayMapWritable) return null
  const folio = yield* gupFast(address, true)
  if (folio !== null) fault.mapWritable = true
  return folio
})

/**
 * With all that it takes: a page, or an ERR_PTR.
 *
 * Models: 6.2 virt/kvm/kvm_main.c hva_to_pfn_slow.
 *
 * Compared: 6.12 source.
 */
export const hvaToPfnSlow = fn(function* hva_to_pfn_slow(
  address: bigint,
  fault: KvmPageFault,
  mayMapWritable: boolean,
): Kernel<Folio> {
  fault.mapWritable = fault.write
  const folio = yield* getUserPagesUnlocked(address, fault.write)
  if (isErr(folio) || fault.write || !mayMapWritable) return folio
  // Map a read fault writable if that costs nothing.
  const writable = yield* gupFast(address, true)
  if (writable === null) return folio
  fault.mapWritable = true
  yield* folioPut(folio)
  return writable
})

/**
 * The page behind the gfn of a fault, with a reference, and in `fault.mapWritable` whether it may
 * be mapped for writing. ERR_PTRs: KVM_PFN_ERR_RO_FAULT, -EHWPOISON, and what else
 * get_user_pages() says.
 *
 * Models: 6.2 virt/kvm/kvm_main.c __gfn_to_pfn_memslot and hva_to_pfn. Simplifies: a page that
 * failed to come for another reason is not asked for its poison once more.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const gfnToPfnMemslot = fn(function* __gfn_to_pfn_memslot(
  fault: KvmPageFault,
): Kernel<Folio> {
  const slot = fault.slot!
  const readonly = memslotIsReadonly(slot)
  fault.mapWritable = false
  if (readonly && fault.write) return errPtr(Folio, KVM_PFN_ERR_RO_FAULT)
  const address = pgoffToBytes((slot.userspaceAddr + (fault.gfn - slot.baseGfn)) as Pgoff)
  const fast = yield* hvaToPfnFast(address, fault, !readonly)
  if (fast !== null) return fast
  return yield* hvaToPfnSlow(address, fault, !readonly)
})

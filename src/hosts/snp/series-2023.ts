/**
 * KVM's side of SNP in the tree of February 2023, on restrictedmem: who owns a page follows the
 * attribute. When a gfn becomes private its page is assigned, and released when it becomes shared or
 * when the file says that the page goes; a fault does not touch the table. Both come after mmu_lock
 * was dropped, and both look pages up in a way that allocates. No reference is kept.
 */
import { type Restrictedmem, upmNotifyEnd, upmNotifyStart } from '../../designs/upm-mm.js'
import { EFAULT } from '../../kernel/include/errno.js'
import { type Kvm, KvmMemorySlot, type KvmVcpu, MEMSLOT_PLACES } from '../../kernel/include/kvm.js'
import type { Folio } from '../../kernel/include/mm.js'
import type { RestrictedmemNotifier } from '../../kernel/include/restrictedmem.js'
import type { Gfn, Pgoff } from '../../kernel/include/types.js'
import { KVM_MEM_PRIVATE, KVM_MEMORY_ATTRIBUTE_PRIVATE } from '../../kernel/include/uapi.js'
import { folioPut } from '../../kernel/mm/swap.js'
import {
  kvmRestrictedMemGetPfn,
  kvmRestrictedmemInvalidateBegin,
  restrictedmemFirstGfn,
} from '../../kernel/virt/kvm/restrictedmem.js'
import { inject, rmw, write } from '../../machine/effects.js'
import { mark, tracepoint } from '../../machine/fault.js'
import { fn, type Kernel, original } from '../../machine/fn.js'
import { containerOf, isErr } from '../../machine/struct.js'
import { rmpupdate as issueRmpupdate, RMP_OK } from './instructions.js'
import { rmpEntry } from './rmp.js'
import {
  directMapOf,
  rmpMakePrivate,
  rmpMakeShared,
  rmpupdateRefuses,
  snpLookupAssigned,
} from './sev.js'
import { isSnpGuest, sevInfo } from './vm.js'

/**
 * Split the direct map's entry without a flush. The page was to be unmapped as well, but the
 * clean-up path, which also ran on success, mapped it again. Whether some CPU has the large entry in
 * its TLB, and goes on with it, is a fault of the scenario's.
 *
 * Models: 20230220183847.59159 arch/x86/kernel/sev.c invalidate_direct_map, as posted.
 */
export const splitWithoutFlush = fn(function* invalidate_direct_map(folio: Folio): Kernel<number> {
  const region = directMapOf(folio.pfn)
  yield rmw(region, 'split')
  const first = !region.split
  region.split = true
  if (first && (yield inject()) !== 0) {
    yield write(region, 'staleTlb')
    region.staleTlb = true
  }
  return 0
})

/**
 * RMPUPDATE, whatever it answers up to four times for each CPU: 0 or -EFAULT. A fault of the
 * scenario stands for all of these.
 *
 * Models: 20230220183847.59159 arch/x86/kernel/sev.c rmpupdate.
 */
export const rmpupdateRepeated = fn(function* rmpupdate(
  folio: Folio,
  assigned: boolean,
  gfn: Gfn,
  asid: number,
  immutable: boolean,
): Kernel<number> {
  if (assigned) yield* splitWithoutFlush(folio)
  if ((yield* rmpupdateRefuses()) !== RMP_OK) return -EFAULT
  yield rmw(rmpEntry(folio.pfn), 'assigned')
  if (!assigned) tracepoint('rmp_released', folio.pfn)
  mark(assigned ? 'rmp-assigned' : 'rmp-released')
  const code = issueRmpupdate(folio.pfn, { assigned, gfn, asid, immutable, large: false })
  return code === RMP_OK ? 0 : -EFAULT
})

/**
 * Make the page behind a gfn the guest's, or the host's. The page is looked up, and made if it is
 * not there, whichever it is. Nobody hears of an error.
 *
 * Models: 20230220183847.59159 arch/x86/kvm/svm/sev.c sev_update_mem_attr and the functions that it
 * calls. Simplifies: order 0.
 */
export const updatePage = fn(function* snp_make_page(
  slot: KvmMemorySlot,
  gfn: Gfn,
  toPrivate: boolean,
): Kernel<void> {
  const folio = yield* kvmRestrictedMemGetPfn(slot, gfn)
  if (isErr(folio)) return
  if (toPrivate) yield* rmpMakePrivate(folio, gfn, sevInfo(slot.kvm!).asid, false)
  else if (yield* snpLookupAssigned(folio)) yield* rmpMakeShared(folio)
  yield* folioPut(folio)
})

/**
 * The attributes of [start, end) have changed, the invalidation is over: now the table follows. Until
 * it does, a fault maps a page that is not yet, or still, the guest's. slots_lock is held.
 *
 * Models: 20230220183847.59159 arch/x86/kvm/svm/sev.c sev_update_mem_attr.
 */
export const sevUpdateMemAttr = fn(function* kvm_x86_update_mem_attr(
  kvm: Kvm,
  start: Gfn,
  end: Gfn,
  attributes: number,
): Kernel<void> {
  if (!isSnpGuest(kvm)) return
  const toPrivate = (attributes & KVM_MEMORY_ATTRIBUTE_PRIVATE) !== 0
  let place = 0
  while (place < MEMSLOT_PLACES) {
    const slot = kvm.memslots!.slots.get(place)
    place += 1
    if (slot === null || !(slot.flags & KVM_MEM_PRIVATE)) continue
    let gfn = Math.max(start, slot.baseGfn) as Gfn
    const last = Math.min(end, slot.baseGfn + slot.npages) as Gfn
    while (gfn < last) {
      yield* updatePage(slot, gfn, toPrivate)
      gfn = (gfn + 1) as Gfn
    }
  }
})

const invalidateBegin = original(kvmRestrictedmemInvalidateBegin)

/**
 * The file says that [start, end) goes: zap, as on any host, then take the pages back, those that
 * are not there included. An error is printed, and the page goes as it is.
 *
 * Models: 20230220183847.59159 virt/kvm/kvm_main.c kvm_restrictedmem_invalidate_begin, with
 * sev_invalidate_private_range.
 */
export const sevInvalidateBegin = fn(function* kvm_restrictedmem_invalidate_begin(
  notifier: RestrictedmemNotifier,
  start: Pgoff,
  end: Pgoff,
): Kernel<void> {
  yield* invalidateBegin(notifier, start, end)
  const slot = containerOf(notifier, KvmMemorySlot, 'notifier')
  if (!isSnpGuest(slot.kvm!)) return
  const first = Math.max(start, slot.restrictedOffset) as Pgoff
  const last = Math.min(end, slot.restrictedOffset + slot.npages)
  let gfn = restrictedmemFirstGfn(slot, first)
  const behind = (gfn + (last - first)) as Gfn
  while (gfn < behind) {
    yield* updatePage(slot, gfn, false)
    gfn = (gfn + 1) as Gfn
  }
})

/** In this tree a binding hears that its range goes before it is taken away. */
export const unbindNotify = fn(function* restrictedmem_unbind_notify(
  rm: Restrictedmem,
  start: Pgoff,
  end: Pgoff,
): Kernel<void> {
  yield* upmNotifyStart(rm, start, end)
  yield* upmNotifyEnd(rm, start, end)
})

/**
 * After a nested fault with the RMP bit: without the size bit, which entries of 4 KiB never raise,
 * there is a warning in the log and the guest tries again, until whoever is to assign the page has
 * done so.
 *
 * Models: 20230220183847.59159 arch/x86/kvm/svm/sev.c handle_rmp_page_fault. Simplifies: entries of
 * 2 MiB. That a page which is not assigned is zapped first is told of the tree too; the guest then
 * faults again, to the same end.
 */
export const handleRmpPageFault = fn(function* handle_rmp_page_fault(
  _vcpu: KvmVcpu,
  _gfn: Gfn,
): Kernel<void> {})

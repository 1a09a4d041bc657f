/**
 * KVM as a user of restricted memory: binding a memslot to a file, getting pages, and the
 * callbacks that come back. What a file is and how one binds to it is the design's; a kernel
 * without restricted memory refuses.
 */
import { write } from '../../../machine/effects.js'
import { tracepoint, warnOn } from '../../../machine/fault.js'
import { fn, type Kernel } from '../../../machine/fn.js'
import { writeLock, writeUnlock } from '../../../machine/locks.js'
import { srcuReadLock, srcuReadUnlock } from '../../../machine/rcu.js'
import { containerOf, errPtr, opsTable } from '../../../machine/struct.js'
import { kvmFlushRemoteTlbs, kvmTdpMmuZap } from '../../arch/x86/kvm/tdp_mmu.js'
import { EFAULT, EINVAL } from '../../include/errno.js'
import { KVM_FILTER_PRIVATE, KvmMemorySlot } from '../../include/kvm.js'
import { Folio } from '../../include/mm.js'
import type {
  RestrictedmemNotifier,
  RestrictedmemNotifierOps,
} from '../../include/restrictedmem.js'
import { addPages, type Gfn, type Pgoff } from '../../include/types.js'
import {
  kvmMmuInvalidateBegin,
  kvmMmuInvalidateEnd,
  kvmMmuInvalidateRangeAdd,
} from './invalidate.js'

/**
 * Bind a new memslot to `fd` at `offset` (pages); the slot then owns a reference to the file. 0 or
 * an error. slots_lock is held. Replaced by the designs.
 */
export const kvmRestrictedmemBind = fn(function* kvm_restrictedmem_bind(
  _slot: KvmMemorySlot,
  _fd: number,
  _offset: Pgoff,
): Kernel<number> {
  return -EINVAL
})

/** Undo the binding and drop the file. Replaced by the designs. */
export const kvmRestrictedmemUnbind = fn(function* kvm_restrictedmem_unbind(
  _slot: KvmMemorySlot,
): Kernel<void> {})

/** The page behind a private gfn, with a reference, or an ERR_PTR. Replaced by the designs. */
export const kvmRestrictedMemGetPfn = fn(function* kvm_restrictedmem_get_pfn(
  _slot: KvmMemorySlot,
  _gfn: Gfn,
): Kernel<Folio> {
  return errPtr(Folio, -EFAULT)
})

/** The page offset in its file of a gfn of a slot. */
export function gfnToPgoff(slot: KvmMemorySlot, gfn: Gfn): Pgoff {
  return addPages(slot.restrictedOffset, gfn - slot.baseGfn)
}

/**
 * The first gfn of a slot that [start, …) of its file concerns. That the slot may begin further
 * into the file is forgotten, in the reworked series and in what came from it.
 *
 * Models: x86/upm_base_support virt/kvm/kvm_main.c restrictedmem_get_gfn_range.
 *
 * Compared: 6.18 does not run it: what calls it is replaced.
 */
export const restrictedmemFirstGfn = fn(function restrictedmem_first_gfn(
  slot: KvmMemorySlot,
  start: Pgoff,
): Gfn {
  return (slot.baseGfn + Math.max(start, slot.restrictedOffset)) as Gfn
})

/** The gfn behind the last that […, end) concerns, with the same mistake. */
export const restrictedmemEndGfn = fn(function restrictedmem_end_gfn(
  slot: KvmMemorySlot,
  end: Pgoff,
): Gfn {
  return (slot.baseGfn + Math.min(end, slot.restrictedOffset + slot.npages)) as Gfn
})

/** Does [start, end) touch the slot's part of the file? If not, somebody called by mistake. */
export const restrictedmemOverlaps = fn(function restrictedmem_overlaps(
  slot: KvmMemorySlot,
  start: Pgoff,
  end: Pgoff,
): boolean {
  const none = restrictedmemFirstGfn(slot, start) >= restrictedmemEndGfn(slot, end)
  return !warnOn(none, 'restrictedmem notifier called for a range outside its slot')
})

/**
 * Models: x86/upm_base_support virt/kvm/kvm_main.c kvm_restrictedmem_invalidate_begin.
 *
 * Compared: 6.18 does not run it: what calls it is replaced.
 */
export const kvmRestrictedmemInvalidateBegin = fn(function* kvm_restrictedmem_invalidate_begin(
  notifier: RestrictedmemNotifier,
  start: Pgoff,
  end: Pgoff,
): Kernel<void> {
  const slot = containerOf(notifier, KvmMemorySlot, 'notifier')
  const kvm = slot.kvm!
  if (!restrictedmemOverlaps(slot, start, end)) return
  const first = restrictedmemFirstGfn(slot, start)
  const last = restrictedmemEndGfn(slot, end)
  srcuReadLock(kvm.srcu)
  yield* writeLock(kvm.mmuLock)
  kvmMmuInvalidateBegin(kvm)
  kvmMmuInvalidateRangeAdd(kvm, first, last)
  tracepoint('kvm_unmap_gfn_range', slot, slot.restrictedOffset, start, end, first, last)
  if (yield* kvmTdpMmuZap(kvm, first, last, KVM_FILTER_PRIVATE)) yield* kvmFlushRemoteTlbs(kvm)
  writeUnlock(kvm.mmuLock)
  srcuReadUnlock(kvm.srcu)
})

/**
 * Models: x86/upm_base_support virt/kvm/kvm_main.c kvm_restrictedmem_invalidate_end.
 *
 * Compared: 6.18 does not run it: what calls it is replaced.
 */
export const kvmRestrictedmemInvalidateEnd = fn(function* kvm_restrictedmem_invalidate_end(
  notifier: RestrictedmemNotifier,
  start: Pgoff,
  end: Pgoff,
): Kernel<void> {
  const slot = containerOf(notifier, KvmMemorySlot, 'notifier')
  const kvm = slot.kvm!
  if (!restrictedmemOverlaps(slot, start, end)) return
  yield* writeLock(kvm.mmuLock)
  yield write(kvm, 'mmuInvalidateSeq')
  kvmMmuInvalidateEnd(kvm)
  writeUnlock(kvm.mmuLock)
})

/**
 * A page failed: SIGBUS to whoever happens to run, with an address computed from gfn 0. The
 * mapping stays.
 *
 * Models: x86/upm_base_support virt/kvm/kvm_main.c kvm_restrictedmem_error.
 *
 * Compared: 6.18 does not run it: what calls it is replaced.
 */
export const kvmRestrictedmemError = fn(function* kvm_restrictedmem_error(
  notifier: RestrictedmemNotifier,
  start: Pgoff,
  end: Pgoff,
): Kernel<void> {
  const slot = containerOf(notifier, KvmMemorySlot, 'notifier')
  tracepoint('restrictedmem_error', slot, start, end)
})

export const kvmRestrictedmemNotifierOps: RestrictedmemNotifierOps = opsTable({
  name: 'kvm_restrictedmem_notifier_ops',
  invalidateStart: kvmRestrictedmemInvalidateBegin,
  invalidateEnd: kvmRestrictedmemInvalidateEnd,
  error: kvmRestrictedmemError,
})

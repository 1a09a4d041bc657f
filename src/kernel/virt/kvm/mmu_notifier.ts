/**
 * KVM as a listener to the process's page table: what the guest has mapped of a range of user
 * addresses goes before the page table changes, and may come back after it has. The memslots stay
 * the same between start and end, because their writer waits for the count of those in between.
 */
import { read, write } from '../../../machine/effects.js'
import { bugOn, tracepoint, warnOn } from '../../../machine/fault.js'
import { fn, type Kernel } from '../../../machine/fn.js'
import { spinLock, spinUnlock, writeLock, writeUnlock } from '../../../machine/locks.js'
import { srcuReadLock, srcuReadUnlock } from '../../../machine/rcu.js'
import { containerOf, opsTable } from '../../../machine/struct.js'
import { wakeUpAll } from '../../../machine/wait.js'
import { kvmFlushRemoteTlbs, kvmMmuZapAll, kvmTdpMmuZap } from '../../arch/x86/kvm/tdp_mmu.js'
import {
  KVM_FILTER_SHARED,
  Kvm,
  type KvmMemorySlot,
  type KvmMemslots,
  MEMSLOT_PLACES,
} from '../../include/kvm.js'
import {
  currentMm,
  type MmStruct,
  type MmuNotifier,
  type MmuNotifierOps,
} from '../../include/mm_types.js'
import { bytesToPgoff, bytesToPgoffUp, type Gfn } from '../../include/types.js'
import { mmuNotifierRegister } from '../../mm/mmu_notifier.js'
import {
  kvmMmuInvalidateBegin,
  kvmMmuInvalidateEnd,
  kvmMmuInvalidateRangeAdd,
} from './invalidate.js'

/** The first gfn of a slot that lies in a range of user addresses, and the one behind the last. */
function firstGfn(slot: KvmMemorySlot, start: bigint): Gfn {
  const page = Math.max(bytesToPgoff(start), slot.userspaceAddr)
  return (slot.baseGfn + page - slot.userspaceAddr) as Gfn
}

function endGfn(slot: KvmMemorySlot, end: bigint): Gfn {
  const page = Math.min(bytesToPgoffUp(end), slot.userspaceAddr + slot.npages)
  return (slot.baseGfn + page - slot.userspaceAddr) as Gfn
}

/** The slot at a place if some of the user addresses [start, end) are its, else NULL. */
function slotInHvaRange(
  slots: KvmMemslots,
  place: number,
  start: bigint,
  end: bigint,
): KvmMemorySlot | null {
  const slot = slots.slots.get(place)
  return slot === null || firstGfn(slot, start) >= endGfn(slot, end) ? null : slot
}

/** Does a slot come behind another in the order of their user addresses? */
function comesBehind(slot: KvmMemorySlot, other: KvmMemorySlot): boolean {
  const pages = slot.userspaceAddr - other.userspaceAddr
  return pages > 0 || (pages === 0 && slot.id > other.id)
}

/** The first slot behind `after` (NULL: of all) that has some of [start, end), else NULL. */
function nextInHvaRange(
  slots: KvmMemslots,
  after: KvmMemorySlot | null,
  start: bigint,
  end: bigint,
): KvmMemorySlot | null {
  let next: KvmMemorySlot | null = null
  for (let n = 0; n < MEMSLOT_PLACES; n++) {
    const slot = slotInHvaRange(slots, n, start, end)
    if (slot === null || (after !== null && !comesBehind(slot, after))) continue
    if (next === null || comesBehind(next, slot)) next = slot
  }
  return next
}

/**
 * Zap what is mapped of a range of user addresses, slot after slot by their addresses; the VM's
 * invalidation begins with the first that has some of it.
 *
 * Models: 6.2 virt/kvm/kvm_main.c __kvm_handle_hva_range, with kvm_unmap_gfn_range; the filter came
 * in 6.8: what a process maps says nothing of the private pages of a TD. Simplifies: slots over the
 * same memory are taken by their id, where Linux has the older first.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const kvmUnmapHvaRange = fn(function* kvm_handle_hva_range(
  kvm: Kvm,
  start: bigint,
  end: bigint,
): Kernel<void> {
  srcuReadLock(kvm.srcu)
  const slots = kvm.memslots!
  let found = false
  let flush = false
  let slot = nextInHvaRange(slots, null, start, end)
  while (slot !== null) {
    const first = firstGfn(slot, start)
    const last = endGfn(slot, end)
    if (!found) {
      found = true
      yield* writeLock(kvm.mmuLock)
      kvmMmuInvalidateBegin(kvm)
    }
    kvmMmuInvalidateRangeAdd(kvm, first, last)
    const page = bytesToPgoff(start)
    const behind = bytesToPgoffUp(end)
    tracepoint('kvm_unmap_gfn_range', slot, slot.userspaceAddr, page, behind, first, last)
    if (yield* kvmTdpMmuZap(kvm, first, last, KVM_FILTER_SHARED)) flush = true
    slot = nextInHvaRange(slots, slot, start, end)
  }
  if (flush) yield* kvmFlushRemoteTlbs(kvm)
  if (found) writeUnlock(kvm.mmuLock)
  srcuReadUnlock(kvm.srcu)
})

/**
 * Models: 6.2 virt/kvm/kvm_main.c kvm_mmu_notifier_invalidate_range_start. Simplifies: no pfn
 * caches.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const kvmInvalidateRangeStart = fn(function* kvm_mmu_notifier_invalidate_range_start(
  mn: MmuNotifier,
  start: bigint,
  end: bigint,
): Kernel<void> {
  const kvm = containerOf(mn, Kvm, 'mmuNotifier')
  yield* spinLock(kvm.mnInvalidateLock)
  kvm.mnActiveInvalidateCount++
  spinUnlock(kvm.mnInvalidateLock)
  yield* kvmUnmapHvaRange(kvm, start, end)
})

/** Has any slot some of a range of user addresses? */
function anySlotInHvaRange(slots: KvmMemslots, start: bigint, end: bigint): boolean {
  for (let n = 0; n < MEMSLOT_PLACES; n++) {
    if (slotInHvaRange(slots, n, start, end) !== null) return true
  }
  return false
}

/**
 * That more has ended than begun is asked here, once no lock is held; the callbacks of a private
 * file do not ask.
 *
 * Models: 6.2 virt/kvm/kvm_main.c kvm_mmu_notifier_invalidate_range_end, its last line.
 */
export const kvmAssertInvalidationsBalance = fn(function* kvm_assert_invalidations_balance(
  kvm: Kvm,
): Kernel<void> {
  yield read(kvm, 'mmuInvalidateInProgress')
  bugOn(kvm.mmuInvalidateInProgress < 0, 'mmu_invalidate_in_progress is below 0')
})

/**
 * Models: 6.2 virt/kvm/kvm_main.c kvm_mmu_notifier_invalidate_range_end. That one ends twice is
 * asked in 6.18 only, and never so.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const kvmInvalidateRangeEnd = fn(function* kvm_mmu_notifier_invalidate_range_end(
  mn: MmuNotifier,
  start: bigint,
  end: bigint,
): Kernel<void> {
  const kvm = containerOf(mn, Kvm, 'mmuNotifier')
  srcuReadLock(kvm.srcu)
  if (anySlotInHvaRange(kvm.memslots!, start, end)) {
    yield* writeLock(kvm.mmuLock)
    yield write(kvm, 'mmuInvalidateSeq')
    kvmMmuInvalidateEnd(kvm)
    writeUnlock(kvm.mmuLock)
  }
  srcuReadUnlock(kvm.srcu)
  yield* spinLock(kvm.mnInvalidateLock)
  if (!warnOn(kvm.mnActiveInvalidateCount === 0, 'an invalidation by address ends twice')) {
    kvm.mnActiveInvalidateCount--
  }
  const wake = kvm.mnActiveInvalidateCount === 0
  spinUnlock(kvm.mnInvalidateLock)
  if (wake) yield* wakeUpAll(kvm.mnMemslotsUpdateWait)
  yield* kvmAssertInvalidationsBalance(kvm)
})

/**
 * The process's memory goes, or the VM does: nothing of it may stay mapped.
 *
 * Models: 6.2 virt/kvm/kvm_main.c kvm_mmu_notifier_release, with kvm_flush_shadow_all.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const kvmMmuNotifierRelease = fn(function* kvm_mmu_notifier_release(
  mn: MmuNotifier,
  _mm: MmStruct,
): Kernel<void> {
  const kvm = containerOf(mn, Kvm, 'mmuNotifier')
  srcuReadLock(kvm.srcu)
  yield* kvmMmuZapAll(kvm)
  srcuReadUnlock(kvm.srcu)
})

const kvmMmuNotifierOps: MmuNotifierOps = opsTable({
  name: 'kvm_mmu_notifier_ops',
  release: kvmMmuNotifierRelease,
  invalidateRangeStart: kvmInvalidateRangeStart,
  invalidateRangeEnd: kvmInvalidateRangeEnd,
})

/** Models: 6.2 virt/kvm/kvm_main.c kvm_init_mmu_notifier. */
export const kvmInitMmuNotifier = fn(function* kvm_init_mmu_notifier(kvm: Kvm): Kernel<void> {
  kvm.mmuNotifier.ops = kvmMmuNotifierOps
  yield* mmuNotifierRegister(kvm.mmuNotifier, currentMm())
})

/**
 * KVM hears of changes to the process's page table. Memory that the process maps is safe for
 * guests by this alone: before a PTE goes, the leaves over it are zapped and faults held off; until
 * it has gone, none comes back. Restricted memory has no PTE, so none of this ever runs for it.
 */
import { write } from '../../../machine/effects.js'
import { fn, type Kernel } from '../../../machine/fn.js'
import { spinLock, spinUnlock, writeLock, writeUnlock } from '../../../machine/locks.js'
import { srcuReadLock, srcuReadUnlock } from '../../../machine/rcu.js'
import { containerOf, opsTable } from '../../../machine/struct.js'
import { wakeUpAll } from '../../../machine/wait.js'
import { kvmFlushRemoteTlbs, kvmTdpMmuZap } from '../../arch/x86/kvm/tdp_mmu.js'
import { KVM_MEM_SLOTS_NUM, Kvm, type KvmMemorySlot } from '../../include/kvm.js'
import type { MmuNotifier, MmuNotifierOps } from '../../include/mm_types.js'
import { bytesToPgoff, bytesToPgoffUp, type Gfn } from '../../include/types.js'
import {
  kvmMmuInvalidateBegin,
  kvmMmuInvalidateEnd,
  kvmMmuInvalidateRangeAdd,
} from './invalidate.js'

/** The part of a slot that lies over [start, end) of the process, in gfns; -1 if none does. */
function firstGfn(slot: KvmMemorySlot, start: bigint, end: bigint): number {
  const from = bytesToPgoff(start) - slot.userspaceAddr
  const to = bytesToPgoffUp(end) - slot.userspaceAddr
  return from < slot.npages && to > 0 ? slot.baseGfn + Math.max(from, 0) : -1
}

function endGfn(slot: KvmMemorySlot, end: bigint): number {
  return slot.baseGfn + Math.min(bytesToPgoffUp(end) - slot.userspaceAddr, slot.npages)
}

/** The first slot from number `id` on that lies over a range of the process, or NULL. */
function nextSlot(kvm: Kvm, id: number, start: bigint, end: bigint): KvmMemorySlot | null {
  for (let i = id; i < KVM_MEM_SLOTS_NUM; i++) {
    const slot = kvm.memslots!.slots.get(i)
    if (slot !== null && firstGfn(slot, start, end) >= 0) return slot
  }
  return null
}

/**
 * Zap what lies over [start, end) of the process and let no fault map it. Slots do not change
 * until the end, so that it finds the same ones.
 *
 * Models: 6.2 virt/kvm/kvm_main.c kvm_mmu_notifier_invalidate_range_start and
 * __kvm_handle_hva_range. Simplifies: no pfn caches; a number, not its address space, orders slots.
 */
const kvmMmuNotifierInvalidateRangeStart = fn(function* kvm_mmu_notifier_invalidate_range_start(
  mn: MmuNotifier,
  start: bigint,
  end: bigint,
): Kernel<void> {
  const kvm = containerOf(mn, Kvm, 'mmuNotifier')
  yield* spinLock(kvm.mnInvalidateLock)
  kvm.mnActiveInvalidateCount++
  spinUnlock(kvm.mnInvalidateLock)

  srcuReadLock(kvm.srcu)
  let slot = nextSlot(kvm, 0, start, end)
  if (slot !== null) {
    let flush = false
    yield* writeLock(kvm.mmuLock)
    kvmMmuInvalidateBegin(kvm)
    while (slot !== null) {
      const first = firstGfn(slot, start, end) as Gfn
      const last = endGfn(slot, end) as Gfn
      kvmMmuInvalidateRangeAdd(kvm, first, last)
      if (yield* kvmTdpMmuZap(kvm, first, last)) flush = true
      slot = nextSlot(kvm, slot.id + 1, start, end)
    }
    if (flush) yield* kvmFlushRemoteTlbs(kvm)
    writeUnlock(kvm.mmuLock)
  }
  srcuReadUnlock(kvm.srcu)
})

/** Models: 6.2 virt/kvm/kvm_main.c kvm_mmu_notifier_invalidate_range_end. */
const kvmMmuNotifierInvalidateRangeEnd = fn(function* kvm_mmu_notifier_invalidate_range_end(
  mn: MmuNotifier,
  start: bigint,
  end: bigint,
): Kernel<void> {
  const kvm = containerOf(mn, Kvm, 'mmuNotifier')
  srcuReadLock(kvm.srcu)
  if (nextSlot(kvm, 0, start, end) !== null) {
    yield* writeLock(kvm.mmuLock)
    yield write(kvm, 'mmuInvalidateSeq')
    kvmMmuInvalidateEnd(kvm)
    writeUnlock(kvm.mmuLock)
  }
  srcuReadUnlock(kvm.srcu)

  yield* spinLock(kvm.mnInvalidateLock)
  kvm.mnActiveInvalidateCount--
  const wake = kvm.mnActiveInvalidateCount === 0
  spinUnlock(kvm.mnInvalidateLock)
  if (wake) yield* wakeUpAll(kvm.mnMemslotsUpdateWait)
})

export const kvmMmuNotifierOps: MmuNotifierOps = opsTable({
  name: 'kvm_mmu_notifier_ops',
  invalidateRangeStart: kvmMmuNotifierInvalidateRangeStart,
  invalidateRangeEnd: kvmMmuNotifierInvalidateRangeEnd,
})

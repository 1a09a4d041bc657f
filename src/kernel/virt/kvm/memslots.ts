/**
 * Memslots: which guest frames there are and what is behind them. There are two copies; readers
 * use the active one under SRCU, the writer, under slots_lock, prepares the other and swaps. After
 * a grace period nobody uses the old copy.
 *
 * A slot goes in two steps: first it is INVALID, so that no new fault maps through it, then, when
 * every fault that knew it has ended and its mappings are zapped, it is removed.
 */

import { kfree, kzalloc } from '../../../machine/alloc.js'
import { write } from '../../../machine/effects.js'
import { mark, warnOn } from '../../../machine/fault.js'
import { fn, type Kernel } from '../../../machine/fn.js'
import { mutexLock, mutexUnlock, spinLock, spinUnlock } from '../../../machine/locks.js'
import { synchronizeSrcu } from '../../../machine/rcu.js'
import { finishWait, prepareToWait, schedule } from '../../../machine/wait.js'
import { kvmMmuZapAllFast } from '../../arch/x86/kvm/tdp_mmu.js'
import { EINVAL, ENOMEM } from '../../include/errno.js'
import {
  KVM_MEMSLOT_INVALID,
  type Kvm,
  KvmMemorySlot,
  type KvmMemslots,
  MEMSLOT_PLACES,
} from '../../include/kvm.js'
import type { Gfn } from '../../include/types.js'
import { KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_PRIVATE, KVM_MEM_READONLY } from '../../include/uapi.js'
import { shouldFailslab } from '../../mm/failslab.js'
import { kvmRestrictedmemUnbind } from './restrictedmem.js'

export const KVM_MR_CREATE = 0
export const KVM_MR_DELETE = 1
export const KVM_MR_MOVE = 2
export const KVM_MR_FLAGS_ONLY = 3

/** The slot that contains a gfn in one copy, or NULL. */
export function searchMemslots(slots: KvmMemslots, gfn: Gfn): KvmMemorySlot | null {
  for (let n = 0; n < MEMSLOT_PLACES; n++) {
    const slot = slots.slots.get(n)
    if (slot !== null && gfn >= slot.baseGfn && gfn < slot.baseGfn + slot.npages) return slot
  }
  return null
}

/**
 * Where the slot with an id is in one copy, or else could be; -1 if it is nowhere and all is full.
 */
export function placeOf(slots: KvmMemslots, id: number): number {
  let free = -1
  for (let n = 0; n < MEMSLOT_PLACES; n++) {
    const place = (id + n) % MEMSLOT_PLACES
    const slot = slots.slots.get(place)
    if (slot !== null && slot.id === id) return place
    if (slot === null && free < 0) free = place
  }
  return free
}

/**
 * The slot with an id in one copy, or NULL.
 *
 * Models: 6.2 include/linux/kvm_host.h id_to_memslot. Simplifies: one address space.
 *
 * Compared: 6.17 and 7.0 source.
 */
export function idToMemslot(slots: KvmMemslots, id: number): KvmMemorySlot | null {
  const place = placeOf(slots, id)
  return place < 0 ? null : slots.slots.get(place)
}

/**
 * Publish the inactive copy and wait until nobody uses the other. Drops slots_arch_lock. MMU
 * notifiers that are between start and end keep it from happening, so that both see the same slots.
 *
 * Models: 6.2 virt/kvm/kvm_main.c kvm_swap_active_memslots. Simplifies: no generations.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const kvmSwapActiveMemslots = fn(function* kvm_swap_active_memslots(kvm: Kvm): Kernel<void> {
  yield* spinLock(kvm.mnInvalidateLock)
  while (kvm.mnActiveInvalidateCount > 0) {
    // Before the unlock: who ends the last invalidation wakes whom it finds queued, and no other.
    prepareToWait(kvm.mnMemslotsUpdateWait)
    spinUnlock(kvm.mnInvalidateLock)
    yield* schedule(kvm.mnMemslotsUpdateWait)
    yield* spinLock(kvm.mnInvalidateLock)
  }
  finishWait(kvm.mnMemslotsUpdateWait)
  yield write(kvm, 'memslots')
  const old = kvm.memslots
  kvm.memslots = kvm.inactive
  spinUnlock(kvm.mnInvalidateLock)
  mutexUnlock(kvm.slotsArchLock)
  yield* synchronizeSrcu(kvm.srcu)
  kvm.inactive = old
})

/** Put a slot (or NULL) under an id, in both copies, with the swap in between. */
export const kvmReplaceMemslot = fn(function* kvm_activate_memslot(
  kvm: Kvm,
  id: number,
  slot: KvmMemorySlot | null,
): Kernel<void> {
  const place = placeOf(kvm.inactive!, id)
  kvm.inactive!.slots.set(place, slot)
  yield* kvmSwapActiveMemslots(kvm)
  kvm.inactive!.slots.set(place, slot)
})

/**
 * Models: 6.2 arch/x86/kvm/x86.c kvm_arch_flush_shadow_memslot: a deletion zaps the whole VM.
 */
export const kvmArchFlushShadowMemslot = fn(function* kvm_arch_flush_shadow_memslot(
  kvm: Kvm,
  _slot: KvmMemorySlot,
): Kernel<void> {
  yield* kvmMmuZapAllFast(kvm)
})

/**
 * Make a slot INVALID and zap it when no fault can be using it any more. Takes slots_arch_lock
 * again after the swap has dropped it. `invalid` becomes the INVALID copy, which is the visible one.
 *
 * Models: 6.2 virt/kvm/kvm_main.c kvm_invalidate_memslot. Simplifies: the INVALID copy goes to both
 * sets, of which nobody sees the other.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const kvmInvalidateMemslot = fn(function* kvm_invalidate_memslot(
  kvm: Kvm,
  old: KvmMemorySlot,
  invalid: KvmMemorySlot,
): Kernel<void> {
  copySlot(invalid, old)
  invalid.flags |= KVM_MEMSLOT_INVALID
  yield* kvmReplaceMemslot(kvm, old.id, invalid)
  yield* kvmArchFlushShadowMemslot(kvm, old)
  yield* mutexLock(kvm.slotsArchLock)
})

/**
 * Everything but the notifier, which stays where it was registered, and guest_memfd's part, which
 * nobody looks at in an INVALID slot.
 */
function copySlot(to: KvmMemorySlot, from: KvmMemorySlot): void {
  to.id = from.id
  to.baseGfn = from.baseGfn
  to.npages = from.npages
  to.flags = from.flags
  to.userspaceAddr = from.userspaceAddr
  to.kvm = from.kvm
  to.restrictedFile = from.restrictedFile
  to.restrictedOffset = from.restrictedOffset
}

/** Models: v10 virt/kvm/kvm_main.c kvm_free_memslot. */
export const kvmFreeMemslot = fn(function* kvm_free_memslot(slot: KvmMemorySlot): Kernel<void> {
  if (slot.flags & KVM_MEM_PRIVATE) yield* kvmRestrictedmemUnbind(slot)
  kfree(slot)
})

/**
 * The new slot is in force. Of a change of flags it is believed that it can only be that of dirty
 * logging, since read-only slots do not change.
 *
 * Models: 6.2 arch/x86/kvm/x86.c kvm_arch_commit_memory_region and kvm_mmu_slot_apply_flags.
 * Simplifies: dirty logging is left out, so no change of flags zaps or protects anything.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const kvmArchCommitMemoryRegion = fn(function kvm_arch_commit_memory_region(
  old: KvmMemorySlot | null,
  slot: KvmMemorySlot | null,
  change: number,
): void {
  if (change !== KVM_MR_FLAGS_ONLY || slot!.flags & KVM_MEM_READONLY) return
  const logging = (old!.flags ^ slot!.flags) & KVM_MEM_LOG_DIRTY_PAGES
  warnOn(logging === 0, 'kvm_mmu_slot_apply_flags: dirty logging is not what changes')
})

/** The last gfn that a guest can have: kvm_mmu_max_gfn(), on a host with 52 address bits. */
const KVM_MMU_MAX_GFN = 2 ** 40 - 1

/**
 * 0, or -EINVAL for guest memory behind the last address.
 *
 * Models: 6.2 arch/x86/kvm/x86.c kvm_arch_prepare_memory_region. Simplifies: the host has the most
 * address bits that there are; no allocation fails.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const kvmArchPrepareMemoryRegion = fn(function kvm_arch_prepare_memory_region(
  _kvm: Kvm,
  slot: KvmMemorySlot | null,
  change: number,
): number {
  if (change !== KVM_MR_CREATE && change !== KVM_MR_MOVE) return 0
  return slot!.baseGfn + slot!.npages - 1 > KVM_MMU_MAX_GFN ? -EINVAL : 0
})

/**
 * What has to be done before a slot is seen: 0 or an error. Replaced by v10.
 *
 * Models: 6.2 virt/kvm/kvm_main.c kvm_prepare_memory_region. slots_arch_lock is held. Simplifies:
 * dirty logging is left out.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const kvmPrepareMemoryRegion = fn(function* kvm_prepare_memory_region(
  kvm: Kvm,
  slot: KvmMemorySlot | null,
  change: number,
): Kernel<number> {
  return kvmArchPrepareMemoryRegion(kvm, slot, change)
})

/** Models: 6.2 virt/kvm/kvm_main.c kvm_commit_memory_region. Compared: 6.17 source. */
export const kvmCommitMemoryRegion = fn(function* kvm_commit_memory_region(
  old: KvmMemorySlot | null,
  slot: KvmMemorySlot | null,
  change: number,
): Kernel<void> {
  kvmArchCommitMemoryRegion(old, slot, change)
  if (change === KVM_MR_DELETE) {
    mark('slot-deleted')
    yield* kvmFreeMemslot(old!)
  } else if (change !== KVM_MR_CREATE) {
    // The old struct goes, and nothing that refers to it is asked: it is the same slot.
    kfree(old)
  }
})

/**
 * Carry a change out: 0, or -ENOMEM, or the error of who prepares, and the slots are as they were,
 * but for what a slot had mapped that was to move. slots_lock is held.
 *
 * Models: 6.2 virt/kvm/kvm_main.c kvm_set_memslot. Simplifies: dirty logging is left out, so a
 * change of flags zaps nothing.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const kvmSetMemslot = fn(function* kvm_set_memslot(
  kvm: Kvm,
  old: KvmMemorySlot | null,
  slot: KvmMemorySlot | null,
  change: number,
): Kernel<number> {
  yield* mutexLock(kvm.slotsArchLock)
  let invalid: KvmMemorySlot | null = null
  if (change === KVM_MR_DELETE || change === KVM_MR_MOVE) {
    if (yield* shouldFailslab()) {
      mutexUnlock(kvm.slotsArchLock)
      return -ENOMEM
    }
    invalid = kzalloc(KvmMemorySlot)
    yield* kvmInvalidateMemslot(kvm, old!, invalid)
  }
  const r = yield* kvmPrepareMemoryRegion(kvm, slot, change)
  if (r !== 0) {
    if (invalid === null) mutexUnlock(kvm.slotsArchLock)
    else yield* kvmReplaceMemslot(kvm, old!.id, old)
    if (invalid !== null) kfree(invalid)
    return r
  }
  const id = slot !== null ? slot.id : old!.id
  yield* kvmReplaceMemslot(kvm, id, slot)
  if (invalid !== null) kfree(invalid)
  yield* kvmCommitMemoryRegion(old, slot, change)
  return 0
})

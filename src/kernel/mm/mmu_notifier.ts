/**
 * MMU notifiers: who keeps translations of the process's addresses elsewhere, as KVM does, is told
 * before the page table changes and after it has. Between start and end nothing new may be
 * translated. This is what a user of restricted memory has to build anew.
 */
import { alsoWrites, read, write } from '../../machine/effects.js'
import { mark } from '../../machine/fault.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { downWrite, upWrite } from '../../machine/locks.js'
import { srcuReadLock, srcuReadUnlock, synchronizeSrcu } from '../../machine/rcu.js'
import type { MmStruct, MmuNotifier } from '../include/mm_types.js'
import { mmDropAllLocks, mmTakeAllLocks } from './vma.js'

/**
 * PTEs of [start, end) are about to change. Sleeps.
 *
 * Models: 6.2 mm/mmu_notifier.c __mmu_notifier_invalidate_range_start. Simplifies: no interval
 * notifiers; always blockable, so nobody refuses.
 */
export const mmuNotifierInvalidateRangeStart = fn(function* mmu_notifier_invalidate_range_start(
  mm: MmStruct,
  start: bigint,
  end: bigint,
): Kernel<void> {
  yield read(mm, 'notifiers')
  if (mm.notifiers === null) return
  srcuReadLock(mm.notifierSrcu)
  let mn = mm.notifiers as MmuNotifier | null
  while (mn !== null) {
    mark('mmu-notifier-called')
    if (mn.ops!.invalidateRangeStart !== undefined) {
      yield* mn.ops!.invalidateRangeStart!(mn, start, end)
    }
    yield read(mn, 'next')
    mn = mn.next
  }
  srcuReadUnlock(mm.notifierSrcu)
})

/** The PTEs have changed. Models: 6.2 mm/mmu_notifier.c __mmu_notifier_invalidate_range_end. */
export const mmuNotifierInvalidateRangeEnd = fn(function* mmu_notifier_invalidate_range_end(
  mm: MmStruct,
  start: bigint,
  end: bigint,
): Kernel<void> {
  yield read(mm, 'notifiers')
  if (mm.notifiers === null) return
  srcuReadLock(mm.notifierSrcu)
  let mn = mm.notifiers as MmuNotifier | null
  while (mn !== null) {
    if (mn.ops!.invalidateRangeEnd !== undefined) {
      yield* mn.ops!.invalidateRangeEnd!(mn, start, end)
    }
    yield read(mn, 'next')
    mn = mn.next
  }
  srcuReadUnlock(mm.notifierSrcu)
})

/**
 * Tell `mn` of the mm's changes from now on; its `ops` are set. All locks under which somebody may
 * be between a start and an end are taken, so it hears of no end without a start.
 *
 * Models: 6.2 mm/mmu_notifier.c mmu_notifier_register.
 */
export const mmuNotifierRegister = fn(function* mmu_notifier_register(
  mn: MmuNotifier,
  mm: MmStruct,
): Kernel<void> {
  yield* downWrite(mm.mmapLock)
  yield* mmTakeAllLocks(mm)
  yield write(mm, 'notifiers')
  mn.hashed = true
  mn.next = mm.notifiers
  mm.notifiers = mn
  yield* mmDropAllLocks(mm)
  yield* upWrite(mm.mmapLock)
})

/**
 * Take a listener out of the list. Who is at it in the list goes on from it.
 *
 * Models: 6.2 include/linux/rculist.h hlist_del_init_rcu, under subscriptions->lock: one step.
 *
 * Compared: 6.17 and 7.0 source.
 */
function unhash(mn: MmuNotifier, mm: MmStruct): void {
  if (!mn.hashed) return
  mn.hashed = false
  if (mm.notifiers === mn) {
    mm.notifiers = mn.next
    return
  }
  let before = mm.notifiers!
  while (before.next !== mn) before = before.next!
  alsoWrites(before, 'next')
  before.next = mn.next
}

/**
 * Tell `mn` nothing more; when this returns nobody calls it any more. It lets go of what it has
 * translated while it is still in the list, and so still hears of what changes meanwhile. After the
 * exit of the mm there is nothing left to do.
 *
 * Models: 6.2 mm/mmu_notifier.c mmu_notifier_unregister.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const mmuNotifierUnregister = fn(function* mmu_notifier_unregister(
  mn: MmuNotifier,
  mm: MmStruct,
): Kernel<void> {
  if (mn.hashed) {
    srcuReadLock(mm.notifierSrcu)
    if (mn.ops!.release !== undefined) yield* mn.ops!.release!(mn, mm)
    srcuReadUnlock(mm.notifierSrcu)
    yield write(mm, 'notifiers')
    unhash(mn, mm)
  }
  yield* synchronizeSrcu(mm.notifierSrcu)
})

/**
 * The mm goes: every listener lets go of it, and then leaves the list.
 *
 * Models: 6.2 mm/mmu_notifier.c mn_hlist_release.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const mmuNotifierRelease = fn(function* mmu_notifier_release(mm: MmStruct): Kernel<void> {
  yield read(mm, 'notifiers')
  if (mm.notifiers === null) return
  srcuReadLock(mm.notifierSrcu)
  let mn = mm.notifiers as MmuNotifier | null
  while (mn !== null) {
    if (mn.ops!.release !== undefined) yield* mn.ops!.release!(mn, mm)
    yield read(mn, 'next')
    mn = mn.next
  }
  yield write(mm, 'notifiers')
  while (mm.notifiers !== null) unhash(mm.notifiers, mm)
  srcuReadUnlock(mm.notifierSrcu)
  yield* synchronizeSrcu(mm.notifierSrcu)
})

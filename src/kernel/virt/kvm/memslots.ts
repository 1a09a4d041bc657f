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
import { LimitError, mark } from '../../../machine/fault.js'
import { fn, type Kernel } from '../../../machine/fn.js'
import { mutexLock, mutexUnlock, spinLock, spinUnlock } from '../../../machine/locks.js'
import { synchronizeSrcu } from '../../../machine/rcu.js'
import { isErr, ptrErr } from '../../../machine/struct.js'
import { finishWait, prepareToWait, schedule } from '../../../machine/wait.js'
import { kvmMmuZapAllFast } from '../../arch/x86/kvm/tdp_mmu.js'
import { vmTypeHasPrivateMem } from '../../arch/x86/kvm/x86_ops.js'
import { fput } from '../../fs/file_table.js'
import { EEXIST, EINVAL, ENOMEM } from '../../include/errno.js'
import {
  KVM_MEMSLOT_INVALID,
  KVM_USER_MEM_SLOTS,
  type Kvm,
  KvmMemorySlot,
  type KvmMemslots,
  MEMSLOT_PLACES,
} from '../../include/kvm.js'
import { bytesToPgoff, type Gfn, isPageAligned, type Pgoff } from '../../include/types.js'
import { KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_PRIVATE, KVM_MEM_READONLY } from '../../include/uapi.js'
import { shouldFailslab } from '../../mm/failslab.js'
import {
  kvmRestrictedmemBind,
  kvmRestrictedmemNotifierOps,
  kvmRestrictedmemUnbind,
} from './restrictedmem.js'
import { kvmFget, kvmOf } from './vm_file.js'

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
 * Models: 6.2 virt/kvm/kvm_main.c kvm_invalidate_memslot.
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
 * The new slot is in force; nothing to do while dirty logging is left out. Replaced by 6.18.
 *
 * Models: 6.2 arch/x86/kvm/x86.c kvm_arch_commit_memory_region.
 */
export const kvmArchCommitMemoryRegion = fn(function kvm_arch_commit_memory_region(
  _old: KvmMemorySlot | null,
  _slot: KvmMemorySlot | null,
  _change: number,
): void {})

/**
 * What has to be done before a slot is seen; nothing while dirty logging is left out. Replaced by
 * v10.
 *
 * Models: 6.2 virt/kvm/kvm_main.c kvm_prepare_memory_region. slots_arch_lock is held.
 */
export const kvmPrepareMemoryRegion = fn(function* kvm_prepare_memory_region(
  _slot: KvmMemorySlot | null,
  _change: number,
): Kernel<void> {})

/** Models: 6.2 virt/kvm/kvm_main.c kvm_commit_memory_region. */
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
 * Carry a change out: 0; or -ENOMEM for the INVALID copy, and nothing has changed. slots_lock is
 * held.
 *
 * Models: 6.2 virt/kvm/kvm_main.c kvm_set_memslot. Simplifies: dirty logging is left out, so a
 * change of flags zaps nothing, and nothing that the architecture prepares can fail.
 *
 * Compared: 6.1 source.
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
  yield* kvmPrepareMemoryRegion(slot, change)
  const id = slot !== null ? slot.id : old!.id
  yield* kvmReplaceMemslot(kvm, id, slot)
  if (invalid !== null) kfree(invalid)
  yield* kvmCommitMemoryRegion(old, slot, change)
  return 0
})

const KVM_MEM_MAX_NR_PAGES = 2 ** 31 - 1
/** TASK_SIZE_MAX of x86-64 with four levels. */
const TASK_SIZE_MAX = 2n ** 47n - 4096n

const u64 = (n: bigint): bigint => BigInt.asUintN(64, n)

/** access_ok(): does the range lie in user space? */
function accessOk(uaddr: bigint, size: bigint): boolean {
  return size <= TASK_SIZE_MAX && uaddr <= TASK_SIZE_MAX - size
}

/** The flags that go with KVM_MEM_PRIVATE: dirty logging of private memory is not supported. */
export const privateSlotFlags = fn(function private_slot_flags(): number {
  return KVM_MEM_PRIVATE | KVM_MEM_READONLY
})

/** Models: x86/upm_base_support virt/kvm/kvm_main.c check_memory_region_flags. */
function checkMemoryRegionFlags(kvm: Kvm, flags: number): number {
  const isPrivate = flags & KVM_MEM_PRIVATE && vmTypeHasPrivateMem(kvm.vmType)
  const valid = isPrivate ? privateSlotFlags() : KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY
  return flags & ~valid ? -EINVAL : 0
}

/**
 * What is wrong with a request whatever slots there are: 0 or -EINVAL. All but `id` are unsigned
 * words.
 */
function checkRegion(
  kvm: Kvm,
  id: number,
  flags: number,
  gpa: bigint,
  size: bigint,
  uaddr: bigint,
  offset: bigint,
): number {
  if (checkMemoryRegionFlags(kvm, flags) !== 0) return -EINVAL
  if (!isPageAligned(size) || !isPageAligned(gpa)) return -EINVAL
  if (!isPageAligned(uaddr) || !accessOk(uaddr, size)) return -EINVAL
  if (flags & KVM_MEM_PRIVATE && (!isPageAligned(offset) || u64(offset + size) < offset)) {
    return -EINVAL
  }
  if (id < 0 || id >= KVM_USER_MEM_SLOTS || u64(gpa + size) < gpa) return -EINVAL
  return bytesToPgoff(size) > KVM_MEM_MAX_NR_PAGES ? -EINVAL : 0
}

/** Does a range of gfns touch another slot? */
export function overlapsOther(kvm: Kvm, id: number, base: Gfn, npages: number): boolean {
  for (let n = 0; n < MEMSLOT_PLACES; n++) {
    const slot = kvm.memslots!.slots.get(n)
    if (slot === null || slot.id === id) continue
    if (base < slot.baseGfn + slot.npages && base + npages > slot.baseGfn) return true
  }
  return false
}

/**
 * Which change a request to an existing slot is; an error; or -1 for none. A private slot cannot
 * be asked for again, but what is tested is the request: one without the flag, on a slot that has
 * it, is a change of flags.
 */
function classifyChange(
  old: KvmMemorySlot,
  flags: number,
  base: Gfn,
  npages: number,
  uaddr: Pgoff,
): number {
  if (flags & KVM_MEM_PRIVATE) return -EINVAL
  if (npages !== old.npages || uaddr !== old.userspaceAddr) return -EINVAL
  if ((flags ^ old.flags) & KVM_MEM_READONLY) return -EINVAL
  if (base !== old.baseGfn) return KVM_MR_MOVE
  return flags !== old.flags ? KVM_MR_FLAGS_ONLY : -1
}

/**
 * Create, delete, move or change a memslot. slots_lock is held.
 *
 * Models: x86/upm_base_support virt/kvm/kvm_main.c __kvm_set_memory_region, with the tests of
 * v10's for a private slot: neither exclusivity within KVM nor the file's size is looked at.
 * Simplifies: there is room for ten slots.
 */
export const __kvmSetMemoryRegion = fn(function* __kvm_set_memory_region(
  kvm: Kvm,
  id: number,
  flags: number,
  gpaWord: bigint,
  sizeWord: bigint,
  uaddrWord: bigint,
  fd: number,
  offsetWord: bigint,
): Kernel<number> {
  const gpa = u64(gpaWord)
  const size = u64(sizeWord)
  const uaddr = u64(uaddrWord)
  const offset = u64(offsetWord)
  const error = checkRegion(kvm, id, flags, gpa, size, uaddr, offset)
  if (error !== 0) return error
  const old = idToMemslot(kvm.memslots!, id)
  const npages = bytesToPgoff(size) as number
  const base = bytesToPgoff(gpa) as number as Gfn
  const hva = bytesToPgoff(uaddr)
  if (npages === 0) {
    if (old === null) return -EINVAL
    return yield* kvmSetMemslot(kvm, old, null, KVM_MR_DELETE)
  }
  let change = KVM_MR_CREATE
  if (old !== null) {
    change = classifyChange(old, flags, base, npages, hva)
    if (change === -EINVAL) return -EINVAL
    if (change === -1) return 0
  }
  if (change !== KVM_MR_FLAGS_ONLY && overlapsOther(kvm, id, base, npages)) return -EEXIST
  if (placeOf(kvm.memslots!, id) < 0) {
    throw new LimitError(`a VM has room for ${MEMSLOT_PLACES} memslots here`)
  }

  if (yield* shouldFailslab()) return -ENOMEM
  const slot = kzalloc(KvmMemorySlot)
  slot.id = id
  slot.kvm = kvm
  slot.baseGfn = base
  slot.npages = npages
  slot.flags = flags
  slot.userspaceAddr = hva
  slot.notifier.ops = kvmRestrictedmemNotifierOps
  if (flags & KVM_MEM_PRIVATE) {
    const bound = yield* kvmRestrictedmemBind(slot, fd, bytesToPgoff(offset))
    if (bound !== 0) {
      kfree(slot)
      return bound
    }
  }
  const failed = yield* kvmSetMemslot(kvm, old, slot, change)
  // Of a move, and what has a file of its own is never moved.
  if (failed !== 0) kfree(slot)
  return failed
})

/**
 * KVM_SET_USER_MEMORY_REGION, the older request without a file. -EINVAL for flags that came later.
 *
 * Models: 6.2 virt/kvm/kvm_main.c kvm_vm_ioctl, with 6.18's SET_USER_MEMORY_REGION_V1_FLAGS.
 */
export const sysKvmSetUserMemoryRegion = fn(function* kvm_set_user_memory_region(
  vm: number,
  id: number,
  flags: number,
  gpa: bigint,
  size: bigint,
  uaddr: bigint,
): Kernel<number> {
  if (flags & ~(KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY)) return -EINVAL
  return yield* sysKvmSetUserMemoryRegion2(vm, id, flags, gpa, size, uaddr, 0, 0n)
})

/**
 * KVM_SET_USER_MEMORY_REGION2. Addresses, size and offset in bytes. -EBADF, or -ENOTTY,
 * if `vm` is no VM.
 *
 * Models: x86/upm_base_support virt/kvm/kvm_main.c kvm_vm_ioctl_set_memory_region. Simplifies: one
 * address space, as without SMM.
 */
export const sysKvmSetUserMemoryRegion2 = fn(function* kvm_vm_ioctl_set_memory_region(
  vm: number,
  id: number,
  flags: number,
  gpa: bigint,
  size: bigint,
  uaddr: bigint,
  fd: number,
  offset: bigint,
): Kernel<number> {
  const file = yield* kvmFget(vm)
  if (isErr(file)) return ptrErr(file)
  const kvm = kvmOf(file)
  yield* mutexLock(kvm.slotsLock)
  const ret = yield* __kvmSetMemoryRegion(kvm, id, flags, gpa, size, uaddr, fd, offset)
  mutexUnlock(kvm.slotsLock)
  yield* fput(file)
  return ret
})

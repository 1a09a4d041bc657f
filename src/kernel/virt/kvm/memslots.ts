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
import { LimitError, mark, warnOn } from '../../../machine/fault.js'
import { fn, type Kernel } from '../../../machine/fn.js'
import { mutexLock, mutexUnlock, spinLock, spinUnlock } from '../../../machine/locks.js'
import { synchronizeSrcu } from '../../../machine/rcu.js'
import { isErr, ptrErr } from '../../../machine/struct.js'
import { finishWait, prepareToWait, schedule } from '../../../machine/wait.js'
import { kvmMmuZapAllFast } from '../../arch/x86/kvm/tdp_mmu.js'
import { vmTypeHasPrivateMem } from '../../arch/x86/kvm/x86_ops.js'
import { fput } from '../../fs/file_table.js'
import { EEXIST, EINVAL, ENOMEM } from '../../include/errno.js'
import type { File } from '../../include/fs.js'
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

/**
 * Models: x86/upm_base_support virt/kvm/kvm_main.c check_memory_region_flags.
 *
 * Compared: 6.18 does not run it: what calls it is replaced.
 */
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
  const r = yield* kvmSetMemslot(kvm, old, slot, change)
  if (r !== 0) {
    if (flags & KVM_MEM_PRIVATE) yield* kvmRestrictedmemUnbind(slot)
    kfree(slot)
  }
  return r
})

/** The request, once it is known to be one to a VM, whose file it drops. */
export const setMemoryRegion = fn(function* kvm_vm_ioctl_set_memory_region(
  file: File,
  id: number,
  flags: number,
  gpa: bigint,
  size: bigint,
  uaddr: bigint,
  fd: number,
  offset: bigint,
): Kernel<number> {
  const kvm = kvmOf(file)
  yield* mutexLock(kvm.slotsLock)
  const ret = yield* __kvmSetMemoryRegion(kvm, id, flags, gpa, size, uaddr, fd, offset)
  mutexUnlock(kvm.slotsLock)
  yield* fput(file)
  return ret
})

/**
 * KVM_SET_USER_MEMORY_REGION, the older request without a file. -EINVAL for flags that came later;
 * -EBADF, or -ENOTTY, if `vm` is no VM.
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
  const file = yield* kvmFget(vm)
  if (isErr(file)) return ptrErr(file)
  if (flags & ~(KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY)) {
    yield* fput(file)
    return -EINVAL
  }
  return yield* setMemoryRegion(file, id, flags, gpa, size, uaddr, 0, 0n)
})

/**
 * KVM_SET_USER_MEMORY_REGION2. Addresses, size and offset in bytes. -EBADF, or -ENOTTY,
 * if `vm` is no VM.
 *
 * Models: x86/upm_base_support virt/kvm/kvm_main.c kvm_vm_ioctl_set_memory_region. Simplifies: one
 * address space, as without SMM.
 */
export const sysKvmSetUserMemoryRegion2 = fn(function* kvm_set_user_memory_region2(
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
  return yield* setMemoryRegion(file, id, flags, gpa, size, uaddr, fd, offset)
})

/**
 * KVM_SET_USER_MEMORY_REGION and its successor as of 6.18: which request is refused with what, in
 * which order. How a change is carried out has not changed since 6.2.
 */
import { kfree, kzalloc } from '../../../../machine/alloc.js'
import { LimitError } from '../../../../machine/fault.js'
import { fn, type Kernel } from '../../../../machine/fn.js'
import { writeLock, writeUnlock } from '../../../../machine/locks.js'
import {
  kvmFlushRemoteTlbs,
  kvmMmuZapAllFast,
  kvmTdpMmuZap,
} from '../../../arch/x86/kvm/tdp_mmu.js'
import { EEXIST, EINVAL, ENOMEM } from '../../../include/errno.js'
import {
  KVM_FILTER_PRIVATE,
  KVM_FILTER_SHARED,
  KVM_MEM_MAX_NR_PAGES,
  KVM_USER_MEM_SLOTS,
  type Kvm,
  KvmMemorySlot,
  MEMSLOT_PLACES,
} from '../../../include/kvm.js'
import {
  bytesToPgoff,
  type Gfn,
  isPageAligned,
  TASK_SIZE_MAX,
  u64,
} from '../../../include/types.js'
import {
  KVM_MEM_GUEST_MEMFD,
  KVM_MEM_LOG_DIRTY_PAGES,
  KVM_MEM_READONLY,
  KVM_X86_DEFAULT_VM,
} from '../../../include/uapi.js'
import { shouldFailslab } from '../../../mm/failslab.js'
import { overlapsOther } from '../../../virt/kvm/memory_region.js'
import {
  idToMemslot,
  KVM_MR_CREATE,
  KVM_MR_DELETE,
  KVM_MR_FLAGS_ONLY,
  KVM_MR_MOVE,
  kvmSetMemslot,
  placeOf,
} from '../../../virt/kvm/memslots.js'
import { kvmGmemBind, kvmGmemUnbind } from './guest_memfd_slot.js'

/** access_ok(): does the range lie in user space? */
function accessOk(uaddr: bigint, size: bigint): boolean {
  const end = u64(uaddr + size)
  return end <= TASK_SIZE_MAX && end >= uaddr
}

/**
 * Dirty logging and read-only slots do not go together with guest_memfd.
 *
 * Models: 6.18 virt/kvm/kvm_main.c check_memory_region_flags.
 */
function checkMemoryRegionFlags(flags: number): number {
  const others = KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY
  const valid = flags & KVM_MEM_GUEST_MEMFD ? KVM_MEM_GUEST_MEMFD : others
  return flags & ~valid ? -EINVAL : 0
}

/**
 * What is wrong with a request whatever slots there are: 0 or -EINVAL. All but `slot` are unsigned
 * words; the slot's upper half names the address space.
 *
 * Models: 6.18 virt/kvm/kvm_main.c kvm_set_memory_region, its sanity checks. Simplifies: one
 * address space, as without SMM.
 */
function checkRegion(
  slot: number,
  flags: number,
  gpa: bigint,
  size: bigint,
  uaddr: bigint,
  offset: bigint,
): number {
  if ((slot & 0xffff) >= KVM_USER_MEM_SLOTS) return -EINVAL
  if (checkMemoryRegionFlags(flags) !== 0) return -EINVAL
  if (!isPageAligned(size) || !isPageAligned(gpa)) return -EINVAL
  if (!isPageAligned(uaddr) || !accessOk(uaddr, size)) return -EINVAL
  if (flags & KVM_MEM_GUEST_MEMFD && (!isPageAligned(offset) || u64(offset + size) < offset)) {
    return -EINVAL
  }
  if (slot >>> 16 !== 0) return -EINVAL
  if (u64(gpa + size) < gpa) return -EINVAL
  return bytesToPgoff(size) > KVM_MEM_MAX_NR_PAGES ? -EINVAL : 0
}

/**
 * Flags that a slot has for life.
 *
 * Models: 6.18.44 virt/kvm/kvm_main.c kvm_set_memory_region. KVM_MEM_GUEST_MEMFD is one of them
 * since 9935df5333aa (6.19, and 6.18.y after 6.18.2).
 */
export const immutableMemslotFlags = fn(function kvm_immutable_memslot_flags(): number {
  return KVM_MEM_READONLY | KVM_MEM_GUEST_MEMFD
})

/**
 * Which change a request to a slot that exists is; -EINVAL; or -1 for none. A slot with guest_memfd
 * can only be deleted: the same request once more is refused.
 *
 * Models: 6.18 virt/kvm/kvm_main.c kvm_set_memory_region.
 */
function classifyChange(
  old: KvmMemorySlot,
  flags: number,
  base: Gfn,
  npages: number,
  uaddr: bigint,
): number {
  if (flags & KVM_MEM_GUEST_MEMFD) return -EINVAL
  if (bytesToPgoff(uaddr) !== old.userspaceAddr || npages !== old.npages) return -EINVAL
  if ((flags ^ old.flags) & immutableMemslotFlags()) return -EINVAL
  if (base !== old.baseGfn) return KVM_MR_MOVE
  return flags !== old.flags ? KVM_MR_FLAGS_ONLY : -1
}

function newSlot(
  kvm: Kvm,
  id: number,
  flags: number,
  base: Gfn,
  npages: number,
  uaddr: bigint,
): KvmMemorySlot {
  const slot = kzalloc(KvmMemorySlot)
  slot.id = id
  slot.kvm = kvm
  slot.baseGfn = base
  slot.npages = npages
  slot.flags = flags
  slot.userspaceAddr = bytesToPgoff(uaddr)
  return slot
}

/**
 * Create, delete, move or change a memslot; addresses, size and offset in bytes. slots_lock is
 * held. -EINVAL; -EEXIST for guest memory that another slot has, which is found out before the file
 * is looked at; what `kvmGmemBind` says.
 *
 * Models: 6.18 virt/kvm/kvm_main.c kvm_set_memory_region. Simplifies: there is room
 * for ten slots.
 */
export const kvmSetMemoryRegion = fn(function* kvm_set_memory_region(
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
  const error = checkRegion(id, flags, gpa, size, uaddr, offset)
  if (error !== 0) return error
  const old = idToMemslot(kvm.memslots!, id)
  if (size === 0n) {
    if (old === null) return -EINVAL
    return yield* kvmSetMemslot(kvm, old, null, KVM_MR_DELETE)
  }
  const base = bytesToPgoff(gpa) as number as Gfn
  const npages = bytesToPgoff(size) as number
  let change = KVM_MR_CREATE
  if (old !== null) {
    change = classifyChange(old, flags, base, npages, uaddr)
    if (change === -EINVAL) return -EINVAL
    if (change === -1) return 0
  }
  if (change !== KVM_MR_FLAGS_ONLY && overlapsOther(kvm, id, base, npages)) return -EEXIST
  if (placeOf(kvm.memslots!, id) < 0) {
    throw new LimitError(`a VM has room for ${MEMSLOT_PLACES} memslots here`)
  }

  if (yield* shouldFailslab()) return -ENOMEM
  const slot = newSlot(kvm, id, flags, base, npages, uaddr)
  if (flags & KVM_MEM_GUEST_MEMFD) {
    const r = yield* kvmGmemBind(kvm, slot, fd, offset)
    if (r !== 0) {
      kfree(slot)
      return r
    }
  }
  const r = yield* kvmSetMemslot(kvm, old, slot, change)
  if (r !== 0) {
    if (flags & KVM_MEM_GUEST_MEMFD) yield* kvmGmemUnbind(slot)
    kfree(slot)
  }
  return r
})

/** Models: 6.18 virt/kvm/kvm_main.c kvm_free_memslot. */
export const kvmFreeMemslotGmem = fn(function* kvm_free_memslot(slot: KvmMemorySlot): Kernel<void> {
  if (slot.flags & KVM_MEM_GUEST_MEMFD) yield* kvmGmemUnbind(slot)
  kfree(slot)
})

/**
 * A slot goes: zap what it maps. In an ordinary VM all goes, for the sake of an old bug that some
 * device met and nobody has explained.
 *
 * Models: 6.18 arch/x86/kvm/mmu/mmu.c kvm_arch_flush_shadow_memslot, with
 * KVM_X86_QUIRK_SLOT_ZAP_ALL at its default.
 */
export const kvmArchFlushSlotOnly = fn(function* kvm_arch_flush_shadow_memslot(
  kvm: Kvm,
  slot: KvmMemorySlot,
): Kernel<void> {
  if (kvm.vmType === KVM_X86_DEFAULT_VM) {
    yield* kvmMmuZapAllFast(kvm)
    return
  }
  yield* writeLock(kvm.mmuLock)
  const last = (slot.baseGfn + slot.npages) as Gfn
  const both = KVM_FILTER_SHARED | KVM_FILTER_PRIVATE
  if (yield* kvmTdpMmuZap(kvm, slot.baseGfn, last, both)) yield* kvmFlushRemoteTlbs(kvm)
  writeUnlock(kvm.mmuLock)
})

/**
 * KVM_SET_USER_MEMORY_REGION and its successor: what user space may ask of a memslot, and in which
 * order it is told what it may not. slots_lock is held from the look at the slots to the change.
 */

import { kfree, kzalloc } from '../../../machine/alloc.js'
import { LimitError } from '../../../machine/fault.js'
import { fn, type Kernel } from '../../../machine/fn.js'
import { mutexLock, mutexUnlock } from '../../../machine/locks.js'
import { isErr, ptrErr } from '../../../machine/struct.js'
import { vmTypeHasPrivateMem } from '../../arch/x86/kvm/x86_ops.js'
import { fput } from '../../fs/file_table.js'
import { EEXIST, EINVAL, ENOMEM } from '../../include/errno.js'
import type { File } from '../../include/fs.js'
import {
  KVM_MEM_MAX_NR_PAGES,
  KVM_USER_MEM_SLOTS,
  type Kvm,
  KvmMemorySlot,
  MEMSLOT_PLACES,
} from '../../include/kvm.js'
import {
  bytesToPgoff,
  type Gfn,
  isPageAligned,
  type Pgoff,
  TASK_SIZE_MAX,
  u64,
} from '../../include/types.js'
import { KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_PRIVATE, KVM_MEM_READONLY } from '../../include/uapi.js'
import { shouldFailslab } from '../../mm/failslab.js'
import {
  idToMemslot,
  KVM_MR_CREATE,
  KVM_MR_DELETE,
  KVM_MR_FLAGS_ONLY,
  KVM_MR_MOVE,
  kvmSetMemslot,
  placeOf,
} from './memslots.js'
import {
  kvmRestrictedmemBind,
  kvmRestrictedmemNotifierOps,
  kvmRestrictedmemUnbind,
} from './restrictedmem.js'
import { kvmFget, kvmOf } from './vm_file.js'

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

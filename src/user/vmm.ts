/** The calls of a VMM that most scenarios make, in the form that scenarios write them. */

import { sysFtruncate } from '../kernel/fs/open.js'
import { KVM_MEM_PRIVATE } from '../kernel/include/uapi.js'
import { sysMemfdRestricted } from '../kernel/mm/restrictedmem.js'
import { KvmMemoryAttributes2, sysKvmSetMemoryAttributes2 } from '../kernel/virt/kvm/guest_memfd.js'
import { sysKvmSetMemoryAttributes } from '../kernel/virt/kvm/memory_attributes.js'
import {
  sysKvmSetUserMemoryRegion,
  sysKvmSetUserMemoryRegion2,
} from '../kernel/virt/kvm/memory_region.js'
import { kfree, kzalloc } from '../machine/alloc.js'
import { fn, type Kernel } from '../machine/fn.js'
import { USER_BASE, type UserAddress } from './layout.js'

/**
 * A file of private memory of this size (bytes) for a VM: memfd_restricted() and, unless the size
 * is 0, ftruncate(). A descriptor or an error.
 */
export const privateMemory = fn(function* private_memory(
  _vm: number,
  size: bigint,
): Kernel<number> {
  const fd = yield* sysMemfdRestricted(0)
  if (fd < 0 || size === 0n) return fd
  const error = yield* sysFtruncate(fd, size)
  return error < 0 ? error : fd
})

/** Create a private memslot on part of a file: KVM_SET_USER_MEMORY_REGION2. */
export const bindSlot = fn(function* bind(
  vm: number,
  slot: number,
  gpa: bigint,
  size: bigint,
  fd: number,
  offset: bigint,
): Kernel<number> {
  const uaddr = USER_BASE + gpa
  return yield* sysKvmSetUserMemoryRegion2(vm, slot, KVM_MEM_PRIVATE, gpa, size, uaddr, fd, offset)
})

/** Create, or change to, a memslot without private memory. */
export const plainSlot = fn(function* set_plain_region(
  vm: number,
  slot: number,
  gpa: bigint,
  size: bigint,
): Kernel<number> {
  return yield* sysKvmSetUserMemoryRegion2(vm, slot, 0, gpa, size, USER_BASE + gpa, -1, 0n)
})

/** Create a memslot over memory that the process has at an address of mmap(). */
export const slotOver = fn(function* set_region_over(
  vm: number,
  slot: number,
  gpa: bigint,
  size: bigint,
  address: UserAddress,
): Kernel<number> {
  return yield* sysKvmSetUserMemoryRegion2(vm, slot, 0, gpa, size, BigInt(address), -1, 0n)
})

/** Delete a memslot: KVM_SET_USER_MEMORY_REGION2 with size 0. */
export const unbindSlot = fn(function* unbind(vm: number, slot: number): Kernel<number> {
  return yield* sysKvmSetUserMemoryRegion2(vm, slot, 0, 0n, 0n, 0n, -1, 0n)
})

/** KVM_SET_USER_MEMORY_REGION over the process's memory from an offset on. */
export const setRegion = fn(function* set_region(
  vm: number,
  slot: number,
  flags: number,
  gpa: bigint,
  size: bigint,
  address: UserAddress,
  offset: bigint,
): Kernel<number> {
  return yield* sysKvmSetUserMemoryRegion(vm, slot, flags, gpa, size, BigInt(address) + offset)
})

/** KVM_SET_USER_MEMORY_REGION2; `offset` is the file's. */
export const setRegion2 = fn(function* set_region2(
  vm: number,
  slot: number,
  flags: number,
  gpa: bigint,
  size: bigint,
  address: UserAddress,
  fd: number,
  offset: bigint,
): Kernel<number> {
  const uaddr = BigInt(address)
  return yield* sysKvmSetUserMemoryRegion2(vm, slot, flags, gpa, size, uaddr, fd, offset)
})

/** What a scenario wants of KVM_SET_MEMORY_ATTRIBUTES2 instead of an errno. */
export const ERROR_OFFSET = 1

/**
 * KVM_SET_MEMORY_ATTRIBUTES2 on a file of guest memory: 0 or an error. A scenario cannot look into
 * the request, so it says whether it wants the offset (bytes) that is written back with an error.
 */
export const setAttributes2 = fn(function* set_attributes2(
  fd: number,
  offset: bigint,
  size: bigint,
  attributes: bigint,
  flags: bigint,
  field: number,
): Kernel<number> {
  const args = kzalloc(KvmMemoryAttributes2)
  args.offset = offset
  args.size = size
  args.attributes = attributes
  args.flags = flags
  let ret = yield* sysKvmSetMemoryAttributes2(fd, args)
  if (ret !== 0 && field === ERROR_OFFSET) ret = Number(args.errorOffset)
  kfree(args)
  return ret
})

/**
 * A guest has asked for `size` bytes to be private, or shared, and the VMM asks KVM for it: 0 or the
 * error.
 */
export const vmmConvert = fn(function* vmm_convert(
  vm: number,
  gpa: bigint,
  size: bigint,
  attributes: number,
): Kernel<number> {
  return yield* sysKvmSetMemoryAttributes(vm, gpa, size, BigInt(attributes), 0n)
})

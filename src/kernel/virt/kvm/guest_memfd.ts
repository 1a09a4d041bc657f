/** The calls that came to KVM with guest_memfd, in a kernel that does not have them. */
import { fn, type Kernel } from '../../../machine/fn.js'
import { i64, type Obj, type Struct, struct } from '../../../machine/struct.js'
import { fget, fput } from '../../fs/file_table.js'
import { EBADF, ENOTTY } from '../../include/errno.js'

/** KVM_CREATE_GUEST_MEMFD. Models: 6.2 virt/kvm/kvm_main.c kvm_vm_ioctl, of an unknown number. */
export const sysKvmCreateGuestMemfd = fn(function* kvm_create_guest_memfd(
  _vm: number,
  _size: bigint,
  _flags: bigint,
): Kernel<number> {
  return -ENOTTY
})

/** KVM_PRE_FAULT_MEMORY. Models: 6.2 virt/kvm/kvm_main.c kvm_vcpu_ioctl, of an unknown number. */
export const sysKvmPreFaultMemory = fn(function* kvm_pre_fault_memory(
  _vm: number,
  _gpa: bigint,
  _size: bigint,
  _flags: bigint,
): Kernel<number> {
  return -ENOTTY
})

/**
 * KVM_CHECK_EXTENSION: 0 for what this kernel does not know.
 *
 * Models: 6.2 virt/kvm/kvm_main.c kvm_vm_ioctl_check_extension_generic. Simplifies: of the
 * capabilities only those around guest memory, none of which 6.2 has.
 */
export const sysKvmCheckExtension = fn(function* kvm_vm_ioctl_check_extension(
  _cap: number,
  _vm: number,
): Kernel<number> {
  return 0
})

/** struct kvm_memory_attributes2. Words without a sign, kept as those with one. */
export interface KvmMemoryAttributes2 extends Obj {
  /** Bytes. */
  offset: bigint
  size: bigint
  attributes: bigint
  flags: bigint
  /** Out: where, in bytes, a conversion has met what it can't convert. */
  errorOffset: bigint
}

export const KvmMemoryAttributes2: Struct<KvmMemoryAttributes2> = struct<KvmMemoryAttributes2>(
  'KvmMemoryAttributes2',
  { offset: i64(), size: i64(), attributes: i64(), flags: i64(), errorOffset: i64() },
  { capacity: 16 },
)

/**
 * KVM_SET_MEMORY_ATTRIBUTES2: no file knows it. -EBADF or -ENOTTY.
 *
 * Models: 6.2 fs/ioctl.c vfs_ioctl. Simplifies: a vCPU, or a VM that KVM has given up, answers as
 * other files do.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const sysKvmSetMemoryAttributes2 = fn(function* kvm_set_memory_attributes2(
  fd: number,
  _args: KvmMemoryAttributes2,
): Kernel<number> {
  const file = yield* fget(fd)
  if (file === null) return -EBADF
  yield* fput(file)
  return -ENOTTY
})

/** The calls that came to KVM with guest_memfd, in a kernel that does not have them. */
import { fn, type Kernel } from '../../../machine/fn.js'
import { ENOTTY } from '../../include/errno.js'

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

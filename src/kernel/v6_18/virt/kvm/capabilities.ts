/** KVM_CHECK_EXTENSION as of 6.18, as far as guest memory goes. */
import { fn, type Kernel } from '../../../../machine/fn.js'
import { isErr, ptrErr } from '../../../../machine/struct.js'
import { hasPrivateMemory } from '../../../arch/x86/kvm/private_mem.js'
import { fput } from '../../../fs/file_table.js'
import { KVM_USER_MEM_SLOTS, type Kvm } from '../../../include/kvm.js'
import {
  KVM_CAP_GUEST_MEMFD,
  KVM_CAP_GUEST_MEMFD_FLAGS,
  KVM_CAP_MEMORY_ATTRIBUTES,
  KVM_CAP_MEMORY_FAULT_INFO,
  KVM_CAP_NR_MEMSLOTS,
  KVM_CAP_PRE_FAULT_MEMORY,
  KVM_CAP_USER_MEMORY2,
  KVM_CAP_VM_TYPES,
  KVM_X86_DEFAULT_VM,
  KVM_X86_SW_PROTECTED_VM,
} from '../../../include/uapi.js'
import { kvmFget, kvmOf } from '../../../virt/kvm/vm_file.js'
import { kvmSupportedMemAttributes } from '../../arch/x86/kvm/private_mem.js'
import { kvmGmemGetSupportedFlags } from './guest_memfd.js'

/** What a VM, or KVM itself (NULL), says of a capability. */
function checkExtension(kvm: Kvm | null, cap: number): number {
  switch (cap) {
    case KVM_CAP_USER_MEMORY2:
    case KVM_CAP_MEMORY_FAULT_INFO:
    case KVM_CAP_GUEST_MEMFD:
    case KVM_CAP_PRE_FAULT_MEMORY:
      return 1
    case KVM_CAP_NR_MEMSLOTS:
      return KVM_USER_MEM_SLOTS
    case KVM_CAP_VM_TYPES:
      return (1 << KVM_X86_DEFAULT_VM) | (hasPrivateMemory() ? 1 << KVM_X86_SW_PROTECTED_VM : 0)
    case KVM_CAP_MEMORY_ATTRIBUTES:
      return kvmSupportedMemAttributes(kvm)
    case KVM_CAP_GUEST_MEMFD_FLAGS:
      return kvmGmemGetSupportedFlags(kvm)
    default:
      return 0
  }
}

/**
 * KVM_CHECK_EXTENSION on a VM, or on /dev/kvm if `vm` is -1; -EBADF, or -ENOTTY, if it is
 * anything else.
 *
 * Models: 6.18 virt/kvm/kvm_main.c kvm_vm_ioctl_check_extension_generic and x86's. Simplifies: of
 * the capabilities only those around guest memory.
 */
export const kvmVmIoctlCheckExtension = fn(function* kvm_vm_ioctl_check_extension(
  cap: number,
  vm: number,
): Kernel<number> {
  if (vm === -1) return checkExtension(null, cap)
  const file = yield* kvmFget(vm)
  if (isErr(file)) return ptrErr(file)
  const ret = checkExtension(kvmOf(file), cap)
  yield* fput(file)
  return ret
})

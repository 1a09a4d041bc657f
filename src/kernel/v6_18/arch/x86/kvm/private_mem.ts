/** Which VMs of x86 have private memory. */
import { hasPrivateMemory } from '../../../../arch/x86/kvm/private_mem.js'
import { vmTypeHasPrivateMem } from '../../../../arch/x86/kvm/x86_ops.js'
import type { Kvm } from '../../../../include/kvm.js'
import { KVM_MEMORY_ATTRIBUTE_PRIVATE } from '../../../../include/uapi.js'

/** Models: 6.18 arch/x86/include/asm/kvm_host.h kvm_arch_has_private_mem. */
export function kvmArchHasPrivateMem(kvm: Kvm): boolean {
  return vmTypeHasPrivateMem(kvm.vmType)
}

/**
 * The attributes that a VM's memory can have; NULL asks what there is at all.
 *
 * Models: 6.18 virt/kvm/kvm_main.c kvm_supported_mem_attributes.
 */
export function kvmSupportedMemAttributes(kvm: Kvm | null): number {
  if (!hasPrivateMemory()) return 0
  return kvm === null || kvmArchHasPrivateMem(kvm) ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0
}

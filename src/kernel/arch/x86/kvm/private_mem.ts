/** Whether the host's KVM is built for private memory at all. */
import { fn } from '../../../../machine/fn.js'

/**
 * Has the kernel VMs with private memory? Without them there are no attributes either. True for
 * the kernels that scenarios run on; a design or a test replaces it.
 *
 * Models: 6.18 arch/x86/kvm/Kconfig KVM_SW_PROTECTED_VM, and KVM_GENERIC_MEMORY_ATTRIBUTES where
 * nothing else selects it.
 */
export const hasPrivateMemory = fn(function config_kvm_sw_protected_vm(): boolean {
  return true
})

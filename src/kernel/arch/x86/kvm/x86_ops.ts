/**
 * struct kvm_x86_ops, as far as private memory needs it: what a vendor's half of KVM does for its
 * kinds of VM. Linux calls them through static calls, here they are kernel functions that a host
 * replaces. As they stand here they are those of a machine that protects no memory.
 */
import { fn, type Kernel } from '../../../../machine/fn.js'
import type { Kvm, KvmVcpu } from '../../../include/kvm.js'
import type { Folio } from '../../../include/mm.js'
import type { Gfn } from '../../../include/types.js'
import { KVM_X86_DEFAULT_VM, KVM_X86_SW_PROTECTED_VM } from '../../../include/uapi.js'
import { attrPrivate } from '../../../virt/kvm/memory_attributes.js'
import { hasPrivateMemory } from './private_mem.js'

/** Models: 6.18 arch/x86/kvm/x86.c kvm_is_vm_type_supported. */
export const kvmIsVmTypeSupported = fn(function kvm_is_vm_type_supported(type: number): boolean {
  return type === KVM_X86_DEFAULT_VM || (type === KVM_X86_SW_PROTECTED_VM && hasPrivateMemory())
})

/** Has a VM of this type private memory? Models: 6.18 kvm_arch_has_private_mem. */
export const vmTypeHasPrivateMem = fn(function kvm_arch_has_private_mem(type: number): boolean {
  return type === KVM_X86_SW_PROTECTED_VM
})

/**
 * Did the guest access this gfn as private memory? Without a bit of the guest's own that says so,
 * an access is private if the gfn is at the moment of the exit.
 *
 * Models: 6.18 arch/x86/kvm/mmu/mmu.c kvm_mmu_page_fault, its PFERR_PRIVATE_ACCESS; x86/
 * upm_base_support arch/x86/kvm/mmu/mmu_internal.h kvm_mmu_fault_is_private.
 */
export const kvmMmuFaultIsPrivate = fn(function kvm_mmu_fault_is_private(
  vcpu: KvmVcpu,
  gfn: Gfn,
): boolean {
  return attrPrivate(vcpu.kvm!, gfn)
})

/** The VM is made: 0, or the error of KVM_CREATE_VM. Models: 6.18 kvm_x86_ops.vm_init. */
export const kvmX86VmInit = fn(function* kvm_x86_vm_init(_kvm: Kvm): Kernel<number> {
  return 0
})

/** The VM has no users any more; its memslots are there yet. Models: 6.18 kvm_x86_ops.vm_destroy. */
export const kvmX86VmDestroy = fn(function* kvm_x86_vm_destroy(_kvm: Kvm): Kernel<void> {})

/**
 * May memory of the VM be mapped before the guest asks for it? Models: 6.18 kvm->arch.pre_fault_allowed
 * of arch/x86/kvm/x86.c kvm_arch_init_vm. Compared: 6.17 and 7.0 source.
 */
export const kvmPreFaultAllowed = fn(function kvm_pre_fault_allowed(_kvm: Kvm): boolean {
  return true
})

/**
 * A page of private memory is about to be used for a gfn; the folio is locked. 0, or an error with
 * which the fault ends. Models: 6.18 kvm_x86_ops.gmem_prepare.
 */
export const kvmX86GmemPrepare = fn(function* kvm_x86_gmem_prepare(
  _kvm: Kvm,
  _gfn: Gfn,
  _folio: Folio,
): Kernel<number> {
  return 0
})

/**
 * A page of private memory has left its file and will be freed. There is no way to refuse. Models:
 * 6.18 kvm_x86_ops.gmem_invalidate.
 */
export const kvmX86GmemInvalidate = fn(function* kvm_x86_gmem_invalidate(
  _folio: Folio,
): Kernel<void> {})

/**
 * The attributes of [start, end) have changed, the invalidation is over, slots_lock is still held.
 * Nobody hears of an error.
 *
 * Models: the SNP host series of February 2023, its kvm_x86_ops.update_mem_attr.
 *
 * Compared: 6.18 does not run it: what calls it is replaced.
 */
export const kvmX86UpdateMemAttr = fn(function* kvm_x86_update_mem_attr(
  _kvm: Kvm,
  _start: Gfn,
  _end: Gfn,
  _attributes: number,
): Kernel<void> {})

/**
 * gmem-6.18: guest_memfd, which came after restrictedmem. KVM itself owns the files, so there is
 * nothing to patch: the design is Linux 6.18 with a VMM that asks KVM for private memory. It is
 * 6.18.2, as it was observed; the profile is the branch as it is today, which differs in one place.
 */
import { KVM_MEM_READONLY } from '../kernel/include/uapi.js'
import { immutableMemslotFlags } from '../kernel/v6_18/virt/kvm/memslots.js'
import { sysKvmCreateGuestMemfd } from '../kernel/virt/kvm/guest_memfd.js'
import { fn, type Kernel, replace } from '../machine/fn.js'
import { privateMemory } from '../user/vmm.js'
import { defineDesign } from './design.js'

/** Private memory of a VM: a guest_memfd that user space cannot map. */
export const gmemPrivateMemory = fn(function* private_memory(
  vm: number,
  size: bigint,
): Kernel<number> {
  return yield* sysKvmCreateGuestMemfd(vm, size, 0n)
})

/**
 * Before the fix, the flag of guest_memfd could be cleared on a live slot.
 *
 * Models: 6.18.2 virt/kvm/kvm_main.c kvm_set_memory_region.
 */
export const immutableFlagsBefore = fn(function kvm_immutable_memslot_flags(): number {
  return KVM_MEM_READONLY
})

export const gmem618 = defineDesign({
  id: 'gmem-6.18',
  summary: 'guest_memfd of Linux 6.18.2: the file belongs to a VM, and slots do not pin it.',
  profile: '6.18',
  cite: ['linux 6.18.2 virt/kvm/guest_memfd.c'],
  replaces: [
    replace(privateMemory, gmemPrivateMemory),
    replace(immutableMemslotFlags, immutableFlagsBefore),
  ],
})

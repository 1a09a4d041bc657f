/**
 * gmem-6.18: guest_memfd, which came after restrictedmem. KVM itself owns the files, so there is
 * nothing to patch: the design is Linux 6.18 with a VMM that asks KVM for private memory.
 */
import { privateMemory } from '../kernel/user/vmm.js'
import { sysKvmCreateGuestMemfd } from '../kernel/virt/kvm/guest_memfd.js'
import { fn, type Kernel, replace } from '../machine/fn.js'
import { defineDesign } from './design.js'

/** Private memory of a VM: a guest_memfd that user space cannot map. */
const gmemPrivateMemory = fn(function* private_memory(vm: number, size: bigint): Kernel<number> {
  return yield* sysKvmCreateGuestMemfd(vm, size, 0n)
})

export const gmem618 = defineDesign({
  id: 'gmem-6.18',
  summary: 'guest_memfd as of Linux 6.18: the file belongs to a VM, slots do not pin it.',
  profile: '6.18',
  cite: ['linux-6.18.y virt/kvm/guest_memfd.c', 'ae431059e75d'],
  replaces: [replace(privateMemory, gmemPrivateMemory)],
})

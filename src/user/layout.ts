/** The one user process as it begins: a VMM that has reserved memory for its guests. */

import {
  currentMm,
  VM_MAYEXEC,
  VM_MAYREAD,
  VM_MAYWRITE,
  VM_READ,
  VM_WRITE,
  VmArea,
} from '../kernel/include/mm_types.js'
import { bytesToPgoff } from '../kernel/include/types.js'
import { vmaLink } from '../kernel/mm/vma.js'
import { kzalloc } from '../machine/alloc.js'
import { fn, type Kernel } from '../machine/fn.js'

/** An address of the process in bytes; two words. */
export type UserAddress = number & { readonly __wide: 'address' }

/** First byte of the anonymous memory of a VMM's guests: guest address 0. */
export const USER_BASE = 0x7f0000000000n

/** Its size in bytes. */
export const USER_SIZE = 1n << 39n

/** Runs once, when the kernel has booted: private anonymous memory, readable and writable. */
export const processInit = fn(function* process_init(): Kernel<void> {
  const mm = currentMm()
  const vma = kzalloc(VmArea)
  vma.vmStart = USER_BASE
  vma.vmEnd = USER_BASE + USER_SIZE
  vma.vmPgoff = bytesToPgoff(USER_BASE)
  vma.vmFlags = VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC
  vmaLink(mm, vma)
  mm.anonVmas = vma
})

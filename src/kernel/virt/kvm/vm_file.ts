/** A VM behind its descriptor. */
import { fn, type Kernel } from '../../../machine/fn.js'
import { fget, fput } from '../../fs/file_table.js'
import type { File } from '../../include/fs.js'
import type { Kvm } from '../../include/kvm.js'

/** Name of the operations by which a VM's file is known. */
export const KVM_VM_FOPS = 'kvm_vm_fops'

export function kvmOf(file: File): Kvm {
  return file.privateData as Kvm
}

/** The file of a VM, with a reference; NULL if the descriptor is not open or names another file. */
export const kvmFget = fn(function* kvm_fget(vm: number): Kernel<File | null> {
  const file = yield* fget(vm)
  if (file === null) return null
  if (file.fOp!.name === KVM_VM_FOPS) return file
  yield* fput(file)
  return null
})

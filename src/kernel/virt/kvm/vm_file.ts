/** A VM behind its descriptor. */
import { fn, type Kernel } from '../../../machine/fn.js'
import { errPtr } from '../../../machine/struct.js'
import { fget, fput } from '../../fs/file_table.js'
import { EBADF, ENOTTY } from '../../include/errno.js'
import { File } from '../../include/fs.js'
import type { Kvm } from '../../include/kvm.js'

/** Name of the operations by which a VM's file is known. */
export const KVM_VM_FOPS = 'kvm_vm_fops'

export function kvmOf(file: File): Kvm {
  return file.privateData as Kvm
}

/**
 * The file of a VM for a request to it, with a reference; -EBADF if the descriptor is not open,
 * -ENOTTY for any other file.
 *
 * Models: 6.2 fs/ioctl.c ioctl and vfs_ioctl, for files without an unlocked_ioctl.
 */
export const kvmFget = fn(function* kvm_fget(vm: number): Kernel<File> {
  const file = yield* fget(vm)
  if (file === null) return errPtr(File, -EBADF)
  if (file.fOp!.name === KVM_VM_FOPS) return file
  yield* fput(file)
  return errPtr(File, -ENOTTY)
})

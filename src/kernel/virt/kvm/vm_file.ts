/** A VM behind its descriptor. */
import { alsoReads } from '../../../machine/effects.js'
import { fn, type Kernel } from '../../../machine/fn.js'
import { errPtr } from '../../../machine/struct.js'
import { fget, fput } from '../../fs/file_table.js'
import { EBADF, EIO, ENOTTY } from '../../include/errno.js'
import { File } from '../../include/fs.js'
import type { Kvm } from '../../include/kvm.js'

/** Name of the operations by which a VM's file is known. */
export const KVM_VM_FOPS = 'kvm_vm_fops'

export function kvmOf(file: File): Kvm {
  return file.privateData as Kvm
}

function isDead(kvm: Kvm): boolean {
  alsoReads(kvm, 'vmDead')
  return kvm.vmDead
}

/**
 * The file of a VM for a request to it, with a reference; -EBADF if the descriptor is not open,
 * -ENOTTY for any other file, -EIO for a VM that KVM has given up.
 *
 * Models: 6.2 fs/ioctl.c ioctl and vfs_ioctl, for files without an unlocked_ioctl, and the first
 * lines of virt/kvm/kvm_main.c kvm_vm_ioctl and kvm_vcpu_ioctl.
 */
export const kvmFget = fn(function* kvm_fget(vm: number): Kernel<File> {
  const file = yield* fget(vm)
  if (file === null) return errPtr(File, -EBADF)
  const isVm = file.fOp!.name === KVM_VM_FOPS
  if (isVm && !isDead(kvmOf(file))) return file
  yield* fput(file)
  return errPtr(File, isVm ? -EIO : -ENOTTY)
})

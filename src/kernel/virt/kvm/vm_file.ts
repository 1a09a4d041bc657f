/** A VM behind its descriptor. */
import { alsoReads } from '../../../machine/effects.js'
import { fn, type Kernel } from '../../../machine/fn.js'
import { errPtr } from '../../../machine/struct.js'
import { fget, fput } from '../../fs/file_table.js'
import { EBADF, EINVAL, EIO, ENOTTY } from '../../include/errno.js'
import { File } from '../../include/fs.js'
import type { Kvm, KvmVcpu } from '../../include/kvm.js'

/** Names of the operations by which a VM's file, and a vCPU's, is known. */
export const KVM_VM_FOPS = 'kvm_vm_fops'
export const KVM_VCPU_FOPS = 'kvm_vcpu_fops'

export function kvmOf(file: File): Kvm {
  return file.privateData as Kvm
}

function isDead(kvm: Kvm): boolean {
  alsoReads(kvm, 'vmDead')
  return kvm.vmDead
}

/**
 * What a request to a VM meets at this file: 0; -EIO at a VM that KVM has given up, and at its
 * vCPUs, which else know no such request: -EINVAL; -ENOTTY at any other file.
 */
function meets(file: File): number {
  const name = file.fOp!.name
  if (name === KVM_VM_FOPS) return isDead(kvmOf(file)) ? -EIO : 0
  if (name !== KVM_VCPU_FOPS) return -ENOTTY
  return isDead((file.privateData as KvmVcpu).kvm!) ? -EIO : -EINVAL
}

/**
 * The file of a VM for a request to it, with a reference; -EBADF if the descriptor is not open, or
 * what else it meets there.
 *
 * Models: 6.2 fs/ioctl.c ioctl and vfs_ioctl, for files without an unlocked_ioctl, the first lines
 * of virt/kvm/kvm_main.c kvm_vm_ioctl and kvm_vcpu_ioctl, and the default of
 * arch/x86/kvm/x86.c kvm_arch_vcpu_ioctl. Simplifies: vcpu->mutex is not waited for, and
 * KVM_MEMORY_ENCRYPT_OP, which vCPUs have too, is one of a VM.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const kvmFget = fn(function* kvm_fget(vm: number): Kernel<File> {
  const file = yield* fget(vm)
  if (file === null) return errPtr(File, -EBADF)
  const error = meets(file)
  if (error === 0) return file
  yield* fput(file)
  return errPtr(File, error)
})

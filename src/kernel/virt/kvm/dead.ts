/** VMs that KVM has given up: it says so once, and from then on answers them only with -EIO. */
import { alsoWrites } from '../../../machine/effects.js'
import { warnOn } from '../../../machine/fault.js'
import type { Kvm } from '../../include/kvm.js'

/**
 * A bug of KVM's own, which is to hurt no other VM.
 *
 * Models: 6.2 include/linux/kvm_host.h KVM_BUG_ON and kvm_vm_bugged. Simplifies: vCPUs find the VM
 * dead when they next look, without a request; dead for another reason counts as bugged.
 *
 * Compared: 6.17 and 7.0 source.
 */
export function kvmBugOn(kvm: Kvm, condition: boolean, why: string): boolean {
  if (condition) {
    alsoWrites(kvm, 'vmDead')
    warnOn(!kvm.vmDead, why)
    kvm.vmDead = true
  }
  return condition
}

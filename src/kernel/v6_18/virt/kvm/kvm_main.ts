/** A VM's end as of 6.18, where it differs. */
import { warnOn } from '../../../../machine/fault.js'
import { fn } from '../../../../machine/fn.js'
import type { Kvm } from '../../../include/kvm.js'

/**
 * Besides what 6.2 does: no invalidation may be under way, but one that the listener left between
 * its begin and its end.
 *
 * Models: 6.18 virt/kvm/kvm_main.c kvm_destroy_vm.
 */
export const kvmListenerGoneChecked = fn(function kvm_listener_gone(kvm: Kvm): void {
  if (kvm.mnActiveInvalidateCount !== 0) {
    kvm.mnActiveInvalidateCount = 0
    return
  }
  warnOn(kvm.mmuInvalidateInProgress !== 0, 'kvm_destroy_vm: an invalidation is under way')
})

/**
 * What the hypervisor may answer to the host instead of doing its work: where a fault of the
 * scenario's strikes, each of these is tried. Read in 7.1 arch/arm64/kvm/hyp/nvhe/pkvm.c and
 * mem_protect.c; table 5.1. Nothing strikes what is part of an access of the host's
 * (__pkvm_force_reclaim_guest_page) or only asks (__pkvm_vcpu_in_poison_fault), and the guest's own
 * calls, whose answer follows from what it has.
 */
import { EBUSY, EINVAL, ENOENT, ENOMEM, EPERM } from '../../kernel/include/errno.js'

/** Hypercalls of the host's. */
export const HYPERCALLS = [
  '__pkvm_reserve_vm',
  '__pkvm_init_vm',
  '__pkvm_host_donate_guest',
  '__pkvm_start_teardown_vm',
  '__pkvm_reclaim_dying_guest_page',
  '__pkvm_finalize_teardown_vm',
] as const
export type Hypercall = (typeof HYPERCALLS)[number]

/** Their numbers in `HYPERCALLS`, for kernel code. */
export const RESERVE_VM = 0
export const INIT_VM = 1
export const DONATE_GUEST = 2
export const START_TEARDOWN = 3
export const RECLAIM_DYING_PAGE = 4
export const FINALIZE_TEARDOWN = 5

/** By call: negative errno. */
export const REFUSALS: Readonly<Record<Hypercall, readonly number[]>> = {
  __pkvm_reserve_vm: [-ENOMEM],
  // With those of __pkvm_init_vcpu, which is part of it here.
  __pkvm_init_vm: [-EPERM, -EINVAL, -ENOMEM, -EBUSY],
  __pkvm_host_donate_guest: [-EPERM, -ENOMEM],
  __pkvm_start_teardown_vm: [-EINVAL],
  __pkvm_reclaim_dying_guest_page: [-EINVAL, -ENOENT, -EPERM],
  __pkvm_finalize_teardown_vm: [-EINVAL],
}

/** How many codes a call may refuse with. */
export function refusals(call: number): number {
  return REFUSALS[HYPERCALLS[call]!].length
}

/** One of them. */
export function refusal(call: number, i: number): number {
  return REFUSALS[HYPERCALLS[call]!][i]!
}

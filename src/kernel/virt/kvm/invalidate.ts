/**
 * The invalidation protocol. Who is about to change what backs a range of gfns begins, under
 * mmu_lock, before the change, and ends after it. A fault notes the sequence before it looks at
 * what backs the gfn, and looks again under mmu_lock before it installs a mapping: it retries if
 * an invalidation of its gfn is under way or any has ended since.
 */
import { alsoReads, alsoWrites } from '../../../machine/effects.js'
import { mark, warnOn } from '../../../machine/fault.js'
import { fn } from '../../../machine/fn.js'
import { INVALID_GPA, type Kvm, SEQ_NOW, SEQ_PAST } from '../../include/kvm.js'
import type { Gfn } from '../../include/types.js'

/**
 * mmu_lock is held for writing.
 *
 * Models: x86/upm_base_support virt/kvm/kvm_main.c kvm_mmu_invalidate_begin.
 *
 * Compared: 6.17 and 7.0 source.
 */
export function kvmMmuInvalidateBegin(kvm: Kvm): void {
  alsoWrites(kvm, 'mmuInvalidateInProgress')
  kvm.mmuInvalidateInProgress++
  mark('invalidate-begin')
  if (kvm.mmuInvalidateInProgress === 1) {
    kvm.mmuInvalidateRangeStart = INVALID_GPA
    kvm.mmuInvalidateRangeEnd = INVALID_GPA
  }
}

/** Widen what is being invalidated to a hull of it and [start, end). */
export function widenInvalidation(kvm: Kvm, start: Gfn, end: Gfn): void {
  kvm.mmuInvalidateRangeStart = Math.min(kvm.mmuInvalidateRangeStart, start) as Gfn
  kvm.mmuInvalidateRangeEnd = Math.max(kvm.mmuInvalidateRangeEnd, end) as Gfn
}

/**
 * Add [start, end) to what is being invalidated. Several invalidations share one hull, which
 * shrinks only when the last has ended. One that is alone overwrites what it has added itself:
 * of the slots that it touches, only the last stays protected.
 *
 * Models: x86/upm_base_support virt/kvm/kvm_main.c kvm_mmu_invalidate_range_add, as v10 has it.
 */
export const kvmMmuInvalidateRangeAdd = fn(function kvm_mmu_invalidate_range_add(
  kvm: Kvm,
  start: Gfn,
  end: Gfn,
): void {
  alsoWrites(kvm, 'mmuInvalidateRangeStart')
  warnOn(
    kvm.mmuInvalidateInProgress === 0,
    'kvm_mmu_invalidate_range_add: no invalidation is under way',
  )
  if (kvm.mmuInvalidateInProgress !== 1) {
    widenInvalidation(kvm, start, end)
    return
  }
  kvm.mmuInvalidateRangeStart = start
  kvm.mmuInvalidateRangeEnd = end
})

/** mmu_invalidate_seq++: what faults have noted is now of the past. mmu_lock is held for writing. */
export function advanceSeq(kvm: Kvm): void {
  alsoReads(kvm, 'vcpus')
  for (let i = 0; i < kvm.vcpus.length; i++) {
    const vcpu = kvm.vcpus.get(i)
    if (vcpu === null) continue
    alsoWrites(vcpu, 'mmuSeq')
    if (vcpu.mmuSeq === SEQ_NOW) vcpu.mmuSeq = SEQ_PAST
  }
}

/**
 * The sequence grows before the count falls: a fault that sees the count gone sees the sequence
 * changed. An end without a begin is not noticed here: the count is then off by one for ever.
 *
 * Models: x86/upm_base_support virt/kvm/kvm_main.c kvm_mmu_invalidate_end. mmu_lock is held for
 * writing. Simplifies: the sequence has no number; each vCPU knows whether what it noted still holds.
 */
export const kvmMmuInvalidateEnd = fn(function kvm_mmu_invalidate_end(kvm: Kvm): void {
  alsoWrites(kvm, 'mmuInvalidateInProgress')
  advanceSeq(kvm)
  kvm.mmuInvalidateInProgress--
})

/**
 * Must a fault on `gfn` that noted `seq` start again? mmu_lock is held. Any count but 0 counts as
 * one under way, also one that has fallen below 0.
 *
 * Models: x86/upm_base_support include/linux/kvm_host.h mmu_invalidate_retry_gfn.
 *
 * Compared: 6.17 and 7.0 source.
 */
export function mmuInvalidateRetryGfn(kvm: Kvm, seq: number, gfn: Gfn): boolean {
  if (kvm.mmuInvalidateInProgress !== 0) {
    const start = kvm.mmuInvalidateRangeStart
    const end = kvm.mmuInvalidateRangeEnd
    const none = start === INVALID_GPA || end === INVALID_GPA
    if (warnOn(none, 'mmu_invalidate_retry_gfn: an invalidation is under way without a range')) {
      return true
    }
    if (gfn >= start && gfn < end) return true
  }
  return kvm.mmuInvalidateSeq !== seq
}

/**
 * The invalidation protocol. Who is about to change what backs a range of gfns begins, under
 * mmu_lock, before the change, and ends after it. A fault notes the sequence before it looks at
 * what backs the gfn, and looks again under mmu_lock before it installs a mapping: it retries if
 * an invalidation of its gfn is under way or any has ended since.
 */
import { alsoWrites } from '../../../machine/effects.js'
import { KernelFault, mark } from '../../../machine/fault.js'
import type { Kvm } from '../../include/kvm.js'
import type { Gfn } from '../../include/types.js'

/** Models: 6.2 virt/kvm/kvm_main.c kvm_mmu_invalidate_begin. mmu_lock is held for writing. */
export function kvmMmuInvalidateBegin(kvm: Kvm): void {
  alsoWrites(kvm, 'mmuInvalidateInProgress')
  kvm.mmuInvalidateInProgress++
  mark('invalidate-begin')
  if (kvm.mmuInvalidateInProgress === 1) {
    kvm.mmuInvalidateRangeSet = false
    kvm.mmuInvalidateRangeStart = 0 as Gfn
    kvm.mmuInvalidateRangeEnd = 0 as Gfn
  }
}

/**
 * Add [start, end) to what is being invalidated. Several invalidations share one hull, which
 * shrinks only when the last has ended.
 *
 * Models: v10 virt/kvm/kvm_main.c kvm_mmu_invalidate_range_add, in gfns.
 */
export function kvmMmuInvalidateRangeAdd(kvm: Kvm, start: Gfn, end: Gfn): void {
  alsoWrites(kvm, 'mmuInvalidateRangeStart')
  if (!kvm.mmuInvalidateRangeSet) {
    kvm.mmuInvalidateRangeSet = true
    kvm.mmuInvalidateRangeStart = start
    kvm.mmuInvalidateRangeEnd = end
    return
  }
  if (start < kvm.mmuInvalidateRangeStart) kvm.mmuInvalidateRangeStart = start
  if (end > kvm.mmuInvalidateRangeEnd) kvm.mmuInvalidateRangeEnd = end
}

/**
 * The sequence grows before the count falls: a fault that sees the count gone sees the sequence
 * changed. Without a begin this is a bug that the kernel stops at.
 *
 * Models: 6.2 virt/kvm/kvm_main.c kvm_mmu_invalidate_end. mmu_lock is held for writing.
 */
export function kvmMmuInvalidateEnd(kvm: Kvm): void {
  alsoWrites(kvm, 'mmuInvalidateInProgress')
  kvm.mmuInvalidateSeq++
  kvm.mmuInvalidateInProgress--
  if (kvm.mmuInvalidateInProgress >= 0) return
  const text = 'kvm_mmu_invalidate_end without a begin: mmu_invalidate_in_progress is below 0'
  throw new KernelFault('unbalanced-invalidation', 'oops', text)
}

/**
 * Must a fault on `gfn` that noted `seq` start again? mmu_lock is held.
 *
 * Models: v10 include/linux/kvm_host.h mmu_invalidate_retry_gfn.
 */
export function mmuInvalidateRetryGfn(kvm: Kvm, seq: number, gfn: Gfn): boolean {
  const { mmuInvalidateInProgress, mmuInvalidateRangeStart, mmuInvalidateRangeEnd } = kvm
  if (
    mmuInvalidateInProgress > 0 &&
    gfn >= mmuInvalidateRangeStart &&
    gfn < mmuInvalidateRangeEnd
  ) {
    return true
  }
  return kvm.mmuInvalidateSeq !== seq
}

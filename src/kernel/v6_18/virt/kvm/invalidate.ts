/**
 * The invalidation protocol as of 6.18. New against what the series of 2022 and 2023 had: an
 * invalidation keeps all that it has added, and an end without a begin takes the VM out of service.
 */
import { alsoWrites } from '../../../../machine/effects.js'
import { warnOn } from '../../../../machine/fault.js'
import { fn, type Kernel } from '../../../../machine/fn.js'
import { INVALID_GPA, type Kvm } from '../../../include/kvm.js'
import type { Gfn } from '../../../include/types.js'
import { kvmBugOn } from '../../../virt/kvm/dead.js'
import { advanceSeq, widenInvalidation } from '../../../virt/kvm/invalidate.js'

/**
 * mmu_lock is held for writing.
 *
 * Models: 6.18 virt/kvm/kvm_main.c kvm_mmu_invalidate_range_add. Compared: 6.12 source.
 */
export const kvmMmuInvalidateRangeAddHull = fn(function kvm_mmu_invalidate_range_add(
  kvm: Kvm,
  start: Gfn,
  end: Gfn,
): void {
  alsoWrites(kvm, 'mmuInvalidateRangeStart')
  warnOn(
    kvm.mmuInvalidateInProgress === 0,
    'kvm_mmu_invalidate_range_add: no invalidation is under way',
  )
  if (kvm.mmuInvalidateRangeStart !== INVALID_GPA) {
    widenInvalidation(kvm, start, end)
    return
  }
  kvm.mmuInvalidateRangeStart = start
  kvm.mmuInvalidateRangeEnd = end
})

/**
 * mmu_lock is held for writing.
 *
 * Models: 6.18 virt/kvm/kvm_main.c kvm_mmu_invalidate_end. Simplifies: the sequence has no number;
 * each vCPU knows whether what it noted still holds. Compared: 6.12 source.
 */
export const kvmMmuInvalidateEndChecked = fn(function kvm_mmu_invalidate_end(kvm: Kvm): void {
  alsoWrites(kvm, 'mmuInvalidateInProgress')
  advanceSeq(kvm)
  kvm.mmuInvalidateInProgress--
  const below = kvm.mmuInvalidateInProgress < 0
  kvmBugOn(kvm, below, 'kvm_mmu_invalidate_end: mmu_invalidate_in_progress is below 0')
  const none = kvm.mmuInvalidateRangeStart === INVALID_GPA
  warnOn(none, 'kvm_mmu_invalidate_end: no range was added')
})

/** kvm_mmu_invalidate_end() asks, so nobody asks again. */
export const kvmAssertedAtEnd = fn(function* kvm_assert_invalidations_balance(
  _kvm: Kvm,
): Kernel<void> {})

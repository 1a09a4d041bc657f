/**
 * The invalidation protocol: begins and ends balance for each VM, and while an
 * invalidation is under way its range is known to whoever takes mmu_lock.
 *
 * An end without a begin is noticed by some kernels at once, by others only at the next change of
 * the process's memory, and never by those that retry because of it.
 */
import { INVALID_GPA, Kvm } from '../kernel/include/kvm.js'
import { factsOf } from '../machine/struct.js'
import { source } from './ground.js'
import type { Context, Report, Sanitizer } from './sanitizer.js'
import { forEachAlive } from './view.js'

function judgeStuck(report: Report): void {
  forEachAlive(Kvm, (kvm) => {
    const count = kvm.mmuInvalidateInProgress
    if (count > 0) {
      const text = `${count} invalidation(s) of the VM were begun and will never end`
      const why = `${text}: faults in the range retry for ever`
      report('stuck-invalidation', why, factsOf([kvm], { inProgress: count }))
    }
  })
}

export const invalidation: Sanitizer = {
  name: 'invalidation',
  invariant:
    'For each VM the ends of invalidations balance the begins, and while one is under way its range is known to whoever takes mmu_lock.',
  kinds: [
    {
      id: 'unbalanced-invalidation',
      judgement: 'state',
      sentence: 'An invalidation ended that had not begun for this VM, or has no range.',
      why: [
        source('6.2', 'virt/kvm/kvm_main.c kvm_mmu_notifier_invalidate_range_end'),
        source('6.18', 'virt/kvm/kvm_main.c kvm_mmu_invalidate_end'),
      ],
    },
    {
      id: 'stuck-invalidation',
      judgement: 'state',
      sentence: 'An invalidation was begun that nobody will end: faults retry for ever.',
      why: [source('6.2', 'include/linux/kvm_host.h mmu_invalidate_retry_hva')],
    },
  ],
  watches: ['Kvm.mmuInvalidateInProgress', 'Kvm.mmuInvalidateRangeStart', 'RwLock.writer'],
  state({ report }: Context) {
    forEachAlive(Kvm, (kvm) => {
      if (kvm.mmuInvalidateInProgress < 0) {
        const text = 'an invalidation has ended that had not begun'
        report('unbalanced-invalidation', text, factsOf([kvm]))
      }
      if (kvm.mmuLock.writer !== 0 || kvm.mmuInvalidateInProgress <= 0) return
      if (kvm.mmuInvalidateRangeStart === INVALID_GPA) {
        const text = 'an invalidation is under way with no range'
        report('unbalanced-invalidation', text, factsOf([kvm]))
      }
    })
  },
  atRest({ report, crashed }: Context) {
    if (!crashed) judgeStuck(report)
  },
  stuck(id: string, { report, crashed }: Context) {
    // In a deadlock who would end it waits for a lock: that is the story, not this.
    if (id === 'livelock' && !crashed) judgeStuck(report)
  },
}

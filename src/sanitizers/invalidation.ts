/**
 * The invalidation protocol: begins and ends balance for each VM, and while an invalidation is
 * under way its range is known to whoever takes mmu_lock. What is zapped for it is what was
 * invalidated: under TDX a private page that is zapped has lost its content.
 *
 * An end without a begin is noticed by some kernels at once, by others only at the next change of
 * the process's memory, and never by those that retry because of it.
 */
import { INVALID_GPA, Kvm, type KvmMemorySlot } from '../kernel/include/kvm.js'
import type { Gfn, Pgoff } from '../kernel/include/types.js'
import { factsOf } from '../machine/struct.js'
import { source } from './ground.js'
import type { Context, Report, Sanitizer } from './sanitizer.js'
import { forEachAlive, forEachSpte, gfnText } from './view.js'

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

/**
 * A slot is about to lose its leaves of [first, last), because pages [start, end) of what is behind
 * it change; its first gfn has page `base` there. What goes beyond that is lost for nothing.
 */
function judgeZap(
  slot: KvmMemorySlot,
  base: Pgoff,
  start: Pgoff,
  end: Pgoff,
  first: Gfn,
  last: Gfn,
  report: Report,
): void {
  forEachSpte((kvm, spte) => {
    const { gfn, pfn } = spte
    if (kvm !== slot.kvm || gfn < first || gfn >= last) return
    const page = base + (gfn - slot.baseGfn)
    const inSlot = gfn >= slot.baseGfn && gfn < slot.baseGfn + slot.npages
    if (inSlot && page >= start && page < end) return
    const text = `${gfnText(gfn)} loses its mapping of pfn ${pfn}, which nobody invalidates`
    report('stray-zap', text, factsOf([spte, kvm], { gfn, pfn }))
  })
}

export const invalidation: Sanitizer = {
  name: 'invalidation',
  invariant:
    'For each VM the ends of invalidations balance the begins, and while one is under way its range is known to whoever takes mmu_lock; what is zapped for one is what was invalidated.',
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
    {
      id: 'stray-zap',
      judgement: 'call',
      sentence: 'An invalidation takes a mapping whose page nobody invalidates.',
      why: [source('6.2', 'virt/kvm/kvm_main.c kvm_unmap_gfn_range')],
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
  event(name, args, { report }: Context) {
    if (name !== 'kvm_unmap_gfn_range') return
    const [slot, base, start, end, first, last] = args as [
      KvmMemorySlot,
      Pgoff,
      Pgoff,
      Pgoff,
      Gfn,
      Gfn,
    ]
    judgeZap(slot, base, start, end, first, last, report)
  },
  atRest({ report, crashed }: Context) {
    if (!crashed) judgeStuck(report)
  },
  stuck(id: string, { report, crashed }: Context) {
    // In a deadlock who would end it waits for a lock: that is the story, not this.
    if (id === 'livelock' && !crashed) judgeStuck(report)
  },
}

/**
 * Coherence of the secondary MMU: what KVM lets the hardware translate must be
 * what backs the guest's memory. KVM holds no reference on what it maps, so the only promise is
 * that nothing moves or frees a page without telling KVM first.
 *
 * An offset that has become a hole is judged when its page is freed, or when all tasks have
 * ended: until then who removed it may still zap. Huge leaves are not mapped here.
 */

import { type Kvm, KvmVcpu, type Spte } from '../kernel/include/kvm.js'
import type { Folio } from '../kernel/include/mm.js'
import { currentMm } from '../kernel/include/mm_types.js'
import { type Gfn, type Pfn, type Pgoff, pgoffToBytes } from '../kernel/include/types.js'
import { KVM_MEM_READONLY, KVM_VM_TYPE_ARM_PROTECTED } from '../kernel/include/uapi.js'
import { xaLoad } from '../kernel/lib/xarray.js'
import { pfnToFolio } from '../kernel/mm/page_alloc.js'
import { PTE_PRESENT, PTE_WRITE, pteAt, pteFolio } from '../kernel/mm/pgtable.js'
import { factsOf, objectName } from '../machine/struct.js'
import { isFrozen } from '../user/given-up.js'
import { gfnKind } from '../user/harness.js'
import { recorded, source } from './ground.js'
import type { Context, Report, Sanitizer } from './sanitizer.js'
import {
  backingOf,
  forEachAlive,
  forEachSpte,
  freeText,
  gfnText,
  isCovered,
  isFree,
  slotOf,
  WATCHED_FOR_FREE,
} from './view.js'

/**
 * The page of the slot's file that backs a gfn now, or null for a hole; undefined if nothing can.
 */
function backingFolio(kvm: Kvm, gfn: Gfn): Folio | null | undefined {
  const slot = slotOf(kvm, gfn)
  const backing = slot === null ? undefined : backingOf(slot, gfn)
  if (backing === undefined) return undefined
  return xaLoad(backing.mapping.iPages, backing.index) as Folio | null
}

function judgeBacking(kvm: Kvm, spte: Spte, folio: Folio, atRest: boolean, report: Report): void {
  const { gfn, pfn } = spte
  if (isFree(folio)) {
    const text = `${gfnText(gfn)} maps pfn ${pfn}, which ${freeText(folio)}`
    report('secondary-use-after-free', text, factsOf([folio, spte, kvm], { gfn, pfn }))
    if (!atRest) return
  }
  if (isCovered(kvm, gfn)) return
  const backing = backingFolio(kvm, gfn)
  if (backing === undefined || backing === folio) return
  if (backing !== null) {
    const now = `now pfn ${backing.pfn} is there`
    const facts = factsOf([folio, spte, kvm, backing], { gfn, pfn, backing: backing.pfn })
    report('stale-secondary-mapping', `${gfnText(gfn)} maps pfn ${pfn}, but ${now}`, facts)
  } else if (atRest) {
    const now = 'which is no longer in the file'
    const facts = factsOf([folio, spte, kvm], { gfn, pfn })
    report('stale-secondary-mapping', `${gfnText(gfn)} maps pfn ${pfn}, ${now}`, facts)
  }
}

/**
 * Ordinary memory: the leaf may be there only as long as the process has the same page there. Where
 * each leaf has a pin of its own, as in a protected VM of pKVM, that alone must not be free.
 */
function judgeOrdinary(kvm: Kvm, spte: Spte, folio: Folio, report: Report): void {
  const { gfn, pfn } = spte
  if (isFree(folio)) {
    const text = `${gfnText(gfn)} maps pfn ${pfn}, which ${freeText(folio)}`
    report('secondary-use-after-free', text, factsOf([folio, spte, kvm], { gfn, pfn }))
  }
  if (kvm.vmType === KVM_VM_TYPE_ARM_PROTECTED) return
  const slot = slotOf(kvm, gfn)
  if (slot === null || isCovered(kvm, gfn)) return
  const hva = pgoffToBytes((slot.userspaceAddr + (gfn - slot.baseGfn)) as Pgoff)
  const pte = pteAt(currentMm(), hva)
  const facts = factsOf([folio, spte, kvm], { gfn, pfn })
  if (!(pte & PTE_PRESENT) || pteFolio(pte) !== folio) {
    const text = `${gfnText(gfn)} maps pfn ${pfn}, which its process does not have there any more`
    report('stale-secondary-mapping', text, facts)
  } else if (spte.writable && (!(pte & PTE_WRITE) || slot.flags & KVM_MEM_READONLY)) {
    const whose = pte & PTE_WRITE ? 'in a slot that only reads' : 'which its process only reads'
    const text = `${gfnText(gfn)} maps pfn ${pfn} for writing, ${whose}`
    report('missing-write-protection', text, facts)
  }
}

function judgeKind(kvm: Kvm, spte: Spte, report: Report): void {
  const { gfn } = spte
  const kind = gfnKind(kvm, gfn)
  if (slotOf(kvm, gfn) === null) {
    const text = `${gfnText(gfn)} is mapped but no memslot contains it`
    report('wrong-kind-mapping', text, factsOf([spte, kvm], { gfn }))
  } else if (kind !== undefined && spte.private !== kind && !isCovered(kvm, gfn)) {
    const [is, attr] = spte.private ? ['private', 'shared'] : ['shared', 'private']
    const text = `${gfnText(gfn)} is mapped ${is} while its attribute is ${attr}`
    report('wrong-kind-mapping', text, factsOf([spte, kvm], { gfn }))
  }
}

function judgeTables(atRest: boolean, report: Report): void {
  const owners = new Map<Folio, string>()
  forEachSpte((kvm, spte, folio) => {
    if (folio === null) return
    judgeKind(kvm, spte, report)
    if (!spte.fromFile) {
      judgeOrdinary(kvm, spte, folio, report)
      return
    }
    judgeBacking(kvm, spte, folio, atRest, report)
    const place = `${gfnText(spte.gfn)} of ${objectName(kvm.at)}`
    const other = owners.get(folio)
    if (other !== undefined) {
      const text = `pfn ${spte.pfn} is mapped private at ${other} and at ${place}`
      const facts = factsOf([folio, spte, kvm], { gfn: spte.gfn, pfn: spte.pfn })
      report('private-page-aliased', text, facts)
    }
    owners.set(folio, place)
  })
}

/**
 * A TLB entry may outlive its SPTE only while the zapper still holds mmu_lock. It may come before
 * the SPTE where the machine has a table of its own, and KVM's leaf is frozen yet.
 */
function judgeTlbs(report: Report): void {
  forEachAlive(KvmVcpu, (vcpu) => {
    const kvm = vcpu.kvm
    if (kvm === null || kvm.mmuLock.writer !== 0) return
    for (let i = 0; i < vcpu.tlbValid.length; i++) {
      if (vcpu.tlbValid.get(i) === 0) continue
      const gfn = vcpu.tlbGfn.get(i) as Gfn
      const pfn = vcpu.tlbPfn.get(i) as Pfn
      const spte = xaLoad(kvm.tdpMmu, gfn) as Spte | null
      if (spte !== null && spte.pfn === pfn) continue
      if (spte === null && isFrozen(kvm, gfn)) continue
      const state = pfnToFolio(pfn)?.buddy ? ', a free frame,' : ''
      const text = `vCPU ${vcpu.id} still reaches pfn ${pfn}${state} at ${gfnText(gfn)}`
      report('missing-tlb-flush', `${text} through its TLB`, factsOf([vcpu, kvm], { gfn, pfn }))
    }
  })
}

export const secondaryMmu: Sanitizer = {
  name: 'secondary-mmu',
  invariant:
    'What KVM lets the hardware translate is what backs the guest memory, is as private as the attributes say, and is reachable through no TLB when it was removed.',
  kinds: [
    {
      id: 'stale-secondary-mapping',
      judgement: 'state',
      sentence: 'A guest maps a page that no longer backs that offset of the file.',
      why: [
        source('6.2', 'include/linux/mmu_notifier.h struct mmu_notifier_ops'),
        recorded('6.2.1', 'E6.compact'),
        recorded('6.2.1', 'E6.soft'),
      ],
    },
    {
      id: 'secondary-use-after-free',
      judgement: 'state',
      sentence: 'A guest maps a page that has been freed.',
      why: [
        source('6.2', 'include/linux/mmu_notifier.h struct mmu_notifier_ops'),
        recorded('6.2.1', 'E7.drop'),
        recorded('6.2.1', 'E2.d20'),
      ],
    },
    {
      id: 'missing-tlb-flush',
      judgement: 'state',
      sentence: 'A vCPU reaches a page through its TLB after the SPTE was removed.',
      why: [source('6.2', 'virt/kvm/kvm_main.c kvm_flush_remote_tlbs')],
    },
    {
      id: 'missing-write-protection',
      judgement: 'state',
      sentence: 'A guest may write to memory that its process, or its slot, only reads.',
      why: [source('6.2', 'virt/kvm/kvm_main.c hva_to_pfn')],
    },
    {
      id: 'wrong-kind-mapping',
      judgement: 'state',
      sentence: 'A gfn is mapped as private memory while it is shared, or the reverse.',
      why: [source('6.18', 'arch/x86/kvm/mmu/mmu.c kvm_mmu_faultin_pfn')],
    },
    {
      id: 'private-page-aliased',
      judgement: 'state',
      sentence: 'One private page is mapped at two places.',
      why: [source('6.18', 'virt/kvm/guest_memfd.c kvm_gmem_bind')],
    },
  ],
  watches: [
    ...WATCHED_FOR_FREE,
    'Folio.mapcount',
    'Spte.pfn',
    'Spte.writable',
    'KvmMemslots.slots',
    'Kvm.memslots',
    'Kvm.mmuInvalidateInProgress',
    'KvmVcpu.tlbValid',
    'RwLock.writer',
  ],
  state({ report }: Context) {
    judgeTables(false, report)
    judgeTlbs(report)
  },
  atRest({ report }: Context) {
    judgeTables(true, report)
  },
}

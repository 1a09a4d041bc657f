/**
 * The reverse map table of a host with SEV-SNP (RMP1 to RMP10, GC2): who owns a frame must agree
 * with who may use it. What the hardware itself enforces shows as a fault; here is what it cannot
 * know: that a page is free, mapped, or a guest's by the kernel's books.
 */
import { ASID_IN_USE, sevAsids } from '../hosts/snp/asid.js'
import { keyOf } from '../hosts/snp/firmware.js'
import { snpLeakedPages, timesLeaked } from '../hosts/snp/leaked.js'
import {
  ASIDS,
  asidTable,
  effectiveGfn,
  frameOf,
  headOf,
  isCovered,
  pageState,
  REGION,
  RmpEntry,
  regionFrame,
  rmpEntry,
} from '../hosts/snp/rmp.js'
import { isSnpGuest, sevInfo } from '../hosts/snp/vm.js'
import type { Kvm } from '../kernel/include/kvm.js'
import type { Folio } from '../kernel/include/mm.js'
import type { Gfn, Pfn } from '../kernel/include/types.js'
import { forEachFolio, pfnToFolio } from '../kernel/mm/page_alloc.js'
import { kvmGmemIsPrivateMem } from '../kernel/v6_18/virt/kvm/guest_memfd_user.js'
import '../kernel/v7_4/include/guest_memfd.js'
import { factsOf } from '../machine/struct.js'
import { architecture, commit, source } from './ground.js'
import type { Context, Report, Sanitizer } from './sanitizer.js'
import { forEachAlive, forEachSpte, freeText, gfnText, isFree, WATCHED_FOR_FREE } from './view.js'

/** RMP1: a free frame is the hypervisor's. */
function judgeFree(folio: Folio, report: Report): void {
  if (!isFree(folio) || !isCovered(folio.pfn)) return
  const state = pageState(folio.pfn)
  if (state === 'Hypervisor') return
  const text = `pfn ${folio.pfn} ${freeText(folio)}, but its RMP entry says ${state}`
  report('rmp-leak', text, factsOf([folio], { pfn: folio.pfn }))
}

/** A page that is on the list of what is lost is nobody's any more, and there once. */
function judgeLeaked(report: Report): void {
  const { length, pfns } = snpLeakedPages()
  for (let i = 0; i < length; i++) {
    const pfn = pfns.get(i) as Pfn
    const folio = pfnToFolio(pfn)!
    const facts = factsOf([folio], { pfn })
    if (isFree(folio)) {
      report(
        'leaked-page-freed',
        `pfn ${pfn} ${freeText(folio)}, and is on the list of leaked pages`,
        facts,
      )
    } else if (timesLeaked(pfn) > 1) {
      report('leaked-page-freed', `pfn ${pfn} is on the list of leaked pages twice`, facts)
    }
  }
}

/** RMP5: what a region's head counts is what there is. */
function judgeRegion(head: Pfn, report: Report): void {
  const entry = rmpEntry(head)
  let others = 0
  for (let i = 1; i < REGION; i++) if (rmpEntry(regionFrame(head, i)).assigned) others++
  const expected = entry.assigned && entry.large ? 0 : others
  if (entry.subpageCount === expected) return
  const text = `the region of pfn ${head} has ${expected} assigned subpages and counts ${entry.subpageCount}`
  report('rmp-miscount', text, factsOf([entry], { pfn: head }))
}

/** RMP7: the hardware's counter of an ASID is the number of its frames. */
function judgeCounters(report: Report): void {
  const frames = new Array<number>(ASIDS).fill(0)
  forEachAlive(RmpEntry, (found) => {
    const pfn = frameOf(found)
    if (pfn === headOf(pfn)) judgeRegion(pfn, report)
    const entry = rmpEntry(pfn)
    const head = rmpEntry(headOf(pfn))
    const owner = head.assigned && head.large ? head : entry
    if (owner.assigned) frames[owner.asid] = (frames[owner.asid] ?? 0) + 1
  })
  for (let asid = 0; asid < ASIDS; asid++) {
    const counted = asidTable().pages.get(asid)
    if (counted === frames[asid]) continue
    const text = `ASID ${asid} has ${frames[asid]} frames and is counted ${counted}`
    report('rmp-miscount', text, factsOf([asidTable()], { asid }))
  }
}

/** RMP2, once everybody has come to rest: a private leaf maps a page of this guest at this gfn. */
function judgeMapped(kvm: Kvm, gfn: Gfn, pfn: Pfn, report: Report): void {
  const { asid } = sevInfo(kvm)
  const entry = rmpEntry(pfn)
  if (entry.assigned && entry.asid === asid && effectiveGfn(pfn) === gfn) return
  const is = entry.assigned ? `ASID ${entry.asid}, gfn 0x${entry.gfn.toString(16)}` : 'nobody'
  const text = `${gfnText(gfn)} of ASID ${asid} maps pfn ${pfn}, which is assigned to ${is}`
  report('rmp-mismatch', text, factsOf([kvm, entry], { gfn, pfn }))
}

/** RMP6: no page of a guest waits for firmware when nobody is about to ask it. */
function judgeStranded(pfn: Pfn, report: Report): void {
  const state = pageState(pfn)
  if (state !== 'Pre-Guest' && state !== 'Pre-Swap') return
  const text = `pfn ${pfn} is left ${state}: only firmware can change it, and nobody will ask`
  report('rmp-stranded-page', text, factsOf([rmpEntry(pfn)], { pfn }))
}

/** RMP10: a page is taken back while its owner maps it. */
function released(pfn: Pfn, { report }: Context): void {
  forEachSpte((kvm, spte) => {
    if (!spte.private || spte.pfn !== pfn || !isSnpGuest(kvm)) return
    const text = `pfn ${pfn} is taken back while ${gfnText(spte.gfn)} maps it`
    report('live-page-taken', text, factsOf([spte, rmpEntry(pfn)], { gfn: spte.gfn, pfn }))
  })
}

/** RMP8: a vCPU is run with a save area that has left the guest. */
function vmrun(pfn: Pfn, asid: number, { report }: Context): void {
  const folio = pfnToFolio(pfn)!
  const entry = rmpEntry(pfn)
  if (!isFree(folio) && entry.assigned && entry.asid === asid) return
  const text = `a vCPU of ASID ${asid} is run with pfn ${pfn} for its save area, which is ${pageState(pfn)}`
  report('vmsa-use-after-free', text, factsOf([folio, entry], { pfn }))
}

/** RMP9: a process that stores to a guest's page faults, and nobody has a handler for that. */
function judgeUserMapped(folio: Folio, report: Report): void {
  const { pfn, mapcount } = folio
  if (mapcount === 0 || !isCovered(pfn) || !rmpEntry(pfn).assigned) return
  const text = `a process maps pfn ${pfn}, which is ${pageState(pfn)}`
  report('guest-page-mapped-by-process', text, factsOf([folio, rmpEntry(pfn)], { pfn }))
}

/** GC2: what the file says is shared, the host and its process may touch. */
function judgeShared(folio: Folio, report: Report): void {
  const { pfn, mapping, index } = folio
  if (mapping === null || !mapping.inaccessible || mapping.privateData === null) return
  if (!isCovered(pfn) || !rmpEntry(pfn).assigned || kvmGmemIsPrivateMem(mapping, index)) return
  const text = `page ${index} of a guest_memfd is shared, and its pfn ${pfn} is ${pageState(pfn)}`
  report('shared-page-assigned', text, factsOf([folio, rmpEntry(pfn)], { pfn }))
}

/** RMP3: validated says that the content is the guest's own; ciphertext of another place is not. */
function guestRead(gfn: Gfn, folio: Folio, key: number, stored: number, context: Context): void {
  const asid = Math.floor(key / keyOf(1, 0 as Pfn))
  if (stored === key || Math.floor(stored / keyOf(1, 0 as Pfn)) !== asid) return
  const text = `${gfnText(gfn)} is pfn ${folio.pfn} with the ciphertext of another frame`
  context.report('ciphertext-moved', text, factsOf([folio], { gfn, pfn: folio.pfn }))
}

export const rmp: Sanitizer = {
  name: 'rmp',
  host: 'snp',
  invariant:
    "Who owns a frame by the reverse map table agrees with who may use it by the books of the kernel: free, mapped, or a guest's.",
  kinds: [
    {
      id: 'rmp-leak',
      judgement: 'state',
      sentence: "A page is free while the reverse map table says that it is somebody's.",
      why: [source('6.12', 'arch/x86/kvm/svm/sev.c sev_gmem_invalidate')],
    },
    {
      id: 'rmp-mismatch',
      judgement: 'state',
      sentence: 'A guest maps a private page that is not assigned to it at this address.',
      why: [source('6.12', 'arch/x86/kvm/svm/sev.c sev_gmem_prepare')],
    },
    {
      id: 'ciphertext-moved',
      judgement: 'call',
      sentence: 'A guest reads a validated page whose content was encrypted for another frame.',
      why: [architecture('VeriSMo, arch/rmp: what PVALIDATE promises a guest')],
    },
    {
      id: 'host-write-fault',
      judgement: 'access',
      sentence: 'The kernel stores to a page that the hardware says is not its own: an oops.',
      why: [source('6.12', 'arch/x86/virt/svm/sev.c adjust_direct_map')],
    },
    {
      id: 'rmp-miscount',
      judgement: 'state',
      sentence: 'A counter of the reverse map table is not the number of what it counts.',
      why: [architecture('AMD-ASPFW sev_rmp.h: subpage_count and the counters of the ASIDs')],
    },
    {
      id: 'rmp-stranded-page',
      judgement: 'state',
      sentence: 'A page waits for a firmware command that nobody will issue.',
      why: [source('6.12', 'arch/x86/kvm/svm/sev.c snp_page_reclaim')],
    },
    {
      id: 'asid-in-use',
      judgement: 'end',
      sentence: 'An ASID that no VM has any more has pages yet, so that nobody can activate it.',
      why: [architecture('AMD-ASPFW sev_mcmd.c: SNP_ACTIVATE')],
    },
    {
      id: 'leaked-page-freed',
      judgement: 'state',
      sentence: 'A page that was given up as lost is freed all the same, or given up twice.',
      why: [
        source('6.17', 'arch/x86/virt/svm/sev.c snp_leak_pages'),
        commit('5c52607c43c3', 'a page of firmware was put on the list twice'),
      ],
    },
    {
      id: 'vmsa-use-after-free',
      judgement: 'call',
      sentence: "A vCPU is run with a save area in a page that is no longer the guest's.",
      why: [source('6.17', 'arch/x86/kvm/svm/sev.c sev_snp_init_protected_guest_state')],
    },
    {
      id: 'guest-page-mapped-by-process',
      judgement: 'state',
      sentence: 'A process maps a page that is assigned: its store would fault for ever.',
      why: [source('6.12', 'arch/x86/mm/fault.c do_user_addr_fault')],
    },
    {
      id: 'shared-page-assigned',
      judgement: 'state',
      sentence:
        "A page of guest_memfd is shared while the reverse map table says that it is a guest's.",
      why: [source('7.4', 'virt/kvm/guest_memfd.c kvm_gmem_make_shared')],
    },
    {
      id: 'live-page-taken',
      judgement: 'call',
      sentence: 'A page is taken from a guest that still maps it.',
      why: [source('6.12', 'virt/kvm/guest_memfd.c kvm_gmem_free_folio')],
    },
  ],
  watches: [
    ...WATCHED_FOR_FREE,
    'RmpEntry.assigned',
    'RmpEntry.immutable',
    'RmpEntry.subpageCount',
    'SnpLeakedPages.length',
    'Folio.mapcount',
    'GmemInode.attributes',
  ],
  state({ report }) {
    forEachFolio((folio) => {
      judgeFree(folio, report)
      judgeUserMapped(folio, report)
      judgeShared(folio, report)
    })
    judgeCounters(report)
    judgeLeaked(report)
  },
  event(name, args, context) {
    if (name === 'snp_guest_read') {
      const [gfn, folio, key, stored] = args as [Gfn, Folio, number, number]
      guestRead(gfn, folio, key, stored, context)
    } else if (name === 'snp_vmrun') vmrun(args[0] as Pfn, args[1] as number, context)
    else if (name === 'rmp_released') released(args[0] as Pfn, context)
  },
  atRest({ report, crashed }) {
    if (crashed) return
    forEachSpte((kvm, spte) => {
      if (spte.private && isSnpGuest(kvm)) judgeMapped(kvm, spte.gfn, spte.pfn, report)
    })
    forEachFolio(({ pfn }) => judgeStranded(pfn, report))
  },
  atEnd({ report, crashed }) {
    if (crashed) return
    for (let asid = 1; asid < ASIDS; asid++) {
      const pages = asidTable().pages.get(asid)
      if (pages === 0 || sevAsids().state.get(asid) === ASID_IN_USE) continue
      report(
        'asid-in-use',
        `ASID ${asid} was given back and has ${pages} pages`,
        factsOf([asidTable()], { asid }),
      )
    }
  },
}

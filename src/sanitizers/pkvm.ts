/**
 * The tables of pKVM's hypervisor (PK1 to PK6): each page is in one of the states that there are, and
 * what the kernel does with its pages does not go past them. That the machine stops at EL2 shows by
 * itself, at the access.
 */
import {
  isCovered,
  NOPAGE,
  OWNED,
  OWNER_GUEST,
  ownerOf,
  type PkvmPage,
  PkvmVm,
  pkvmPage,
  SHARED_BORROWED,
  SHARED_OWNED,
} from '../hosts/pkvm/ownership.js'
import type { Folio } from '../kernel/include/mm.js'
import { KVM_VM_TYPE_ARM_PROTECTED } from '../kernel/include/uapi.js'
import { forEachFolio } from '../kernel/mm/page_alloc.js'
import { type Blob, byteAt, ZERO_PAGE } from '../machine/blob.js'
import { factsOf } from '../machine/struct.js'
import { source } from './ground.js'
import { visibleHolders } from './references.js'
import type { Report, Sanitizer } from './sanitizer.js'
import { forEachAlive, forEachSpte, freeText, isFree, WATCHED_FOR_FREE } from './view.js'

/** What the guests have of a frame. */
interface Guests {
  owned: number
  shared: number
  borrowed: number
}

function guestsOf(pfn: number): Guests {
  const found = { owned: 0, shared: 0, borrowed: 0 }
  forEachAlive(PkvmVm, (vm) => {
    for (let gfn = 0; gfn < vm.state.length; gfn++) {
      if (vm.state.get(gfn) >= NOPAGE || vm.pfn.get(gfn) !== pfn) continue
      if (vm.state.get(gfn) === OWNED) found.owned++
      else if (vm.state.get(gfn) === SHARED_OWNED) found.shared++
      else found.borrowed++
    }
  })
  return found
}

/** PK1: the states that a page can be in, as (host, hyp, guests). */
function isLegal({ host, hyp }: PkvmPage, { owned, shared, borrowed }: Guests): boolean {
  const guests = owned + shared + borrowed
  if (host === OWNED) return hyp === NOPAGE && guests === 0
  if (host === SHARED_OWNED) {
    if (hyp === SHARED_BORROWED) return guests === 0
    return hyp === NOPAGE && owned + shared === 0
  }
  if (host === SHARED_BORROWED) return hyp === NOPAGE && shared === 1 && guests === 1
  if (hyp === OWNED) return guests === 0
  return hyp === NOPAGE && owned === 1 && guests === 1
}

const STATE_NAMES = ['owned', 'shared, owned', 'shared, borrowed', 'nothing']

function judgePage(folio: Folio, report: Report): void {
  const { pfn } = folio
  if (!isCovered(pfn)) return
  const page = pkvmPage(pfn)
  const guests = guestsOf(pfn)
  const facts = factsOf([folio, page], { pfn })
  if (!isLegal(page, guests)) {
    const ofGuests = `guests: ${guests.owned} owned, ${guests.shared} shared, ${guests.borrowed} borrowed`
    const text = `pfn ${pfn} is of the host: ${STATE_NAMES[page.host]}; of the hypervisor: ${STATE_NAMES[page.hyp]}; of ${ofGuests}`
    report('ownership-conflict', text, facts)
  }
  if (page.shareCount !== guests.borrowed) {
    const text = `pfn ${pfn} is borrowed by ${guests.borrowed} guests and counted ${page.shareCount}`
    report('share-miscount', text, facts)
  }
  if (isFree(folio) && page.host !== OWNED) {
    const whose = page.owner === OWNER_GUEST ? 'a guest' : 'somebody'
    report('freed-while-donated', `pfn ${pfn} ${freeText(folio)}, and ${whose} has it yet`, facts)
  }
}

/** PK6: a leaf of a page of the process has a reference of its own, beside all others that are seen. */
function judgePins(report: Report): void {
  const pins = new Map<Folio, number>()
  forEachSpte((kvm, spte, folio) => {
    if (folio === null || spte.fromFile || kvm.vmType !== KVM_VM_TYPE_ARM_PROTECTED) return
    pins.set(folio, (pins.get(folio) ?? 0) + 1)
  })
  for (const [folio, count] of pins) {
    const holders = visibleHolders(folio) + folio.mapcount + count
    if (folio.refcount >= holders) continue
    const { pfn, refcount } = folio
    const text = `pfn ${pfn} is mapped for a protected guest, and of ${refcount} references none is for that`
    report('pin-missing', text, factsOf([folio], { pfn, references: refcount, holders }))
  }
}

/** CF1: a process has read a frame. */
function judgeLoad(folio: Folio, report: Report): void {
  const { pfn } = folio
  if (!isCovered(pfn) || pkvmPage(pfn).host !== NOPAGE) return
  const text = `a process reads pfn ${pfn}, which is ${ownerOf(pfn)}`
  report('guest-page-exposed', text, factsOf([folio], { pfn }))
}

/** Is a frame mapped for a guest from a file? */
function isGuestsFilePage(folio: Folio): boolean {
  let found = false
  forEachSpte((_, spte, mapped) => {
    if (mapped === folio && spte.fromFile) found = true
  })
  return found
}

export const pkvm: Sanitizer = {
  name: 'pkvm',
  host: 'pkvm',
  invariant:
    "The hypervisor's tables agree on who has a page, and the kernel lets go of no page that somebody else has.",
  kinds: [
    {
      id: 'hypervisor-panic',
      judgement: 'access',
      sentence:
        'A WARN() or BUG() of the hypervisor, as of a host that touches what is not its own.',
      why: [source('7.0', 'arch/arm64/kvm/hyp/nvhe/mem_protect.c handle_host_mem_abort')],
    },
    {
      id: 'host-read-fault',
      judgement: 'access',
      sentence: 'The kernel loads from a page that the host does not own, and cannot get: an oops.',
      why: [source('7.1', 'arch/arm64/mm/fault.c __do_kernel_fault')],
    },
    {
      id: 'ownership-conflict',
      judgement: 'state',
      sentence: 'What host, hypervisor and guests have of a page does not fit together.',
      why: [source('7.1', 'arch/arm64/kvm/hyp/nvhe/mem_protect.c pkvm_ownership_selftest')],
    },
    {
      id: 'share-miscount',
      judgement: 'state',
      sentence: 'A page counts other guests that borrow it than there are.',
      why: [source('7.1', 'arch/arm64/kvm/hyp/nvhe/mem_protect.c __check_host_shared_guest')],
    },
    {
      id: 'freed-while-donated',
      judgement: 'state',
      sentence: 'The kernel frees a page that the hypervisor has given to somebody else.',
      why: [source('7.1', 'arch/arm64/kvm/hyp/nvhe/mem_protect.c host_stage2_idmap')],
    },
    {
      id: 'guest-page-not-zeroed',
      judgement: 'call',
      sentence: "The host gets a guest's page back with what the guest has left there.",
      why: [source('7.1', 'arch/arm64/kvm/hyp/nvhe/mem_protect.c hyp_poison_page')],
    },
    {
      id: 'pin-dropped-early',
      judgement: 'call',
      sentence: 'The host drops its pin on a page while the guest has it.',
      why: [source('7.1', 'arch/arm64/kvm/pkvm.c __pkvm_pgtable_stage2_reclaim')],
    },
    {
      id: 'pin-missing',
      judgement: 'state',
      sentence: 'A protected guest maps a page of the process that has no reference for that.',
      why: [source('7.1', 'arch/arm64/kvm/mmu.c pkvm_mem_abort')],
    },
    {
      id: 'guest-page-exposed',
      judgement: 'call',
      sentence: "A process reads a page that is a guest's alone.",
      why: [source('7.1', 'arch/arm64/mm/fault.c do_page_fault')],
    },
    {
      id: 'guest-page-taken',
      judgement: 'call',
      sentence: "The kernel touches a file's page that a guest has, whose data are gone by that.",
      why: [source('7.1', 'arch/arm64/kvm/pkvm.c pkvm_force_reclaim_guest_page')],
    },
  ],
  watches: [
    ...WATCHED_FOR_FREE,
    'PkvmPage.host',
    'PkvmPage.hyp',
    'PkvmPage.shareCount',
    'PkvmVm.state',
    'Folio.mapcount',
    'Spte.pfn',
  ],
  state({ report }) {
    forEachFolio((folio) => judgePage(folio, report))
    judgePins(report)
  },
  event(name, args, { report }) {
    const [folio] = args as [Folio]
    if (name === 'pkvm_page_returned' && folio.data !== ZERO_PAGE) {
      const text = `pfn ${folio.pfn} comes back to the host with a guest's bytes, ${byteAt(folio.data as Blob, 0)} first`
      report('guest-page-not-zeroed', text, factsOf([folio], { pfn: folio.pfn }))
    } else if (name === 'pkvm_stage2_abort' && isGuestsFilePage(folio)) {
      const text = `the kernel touches pfn ${folio.pfn}, and takes it from the guest that has it`
      report('guest-page-taken', text, factsOf([folio], { pfn: folio.pfn }))
    } else if (name === 'user_load') {
      judgeLoad(args[1] as Folio, report)
    } else if (name === 'pkvm_unpin' && pkvmPage(folio.pfn).host !== OWNED) {
      const text = `pfn ${folio.pfn} is unpinned, and the guest has it yet`
      report('pin-dropped-early', text, factsOf([folio], { pfn: folio.pfn }))
    }
  },
}

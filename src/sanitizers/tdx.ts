/**
 * A TD's memory (TDX1 to TDX8): what the module has of a frame agrees with what the kernel does
 * with it, and KVM asks for nothing that the module must refuse. What the module refuses it refuses;
 * here is that it was asked.
 */

import { tdxOf } from '../hosts/tdx/kvm.js'
import { isCovered, type Pamt, PT_NDA, pamtOf, Td, tdNumber } from '../hosts/tdx/module.js'
import {
  SEPT_STATE,
  TDX_GPA_RANGE_NOT_BLOCKED,
  TDX_TLB_TRACKING_NOT_DONE,
} from '../hosts/tdx/sept.js'
import type { Kvm } from '../kernel/include/kvm.js'
import type { Folio } from '../kernel/include/mm.js'
import type { Gfn } from '../kernel/include/types.js'
import { forEachFolio } from '../kernel/mm/page_alloc.js'
import { factsOf } from '../machine/struct.js'
import { architecture, commit, source } from './ground.js'
import type { Report, Sanitizer } from './sanitizer.js'
import { forEachAlive, freeText, gfnText, isFree, WATCHED_FOR_FREE } from './view.js'

/** Entries of a TD that have a frame. */
function entriesOf(pfn: number, owner: number): number {
  let n = 0
  forEachAlive(Td, (td) => {
    if (tdNumber(td) !== owner) return
    for (let gfn = 0; gfn < td.state.length; gfn++) {
      if (td.state.get(gfn) !== SEPT_STATE.FREE && td.pfn.get(gfn) === pfn) n++
    }
  })
  return n
}

function judge(folio: Folio, report: Report): void {
  const { pfn } = folio
  if (!isCovered(pfn)) return
  const pamt: Pamt = pamtOf(pfn)
  if (pamt.type === PT_NDA) return
  const facts = factsOf([folio, pamt], { pfn })
  if (isFree(folio)) {
    report('td-page-freed', `pfn ${pfn} ${freeText(folio)}, and TD ${pamt.owner} has it yet`, facts)
  }
  const entries = entriesOf(pfn, pamt.owner)
  if (entries === 1) return
  const text = `pfn ${pfn} belongs to TD ${pamt.owner}, which has it in ${entries} entries`
  report('pamt-mismatch', text, facts)
}

/** Calls of a zap, which has no way back. */
const NO_FAIL = ['BLOCK', 'TRACK', 'REMOVE']

/** TDX7: once everybody has come to rest, no host call is about to ask again. */
function judgePriority(td: Td, report: Report): void {
  for (let gfn = 0; gfn < td.hostPriority.length; gfn++) {
    if (td.hostPriority.get(gfn) === 0 || td.state.get(gfn) !== SEPT_STATE.PENDING) continue
    const text = `${gfnText(gfn as Gfn)} waits to be accepted, and the host goes before for ever`
    report('host-priority-stuck', text, factsOf([td], { gfn }))
  }
}

export const tdx: Sanitizer = {
  name: 'tdx',
  host: 'tdx',
  invariant:
    'A page that a TD has is neither free nor written by the host, and KVM takes it back in the order that the module demands.',
  kinds: [
    {
      id: 'td-page-freed',
      judgement: 'state',
      sentence: 'The kernel frees a page that is in the S-EPT of a TD.',
      why: [commit('ce7b5695397b', 'a leaf of the S-EPT had a reference to its page')],
    },
    {
      id: 'td-memory-written',
      judgement: 'access',
      sentence: 'The kernel stores to a page of a TD, which dies when it reads it.',
      why: [source('6.18', 'arch/x86/kvm/vmx/tdx.c tdx_clear_page')],
    },
    {
      id: 'missing-track',
      judgement: 'call',
      sentence: 'KVM wants a page back that it has not blocked, or not tracked.',
      why: [architecture('TDX module 1.5.01, TDH.MEM.PAGE.REMOVE')],
    },
    {
      id: 'removal-busy-twice',
      judgement: 'call',
      sentence: 'A call that takes a page back finds a lock taken though no vCPU is in the guest.',
      why: [commit('9a89894f30d5', 'a vCPU was initialised while a page was taken back')],
    },
    {
      id: 'tdr-contended',
      judgement: 'call',
      sentence: 'What must not fail meets a call that has the whole TD to itself.',
      why: [commit('9a89894f30d5', 'a vCPU was initialised while a page was taken back')],
    },
    {
      id: 'host-priority-stuck',
      judgement: 'state',
      sentence:
        'A page that the guest is to accept stays reserved for a host that does not ask again.',
      why: [architecture('TDX module 1.5.01, the host-priority bit of an entry')],
    },
    {
      id: 'vcpu-not-barred',
      judgement: 'call',
      sentence: 'A vCPU enters the guest while a zap keeps all of them out.',
      why: [source('6.18', 'arch/x86/kvm/vmx/tdx.c tdx_no_vcpus_enter_start')],
    },
    {
      id: 'pamt-mismatch',
      judgement: 'state',
      sentence: "The module's table of frames does not agree with the S-EPT of the owner.",
      why: [architecture('TDX module 1.5.01, PAMT')],
    },
  ],
  watches: [...WATCHED_FOR_FREE, 'Pamt.type', 'Td.state', 'Td.pfn'],
  state({ report }) {
    forEachFolio((folio) => judge(folio, report))
  },
  atRest({ report, crashed }) {
    if (!crashed) forEachAlive(Td, (td) => judgePriority(td, report))
  },
  event(name, args, { report }) {
    if (name === 'tdx_host_store') {
      const [folio] = args as [Folio]
      const text = `the kernel stores to pfn ${folio.pfn}, which TD ${pamtOf(folio.pfn).owner} has`
      report('td-memory-written', text, factsOf([folio], { pfn: folio.pfn }))
    } else if (name === 'tdx_seamcall') {
      const [op, code] = args as [string, number]
      if (code !== TDX_GPA_RANGE_NOT_BLOCKED && code !== TDX_TLB_TRACKING_NOT_DONE) return
      const why = code === TDX_GPA_RANGE_NOT_BLOCKED ? 'blocked' : 'tracked'
      report('missing-track', `${op} of an entry that is not ${why}`, factsOf([], { code }))
    } else if (name === 'tdx_busy_again') {
      const [kvm, gfn] = args as [Kvm, Gfn]
      const text = `${gfnText(gfn)} cannot be taken back: a lock is taken, and no vCPU is inside`
      report('removal-busy-twice', text, factsOf([kvm], { gfn }))
    } else if (name === 'tdx_tdr_contended') {
      const [op] = args as [string]
      if (!NO_FAIL.includes(op)) return
      const text = `${op} must not fail, and somebody has the TDR to himself`
      report('tdr-contended', text, factsOf([]))
    } else if (name === 'tdx_enter') {
      const [kvm] = args as [Kvm]
      if (!tdxOf(kvm).barred) return
      report('vcpu-not-barred', 'a vCPU enters though it is barred', factsOf([kvm]))
    }
  },
}

/**
 * Private pages of guest_memfd are for the guest alone: no page table of the process has one, no
 * device has one pinned, and no pipe has one, whether or not anybody touches it. Where pages
 * convert in place, one becomes private only when nobody is left who could reach it.
 *
 * A reference alone is not judged: who looks pages up, by frame or in the page cache, has one at any
 * moment and reaches no data by it. A fault of the process that has one shows when it maps the page.
 */
import { type AddressSpace, File } from '../kernel/include/fs.js'
import type { Folio } from '../kernel/include/mm.js'
import type { Pgoff } from '../kernel/include/types.js'
import { KVM_MEMORY_ATTRIBUTE_PRIVATE } from '../kernel/include/uapi.js'
import { xaLoad } from '../kernel/lib/xarray.js'
import { folioMaybeDmaPinned } from '../kernel/mm/gup.js'
import { forEachFolio } from '../kernel/mm/page_alloc.js'
import { kvmGmemIsPrivateMem } from '../kernel/v6_18/virt/kvm/guest_memfd_user.js'
import '../kernel/v7_4/include/guest_memfd.js'
import { factsOf } from '../machine/struct.js'
import { source } from './ground.js'
import type { Context, Report, Sanitizer } from './sanitizer.js'
import { forEachAlive } from './view.js'

/** S7: is it a page that only a guest may reach? */
function isPrivate(folio: Folio): boolean {
  const { mapping } = folio
  if (mapping === null || !mapping.inaccessible) return false
  return kvmGmemIsPrivateMem(mapping, folio.index)
}

function judgeMapped(folio: Folio, report: Report): void {
  const { pfn, mapcount } = folio
  if (mapcount === 0) return
  const text = `a process maps pfn ${pfn}, a private page of guest_memfd`
  report('private-page-mapped', text, factsOf([folio], { pfn }))
}

/** Has an open file the page: a device's, that has it pinned, or a pipe? */
function isHeld(folio: Folio): boolean {
  let held = folioMaybeDmaPinned(folio)
  forEachAlive(File, (file) => {
    if (file.privateData === folio) held = true
  })
  return held
}

/** A page is got hold of before it becomes private, or behind that: both are looked at. */
function judgeHeld(folio: Folio, report: Report): void {
  const { pfn } = folio
  if (!isHeld(folio)) return
  const text = `pfn ${pfn}, a private page of guest_memfd, is pinned, or in a pipe`
  report('private-page-held', text, factsOf([folio], { pfn }))
}

/** GC1: a page has become private. */
function converted(mapping: AddressSpace, start: Pgoff, end: Pgoff, { report }: Context): void {
  for (let index = start; index < end; index = (index + 1) as Pgoff) {
    const folio = xaLoad(mapping.iPages, index) as Folio | null
    if (folio === null) continue
    const { pfn, mapcount } = folio
    if (mapcount === 0 && !isHeld(folio)) continue
    const text = `pfn ${pfn} becomes private while the process can still reach it`
    report('conversion-in-use', text, factsOf([folio], { pfn, mapcount }))
  }
}

export const privateMemory: Sanitizer = {
  name: 'private-memory',
  invariant:
    'No page table of the process, no pin and no pipe has a private page of guest_memfd, and none becomes private that they have.',
  kinds: [
    {
      id: 'private-page-mapped',
      judgement: 'state',
      sentence: 'A process maps a page of guest_memfd that only a guest may reach.',
      why: [source('6.18', 'virt/kvm/guest_memfd.c kvm_gmem_fault_user_mapping')],
    },
    {
      id: 'private-page-held',
      judgement: 'state',
      sentence: 'A page of guest_memfd that only a guest may reach is pinned, or in a pipe.',
      why: [
        source('6.18', 'virt/kvm/guest_memfd.c kvm_gmem_fault_user_mapping'),
        source('7.4', 'virt/kvm/guest_memfd.c __folio_has_outstanding_references'),
      ],
    },
    {
      id: 'conversion-in-use',
      judgement: 'call',
      sentence: 'A page becomes private while it is mapped by the process, pinned, or in a pipe.',
      why: [source('7.4', 'virt/kvm/guest_memfd.c __kvm_gmem_set_attributes')],
    },
  ],
  watches: ['Folio.mapcount', 'GmemInode.attributes'],
  state({ report }) {
    forEachFolio((folio) => {
      if (!isPrivate(folio)) return
      judgeMapped(folio, report)
      judgeHeld(folio, report)
    })
  },
  event(name, args, context) {
    if (name === 'folio_held') {
      const folio = args[0] as Folio
      if (isPrivate(folio)) judgeHeld(folio, context.report)
    } else if (name === 'kvm_gmem_converted') {
      const [mapping, start, end, attributes] = args as [AddressSpace, Pgoff, Pgoff, number]
      if (attributes & KVM_MEMORY_ATTRIBUTE_PRIVATE) converted(mapping, start, end, context)
    }
  },
}

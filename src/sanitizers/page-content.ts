/**
 * What guests find in their pages (Z1): zeroes or what they wrote, never what the last owner of
 * the frame left. And nothing that a guest wrote may be dropped by anybody but its owner.
 *
 * Left out: Z2, residual data in free pages, is a matter of encrypted guests; an ordinary page
 * returns to the allocator as it is, and shows here when the next guest reads it.
 */

import type { Folio } from '../kernel/include/mm.js'
import type { Gfn } from '../kernel/include/types.js'
import { type Blob, isResidue } from '../machine/blob.js'
import { factsOf } from '../machine/struct.js'
import type { Context, Sanitizer } from './sanitizer.js'
import { forEachSpte, gfnText } from './view.js'

function guestRead(gfn: Gfn, folio: Folio, offset: number, { report }: Context): void {
  if (!isResidue(folio.data as Blob, offset)) return
  const text = `${gfnText(gfn)} is pfn ${folio.pfn} with what its last owner left`
  const why = `the guest reads a byte that nobody wrote: ${text}`
  report('uninitialised-page', why, factsOf([folio], { gfn, pfn: folio.pfn, offset }))
}

/** A clean page leaves the cache for good: there is no copy of it anywhere. */
function evicted(folio: Folio, { report }: Context): void {
  forEachSpte((_kvm, spte, mapped) => {
    if (mapped !== folio || !spte.fromFile || !spte.dirty) return
    const text = `pfn ${folio.pfn} was evicted as clean, but the guest wrote it`
    const why = `${text} at ${gfnText(spte.gfn)}`
    report('guest-data-lost', why, factsOf([folio, spte], { gfn: spte.gfn, pfn: folio.pfn }))
  })
}

export const pageContent: Sanitizer = {
  name: 'page-content',
  kinds: [
    {
      id: 'uninitialised-page',
      judgement: 'call',
      sentence: 'A guest reads memory that still holds what another owner left.',
      source: 'Z1; kernel-runs 2.15, D57',
    },
    {
      id: 'guest-data-lost',
      judgement: 'call',
      sentence: 'A page with data of a guest was dropped as clean.',
      source: 'kernel-runs 2.11, 2.12; F6',
    },
  ],
  event(name, args, context) {
    if (name === 'kvm_guest_read') {
      const [gfn, folio, offset] = args as [Gfn, Folio, number]
      guestRead(gfn, folio, offset, context)
    } else if (name === 'mm_folio_evicted') {
      evicted(args[0] as Folio, context)
    }
  },
}

/**
 * What guests, and processes, find in their pages: zeroes or what they wrote, never what the last
 * owner of the frame left. And nothing that a guest wrote may be dropped by anybody but its owner.
 *
 * Left out: residual data in free pages is a matter of encrypted guests; an ordinary page
 * returns to the allocator as it is, and shows here when the next guest reads it.
 */

import type { Folio } from '../kernel/include/mm.js'
import type { Gfn } from '../kernel/include/types.js'
import { type Blob, isResidue } from '../machine/blob.js'
import { factsOf } from '../machine/struct.js'
import { recorded, source } from './ground.js'
import type { Context, Sanitizer } from './sanitizer.js'
import { forEachSpte, gfnText } from './view.js'

function guestRead(gfn: Gfn, folio: Folio, offset: number, { report }: Context): void {
  if (!isResidue(folio.data as Blob, offset)) return
  const text = `${gfnText(gfn)} is pfn ${folio.pfn} with what its last owner left`
  const why = `the guest reads a byte that nobody wrote: ${text}`
  report('uninitialised-page', why, factsOf([folio], { gfn, pfn: folio.pfn, offset }))
}

function userLoad(address: bigint, folio: Folio, offset: number, { report }: Context): void {
  if (!isResidue(folio.data as Blob, offset)) return
  const text = `address 0x${address.toString(16)} is pfn ${folio.pfn} with what its last owner left`
  const why = `the process reads a byte that nobody wrote: ${text}`
  report('uninitialised-page', why, factsOf([folio], { pfn: folio.pfn, offset }))
}

/** A clean page leaves the cache for good: there is no copy of it anywhere. */
function evicted(folio: Folio, { report }: Context): void {
  forEachSpte((_kvm, spte, mapped) => {
    if (mapped !== folio || !spte.fromFile || !spte.written) return
    const text = `pfn ${folio.pfn} was evicted as clean, but the guest wrote it`
    const why = `${text} at ${gfnText(spte.gfn)}`
    report('guest-data-lost', why, factsOf([folio, spte], { gfn: spte.gfn, pfn: folio.pfn }))
  })
}

export const pageContent: Sanitizer = {
  name: 'page-content',
  invariant:
    'A guest finds zeroes in its pages, or what it wrote, and nobody but the owner drops what a guest wrote.',
  kinds: [
    {
      id: 'uninitialised-page',
      judgement: 'call',
      sentence: 'A guest, or its process, reads memory that holds what another owner left.',
      why: [source('6.2', 'mm/shmem.c shmem_get_folio_gfp'), recorded('6.2.1', 'E5.zero')],
    },
    {
      id: 'guest-data-lost',
      judgement: 'call',
      sentence: 'A page with data of a guest was dropped as clean.',
      why: [
        source('6.2', 'mm/truncate.c invalidate_inode_page'),
        recorded('6.2.1', 'E7.drop'),
        recorded('6.2.1', 'E6.soft'),
      ],
    },
  ],
  event(name, args, context) {
    if (name === 'kvm_guest_read') {
      const [gfn, folio, offset] = args as [Gfn, Folio, number]
      guestRead(gfn, folio, offset, context)
    } else if (name === 'user_load') {
      const [address, folio, offset] = args as [bigint, Folio, number]
      userLoad(address, folio, offset, context)
    } else if (name === 'mm_folio_evicted') {
      evicted(args[0] as Folio, context)
    }
  },
}

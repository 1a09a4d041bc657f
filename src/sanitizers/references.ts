/**
 * The ledger of a folio's references. In every state a folio has at least the references of
 * the holders that can be seen: the page cache or the swap cache, and batches. When everything
 * was torn down it is back in the allocator, or, if it is poisoned, has the one reference that keeps
 * it out of it; with more its poison could not be taken back.
 */
import { type Folio, nrPages } from '../kernel/include/mm.js'
import { mlockEntries } from '../kernel/mm/mlocked.js'
import { forEachFolio } from '../kernel/mm/page_alloc.js'
import { factsOf } from '../machine/struct.js'
import { isGivenUp } from '../user/given-up.js'
import { commit, source } from './ground.js'
import type { Context, Sanitizer } from './sanitizer.js'

/** References whose holders can be seen in the state. */
export function visibleHolders(folio: Folio): number {
  const cached = folio.mapping !== null || folio.swap !== 0
  const inBatch = (folio.lruBatch === 0 ? 0 : 1) + mlockEntries(folio)
  return (cached ? nrPages(folio) : 0) + inBatch
}

function state({ report }: Context): void {
  forEachFolio((folio) => {
    const { pfn, refcount } = folio
    if (folio.buddy && refcount !== 0) {
      const text = `pfn ${pfn} is in the allocator with ${refcount} references`
      report('refcount-underflow', text, factsOf([folio], { pfn, references: refcount }))
    } else if (refcount < visibleHolders(folio)) {
      const holders = visibleHolders(folio)
      const text = `pfn ${pfn} has ${refcount} references but ${holders} holders`
      const facts = factsOf([folio], { pfn, references: refcount, holders })
      report('refcount-underflow', text, facts)
    }
  })
}

/** A poisoned frame of a block that went offline: nobody will ever ask for it again. */
function isOffline(folio: Folio): boolean {
  return folio.hwpoison && folio.isolateBlock
}

function atEnd({ report, crashed }: Context): void {
  if (crashed) return
  forEachFolio((folio) => {
    if (folio.buddy || folio.refcount === 0 || isOffline(folio) || isGivenUp(folio)) return
    const extra = folio.refcount - visibleHolders(folio) - (folio.hwpoison ? 1 : 0)
    if (extra > 0) {
      const text = `pfn ${folio.pfn} keeps ${extra} references that nobody owns`
      report('refcount-leak', text, factsOf([folio], { pfn: folio.pfn, references: extra }))
    }
  })
}

export const references: Sanitizer = {
  name: 'references',
  invariant:
    'A folio has at least the references of the holders that can be seen (page cache, swap cache, batches); when all was torn down it is back in the allocator, unless it is poisoned.',
  kinds: [
    {
      id: 'refcount-underflow',
      judgement: 'state',
      sentence: 'A folio has fewer references than holders.',
      why: [source('6.2', 'include/linux/mm.h put_page_testzero')],
    },
    {
      id: 'refcount-leak',
      judgement: 'end',
      sentence: 'A folio keeps a reference that nobody owns.',
      why: [
        commit('c31745d2c508', 'a lookup of a poisoned page of guest_memfd keeps its reference'),
      ],
    },
  ],
  watches: [
    'Folio.refcount',
    'Folio.mapping',
    'Folio.swap',
    'Folio.lruBatch',
    'Folio.mlockBatch',
    'Folio.buddy',
  ],
  // Besides, it reads which folios there are, and their numbers: the memmap never changes.
  ofStates: true,
  state,
  atEnd,
}

/**
 * Hardware poison: once a memory failure has been handled, no guest gets the page any more, and
 * none has it; who uses it is told, and nobody else is.
 */
import type { Kvm, KvmMemorySlot } from '../kernel/include/kvm.js'
import { type Folio, MF_DELAYED, MF_RECOVERED, mmState } from '../kernel/include/mm.js'
import type { Gfn, Pgoff } from '../kernel/include/types.js'
import { factsOf } from '../machine/struct.js'
import { recorded, source } from './ground.js'
import type { Context, Sanitizer } from './sanitizer.js'
import { forEachSpte, gfnText } from './view.js'

function mapped(gfn: Gfn, folio: Folio, { report }: Context): void {
  // While mf_mutex is held the failure is still being handled.
  if (!folio.hwpoison || mmState().mfMutex.owner !== 0) return
  const text = `${gfnText(gfn)} was given pfn ${folio.pfn}, which is poisoned`
  report('poison-remapped', text, factsOf([folio], { gfn, pfn: folio.pfn }))
}

/**
 * A failure has been handled: memory failure says that nobody uses the page any more. A guest that
 * still has it, told or not, meets the poison at its next access.
 */
function handled(failed: Folio, result: number, { report }: Context): void {
  if (result !== MF_RECOVERED && result !== MF_DELAYED) return
  forEachSpte((kvm, spte, folio) => {
    if (folio !== failed) return
    const text = `${gfnText(spte.gfn)} maps pfn ${failed.pfn}, whose failure counts as recovered`
    const facts = factsOf([failed, spte, kvm], { gfn: spte.gfn, pfn: failed.pfn })
    report('poison-still-mapped', text, facts)
  })
}

/** The range that failed, in pages of the file, against the slot that is told. */
function told(slot: KvmMemorySlot, start: Pgoff, end: Pgoff, { report }: Context): void {
  const first = slot.restrictedOffset
  if (start < first + slot.npages && end > first) return
  const range = `pages ${start} to ${end - 1}`
  const text = `memslot ${slot.id} is told of ${range}, which it does not contain`
  report('misdirected-report', text, factsOf([slot], { start, end }))
}

export const poison: Sanitizer = {
  name: 'poison',
  invariant:
    'Once a memory failure has been handled, no guest gets the page; whoever maps it is told, or loses the mapping; nobody else is told.',
  kinds: [
    {
      id: 'poison-remapped',
      judgement: 'call',
      sentence: 'A poisoned page was mapped into a guest after the failure was handled.',
      why: [
        source('6.18', 'virt/kvm/guest_memfd.c kvm_gmem_get_pfn'),
        recorded('6.2.1', 'E8.repaired'),
      ],
    },
    {
      id: 'poison-still-mapped',
      judgement: 'call',
      sentence: 'A memory failure was handled while a guest keeps a mapping of the page.',
      why: [
        source('6.2', 'mm/memory-failure.c hwpoison_user_mappings'),
        source('6.18', 'virt/kvm/guest_memfd.c kvm_gmem_error_folio'),
      ],
    },
    {
      id: 'poison-not-reported',
      judgement: 'state',
      sentence: 'A guest keeps a mapping of a poisoned page and nobody was told.',
      why: [source('6.2', 'mm/memory-failure.c memory_failure'), recorded('6.2.1', 'E8.tdxwalk')],
    },
    {
      id: 'misdirected-report',
      judgement: 'call',
      sentence: 'A memory failure was reported to a memslot that does not contain the page.',
      why: [recorded('6.2.1', 'E8.d11')],
    },
  ],
  event(name, args, context) {
    if (name === 'kvm_map_from_file') {
      const [, gfn, folio] = args as [Kvm, Gfn, Folio]
      mapped(gfn, folio, context)
    } else if (name === 'memory_failure_event') {
      const [folio, result] = args as [Folio, number]
      handled(folio, result, context)
    } else if (name === 'restrictedmem_error') {
      const [slot, start, end] = args as [KvmMemorySlot, Pgoff, Pgoff]
      told(slot, start, end, context)
    }
  },
  atRest({ report, crashed }) {
    if (crashed) return
    forEachSpte((kvm, spte, folio) => {
      // A page that has left its file (soft offline) did not fail; that it is mapped is judged as stale.
      if (!spte.fromFile || folio === null || !folio.hwpoison || folio.mapping === null) return
      if (kvm.memoryErrors > 0) return
      const text = `${gfnText(spte.gfn)} maps poisoned pfn ${folio.pfn}, unreported`
      const facts = factsOf([folio, spte, kvm], { gfn: spte.gfn, pfn: folio.pfn })
      report('poison-not-reported', text, facts)
    })
  },
}

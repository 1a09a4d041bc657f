/**
 * Hardware poison: once a memory failure has been handled, no guest gets the page any more, and
 * none has it; who uses it is told, and nobody else is.
 */
import type { Kvm, KvmMemorySlot } from '../kernel/include/kvm.js'
import { type Folio, MF_DELAYED, MF_RECOVERED, mmState } from '../kernel/include/mm.js'
import type { Gfn, Pgoff } from '../kernel/include/types.js'
import { xaLoad } from '../kernel/lib/xarray.js'
import { LimitError } from '../machine/fault.js'
import {
  constructAt,
  factsOf,
  num,
  type Obj,
  type Struct,
  struct,
  type Vec,
  vec,
} from '../machine/struct.js'
import { recorded, source } from './ground.js'
import type { Context, Sanitizer } from './sanitizer.js'
import { backingOf, forEachSpte, gfnText } from './view.js'

const MOST_TOLD = 16

/** Of which frame which VM was told: a failure of one excuses no other. */
interface Told extends Obj {
  count: number
  kvms: Vec
  pfns: Vec
}

const Told: Struct<Told> = struct<Told>(
  'Told',
  { count: num(), kvms: vec(MOST_TOLD), pfns: vec(MOST_TOLD) },
  { capacity: 1, role: 'judge' },
)

function toldOf(): Told {
  return Told.at(Told.base) as Told
}

function wasTold(kvm: Kvm, folio: Folio): boolean {
  const { count, kvms, pfns } = toldOf()
  for (let i = 0; i < count; i++) {
    if (kvms.get(i) === kvm.at && pfns.get(i) === folio.pfn) return true
  }
  return false
}

function note(kvm: Kvm, folio: Folio): void {
  if (wasTold(kvm, folio)) return
  const all = toldOf()
  if (all.count === MOST_TOLD) throw new LimitError(`more than ${MOST_TOLD} reports of failures`)
  all.kvms.set(all.count, kvm.at)
  all.pfns.set(all.count, folio.pfn)
  all.count++
}

function mapped(gfn: Gfn, folio: Folio, { report }: Context): void {
  // While mf_mutex is held the failure is still being handled.
  if (!folio.hwpoison || mmState().mfMutex.owner !== 0) return
  const text = `${gfnText(gfn)} was given pfn ${folio.pfn}, which is poisoned`
  report('poison-remapped', text, factsOf([folio], { gfn, pfn: folio.pfn }))
}

/**
 * A failure has been handled: memory failure says that nobody uses the page any more. A guest, or
 * the process, that still has it, told or not, meets the poison at its next access.
 */
function handled(failed: Folio, result: number, { report }: Context): void {
  if (result !== MF_RECOVERED && result !== MF_DELAYED) return
  if (failed.mapcount > 0) {
    const text = `the process maps pfn ${failed.pfn}, whose failure counts as recovered`
    report('poison-still-mapped', text, factsOf([failed], { pfn: failed.pfn }))
  }
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
  const behind = first + slot.npages
  for (let index = Math.max(start, first); index < Math.min(end, behind); index++) {
    const backing = backingOf(slot, (slot.baseGfn + (index - first)) as Gfn)
    const folio = backing === undefined ? null : xaLoad(backing.mapping.iPages, backing.index)
    if (folio !== null) note(slot.kvm as Kvm, folio as Folio)
  }
  if (start < behind && end > first) return
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
      sentence:
        'A memory failure was handled while a guest, or the process, keeps a mapping of the page.',
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
  booted() {
    constructAt(Told as unknown as Struct<Obj>, Told.base, 0)
  },
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
      if (wasTold(kvm, folio)) return
      const text = `${gfnText(spte.gfn)} maps poisoned pfn ${folio.pfn}, unreported`
      const facts = factsOf([folio, spte, kvm], { gfn: spte.gfn, pfn: folio.pfn })
      report('poison-not-reported', text, facts)
    })
  },
}

/**
 * Bindings belong to the living: no live object points to a memslot that has been freed,
 * or to its notifier. The judge reads every pointer to one that there is, by the layouts of the
 * structs, so it works for whatever object a design keeps its bindings in.
 */
import { KvmMemorySlot } from '../kernel/include/kvm.js'
import { RestrictedmemNotifier } from '../kernel/include/restrictedmem.js'
import { XArray, XaNode } from '../kernel/include/xarray.js'
import { forEachEmbedded, forEachPointerTo, structText } from '../machine/census.js'
import { headerAt, type Obj, objectName, type Struct } from '../machine/struct.js'
import { commit, recorded, source } from './ground.js'
import type { Context, Report, Sanitizer } from './sanitizer.js'
import { forEachAlive } from './view.js'

const NOTIFIER = RestrictedmemNotifier as unknown as Struct<Obj>
const SLOT = KvmMemorySlot as unknown as Struct<Obj>
const ARRAY = XArray as unknown as Struct<Obj>

/** Does this word point to a memslot, or to the notifier of one, that has been freed? */
function dangles(word: number): boolean {
  if (word <= 0) return false
  return headerAt(NOTIFIER, word) === -NOTIFIER.id || headerAt(SLOT, word) === -SLOT.id
}

function tell(holder: string, word: number, report: Report): void {
  const text = `${holder} still points to a freed memslot`
  report('dangling-binding', text, { about: [objectName(word)], values: {} })
}

function judgeArrays(report: Report): void {
  forEachAlive(XaNode, (node) => {
    for (let i = 0; i < node.slots.length; i++) {
      const word = node.slots.get(i)
      if (dangles(word)) return tell('the bindings of a file', word, report)
    }
  })
  forEachEmbedded(ARRAY, 'xaHead', (word) => {
    if (dangles(word)) tell('the bindings of a file', word, report)
  })
}

function judgePointers(report: Report): void {
  forEachPointerTo(NOTIFIER, (word, holder) => {
    if (dangles(word)) tell(`a ${structText(holder)}`, word, report)
  })
}

function judge({ report }: Context): void {
  judgeArrays(report)
  judgePointers(report)
}

export const bindings: Sanitizer = {
  name: 'bindings',
  invariant:
    'No live object points to a memslot that has been freed, or to its notifier, whatever it is in which a design keeps its bindings.',
  kinds: [
    {
      id: 'dangling-binding',
      judgement: 'state',
      sentence: 'A file keeps a binding to a memslot that has been freed.',
      why: [
        source('6.18', 'virt/kvm/guest_memfd.c kvm_gmem_unbind'),
        commit('9935df5333aa', 'clearing KVM_MEM_GUEST_MEMFD on a live memslot'),
        recorded('6.18.2', 'same slot, GUEST_MEMFD flag cleared (FLAGS_ONLY)'),
      ],
    },
  ],
  watches: ['Mutex.owner', 'KvmMemslots.slots'],
  state: judge,
  atRest: judge,
}

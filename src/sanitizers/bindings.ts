/**
 * Bindings belong to the living (R4, R6): no live object points to a memslot that has been freed,
 * or to its notifier. The judge reads every pointer to one that there is, by the layouts of the
 * structs, so it works for whatever object a design keeps its bindings in.
 */
import { KvmMemorySlot } from '../kernel/include/kvm.js'
import { RestrictedmemNotifier } from '../kernel/include/restrictedmem.js'
import { XaNode } from '../kernel/include/xarray.js'
import {
  allStructs,
  headerAt,
  type Obj,
  rawField,
  type Struct,
  structNamed,
} from '../machine/struct.js'
import type { Context, Report, Sanitizer } from './sanitizer.js'
import { forEachAlive } from './view.js'

/** What a binding may point to. */
const BOUND = [RestrictedmemNotifier, KvmMemorySlot] as unknown as readonly Struct<Obj>[]

/** Does this word point to a memslot, or to the notifier of one, that has been freed? */
function dangles(word: number): boolean {
  return word > 0 && BOUND.some((s) => headerAt(s, word) === -s.id)
}

function tell(holder: string, report: Report): void {
  report('dangling-binding', `${holder} still points to a freed memslot`)
}

function judgeArrays(report: Report): void {
  forEachAlive(XaNode, (node) => {
    for (let i = 0; i < node.slots.length; i++) {
      if (dangles(node.slots.get(i))) return tell('the bindings of a file', report)
    }
  })
  forEachSlot('XArray', 'xaHead', (word) => {
    if (dangles(word)) tell('the bindings of a file', report)
  })
}

/** Every word of a field, in every live object of a struct, embedded ones included. */
function forEachSlot(struct: string, field: string, visit: (word: number) => void): void {
  const inner = structNamed(struct)
  for (const outer of allStructs()) {
    for (const placed of outer.fields.values()) {
      if (placed.field.kind !== 'embed' || placed.field.target !== struct) continue
      forEachAlive(outer, (object: Obj) => {
        visit(rawField(inner, object.at + placed.offset, field))
      })
    }
  }
}

function judgePointers(report: Report): void {
  for (const s of allStructs()) {
    for (const placed of s.fields.values()) {
      if (placed.field.kind !== 'ptr' || placed.field.target !== RestrictedmemNotifier.name)
        continue
      if (s.name === RestrictedmemNotifier.name) continue
      forEachAlive(s, (object: Obj) => {
        if (dangles(rawField(s, object.at, placed.name))) tell(`a ${s.cName}`, report)
      })
    }
  }
}

function judge({ report }: Context): void {
  judgeArrays(report)
  judgePointers(report)
}

export const bindings: Sanitizer = {
  name: 'bindings',
  kinds: [
    {
      id: 'dangling-binding',
      sentence: 'A file keeps a binding to a memslot that has been freed.',
      source: 'R4, R6; D04',
    },
  ],
  watches: ['Mutex.owner', 'KvmMemslots.slots'],
  state: judge,
  atRest: judge,
}

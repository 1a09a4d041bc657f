/**
 * Bindings belong to the living (R4, R6): no live object points to a memslot that has been freed,
 * or to its notifier. The judge reads every pointer to one that there is, by the layouts of the
 * structs, so it works for whatever object a design keeps its bindings in.
 */
import { KvmMemorySlot } from '../kernel/include/kvm.js'
import { RestrictedmemNotifier } from '../kernel/include/restrictedmem.js'
import { XaNode } from '../kernel/include/xarray.js'
import { mem } from '../machine/arena.js'
import { allStructs, type Obj, structNamed } from '../machine/struct.js'
import type { Context, Report, Sanitizer } from './sanitizer.js'
import { forEachAlive } from './view.js'

/** Does this word point to a memslot, or to the notifier of one, that has been freed? */
function dangles(word: number): boolean {
  return word > 0 && (mem[word] === -RestrictedmemNotifier.id || mem[word] === -KvmMemorySlot.id)
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
  const offset = inner.fields.get(field)?.offset as number
  for (const outer of allStructs()) {
    for (const placed of outer.fields.values()) {
      if (placed.field.kind !== 'embed' || placed.field.target !== struct) continue
      forEachAlive(outer, (object: Obj) => {
        visit(mem[object.at + placed.offset + offset] as number)
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
        if (dangles(mem[object.at + placed.offset] as number)) tell(`a ${s.cName}`, report)
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

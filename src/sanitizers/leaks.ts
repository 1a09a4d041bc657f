/**
 * When the process has exited, every kernel object that was not there when the kernel had booted
 * must be gone (R2). After an oops this says nothing: what the dead thread held stays.
 */
import { swapInfo } from '../kernel/include/swap.js'
import { XaNode } from '../kernel/include/xarray.js'
import { allStructs, forEachAlive } from '../machine/struct.js'
import type { Sanitizer } from './sanitizer.js'

/** A page may stay in the swap cache, with nobody else who knows it, until it is reclaimed. */
function isOfSwapCache(node: XaNode): boolean {
  return node.array?.at === swapInfo().space.iPages.at
}

/** Structs that never leave: the memmap, the machine's own, and the judges'. */
const PERMANENT = new Set(['Folio', 'Task', 'VerdictBit', 'LockGraph', 'Variables'])

let baseline = new Map<string, number>()

function countAlive(): Map<string, number> {
  const counts = new Map<string, number>()
  for (const s of allStructs()) {
    if (PERMANENT.has(s.name)) continue
    let alive = 0
    forEachAlive(s, (object) => {
      if (s.id !== XaNode.id || !isOfSwapCache(object as XaNode)) alive++
    })
    counts.set(s.cName, alive)
  }
  return counts
}

export const leaks: Sanitizer = {
  name: 'leaks',
  kinds: [
    {
      id: 'memory-leak',
      sentence: 'An object stays allocated after everything was closed.',
      source: 'R2',
    },
  ],
  booted() {
    baseline = countAlive()
  },
  atEnd({ report, crashed }) {
    if (crashed) return
    const left: string[] = []
    for (const [name, alive] of countAlive()) {
      const extra = alive - (baseline.get(name) ?? 0)
      if (extra > 0) left.push(`${extra} ${name}`)
    }
    if (left.length > 0) report('memory-leak', `after exit there are still ${left.join(', ')}`)
  },
}

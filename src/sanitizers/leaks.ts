/**
 * When the process has exited, every kernel object that was not there when the kernel had booted
 * must be gone. After an oops this says nothing: what the dead thread held stays.
 */
import { swapInfo } from '../kernel/include/swap.js'
import { XaNode } from '../kernel/include/xarray.js'
import { aliveOf, mayLeak, structCount, structText } from '../machine/census.js'
import {
  constructAt,
  forEachAlive,
  MAX_STRUCTS,
  type Obj,
  type Struct,
  struct,
  type Vec,
  vec,
} from '../machine/struct.js'
import { asTool, recorded } from './ground.js'
import type { Sanitizer } from './sanitizer.js'

interface Baseline extends Obj {
  /** By struct: objects alive when the kernel had booted; -1 if they never leave. */
  alive: Vec
}

const Baseline: Struct<Baseline> = struct<Baseline>(
  'Baseline',
  { alive: vec(MAX_STRUCTS + 1) },
  { capacity: 1, role: 'judge' },
)

function baseline(): Baseline {
  return Baseline.at(Baseline.base) as Baseline
}

/** A page may stay in the swap cache, with nobody else who knows it, until it is reclaimed. */
function isOfSwapCache(node: XaNode): boolean {
  return node.array?.at === swapInfo().space.iPages.at
}

function countOf(id: number): number {
  let alive = aliveOf(id)
  if (id !== XaNode.id) return alive
  forEachAlive(XaNode, (node) => {
    if (isOfSwapCache(node)) alive--
  })
  return alive
}

export const leaks: Sanitizer = {
  name: 'leaks',
  invariant:
    'When the process has exited, no object of the kernel is left that was not there when it had booted. Not judged after an oops: what the dead thread held stays.',
  kinds: [
    {
      id: 'memory-leak',
      judgement: 'end',
      sentence: 'An object stays allocated after everything was closed.',
      why: [asTool('kmemleak'), recorded('6.2.1', 'E4.leak')],
    },
  ],
  booted() {
    constructAt(Baseline as unknown as Struct<Obj>, Baseline.base, 0)
    for (let id = 1; id <= structCount(); id++) {
      baseline().alive.set(id, mayLeak(id) ? countOf(id) : -1)
    }
  },
  atEnd({ report, crashed }) {
    if (crashed) return
    let leaked = 0
    let left = ''
    for (let id = 1; id <= structCount(); id++) {
      const before = baseline().alive.get(id)
      const extra = before < 0 ? 0 : countOf(id) - before
      if (extra <= 0) continue
      left += `${leaked > 0 ? ', ' : ''}${extra} ${structText(id)}`
      leaked += extra
    }
    const text = `after exit there are still ${left}`
    if (leaked > 0) report('memory-leak', text, { about: [], values: { leaked } })
  },
}

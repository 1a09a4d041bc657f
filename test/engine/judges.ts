/** What judges the random programs: an invariant over two fields, a count of objects, lockdep. */
import { NO_FACTS } from '../../src/machine/fault.js'
import { forEachAlive } from '../../src/machine/struct.js'
import { lockOrder } from '../../src/sanitizers/lock-order.js'
import type { Sanitizer } from '../../src/sanitizers/sanitizer.js'
import { sleepInAtomic } from '../../src/sanitizers/sleep-in-atomic.js'
import { Bench, Victim } from './repertoire.js'

function bench(): Bench {
  return Bench.at(Bench.base) as Bench
}

/** Holds in most programs most of the time, and says nothing of the final state. */
const neverBoth: Sanitizer = {
  name: 'never-both',
  invariant: 'a and b are not 1 at once.',
  kinds: [{ id: 'both-set', judgement: 'state', sentence: 'a and b are 1 at once.', why: [] }],
  watches: ['Bench.a', 'Bench.b'],
  ofStates: true,
  state({ report }) {
    if (bench().a === 1 && bench().b === 1) report('both-set', 'a = b = 1', NO_FACTS)
  },
}

const fewVictims: Sanitizer = {
  name: 'few-victims',
  invariant: 'At most one victim is alive while a is 2.',
  kinds: [
    {
      id: 'two-victims',
      judgement: 'state',
      sentence: 'Two victims are alive while a is 2.',
      why: [],
    },
  ],
  watches: ['Bench.a'],
  state({ report }) {
    if (bench().a !== 2) return
    let alive = 0
    forEachAlive(Victim, () => alive++)
    if (alive > 1) report('two-victims', `${alive} victims are alive`, NO_FACTS)
  },
}

export const SELF_TEST_JUDGES: readonly Sanitizer[] = [
  neverBoth,
  fewVictims,
  lockOrder,
  sleepInAtomic,
]

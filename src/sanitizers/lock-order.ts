/**
 * Lock order, as lockdep: the classes of locks form a graph, held before taken, and a cycle in it
 * means that some timing deadlocks, whether or not this execution did. The graph is that of one
 * execution and part of the state: two ways to one place may have taken different locks, and what
 * the one lacks to a cycle the other may have.
 *
 * Left out: two locks of one class (lockdep wants an annotation there), and the difference between
 * reading and writing a lock, which lockdep drops too for sleeping locks.
 */
import { NO_FACTS } from '../machine/fault.js'
import { constructAt, type Obj, type Struct, struct, type Vec, vec } from '../machine/struct.js'
import { lockClassName, MAX_LOCK_CLASSES, notePair, type Task } from '../machine/task.js'
import { source } from './ground.js'
import type { Context, Sanitizer } from './sanitizer.js'

interface LockGraph extends Obj {
  /** By class: bit mask of the classes taken while it was held. */
  after: Vec
}

const LockGraph: Struct<LockGraph> = struct<LockGraph>(
  'LockGraph',
  { after: vec(MAX_LOCK_CLASSES + 1) },
  // It only collects: of two acquisitions the last reports, whichever it is.
  { capacity: 1, role: 'judge', commutes: ['after'] },
)

function graph(): LockGraph {
  return LockGraph.at(LockGraph.base) as LockGraph
}

/** Can `to` be reached from `from`? */
function leadsTo(after: Vec, from: number, to: number): boolean {
  let seen = 1 << from
  let frontier = seen
  while (frontier !== 0) {
    let next = 0
    for (let c = 1; c <= MAX_LOCK_CLASSES; c++) if (frontier & (1 << c)) next |= after.get(c)
    if (next & (1 << to)) return true
    frontier = next & ~seen
    seen |= next
  }
  return false
}

function acquired(task: Task, taken: number, trylock: boolean, { report }: Context): void {
  if (trylock || taken === 0) return
  const { after } = graph()
  for (let i = 0; i < task.heldCount; i++) {
    const held = task.heldClass.get(i)
    if (held === taken || held === 0 || after.get(held) & (1 << taken)) continue
    if (leadsTo(after, taken, held)) {
      const [a, b] = [lockClassName(held), lockClassName(taken)]
      const text = `${b} is taken under ${a}, but elsewhere ${a} is taken under ${b}`
      report('lock-inversion', text, NO_FACTS)
    }
    notePair(held, taken)
    after.set(held, after.get(held) | (1 << taken))
  }
}

export const lockOrder: Sanitizer = {
  name: 'lock-order',
  invariant: 'The classes of locks, held before taken, form a graph without a cycle.',
  kinds: [
    {
      id: 'lock-inversion',
      judgement: 'call',
      sentence: 'Two locks are taken in both orders; some timing deadlocks.',
      why: [source('6.2', 'kernel/locking/lockdep.c check_noncircular')],
    },
  ],
  booted() {
    constructAt(LockGraph as unknown as Struct<Obj>, LockGraph.base, 0)
  },
  acquired,
}

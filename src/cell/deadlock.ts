/** Who waits for what, and who has it: the text behind a deadlock. */

import type { Addr } from '../machine/arena.js'
import { mem } from '../machine/arena.js'
import { EFFECT, effectAddr, effectKind } from '../machine/effects.js'
import type { Facts } from '../machine/fault.js'
import { hasDied, hasEnded, isDaemon, phaseOf, taskCount, taskName } from '../machine/machine.js'
import { objectAt, objectName, snake } from '../machine/struct.js'
import { holdsLock, lockClassName, TASK, taskNumber } from '../machine/task.js'

export interface Stuck {
  readonly task: number
  readonly message: string
  readonly facts: Facts
}

/** Is any task of the present phase waiting for something that nobody can bring about? */
export function describeStuck(): Stuck | undefined {
  const stuck: number[] = []
  for (let n = 0; n < taskCount(); n++) {
    if (!isDaemon(n) && !hasEnded(n) && taskNumber(n).started !== 0) stuck.push(n)
  }
  const [first] = stuck
  if (first === undefined) return undefined
  const message = stuck.map((n) => `${taskName(n)} waits for ${waitsFor(n)}`).join('; ')
  const words = stuck.map(wordOf)
  const about = [...new Set(words.filter((at) => at !== 0).map(objectName))]
  const waits = stuck.map((n) => ({
    task: taskName(n),
    for: describeWord(wordOf(n)),
    heldBy: holdersOf(wordOf(n)),
  }))
  return { task: first, message, facts: { about, values: {}, waits } }
}

/** The word that a task looks at before it goes on. */
function wordOf(n: number): Addr {
  return effectAddr(taskNumber(n).pending) as Addr
}

/** What a blocked task waits for, with the holder's name. */
export function waitsFor(n: number): string {
  const { pending } = taskNumber(n)
  const addr = wordOf(n)
  const what = describeWord(addr)
  const holders = holdersOf(addr)
  const by = holders.length > 0 ? `, held by ${holders.join(' and ')}` : ''
  const writers = queuedWriters(addr)
  switch (effectKind(pending)) {
    case EFFECT.LOCK_SHARED:
      // Who holds it for reading would not keep this reader out; the queued writer does.
      return mem[addr] === 0 && writers.length > 0
        ? `${what}, queued behind ${writers.join(' and ')}`
        : `${what}${by}`
    case EFFECT.LOCK:
    case EFFECT.LOCK_EXCLUSIVE:
      return `${what}${by}`
    default:
      return `a change of ${what}`
  }
}

/** Tasks that wait to write-lock the rwsem whose writer this word names. */
function queuedWriters(addr: Addr): string[] {
  const names: string[] = []
  for (let n = 0; n < taskCount(); n++) {
    const task = taskNumber(n)
    if (task.started === 0 || hasEnded(n)) continue
    const waits = effectKind(task.pending) === EFFECT.LOCK_EXCLUSIVE
    if (waits && effectAddr(task.pending) === addr) names.push(taskName(n))
  }
  return names
}

function holdersOf(addr: Addr): string[] {
  const names: string[] = []
  for (let n = 0; n < taskCount(); n++) {
    const task = taskNumber(n)
    if (!holdsLock(task, addr)) continue
    if (hasDied(n)) names.push(`${taskName(n)}, which died`)
    else if (task.state === TASK.RUNNING && phaseOf(n) >= 0) names.push(taskName(n))
  }
  return names
}

/** A word of the arena in the field's own words, e.g. `folio 3 lock_owner`. */
export function describeWord(addr: number): string {
  for (let n = 0; n < taskCount(); n++) {
    const task = taskNumber(n)
    for (let i = 0; i < task.heldCount; i++) {
      if (task.heldAddr.get(i) === addr) return lockClassName(task.heldClass.get(i))
    }
  }
  const owner = objectAt(addr)
  if (owner === undefined) return `word ${mem[addr]}`
  for (const placed of owner.struct.fields.values()) {
    if (addr < owner.base + placed.offset + placed.field.words) {
      return `${objectName(addr)} ${snake(placed.name)}`
    }
  }
  return objectName(addr)
}

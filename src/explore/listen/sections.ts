/**
 * The judge of critical sections: does the model hold in one piece what Linux does? Two rules, asked
 * of one execution, task by task, for the fields that `guards.ts` lists.
 *
 * A guarded field is touched with its lock held, or for the reason that the table gives. And what a
 * task writes because of something that it has read under the same lock, it writes in the section in
 * which it has read that: once the lock has been dropped in between, it looks again. A section that
 * has written is complete: what the task did it for is done.
 *
 * A section of a leaf lock is one step. An object that no other task has touched yet, or that has no
 * users any more, needs no lock.
 */
import type { Listener } from '../../cell/execution.js'
import { XArray, XaNode } from '../../kernel/include/xarray.js'
import { type Addr, mem } from '../../machine/arena.js'
import { isTelling } from '../../machine/fault.js'
import { phaseOf } from '../../machine/machine.js'
import { objectAt, setAccessHook, structNamed } from '../../machine/struct.js'
import { holdsLock, taskNumber } from '../../machine/task.js'
import { GUARDS, type Guard } from './guards.js'

/** What a task has done to the fields of one guard of one object. */
interface Section {
  readonly guard: Guard
  readonly object: Addr
  /** Read since the lock was taken. */
  readonly read: Set<string>
  wrote: boolean
  /** Read in earlier sections, which have then changed nothing. */
  readonly tested: Set<string>
}

interface Guarded {
  readonly field: string
  readonly object: Addr
  /** By number in the table: whose it is, or whose writes hang on it. */
  readonly guards: readonly number[]
}

const byField = new Map<string, number[]>()
for (const [i, guard] of GUARDS.entries()) {
  for (const field of [...guard.fields, ...(guard.tests ?? [])]) {
    const name = `${guard.struct}.${field}`
    byField.set(name, [...(byField.get(name) ?? []), i])
  }
}

export class SectionJudge implements Listener {
  /** What was found, a sentence each. */
  readonly split = new Set<string>()
  readonly #sections = new Map<string, Section>()
  /** Who has touched an object: a task, or several. */
  readonly #users = new Map<Addr, number | 'many'>()
  #task = 0
  #op = 0

  stepping(task: number): void {
    const { op } = taskNumber(task)
    this.#task = task
    this.#op = op
    for (const [key, s] of this.#sections) {
      if (!key.startsWith(`${task}:`)) continue
      if (!key.startsWith(`${task}:${op}:`)) this.#sections.delete(key)
      else if (!isHeld(task, s)) close(s)
    }
    // What is done before and after the tasks of the scenario is done by one task alone.
    setAccessHook(phaseOf(task) > 0 ? undefined : (at, write) => this.#access(at, write))
  }

  stepped(): void {
    setAccessHook(undefined)
  }

  #access(at: Addr, write: boolean): void {
    if (isTelling()) return
    const what = guardedAt(at)
    if (what === undefined) return
    const { field, object, guards } = what
    const user = this.#users.get(object)
    const alone = user === undefined || user === this.#task
    this.#users.set(object, alone ? this.#task : 'many')
    for (const i of guards) {
      const s = this.#section(i, object)
      const { guard } = s
      const its = guard.fields.includes(field)
      if (its && !(alone || hasNoUsers(s) || isHeld(this.#task, s))) this.#bare(guard, field, write)
      if (!write) s.read.add(field)
      else if (its) this.#write(s, field)
    }
  }

  #section(i: number, object: Addr): Section {
    const key = `${this.#task}:${this.#op}:${i}:${object}`
    let s = this.#sections.get(key)
    if (s === undefined) {
      const guard = GUARDS[i] as Guard
      s = { guard, object, read: new Set(), wrote: false, tested: new Set() }
      this.#sections.set(key, s)
    }
    return s
  }

  /** A field is touched without its lock. */
  #bare(guard: Guard, field: string, write: boolean): void {
    if (guard.locks === 'leaf') return
    if ((write ? guard.writers : guard.readers) !== undefined) return
    const how = write ? 'written' : 'read'
    this.split.add(`${guard.struct}.${field} is ${how} without ${guard.name}`)
  }

  #write(s: Section, field: string): void {
    const tested = [...s.tested]
    if (tested.length > 0 && !hasNoUsers(s) && !tested.some((f) => s.read.has(f))) {
      const { struct, name } = s.guard
      const earlier = `after ${tested.join(' and ')} was tested in an earlier section of ${name}`
      this.split.add(`${struct}.${field} is written ${earlier}, and not again`)
    }
    s.tested.clear()
    s.wrote = true
  }
}

/** The lock was dropped: what was read, and led to nothing, may lead to something yet. */
function close(s: Section): void {
  if (!s.wrote) for (const f of s.read) s.tested.add(f)
  s.read.clear()
  s.wrote = false
}

function isHeld(task: number, { guard, object }: Section): boolean {
  if (guard.locks === 'leaf') return false
  const me = taskNumber(task)
  return guard.locks.some((path) => holdsLock(me, lockAt(guard.struct, object, path)))
}

function hasNoUsers({ guard, object }: Section): boolean {
  if (guard.users === undefined) return false
  const placed = structNamed(guard.struct).fields.get(guard.users)
  return placed !== undefined && mem[object + placed.offset] === 0
}

/** The word of a lock that an acquisition waits for: the first of its fields. */
function lockAt(struct: string, object: Addr, path: string): Addr {
  let at = object as number
  let name = struct
  for (const part of path.split('.')) {
    const placed = structNamed(name).fields.get(part)
    if (placed === undefined) throw new Error(`no field ${path} in ${struct}`)
    at += placed.offset
    name = placed.field.target as string
  }
  // Behind the header of the lock itself.
  return (at + 1) as Addr
}

/** The guarded field that a word belongs to, be it in an array of the object's, or in its nodes. */
function guardedAt(at: Addr): Guarded | undefined {
  const owner = objectAt(at)
  if (owner === undefined) return undefined
  if (owner.struct.name === XaNode.name) {
    const array = mem[owner.base + (XaNode.fields.get('array')?.offset as number)] as number
    return array === 0
      ? undefined
      : guardedAt((array + (XArray.fields.get('xaHead')?.offset as number)) as Addr)
  }
  return within(owner.struct.name, owner.base as Addr, at)
}

function within(struct: string, object: Addr, at: Addr): Guarded | undefined {
  for (const [field, placed] of structNamed(struct).fields) {
    const first = object + placed.offset
    if (at < first || at >= first + placed.field.words) continue
    const guards = byField.get(`${struct}.${field}`)
    if (guards !== undefined) return { field, object, guards }
    if (placed.field.kind !== 'embed') return undefined
    return within(placed.field.target as string, first as Addr, at)
  }
  return undefined
}

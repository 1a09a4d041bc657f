/**
 * The debug mode that rejects undeclared accesses. Kernel code announces what no lock orders; what
 * it forgets to announce would be merged silently into a step, and interleavings would be missed.
 *
 * Here announced accesses and locks are synchronisation, everything else is plain. By vector
 * clocks, two plain accesses to a word from two tasks, one of them a write, must be ordered; and so
 * must a plain one and an announced one. If they are, exploring only the announced points is
 * enough. Executions are chosen by the caller; the finding is about one execution, without false
 * alarms on it.
 */

import { XArray, XaNode } from '../../kernel/include/xarray.js'
import type { Addr } from '../../machine/arena.js'
import { mem } from '../../machine/arena.js'
import { EFFECT, effectAddr, effectKind, setTogetherTap } from '../../machine/effects.js'
import { isTelling } from '../../machine/fault.js'
import { phaseOf } from '../../machine/machine.js'
import { SrcuStruct } from '../../machine/rcu.js'
import { CENSUS, HEADER, objectAt, setAccessHook, structNamed } from '../../machine/struct.js'
import { MAX_TASKS, taskNumber } from '../../machine/task.js'

/** A pair of accesses that nothing orders, at least one of them not announced. */
export interface Undeclared {
  readonly field: string
  readonly task: number
  readonly other: number
  readonly write: boolean
}

type Clock = Int32Array

interface Word {
  /** Release clocks of announced reads and writes. */
  readonly reads: Clock
  readonly writes: Clock
  /** Per task: its own time at its last plain read and write. */
  readonly plainReads: Clock
  readonly plainWrites: Clock
}

/** Locks, RCU and tasks synchronise by themselves: every access to them orders. */
function isSynchronising(struct: string): boolean {
  return structNamed(struct).role === 'machine'
}

/** What judges note and what a call returned is nothing of the kernel's: it neither races nor orders. */
function isBeside(struct: string): boolean {
  const { role } = structNamed(struct)
  return role === 'judge' || role === 'harness'
}

const clock = (): Clock => new Int32Array(MAX_TASKS)

function join(into: Clock, from: Clock): void {
  for (let t = 0; t < MAX_TASKS; t++) {
    if ((from[t] as number) > (into[t] as number)) into[t] = from[t] as number
  }
}

export class AccessJudge {
  readonly found: Undeclared[] = []
  readonly #words = new Map<number, Word>()
  readonly #clocks: Clock[] = Array.from({ length: MAX_TASKS }, clock)
  #task = 0
  /** What the running step has announced: keys, and whether it may write there. */
  readonly #announced = new Map<number, boolean>()
  readonly #exempt: ReadonlySet<string>

  /** `exempt`: fields (`Struct.field`) whose plain accesses a fidelity line accounts for. */
  constructor(exempt: ReadonlySet<string>) {
    this.#exempt = exempt
    for (let t = 0; t < MAX_TASKS; t++) (this.#clocks[t] as Clock)[t] = 1
  }

  /** Watch the accesses of the step that follows. */
  attach(): void {
    setAccessHook((at, write, struct, field) => this.#access(at, write, struct, field))
    setTogetherTap((addr, write) => this.#announce(keyOf(addr as Addr), write))
  }

  detach(): void {
    setAccessHook(undefined)
    setTogetherTap(undefined)
  }

  /** Call before each step with the task that takes it. */
  beforeStep(task: number): void {
    setAccessHook(undefined)
    const { pending } = taskNumber(task)
    const kind = effectKind(pending)
    const addr = effectAddr(pending)
    const mine = this.#clocks[task] as Clock
    mine[task] = (mine[task] as number) + 1
    this.#task = task
    // A task of a later phase begins when the others have ended.
    if (phaseOf(task) > 0) for (const other of this.#clocks) join(mine, other)
    this.#announced.clear()
    const mayWrite = kind !== EFFECT.READ && kind !== EFFECT.UNTIL && kind !== EFFECT.UNTIL_NOT
    if (addr !== 0) this.#announce(keyOf(addr as Addr), mayWrite)
    this.attach()
  }

  #announce(key: number, mayWrite: boolean): void {
    this.#announced.set(key, mayWrite || this.#announced.get(key) === true)
    this.#order(this.#task, key, mayWrite)
  }

  /** An ordered access: joins with what it conflicts with, and is there to be joined. */
  #order(task: number, key: number, write: boolean): void {
    const word = this.#word(key)
    const mine = this.#clocks[task] as Clock
    join(mine, word.writes)
    if (write) join(mine, word.reads)
    join(write ? word.writes : word.reads, mine)
  }

  #word(key: number): Word {
    let word = this.#words.get(key)
    if (word === undefined) {
      word = { reads: clock(), writes: clock(), plainReads: clock(), plainWrites: clock() }
      this.#words.set(key, word)
    }
    return word
  }

  #access(at: Addr, write: boolean, struct: string, field: string): void {
    // That an object is there is not announced: who frees it must wait for its users.
    if (field === HEADER || field === CENSUS) return
    // A judge looks at what it likes; it is the kernel that must announce.
    if (isTelling() || isBeside(struct)) return
    const task = this.#task
    const key = keyOf(at)
    if (isSynchronising(struct)) {
      this.#order(task, key, write)
      return
    }
    const name = `${struct}.${field}`
    if (this.#exempt.has(name)) return
    const word = this.#word(key)
    const mine = this.#clocks[task] as Clock
    const mayWrite = this.#announced.get(key)
    const isAnnounced = mayWrite !== undefined && (mayWrite || !write)
    this.#check(word.plainWrites, mine, task, name, write)
    if (write) this.#check(word.plainReads, mine, task, name, write)
    if (isAnnounced) return
    this.#check(word.writes, mine, task, name, write)
    if (write) this.#check(word.reads, mine, task, name, write)
    const plain = write ? word.plainWrites : word.plainReads
    plain[task] = mine[task] as number
  }

  #check(earlier: Clock, mine: Clock, task: number, field: string, write: boolean): void {
    for (let t = 0; t < MAX_TASKS; t++) {
      if (t === task || (earlier[t] as number) <= (mine[t] as number)) continue
      this.found.push({ field, task, other: t, write })
      return
    }
  }
}

const HEAD = (XArray.fields.get('xaHead')?.offset ?? 0) as number

/** One key for each field; an XArray and all its nodes are one, announced by its head. */
function keyOf(at: Addr): number {
  const owner = objectAt(at)
  if (owner === undefined) return at
  if (owner.struct.name === XaNode.name) {
    const array = mem[owner.base + (XaNode.fields.get('array')?.offset as number)] as number
    return array + HEAD
  }
  return embeddedKey(owner.struct.name, owner.base, at)
}

function embeddedKey(name: string, base: number, at: number): number {
  // Who reads under SRCU has words of its own, and meets no other reader by that.
  if (name === SrcuStruct.name) return at
  // A lock is one thing: who takes it waits for all of its words.
  if (isSynchronising(name) && name !== 'Task') return base
  for (const placed of structNamed(name).fields.values()) {
    const first = base + placed.offset
    if (at >= first + placed.field.words) continue
    if (placed.field.kind !== 'embed') return name === XArray.name ? base + HEAD : first
    return embeddedKey(placed.field.target as string, first, at)
  }
  return at
}

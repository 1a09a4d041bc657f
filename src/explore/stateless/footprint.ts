/**
 * Records the footprint of a step while it is taken: every access of kernel code to a field, every
 * read of the sanitizers that judge the state behind it, and what came to life or was freed.
 *
 * Left out are the fields of which their struct says that two writes of them commute.
 */

import type { Listener } from '../../cell/execution.js'
import { WORD, type Words, wordTable } from '../../cell/words.js'
import { type Addr, undoMark, writtenSince } from '../../machine/arena.js'
import { EFFECT, effectAddr, effectArg, effectKind } from '../../machine/effects.js'
import type { StepResult } from '../../machine/machine.js'
import {
  allStructs,
  CENSUS,
  HEADER,
  type Obj,
  type Struct,
  setAccessHook,
  structNamed,
} from '../../machine/struct.js'
import { MAX_TASKS, taskNumber } from '../../machine/task.js'
import { type Footprint, MODE } from './independence.js'

/** Places that are no word of the arena. */
const POOLS = 1 << 22
const CENSUSES = 1 << 23

export class Recorder implements Listener {
  readonly #words: Words = wordTable()
  readonly #structIds = new Map(allStructs().map((s) => [s.name, s.id]))
  readonly #leftOut = new Set(allStructs().flatMap((s) => s.commutes.map((f) => `${s.name}.${f}`)))
  #modes = new Map<number, number>()
  #mark = 0
  #task = 0
  #reading: number = MODE.READ
  #halts = false

  stepping(task: number): void {
    this.#modes = new Map()
    this.#mark = undoMark()
    this.#task = task
    this.#reading = MODE.READ
    for (const at of enablingWords(taskNumber(task).pending)) this.#add(at, MODE.WAIT)
    if (effectKind(taskNumber(task).pending) === EFFECT.INJECT) this.#add(budget(), MODE.READ)
    setAccessHook((at, write, struct, field) => this.#access(at, write, struct, field))
  }

  stepped({ fault }: StepResult): void {
    this.#reading = MODE.JUDGE
    this.#halts = fault?.kind === 'undefined'
  }

  judged(): void {
    setAccessHook(undefined)
    for (const at of writtenSince(this.#mark)) {
      if ((this.#words.kind[at] as number) & WORD.HEADER) this.#lifeOf(at)
    }
  }

  /** Of the step that was taken last. */
  get footprint(): Footprint {
    return { modes: this.#modes, halts: this.#halts }
  }

  #add(place: number, mode: number): void {
    this.#modes.set(place, (this.#modes.get(place) ?? 0) | mode)
  }

  #access(at: Addr, write: boolean, struct: string, field: string): void {
    if (field === CENSUS) {
      this.#add(CENSUSES + (this.#structIds.get(struct) as number), MODE.COUNT)
      return
    }
    this.#add(this.#words.owner[at] as number, MODE.USE)
    if (field === HEADER || this.#leftOut.has(`${struct}.${field}`)) return
    this.#add(at, write ? MODE.WRITE : this.#reading)
  }

  /** An object came to life or was freed: its own task takes slots, anybody gives them back. */
  #lifeOf(at: number): void {
    const base = this.#words.owner[at] as number
    const id = this.#words.struct[at] as number
    const s = allStructs()[id - 1] as Struct<Obj>
    const pool = ((base - s.base) / s.words) % MAX_TASKS
    this.#add(base, MODE.USE | MODE.LIFE)
    this.#add(CENSUSES + id, MODE.CENSUS)
    const own = pool === this.#task
    this.#add(POOLS + id * MAX_TASKS + pool, own ? MODE.DRAW | MODE.GIVE : MODE.GIVE)
  }
}

/** The word with the number of faults that may still strike. */
function budget(): number {
  const s = structNamed('Variables')
  return s.base + (s.fields.get('faultsLeft')?.offset as number)
}

/** The words whose values decide whether an announced step can be taken. */
export function enablingWords(pending: number): readonly number[] {
  const at = effectAddr(pending)
  switch (effectKind(pending)) {
    case EFFECT.UNTIL:
    case EFFECT.UNTIL_NOT:
    case EFFECT.LOCK:
      return [at]
    case EFFECT.LOCK_SHARED:
      return [at, at + 2]
    case EFFECT.LOCK_EXCLUSIVE:
      return [at, at + 1]
    default:
      return []
  }
}

/** What can be said of a step before it is taken: what it waits for. */
export function waitFootprint(pending: number): Footprint {
  return { modes: new Map(enablingWords(pending).map((at) => [at, MODE.WAIT])), halts: false }
}

/** Would an announced step be possible if words had these values? */
export function enabledWith(pending: number, value: (at: number) => number): boolean {
  const [first = 0, second = 0] = enablingWords(pending)
  switch (effectKind(pending)) {
    case EFFECT.UNTIL:
      return value(first) === effectArg(pending)
    case EFFECT.UNTIL_NOT:
      return value(first) !== effectArg(pending)
    case EFFECT.LOCK:
      return value(first) === 0
    case EFFECT.LOCK_SHARED:
    case EFFECT.LOCK_EXCLUSIVE:
      return value(first) === 0 && value(second) === 0
    default:
      return true
  }
}

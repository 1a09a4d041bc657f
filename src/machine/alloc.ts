/**
 * kmalloc: slabs over the arena, one per struct and in it one pool per task. Which slot an
 * object gets depends on what its own task has allocated and freed, never on the order of
 * events between tasks, so that states which differ only in that order are one state.
 *
 * A freed slot rests in quarantine until `QUARANTINE` others of the same pool are free, so that
 * a dangling pointer meets a freed object rather than a new one.
 */
import { mem, note, noting, UNINITIALISED } from './arena.js'
import { KernelFault, LimitError } from './fault.js'
import {
  constructAt,
  destroyAt,
  factsOf,
  type Obj,
  type Struct,
  structOf,
  vanishAt,
} from './struct.js'
import { currentTaskNumber, MAX_TASKS, mightSleep } from './task.js'

export const QUARANTINE = 8

/** Slot `i` of a task's pool, as an address. Pools are interleaved over the slab. */
function slotAddress(s: Struct<Obj>, task: number, i: number): number {
  return s.base + (i * MAX_TASKS + task) * s.words
}

function findSlot(s: Struct<Obj>, task: number): number {
  const slots = Math.floor(s.capacity / MAX_TASKS)
  let freed = 0
  let firstFreed = 0
  for (let i = 0; i < slots; i++) {
    const at = slotAddress(s, task, i)
    if (noting) note(at)
    const header = mem[at] as number
    if (header === 0) return freed > QUARANTINE ? firstFreed : at
    if (header < 0) {
      freed++
      if (freed === 1) firstFreed = at
    }
  }
  if (freed > 0) return firstFreed
  throw new LimitError(`a task can have ${slots} objects of struct ${s.name}`)
}

/** May an allocation wait for memory to be reclaimed? Most say GFP_KERNEL, and need not say it. */
export type Gfp = typeof GFP_KERNEL | typeof GFP_ATOMIC
export const GFP_KERNEL = 1
export const GFP_ATOMIC = 2

/** might_alloc(): whoever asks for memory in this way may sleep, if it need not this time either. */
export function mightAlloc(where: string, gfp?: Gfp): void {
  if (gfp !== GFP_ATOMIC) mightSleep(where)
}

/** Allocate an object with all fields zero. */
export function kzalloc<S extends Obj>(s: Struct<S>, gfp?: Gfp): S {
  mightAlloc('kzalloc', gfp)
  const at = findSlot(s as unknown as Struct<Obj>, currentTaskNumber())
  constructAt(s as unknown as Struct<Obj>, at, 0)
  return s.at(at) as S
}

/** Allocate an object whose fields must be written before they are read. */
export function kmalloc<S extends Obj>(s: Struct<S>, gfp?: Gfp): S {
  mightAlloc('kmalloc', gfp)
  const at = findSlot(s as unknown as Struct<Obj>, currentTaskNumber())
  constructAt(s as unknown as Struct<Obj>, at, UNINITIALISED)
  return s.at(at) as S
}

/** Free an object; kfree(NULL) does nothing. */
export function kfree(object: Obj | null): void {
  if (object === null) return
  const s = structOf(object)
  if (noting) note(object.at)
  if (mem[object.at] === -s.id) {
    const text = `double free of a ${s.cName}`
    throw new KernelFault('double-free', 'undefined', text, factsOf([object]))
  }
  if (mem[object.at] !== s.id) {
    const text = `kfree of a ${s.cName} that is none`
    throw new KernelFault('type-confusion', 'undefined', text, factsOf([object]))
  }
  destroyAt(s, object.at)
}

/**
 * An object on the running task's stack, all fields zero. There is no quarantine: what a function
 * had on its stack leaves no trace in the state when it has returned.
 */
export function onStack<S extends Obj>(s: Struct<S>): S {
  const untyped = s as unknown as Struct<Obj>
  const slots = Math.floor(s.capacity / MAX_TASKS)
  for (let i = 0; i < slots; i++) {
    const at = slotAddress(untyped, currentTaskNumber(), i)
    if (noting) note(at)
    if (mem[at] !== 0) continue
    constructAt(untyped, at, 0)
    return s.at(at) as S
  }
  throw new LimitError(`a task can have ${slots} objects of struct ${s.name} on its stack`)
}

/** The function that had this object on its stack returns. */
export function offStack(object: Obj): void {
  vanishAt(structOf(object), object.at)
}

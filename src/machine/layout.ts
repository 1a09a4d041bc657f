/**
 * Layouts: what the fields of a struct are, how many words they take, and what a declared struct is.
 * Where the words lie is decided when the struct is placed.
 */
import type { Addr } from './arena.js'

/** What every handle is: an address with a struct's accessors on it. */
export interface Obj {
  readonly at: Addr
}

/** One field of a layout: how many words it takes and how it is read and written. */
export interface Field<T> {
  readonly words: number
  readonly kind: 'num' | 'flag' | 'ptr' | 'any' | 'wide' | 'i64' | 'embed' | 'ops' | 'vec' | 'ptrs'
  /** The struct that a pointer or an embedded field names. */
  readonly target?: string
  readonly __type?: T
}

export type Layout<S> = { readonly [K in Exclude<keyof S, 'at'>]: Field<S[K]> }

/** A numeric vector inside a struct, indexed from 0. */
export interface Vec {
  readonly length: number
  get(i: number): number
  set(i: number, value: number): void
}

/** A vector of pointers inside a struct, indexed from 0. */
export interface PtrVec<T> {
  readonly length: number
  get(i: number): T | null
  set(i: number, value: T | null): void
}

/** A signed 32-bit number. */
export function num<T extends number = number>(): Field<T> {
  return { words: 1, kind: 'num' }
}

export function flag(): Field<boolean> {
  return { words: 1, kind: 'flag' }
}

/** A page offset or anything else up to 2^53 - 1. */
export function wide<T extends number = number>(): Field<T> {
  return { words: 2, kind: 'wide' }
}

/** A 64-bit number, used for bytes. */
export function i64(): Field<bigint> {
  return { words: 2, kind: 'i64' }
}

/** A pointer to a struct, named in TypeScript's spelling. */
export function ptr<T>(target: string): Field<T> {
  return { words: 1, kind: 'ptr', target }
}

/** A pointer to an object of any struct, as `void *`. */
export function anyPtr(): Field<Obj | null> {
  return { words: 1, kind: 'any' }
}

/** A pointer to a constant table of functions. */
export function ops<T>(): Field<T> {
  return { words: 1, kind: 'ops' }
}

export function vec(length: number): Field<Vec> {
  return { words: length, kind: 'vec' }
}

export function ptrs<T extends Obj>(target: string, length: number): Field<PtrVec<T>> {
  return { words: length, kind: 'ptrs', target }
}

/**
 * Whose objects these are. Of the kernel's it is judged that they are announced where no lock
 * orders them, and that none is left over; the machine's own (locks, tasks, RCU) order by
 * themselves; a judge keeps its memory in the state so that it is taken back with it; the harness
 * holds what a scenario has been told.
 */
export type Role = 'kernel' | 'machine' | 'judge' | 'harness'

export interface StructOptions {
  /** How many objects can be alive at once; 512 if it isn't said. */
  readonly capacity?: number
  /** `kernel` if it isn't said. */
  readonly role?: Role
  /**
   * What a report of an execution leaves out, because it only orders things or follows from what is
   * shown: all changes of its objects, or those of these fields.
   */
  readonly quiet?: true | readonly string[]
  /** Its objects never leave, so that none of them is left over: the memmap. */
  readonly permanent?: true
  /**
   * Fields that steps of two tasks may write in either order, so that they do not depend on each
   * other by them. Say at the struct why that is so.
   */
  readonly commutes?: readonly string[]
}

/** A declared struct: its layout and how to get a handle. */
export interface Struct<S extends Obj> {
  /** Name in TypeScript's spelling. */
  readonly name: string
  /** Name in C's spelling. */
  readonly cName: string
  readonly id: number
  /** Words of one object, header included. */
  readonly words: number
  /** First word of this struct's slab, and how many objects it has room for. */
  readonly base: number
  readonly capacity: number
  readonly role: Role
  readonly permanent: boolean
  readonly quiet: true | readonly string[]
  readonly commutes: readonly string[]
  readonly fields: ReadonlyMap<string, PlacedField>
  /** Handle of the object at an address; null for address 0. */
  at(addr: number): S | null
}

export interface PlacedField {
  readonly name: string
  readonly offset: number
  readonly field: Field<unknown>
  /** Where the bits of the sanitizers that read this field are kept. */
  readonly watch: number
}

/**
 * Typed structs over the arena. A struct is declared once, as a TypeScript interface (what the
 * kernel code sees, with the guard of each field in its comment) and a layout (where the words
 * lie). An object is used through a handle: one per address and type, so `===` compares
 * pointers; NULL is JavaScript's null.
 *
 * Word 0 of an object is its header: the struct's number while it is alive, minus that number
 * after it was freed. Every access tests it, so a use of freed memory, of a redzone or of an
 * object of another type is a finding and not a wrong value.
 */

import { CENSUS, debug, HEADER } from './access.js'
import { compileHandles, type FieldPlace } from './accessors.js'
import {
  type Addr,
  ARENA_WORDS,
  FIRST_WORD,
  markDirty,
  mem,
  note,
  noting,
  poke,
  UNINITIALISED,
} from './arena.js'
import { type Facts, KernelFault, LimitError, remark } from './fault.js'
import type { Field, Layout, Obj, PlacedField, Struct, StructOptions } from './layout.js'
import { opsNumber, opsNumbered, placeOpsTables } from './ops.js'
import { inOrder } from './order.js'

export {
  type AccessHook,
  CENSUS,
  HEADER,
  noteAccesses,
  notedAccesses,
  setAccessHook,
} from './access.js'
export * from './layout.js'
export { allOpsTables, opsAt, opsTable, saveOps } from './ops.js'

/** A struct inside a struct. It has a header of its own, so `containerOf` can be judged. */
export function embed<T extends Obj>(target: string): Field<T> {
  return { words: structNamed(target).words, kind: 'embed', target }
}

type Unplaced = { -readonly [K in keyof Struct<Obj>]: Struct<Obj>[K] }

const byName = new Map<string, Struct<Obj>>()
const byId: Struct<Obj>[] = []
const newStructs: Unplaced[] = []
/** By word of the arena: index in `handles` of the first struct's handle that lies there. */
const handleIndex = new Int32Array(ARENA_WORDS)
const handles: Obj[] = [{ at: 0 as Addr }]
const MAX_FIELDS = 2048
/** Judges have a word for each struct. */
export const MAX_STRUCTS = 127
/** By field of any struct: bits of the sanitizers that read it. */
const watchers = new Int32Array(MAX_FIELDS)
let fieldCount = 0
let nextBase = FIRST_WORD

export function snake(camel: string): string {
  return camel
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/([A-Z]+)([A-Z][a-z])/g, '$1_$2')
    .toLowerCase()
}

export function structNamed(name: string): Struct<Obj> {
  const found = byName.get(name)
  if (!found) throw new Error(`no struct ${name} has been declared`)
  return found
}

/** The struct with a number. */
export function structNumbered(id: number): Struct<Obj> {
  return byId[id - 1] as Struct<Obj>
}

export function allStructs(): readonly Struct<Obj>[] {
  return byId
}

/** The struct whose slab holds an address, and the object's own address. */
export function objectAt(addr: number): { struct: Struct<Obj>; base: number } | undefined {
  for (const s of byId) {
    if (addr >= s.base && addr < s.base + s.capacity * s.words) {
      return { struct: s, base: addr - ((addr - s.base) % s.words) }
    }
  }
  return undefined
}

/** How reports name the object at an address, or the one it lies in: `kvm 0`. */
export function objectName(addr: number): string {
  const owner = objectAt(addr)
  if (owner === undefined) return String(addr)
  return `${owner.struct.cName} ${(owner.base - owner.struct.base) / owner.struct.words}`
}

/** What a finding speaks of: objects, and numbers by name. */
export function factsOf(about: readonly Obj[], values: Facts['values'] = {}): Facts {
  return { about: about.map((o) => objectName(o.at)), values }
}

/** bad_page(): reports an object of the allocator's that is not fit for what is done to it, and goes on. */
export function badPage(page: Obj, why: string): void {
  remark('bad-page-state', why, factsOf([page]))
}

/**
 * Let bit `bit` be set in the dirty word whenever one of these fields is written; fields are
 * given as `Struct.field`. Called once, before any run.
 */
export function watch(bit: number, fields: readonly string[]): void {
  for (const f of fields) {
    const [struct, field] = f.split('.') as [string, string]
    const placed = structNamed(struct).fields.get(field)
    if (placed === undefined) throw new Error(`no field ${f} to watch`)
    watchers[placed.watch] = (watchers[placed.watch] as number) | bit
  }
}

/** Forget all watched fields. */
export function unwatchAll(): void {
  watchers.fill(0)
}

/** Declare a struct. */
export function struct<S extends Obj>(
  name: string,
  layout: Layout<S>,
  options: StructOptions = {},
): Struct<S> {
  if (byName.has(name)) throw new LimitError(`there is a struct ${name} already`)
  const fields = new Map<string, PlacedField>()
  let words = 1
  for (const [key, field] of Object.entries(layout) as [string, Field<unknown>][]) {
    if (fieldCount === MAX_FIELDS)
      throw new LimitError(`all structs together can have ${MAX_FIELDS} fields`)
    fields.set(key, { name: key, offset: words, field, watch: fieldCount++ })
    words += field.words
  }
  const { capacity = 512, role = 'kernel', permanent = false } = options
  const { quiet = [], commutes = [] } = options
  const said = { capacity, role, permanent, quiet, commutes }
  const facts = { name, cName: snake(name), words, ...said, fields }
  const made: Unplaced = { ...facts, id: 0, base: 0, at: notPlaced }
  byName.set(name, made)
  newStructs.push(made)
  return made as unknown as Struct<S>
}

function notPlaced(): never {
  throw new Error('no machine has been booted since the struct was declared')
}

/**
 * Give what has been declared since the last call its numbers and its places in the arena, in the
 * order of names: states and their fingerprints do not depend on the order of imports. A machine
 * that boots calls this; what a design brings later comes behind.
 */
export function placeStructs(): void {
  placeOpsTables()
  for (const s of inOrder(newStructs.splice(0), ({ name }) => name)) {
    const end = nextBase + s.words * s.capacity
    if (end > ARENA_WORDS) throw new LimitError(`the arena has no room for struct ${s.name}`)
    if (byId.length === MAX_STRUCTS) throw new LimitError(`there can be ${MAX_STRUCTS} structs`)
    s.id = byId.length + 1
    s.base = nextBase
    nextBase = end
    const compiled = compileHandles(s.id, s.name, [...s.fields.values()].map(placeOf), RUNTIME)
    s.at = compiled.at as Struct<Obj>['at']
    Object.defineProperty(compiled.prototype, STRUCT, { value: s })
    byId.push(s)
  }
}

/** Key under which a handle's prototype has its struct. */
const STRUCT = Symbol('struct')

function placeOf({ name, offset, field, watch }: PlacedField): FieldPlace {
  const { words, kind, target } = field
  return { name, offset, words, kind, target, watch }
}

function badAccess(id: number, at: number, field: string, write: boolean): never {
  const s = byId[id - 1] as Struct<Obj>
  const verb = write ? 'write to' : 'read of'
  const what = `${verb} ${s.cName}.${snake(field)}`
  if (at < 0) throw new KernelFault('wild-pointer', 'oops', `${what} through ERR_PTR(${at})`)
  const facts = { about: objectAt(at) === undefined ? [] : [objectName(at)], values: {} }
  const header = mem[at] as number
  if (header === -s.id) {
    throw new KernelFault('use-after-free', 'undefined', `${what} of a freed object`, facts)
  }
  const there = byId[Math.abs(header) - 1]
  const found = there ? `${header < 0 ? 'a freed' : 'a'} ${there.cName}` : 'no such object'
  throw new KernelFault('type-confusion', 'undefined', `${what}, but ${found} is there`, facts)
}

function uninitialised(id: number, field: string, at: number): never {
  const s = byId[id - 1] as Struct<Obj>
  const text = `read of ${s.cName}.${snake(field)}, which nobody has written`
  const facts = { about: [objectName(at)], values: {} }
  throw new KernelFault('uninitialised-memory', 'undefined', text, facts)
}

/** What the compiled accessors call. */
const RUNTIME = {
  mem,
  poke,
  markDirty,
  UNINITIALISED,
  watchers,
  debug,
  handles,
  handleIndex,
  structNamed,
  handleAt,
  opsNumber,
  opsNumbered,
  badAccess,
  uninitialised,
  LimitError,
}

/**
 * The address of a field, as `&object->field`; 0 for a NULL object and an ERR_PTR, which fault when
 * they are used.
 */
export function addressOf<S extends Obj>(object: S | null, field: keyof S & string): Addr {
  // An ERR_PTR's field is no word of the arena either.
  if (object === null || object.at < 0) return 0 as Addr
  const s = structOf(object)
  const placed = s.fields.get(field)
  if (!placed) throw new Error(`struct ${s.name} has no field ${field}`)
  return (object.at + placed.offset) as Addr
}

/** The struct whose accessors a handle has. */
export function structOf(object: Obj): Struct<Obj> {
  const found = (object as { [STRUCT]?: Struct<Obj> })[STRUCT]
  if (found === undefined) throw new Error(`the object at ${object.at} is no handle`)
  return found
}

/**
 * The handle of the object whose header is at an address, alive or freed, embedded or not; null
 * for 0.
 */
export function handleAt(addr: number): Obj | null {
  if (addr === 0) return null
  if (noting && addr > 0) note(addr)
  const header = byId[Math.abs(mem[addr] ?? 0) - 1]
  return (header ?? objectAt(addr)?.struct)?.at(addr) ?? null
}

/** ERR_PTR(): a pointer of this struct's type that carries a negative errno. */
export function errPtr<S extends Obj>(s: Struct<S>, errno: number): S {
  return s.at(errno) as S
}

/** IS_ERR(). */
export function isErr(pointer: Obj | null): boolean {
  return pointer !== null && pointer.at < 0
}

/** PTR_ERR(): the negative errno of a pointer for which isErr() holds. */
export function ptrErr(pointer: Obj): number {
  return pointer.at
}

/**
 * container_of(): the object that embeds `member` as its field `field`. Nothing is checked here,
 * as in C; the first access through the result is.
 */
export function containerOf<S extends Obj>(
  member: Obj,
  outer: Struct<S>,
  field: keyof S & string,
): S {
  const placed = outer.fields.get(field)
  if (!placed) throw new Error(`struct ${outer.name} has no field ${field}`)
  return outer.at(member.at - placed.offset) as S
}

/** Which of the objects of a struct this is, from 0. */
export function numberIn<S extends Obj>(s: Struct<S>, object: S): number {
  return (object.at - s.base) / s.words
}

/** Is the object behind this handle alive, and of its type? For judges, not for kernel code. */
export function isAlive<S extends Obj>(s: Struct<S>, object: S): boolean {
  if (noting) note(object.at)
  return mem[object.at] === s.id
}

/** What the header at an address says: the struct's id, minus it after the free, 0 for nothing. */
export function headerAt(s: Struct<Obj>, at: number): number {
  if (noting) note(at)
  debug.hook?.(at as Addr, false, s.name, HEADER)
  return mem[at] as number
}

/** Every object of a struct that is alive; for judges. */
export function forEachAlive<S extends Obj>(s: Struct<S>, visit: (object: S) => void): void {
  debug.hook?.(s.base as Addr, false, s.name, CENSUS)
  for (let i = 0; i < s.capacity; i++) {
    const at = s.base + i * s.words
    if (noting) note(at)
    if (mem[at] === s.id) visit(s.at(at) as S)
  }
}

/** A word of a field, whatever the field's type; for judges. */
export function rawField(s: Struct<Obj>, at: number, field: string): number {
  const { offset } = s.fields.get(field) as PlacedField
  if (noting) note(at + offset)
  debug.hook?.((at + offset) as Addr, false, s.name, field)
  return mem[at + offset] as number
}

/** Bring an object and all it embeds to life. Fields are `fill`, 0 or UNINITIALISED. */
export function constructAt(s: Struct<Obj>, at: number, fill: number): void {
  fillWords(s, at, fill)
  setHeaders(s, at, 1)
}

/** Mark an object and all it embeds as freed. Its words become zero: nobody may read them. */
export function destroyAt(s: Struct<Obj>, at: number): void {
  fillWords(s, at, 0)
  setHeaders(s, at, -1)
}

/** The object was never there: all its words become zero, headers included. */
export function vanishAt(s: Struct<Obj>, at: number): void {
  poke(at, 0)
  fillWords(s, at, 0)
}

function fillWords(s: Struct<Obj>, at: number, fill: number): void {
  for (let i = 1; i < s.words; i++) poke(at + i, fill)
}

function setHeaders(s: Struct<Obj>, at: number, sign: 1 | -1): void {
  poke(at, sign * s.id)
  for (const { offset, field } of s.fields.values()) {
    if (field.kind === 'embed') setHeaders(structNamed(field.target as string), at + offset, sign)
  }
}

/**
 * What judges look for in all of memory, by the layouts of the structs: how many objects there are
 * of a kind, and every word that points to one.
 */
import {
  allStructs,
  forEachAlive,
  type Obj,
  rawField,
  type Struct,
  structNumbered,
} from './struct.js'

/** Structs have numbers from 1 to this. */
export function structCount(): number {
  return allStructs().length
}

/** How reports name the struct with a number. */
export function structText(id: number): string {
  return structNumbered(id).cName
}

/** Is an object of the struct with this number that stays allocated one too many? */
export function mayLeak(id: number): boolean {
  const { role, permanent } = structNumbered(id)
  return role === 'kernel' && !permanent
}

/** How many objects of the struct with this number are alive. */
export function aliveOf(id: number): number {
  let alive = 0
  forEachAlive(structNumbered(id), () => alive++)
  return alive
}

/** The word of a field of `inner`, in every live object that embeds an `inner`. */
export function forEachEmbedded(
  inner: Struct<Obj>,
  field: string,
  visit: (word: number) => void,
): void {
  for (const outer of allStructs()) {
    for (const placed of outer.fields.values()) {
      if (placed.field.kind !== 'embed' || placed.field.target !== inner.name) continue
      forEachAlive(outer, (object) => visit(rawField(inner, object.at + placed.offset, field)))
    }
  }
}

/** The word of every field that points to a `target`, in every live object of other structs. */
export function forEachPointerTo(
  target: Struct<Obj>,
  visit: (word: number, holder: number) => void,
): void {
  for (const s of allStructs()) {
    for (const { name, field } of s.fields.values()) {
      if (field.kind !== 'ptr' || field.target !== target.name || s.name === target.name) continue
      forEachAlive(s, (object) => visit(rawField(s, object.at, name), s.id))
    }
  }
}

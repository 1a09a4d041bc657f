/**
 * What each word of the arena belongs to: a table, built once for the structs that are declared.
 */
import { ARENA_WORDS } from '../machine/arena.js'
import { allStructs, type Obj, type Struct, structNamed } from '../machine/struct.js'
import { Task } from '../machine/task.js'

export const WORD = {
  /** The header of an object, or of one embedded in it. */
  HEADER: 1,
  /** Where a task stands: its stack, the pointer to its top, what it has announced. */
  FRAME: 2,
} as const

export interface Words {
  /** Address of the outermost object that a word belongs to; 0 for none. */
  readonly owner: Int32Array
  readonly kind: Uint8Array
  /** Number of the struct of that object. */
  readonly struct: Uint8Array
}

let words: Words | undefined
let declared = 0

/** The table; a design that is loaded later may have brought structs of its own. */
export function wordTable(): Words {
  if (words !== undefined && declared === allStructs().length) return words
  words = {
    owner: new Int32Array(ARENA_WORDS),
    kind: new Uint8Array(ARENA_WORDS),
    struct: new Uint8Array(ARENA_WORDS),
  }
  declared = allStructs().length
  for (const s of allStructs()) {
    for (let i = 0; i < s.capacity; i++) {
      const base = s.base + i * s.words
      words.owner.fill(base, base, base + s.words)
      words.struct.fill(s.id, base, base + s.words)
      mark(words, s, base)
    }
  }
  return words
}

function mark(table: Words, s: Struct<Obj>, at: number): void {
  table.kind[at] = WORD.HEADER
  for (const { name, offset, field } of s.fields.values()) {
    const first = at + offset
    if (field.kind === 'embed') mark(table, structNamed(field.target as string), first)
    const frame = s.name === Task.name && ['stack', 'sp', 'pending'].includes(name)
    if (frame) table.kind.fill(WORD.FRAME, first, first + field.words)
  }
}

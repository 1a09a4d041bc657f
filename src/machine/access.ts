/**
 * Who looks on while fields are read and written: a debug run, or the memory of steps, which wants
 * to know what a step depends on.
 */
import { type Addr, note, startNoting, stopNoting } from './arena.js'

/**
 * Who is told of each access in a debug run: address, whether it writes, and the names; then the
 * object and how many words. What is read of an object besides its fields has a field of its own:
 * `HEADER`, or for a walk over all objects of a struct, with the address of its slab, `CENSUS`.
 */
export type AccessHook = (
  at: Addr,
  write: boolean,
  struct: string,
  field: string,
  object?: Addr,
  words?: number,
) => void

export const HEADER = ''
export const CENSUS = '*'

/** What every accessor looks at. */
export const debug: { hook: AccessHook | undefined } = { hook: undefined }

/** Watch every access to a struct field; `undefined` switches it off. */
export function setAccessHook(next: AccessHook | undefined): void {
  debug.hook = next
}

/** Note all that is accessed through handles from here on: fields, and headers that are tested. */
export function noteAccesses(): void {
  startNoting()
  debug.hook = (at, _write, _struct, _field, object, words) => {
    if (object === undefined) return
    note(object)
    for (let i = 0; i < (words as number); i++) note(at + i)
  }
}

/** What has been noted: address, value. Valid until the next. */
export function notedAccesses(): Int32Array {
  debug.hook = undefined
  return stopNoting()
}

/**
 * The visited set that omits nothing: whole states instead of fingerprints. A state is kept as
 * the words in which it differs from the initial state, so it costs hundreds of bytes; for small
 * searches, and to test the fingerprints.
 */
import { mem, valueAt, writtenSince } from '../../machine/arena.js'

/** Bytes of a string's and a map entry's own, beside the characters; an estimate. */
const ENTRY_BYTES = 64

export class ExactStates {
  /** Words that were ever written since the initial state, and what they held then. */
  readonly #initial = new Map<number, number>()
  readonly #numbers = new Map<string, number>()
  #bytes = 0

  get size(): number {
    return this.#numbers.size
  }

  get bytes(): number {
    return this.#bytes
  }

  /**
   * The number of the machine's present state, from 0, in order of insertion. Everything written
   * since the previous call must be in the undo log above `mark`.
   */
  numberOf(mark: number): { readonly number: number; readonly isNew: boolean } {
    for (const at of writtenSince(mark)) {
      if (!this.#initial.has(at)) this.#initial.set(at, valueAt(mark, at))
    }
    const state = this.#describe()
    const known = this.#numbers.get(state)
    if (known !== undefined) return { number: known, isNew: false }
    const number = this.#numbers.size
    this.#numbers.set(state, number)
    this.#bytes += state.length * 2 + ENTRY_BYTES
    return { number, isNew: true }
  }

  #describe(): string {
    const codes: number[] = []
    let i = 0
    for (const [at, before] of this.#initial) {
      const now = mem[at] as number
      if (now !== before) codes.push(i >>> 16, i & 0xffff, now >>> 16, now & 0xffff)
      i++
    }
    return String.fromCharCode(...codes)
  }
}

/**
 * Final states, comparable between ways of running: what kernel objects and tasks look like when
 * nobody can go on. Stacks are left out, since generators keep theirs outside the arena, and so is
 * what is outside the fingerprint.
 */

import type { Listener } from '../../cell/execution.js'
import { WORD, type Words, wordTable } from '../../cell/words.js'
import { mem, valueAt, writtenSince } from '../../machine/arena.js'

function mix(at: number, value: number, salt: number): number {
  let h = Math.imul(at ^ salt, 0x9e3779b1) + Math.imul(value ^ (value >>> 16), 0xc2b2ae35)
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d)
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39)
  return (h ^ (h >>> 15)) >>> 0
}

/** The set of final states that executions from one initial state have led to. */
export class FinalStates implements Listener {
  readonly #root: number
  readonly #most: number
  #heard = 0
  #kind: Words['kind'] | undefined
  readonly #initial = new Map<number, number>()
  readonly keys = new Set<string>()

  /**
   * `root`: mark of the undo log in the initial state; behind `load` there is nothing. After `most`
   * states the rest is not looked at.
   */
  constructor({ root = 0, most = Number.POSITIVE_INFINITY } = {}) {
    this.#root = root
    this.#most = most
  }

  /** Have all been looked at? */
  get whole(): boolean {
    return this.#heard <= this.#most
  }

  atFinal(): void {
    if (++this.#heard > this.#most) return
    this.#kind ??= wordTable().kind
    let lo = 0
    let hi = 0
    for (const at of writtenSince(this.#root)) {
      if ((this.#kind[at] as number) & WORD.FRAME) continue
      const now = mem[at] as number
      if (now === this.#initialAt(at)) continue
      lo = (lo + mix(at, now, 0x5bd1e995)) % 2 ** 32
      hi = (hi + mix(at, now, 0x1b873593)) % 2 ** 32
    }
    this.keys.add(`${lo}.${hi}`)
  }

  #initialAt(at: number): number {
    let value = this.#initial.get(at)
    if (value === undefined) {
      value = valueAt(this.#root, at)
      this.#initial.set(at, value)
    }
    return value
  }
}

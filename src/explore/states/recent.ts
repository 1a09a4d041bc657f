/**
 * Fingerprints that were met lately, near at hand. The table of a large search lies in memory that
 * takes longer to reach than a step to make, and most steps that lead to a known state lead to one
 * that was known a moment ago. Where two fingerprints have the same place the later one has it.
 */

/** Places: what a core has a cache for. */
const PLACES = 1 << 16
const MASK = PLACES - 1

export class RecentStates {
  readonly #words = new Int32Array(PLACES * 2)

  constructor() {
    // No fingerprint that is looked for in the first place: there is none anywhere yet.
    this.#words[0] = 2
  }

  has(lo: number, hi: number): boolean {
    const at = ((lo >>> 1) & MASK) * 2
    return this.#words[at] === lo && this.#words[at + 1] === hi
  }

  add(lo: number, hi: number): void {
    const at = ((lo >>> 1) & MASK) * 2
    this.#words[at] = lo
    this.#words[at + 1] = hi
  }
}

/**
 * The visited set: 64-bit fingerprints in open addressing, each with one number. Nothing is ever
 * removed, so a probe ends at the first empty slot.
 */
/** Three words a slot, and at most every second slot is used. */
export const BYTES_PER_STATE = 3 * 4 * 2

export class VisitedTable {
  #capacity: number
  #lo: Int32Array
  #hi: Int32Array
  /** 0 marks an empty slot, so stored numbers are kept + 1. */
  #value: Int32Array
  #size = 0

  constructor(capacity = 1 << 12) {
    this.#capacity = capacity
    this.#lo = new Int32Array(capacity)
    this.#hi = new Int32Array(capacity)
    this.#value = new Int32Array(capacity)
  }

  /** Distinct fingerprints stored. */
  get size(): number {
    return this.#size
  }

  /** Slot of a fingerprint; a new one gets `initial` and is reported by `inserted`. */
  inserted = false

  slot(lo: number, hi: number, initial: number): number {
    if (this.#size * 2 >= this.#capacity) this.#grow()
    const mask = this.#capacity - 1
    let i = (lo ^ Math.imul(hi, 0x9e3779b1)) & mask
    while (this.#value[i] !== 0) {
      if (this.#lo[i] === lo && this.#hi[i] === hi) {
        this.inserted = false
        return i
      }
      i = (i + 1) & mask
    }
    this.#lo[i] = lo
    this.#hi[i] = hi
    this.#value[i] = initial + 1
    this.#size++
    this.inserted = true
    return i
  }

  /** The number stored with a fingerprint, or undefined. */
  get(lo: number, hi: number): number | undefined {
    const mask = this.#capacity - 1
    let i = (lo ^ Math.imul(hi, 0x9e3779b1)) & mask
    while (this.#value[i] !== 0) {
      if (this.#lo[i] === lo && this.#hi[i] === hi) return (this.#value[i] as number) - 1
      i = (i + 1) & mask
    }
    return undefined
  }

  /** Change the number stored with a fingerprint that is in the table. */
  set(lo: number, hi: number, value: number): void {
    const i = this.slot(lo, hi, value)
    this.#value[i] = value + 1
  }

  /**
   * Expected number of states that were taken for another one: n²/2 pairs, each equal with
   * probability 2^-64.
   */
  expectedOmissions(): number {
    return this.#size ** 2 / 2 ** 65
  }

  #grow(): void {
    const lo = this.#lo
    const hi = this.#hi
    const value = this.#value
    this.#capacity *= 2
    this.#lo = new Int32Array(this.#capacity)
    this.#hi = new Int32Array(this.#capacity)
    this.#value = new Int32Array(this.#capacity)
    this.#size = 0
    for (let i = 0; i < value.length; i++) {
      if (value[i] !== 0) this.slot(lo[i] as number, hi[i] as number, (value[i] as number) - 1)
    }
  }
}

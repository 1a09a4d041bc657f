/**
 * The open states of Tarjan's algorithm: those whose strongly connected component is not complete
 * yet, in the order in which they were met. They leave in the reverse order, so a hash table over
 * them needs no tombstones.
 */

/** The open states' fingerprints, in order. Plain data. */
export interface SavedStates {
  readonly lo: Int32Array
  readonly hi: Int32Array
}

export class OpenStates {
  #lo = new Int32Array(1 << 10)
  #hi = new Int32Array(1 << 10)
  /** Place + 1 of an open state by its fingerprint; 0 marks an empty slot. */
  #slots = new Int32Array(1 << 11)
  #count = 0

  get count(): number {
    return this.#count
  }

  get bytes(): number {
    return (this.#lo.length + this.#hi.length + this.#slots.length) * 4
  }

  /** Add a state; returns its place. */
  push(lo: number, hi: number): number {
    if (this.#count === this.#lo.length) this.#grow()
    const place = this.#count++
    this.#lo[place] = lo
    this.#hi[place] = hi
    this.#hash(place)
    return place
  }

  /** The place of a state, or -1 if it is not open. */
  placeOf(lo: number, hi: number): number {
    const mask = this.#slots.length - 1
    for (let i = hi & mask; ; i = (i + 1) & mask) {
      const place = (this.#slots[i] as number) - 1
      if (place < 0) return -1
      if (this.#lo[place] === lo && this.#hi[place] === hi) return place
    }
  }

  loOf(place: number): number {
    return this.#lo[place] as number
  }

  hiOf(place: number): number {
    return this.#hi[place] as number
  }

  /** The open states' fingerprints in order, and back. */
  save(): SavedStates {
    return { lo: this.#lo.slice(0, this.#count), hi: this.#hi.slice(0, this.#count) }
  }

  load(saved: SavedStates): void {
    for (let i = 0; i < saved.lo.length; i++)
      this.push(saved.lo[i] as number, saved.hi[i] as number)
  }

  /** Close the states from a place on. */
  popTo(place: number): void {
    const mask = this.#slots.length - 1
    while (this.#count > place) {
      const last = --this.#count
      let i = (this.#hi[last] as number) & mask
      while (this.#slots[i] !== last + 1) i = (i + 1) & mask
      this.#slots[i] = 0
    }
  }

  #hash(place: number): void {
    const mask = this.#slots.length - 1
    let i = (this.#hi[place] as number) & mask
    while (this.#slots[i] !== 0) i = (i + 1) & mask
    this.#slots[i] = place + 1
  }

  #grow(): void {
    const double = (from: Int32Array): Int32Array<ArrayBuffer> => {
      const to = new Int32Array(from.length * 2)
      to.set(from)
      return to
    }
    this.#lo = double(this.#lo)
    this.#hi = double(this.#hi)
    this.#slots = new Int32Array(this.#slots.length * 2)
    for (let place = 0; place < this.#count; place++) this.#hash(place)
  }
}

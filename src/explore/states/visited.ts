/**
 * The visited set: fingerprints of 63 bits in open addressing, two words a slot, side by side so
 * that a probe meets one cache line. Nothing is ever removed, so a probe ends at the first empty
 * slot. A slot's place grows with the low lane, so a larger table is filled in one sweep.
 */

/** At most this share of the slots is used before the table grows. */
const FULL = 0.75
const BYTES_PER_SLOT = 8
const LEAST_SLOTS = 1 << 12
/** One buffer has room for no more. */
const MOST_SLOTS = 2 ** 30
/** A smaller table grows faster: what it may waste is little, and each state is moved less often. */
const MANY_SLOTS = 1 << 20

export class VisitedTable {
  readonly #most: number
  #slots: number
  #scale: number
  #words: Int32Array
  #size = 0
  #full = false

  /** A table of at most `mostBytes`, with room for about `expected` states from the beginning. */
  constructor(mostBytes = Number.POSITIVE_INFINITY, expected = 0) {
    this.#most = Math.max(LEAST_SLOTS, Math.min(MOST_SLOTS, Math.floor(mostBytes / BYTES_PER_SLOT)))
    this.#slots = Math.min(this.#most, Math.max(LEAST_SLOTS, Math.ceil(expected / FULL)))
    this.#scale = this.#slots / 2 ** 32
    this.#words = new Int32Array(this.#slots * 2)
  }

  /** Distinct fingerprints stored. */
  get size(): number {
    return this.#size
  }

  /** The limit was met: a new fingerprint may find no room. */
  get full(): boolean {
    return this.#full
  }

  get bytes(): number {
    return this.#words.byteLength
  }

  /** Put a fingerprint in; false if it was there. */
  insert(lo: number, hi: number): boolean {
    if (this.#size >= this.#slots * FULL) this.#grow()
    if (!place(this.#words, this.#slots, this.#scale, lo, hi)) return false
    this.#size++
    return true
  }

  /** The slots as they are, and back; nothing is copied. */
  save(): Int32Array {
    return this.#words
  }

  load(words: Int32Array, size: number): void {
    this.#words = words as Int32Array<ArrayBuffer>
    this.#slots = words.length / 2
    this.#scale = this.#slots / 2 ** 32
    this.#size = size
  }

  /** Fetch the slot at which a search for a fingerprint begins, ahead of the search. */
  glance(lo: number): number {
    return this.#words[Math.floor(((lo | 1) >>> 0) * this.#scale) * 2] as number
  }

  has(lo: number, hi: number): boolean {
    return find(this.#words, this.#slots, this.#scale, lo, hi)
  }

  #grow(): void {
    const times = this.#slots < MANY_SLOTS ? 4 : 2
    const slots = Math.min(this.#slots * times, this.#most)
    if (slots < this.#slots * 1.2) {
      // Past three quarters the probes get long, but there is room.
      if (this.#size >= this.#slots * 0.95) this.#full = true
      return
    }
    const old = this.#words
    this.#slots = slots
    this.#scale = slots / 2 ** 32
    this.#words = new Int32Array(slots * 2)
    for (let i = 0; i < old.length; i += 2) {
      if (old[i] !== 0) {
        place(this.#words, slots, this.#scale, old[i] as number, old[i + 1] as number)
      }
    }
  }
}

/**
 * Expected number of states that were taken for another one, among `n`: n²/2 pairs, each equal
 * with probability 2^-63.
 */
export function omissions(n: number): number {
  return n ** 2 / 2 ** 64
}

/** The lowest bit of the low lane is given up: a first word of zero marks an empty slot. */
function place(words: Int32Array, slots: number, scale: number, lo: number, hi: number): boolean {
  const first = lo | 1
  let i = Math.floor((first >>> 0) * scale) * 2
  const end = slots * 2
  for (;;) {
    const there = words[i]
    if (there === 0) {
      words[i] = first
      words[i + 1] = hi
      return true
    }
    if (there === first && words[i + 1] === hi) return false
    i += 2
    if (i === end) i = 0
  }
}

function find(words: Int32Array, slots: number, scale: number, lo: number, hi: number): boolean {
  const first = lo | 1
  let i = Math.floor((first >>> 0) * scale) * 2
  const end = slots * 2
  for (;;) {
    const there = words[i]
    if (there === 0) return false
    if (there === first && words[i + 1] === hi) return true
    i += 2
    if (i === end) i = 0
  }
}

/**
 * The visited set of a bounded search: for each state and running task, the fewest preemptions
 * with which it was reached.
 */
export class BoundedTable {
  readonly #byPreemptions: VisitedTable[] = []
  #size = 0

  /** Distinct states, counted once for each task that ran last. */
  get size(): number {
    return this.#size
  }

  get bytes(): number {
    return this.#byPreemptions.reduce((sum, t) => sum + t.bytes, 0)
  }

  /** Was the state reached with so few preemptions? */
  has(lo: number, hi: number, running: number, preemptions: number): boolean {
    const salted = salt(lo, running)
    const tables = Math.min(preemptions + 1, this.#byPreemptions.length)
    for (let p = 0; p < tables; p++) {
      if (this.#byPreemptions[p]?.has(salted, hi) === true) return true
    }
    return false
  }

  /** Was the state never reached with so few preemptions? */
  insert(lo: number, hi: number, running: number, preemptions: number): boolean {
    const salted = salt(lo, running)
    let known = false
    this.#byPreemptions.forEach((t, p) => {
      if (p !== preemptions && t.has(salted, hi)) known = true
    })
    for (let p = 0; p < preemptions; p++) {
      if (this.#byPreemptions[p]?.has(salted, hi) === true) return false
    }
    for (let p = this.#byPreemptions.length; p <= preemptions; p++) {
      this.#byPreemptions.push(new VisitedTable())
    }
    const inserted = (this.#byPreemptions[preemptions] as VisitedTable).insert(salted, hi)
    if (inserted && !known) this.#size++
    return inserted
  }
}

function salt(lo: number, running: number): number {
  return lo ^ Math.imul(running + 1, 0x9e3779b1)
}

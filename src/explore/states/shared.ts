/**
 * The visited set of a search by several workers: one table in shared memory, laid over as many
 * buffers as it needs. Each worker searches the whole graph, in an order of its own, but for what
 * is finished: with a strongly connected component that has been left, everything that can be
 * reached from it has been seen and judged by somebody, and whoever comes by turns back. Where two
 * are at once both go on, and who ends first spares the other one the rest. So a worker that
 * finishes the initial state has finished the search, whatever has become of the others.
 *
 * What is counted is counted once: a state by who puts it in, the ends of executions in it by who
 * finishes it.
 *
 * A slot is two words: the low lane with its lowest bit set, and the high lane with its two lowest
 * bits replaced by 1 and the finished bit. 61 bits tell states apart.
 */
import { OpenStates } from './open.js'
import { RecentStates } from './recent.js'

const FINISHED = 1
const PUBLISHED = 2

/** Words of `Share.control`. */
export const CONTROL = {
  /** Not 0 when the initial state is finished. */
  DONE: 0,
  /** In the table. */
  STATES: 1,
  /** Workers that are finishing the states of a cycle. */
  FINISHING: 2,
  WORDS: 3,
} as const

/**
 * What a worker is given: its number, and memory that all share. Buffers, because a view of 4 GiB
 * arrives at another thread without its length. Those of the table are of one size.
 */
export interface Share {
  readonly worker: number
  readonly control: SharedArrayBuffer
  readonly table: readonly SharedArrayBuffer[]
}

const BYTES_PER_SLOT = 8
/** Most slots: their numbers are kept in words. */
export const MOST_TABLE_BYTES = 2 ** 31 * BYTES_PER_SLOT
/** A larger buffer would have places that are no small integers for V8. */
const MOST_BUFFER_BYTES = 2 ** 31

/** The buffers of a table of about so many bytes. @throws RangeError if there is no memory */
export function tableOf(bytes: number, mostOfBuffer = MOST_BUFFER_BYTES): SharedArrayBuffer[] {
  const count = Math.ceil(bytes / mostOfBuffer)
  const each = Math.floor(bytes / count / BYTES_PER_SLOT) * BYTES_PER_SLOT
  return Array.from({ length: count }, () => new SharedArrayBuffer(each))
}

/** At most this share of the slots is used. */
const FULL = 0.9
const BATCH = 256
/** States that are finished together: their slots lie far away, and are fetched at once. */
const LEFT_TOGETHER = 32

export class SharedStates {
  readonly #buffers: readonly Int32Array[]
  /** Slots of a buffer, and of all. */
  readonly #each: number
  readonly #slots: number
  readonly #control: Int32Array
  readonly #scale: number
  #size = 0
  #unannounced = 0
  #full = false
  /** What this worker has not left yet, whether somebody has finished it or not. */
  readonly open = new OpenStates()
  /** Of those that this worker has open or has seen finished: that does not change any more. */
  readonly #recent = new RecentStates()
  /** What this worker has left and not finished yet: no cycle leads through it. */
  readonly #leftLo = new Int32Array(LEFT_TOGETHER)
  readonly #leftHi = new Int32Array(LEFT_TOGETHER)
  readonly #leftEnds = new Int32Array(LEFT_TOGETHER)
  #left = 0
  #executions = 0
  /** What a glance has seen; of no use but that it has been fetched. */
  #glimpse = 0
  /** Where the search for a fingerprint begins, in slots of its buffer. */
  #place = 0
  #seen: Int32Array
  #at = 0

  constructor(share: Share) {
    this.#buffers = share.table.map((b) => new Int32Array(b))
    this.#seen = this.#buffers[0] as Int32Array
    this.#each = this.#seen.length / 2
    this.#slots = this.#each * this.#buffers.length
    this.#control = new Int32Array(share.control)
    this.#scale = this.#slots / 2 ** 32
  }

  /** States that this worker put in. */
  get size(): number {
    return this.#size
  }

  get full(): boolean {
    return this.#full
  }

  /** Has some worker finished the initial state? */
  get done(): boolean {
    return Atomics.load(this.#control, CONTROL.DONE) !== 0
  }

  /** Ends of executions in the states that this worker was the first to finish. */
  get executions(): number {
    return this.#executions
  }

  /** This worker has left the initial state. */
  end(): void {
    this.finishLeft()
    Atomics.store(this.#control, CONTROL.DONE, 1)
  }

  /** The buffer for a first word; a search that meets its end goes on at its beginning. */
  #bufferFor(first: number): Int32Array {
    const place = Math.floor((first >>> 0) * this.#scale)
    const number = Math.floor(place / this.#each)
    this.#place = place - number * this.#each
    return this.#buffers[number] as Int32Array
  }

  /** Put a fingerprint in; false if this worker has it open or somebody has finished it. */
  insert(lo: number, hi: number): boolean {
    if (this.#recent.has(lo, hi)) return false
    this.#recent.add(lo, hi)
    const first = lo | 1
    const second = (hi & ~3) | PUBLISHED
    const table = this.#bufferFor(first)
    for (let i = this.#place * 2; ; i = (i + 2) % table.length) {
      let there = table[i] as number
      if (there === 0) {
        there = Atomics.compareExchange(table, i, 0, first)
        if (there === 0) {
          Atomics.store(table, i + 1, second)
          this.#count()
          return true
        }
      }
      if (there !== first) continue
      let word = table[i + 1] as number
      // Its owner is about to write the second word.
      while (word === 0) word = Atomics.load(table, i + 1)
      if ((word & ~FINISHED) !== second) continue
      return (word & FINISHED) === 0 && !this.#isMine(lo, hi)
    }
  }

  /** Fetch the slot at which a search for a fingerprint begins, ahead of the search. */
  glance(lo: number, hi: number): number {
    return this.#recent.has(lo, hi) ? 0 : this.#fetch(lo)
  }

  #fetch(lo: number): number {
    return this.#bufferFor(lo | 1)[this.#place * 2] as number
  }

  /** Has this worker the state open, or somebody finished it? */
  has(lo: number, hi: number): boolean {
    if (this.#recent.has(lo, hi)) return true
    const word = this.#look(lo, hi)
    if (word === 0 || ((word & FINISHED) === 0 && !this.#isMine(lo, hi))) return false
    this.#recent.add(lo, hi)
    return true
  }

  /** Is the state open, or left, by this worker? */
  #isMine(lo: number, hi: number): boolean {
    for (let i = 0; i < this.#left; i++) {
      if (this.#leftLo[i] === lo && this.#leftHi[i] === hi) return true
    }
    return this.open.placeOf(lo, hi) >= 0
  }

  isFinished(lo: number, hi: number): boolean {
    return (this.#look(lo, hi) & FINISHED) !== 0
  }

  /**
   * Finish a state that has been left, in which so many executions end, now or a little later. One
   * that lies on no cycle: those of a cycle are finished together.
   */
  leave(lo: number, hi: number, ends: number): void {
    if (this.#left === LEFT_TOGETHER) this.finishLeft()
    this.#leftLo[this.#left] = lo
    this.#leftHi[this.#left] = hi
    this.#leftEnds[this.#left++] = ends
  }

  /** Finish what has been left. */
  finishLeft(): void {
    for (let i = 0; i < this.#left; i++) this.#glimpse ^= this.#fetch(this.#leftLo[i] as number)
    for (let i = 0; i < this.#left; i++) {
      const [lo, hi] = [this.#leftLo[i] as number, this.#leftHi[i] as number]
      this.finish(lo, hi, this.#leftEnds[i] as number)
    }
    this.#left = 0
  }

  /** Finish a state in which so many executions end; they count if nobody was faster. */
  finish(lo: number, hi: number, ends: number): void {
    if ((this.#look(lo, hi) & FINISHED) !== 0) return
    const before = Atomics.or(this.#seen, this.#at, FINISHED)
    if ((before & FINISHED) === 0) this.#executions += ends
  }

  /**
   * No other worker is between `beginCycle` and `endCycle`: it has finished all of one, or none.
   */
  waitForCycles(): void {
    while (Atomics.load(this.#control, CONTROL.FINISHING) !== 0);
  }

  beginCycle(): void {
    Atomics.add(this.#control, CONTROL.FINISHING, 1)
  }

  endCycle(): void {
    Atomics.sub(this.#control, CONTROL.FINISHING, 1)
  }

  /** The second word of a state, which lies at `#at` of `#seen`; 0 if nobody has put it in. */
  #look(lo: number, hi: number): number {
    const first = lo | 1
    const second = (hi & ~3) | PUBLISHED
    const table = this.#bufferFor(first)
    for (let i = this.#place * 2; ; i = (i + 2) % table.length) {
      const there = table[i] as number
      if (there === 0) return 0
      if (there !== first) continue
      const word = table[i + 1] as number
      if ((word & ~FINISHED) !== second) continue
      this.#seen = table
      this.#at = i + 1
      return word
    }
  }

  /** Put in a slot of another table, whose state nobody else puts in. */
  take(first: number, second: number): void {
    const table = this.#bufferFor(first)
    let i = this.#place * 2
    while (Atomics.compareExchange(table, i, 0, first) !== 0) i = (i + 2) % table.length
    table[i + 1] = second
    this.#size++
  }

  #count(): void {
    this.#size++
    if (++this.#unannounced < BATCH) return
    const all = Atomics.add(this.#control, CONTROL.STATES, BATCH) + BATCH
    this.#unannounced = 0
    if (all >= this.#slots * FULL) this.#full = true
  }
}

/** What a worker does between two tables: its part of so many, from 0. */
export interface Carry {
  readonly from: Share['table']
  readonly to: Share['table']
  readonly part: number
  readonly parts: number
}

/** Put a part of the finished states of a table into a larger one; how many. Nobody is searching. */
export function carry({ from, to, part, parts }: Carry): number {
  const control = new SharedArrayBuffer(CONTROL.WORDS * 4)
  const larger = new SharedStates({ worker: part, table: to, control })
  for (const words of from.map((b) => new Int32Array(b))) {
    const slots = words.length / 2
    const end = Math.floor((slots * (part + 1)) / parts) * 2
    for (let i = Math.floor((slots * part) / parts) * 2; i < end; i += 2) {
      const second = words[i + 1] as number
      if ((second & FINISHED) !== 0) larger.take(words[i] as number, second)
    }
  }
  return larger.size
}

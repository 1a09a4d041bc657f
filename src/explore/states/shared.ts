/**
 * The visited set of a search by several workers: one table in shared memory, laid over as many
 * buffers as it needs. A state belongs to
 * the worker that puts it in; nobody else goes on from it. So every step is taken once, and counts
 * are those of a search by one.
 *
 * Each state has a bit that says whether its owner is still busy with it. An edge to a state that
 * is not open any more can't be part of a cycle. One that is, on somebody's stack, is waited for:
 * its origin stays open until it has closed. If in the end all have closed, the order in which
 * they did proves that the state graph has no cycle, and so no livelock.
 *
 * A slot is two words: the low lane with its lowest bit set, and the high lane with its two lowest
 * bits replaced by 1 and the open bit. 61 bits tell states apart.
 */
const OPEN = 1
const PUBLISHED = 2

/** Words of `Share.control`. */
export const CONTROL = { STOP: 0, STATES: 1, WORDS: 2 } as const

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

/** A state that could not be closed, and the open states that its steps lead to. */
export interface Unclosed {
  readonly key: string
  readonly waitsFor: readonly string[]
}

export const ARRIVED = { NEW: 0, CLOSED: 1, OPEN: 2 } as const

/** At most this share of the slots is used. */
const FULL = 0.9
const BATCH = 256

interface Waiting {
  readonly slot: number
  waitsFor: number[]
}

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
  /** Open states that levels of the stack wait for, by depth. */
  readonly #waits: { depth: number; slot: number }[] = []
  #pending: Waiting[] = []
  /** Slot of the state that arrived last. */
  slot = 0
  /** Where the search for a fingerprint begins, in slots, and the first one of that buffer. */
  #place = 0
  #from = 0

  constructor(share: Share) {
    this.#buffers = share.table.map((b) => new Int32Array(b))
    this.#each = (this.#buffers[0] as Int32Array).length / 2
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

  /** Has some worker asked all to stop? */
  get stopped(): boolean {
    return Atomics.load(this.#control, CONTROL.STOP) !== 0
  }

  stop(): void {
    Atomics.store(this.#control, CONTROL.STOP, 1)
  }

  /** The buffer for a first word; a search that meets its end goes on at its beginning. */
  #bufferFor(first: number): Int32Array {
    const place = Math.floor((first >>> 0) * this.#scale)
    const number = Math.floor(place / this.#each)
    this.#from = number * this.#each
    this.#place = place - this.#from
    return this.#buffers[number] as Int32Array
  }

  /** Put a fingerprint in. */
  insert(lo: number, hi: number): number {
    const first = lo | 1
    const second = (hi & ~3) | PUBLISHED
    const table = this.#bufferFor(first)
    for (let i = this.#place * 2; ; i = (i + 2) % table.length) {
      let there = table[i] as number
      if (there === 0) {
        there = Atomics.compareExchange(table, i, 0, first)
        if (there === 0) {
          Atomics.store(table, i + 1, second | OPEN)
          this.slot = this.#from + i / 2
          this.#count()
          return ARRIVED.NEW
        }
      }
      if (there !== first) continue
      let word = table[i + 1] as number
      // Its owner is about to write the second word.
      while (word === 0) word = Atomics.load(table, i + 1)
      if ((word & ~OPEN) !== second) continue
      this.slot = this.#from + i / 2
      return (word & OPEN) === 0 ? ARRIVED.CLOSED : ARRIVED.OPEN
    }
  }

  /** Fetch the slot at which a search for a fingerprint begins, ahead of the search. */
  glance(lo: number): number {
    return this.#bufferFor(lo | 1)[this.#place * 2] as number
  }

  /** Has somebody put this fingerprint in? */
  has(lo: number, hi: number): boolean {
    const first = lo | 1
    const second = (hi & ~3) | PUBLISHED
    const table = this.#bufferFor(first)
    for (let i = this.#place * 2; ; i = (i + 2) % table.length) {
      const there = table[i] as number
      if (there === 0) return false
      if (there === first && ((table[i + 1] as number) & ~OPEN) === second) return true
    }
  }

  #count(): void {
    this.#size++
    if (++this.#unannounced < BATCH) return
    const all = Atomics.add(this.#control, CONTROL.STATES, BATCH) + BATCH
    this.#unannounced = 0
    if (all >= this.#slots * FULL) this.#full = true
  }

  /** The state at `depth` of the stack leads to the open one that arrived last. */
  waitFor(depth: number): void {
    this.#waits.push({ depth, slot: this.slot })
  }

  /** The state in `slot` at `depth` has been dealt with. */
  leave(depth: number, slot: number): void {
    const waitsFor: number[] = []
    for (let w = this.#waits.at(-1); w !== undefined && w.depth === depth; w = this.#waits.at(-1)) {
      this.#waits.pop()
      if (this.#isOpen(w.slot)) waitsFor.push(w.slot)
    }
    if (waitsFor.length === 0) {
      this.#close(slot)
      return
    }
    this.#pending.push({ slot, waitsFor })
    if (depth > 1) this.#waits.push({ depth: depth - 1, slot })
  }

  #isOpen(slot: number): boolean {
    return (this.#second(slot) & OPEN) !== 0
  }

  #close(slot: number): void {
    const word = this.#second(slot) & ~OPEN
    const buffer = this.#buffers[Math.floor(slot / this.#each)] as Int32Array
    buffer[(slot % this.#each) * 2 + 1] = word
  }

  /** The second word of a slot. */
  #second(slot: number): number {
    const buffer = this.#buffers[Math.floor(slot / this.#each)] as Int32Array
    return buffer[(slot % this.#each) * 2 + 1] as number
  }

  /** Close what waits for nobody any more. */
  sweep(): void {
    for (let closed = -1; closed !== 0; ) {
      closed = 0
      for (const p of this.#pending) {
        p.waitsFor = p.waitsFor.filter((s) => this.#isOpen(s))
        if (p.waitsFor.length > 0) continue
        this.#close(p.slot)
        closed++
      }
      if (closed > 0) this.#pending = this.#pending.filter((p) => p.waitsFor.length > 0)
    }
  }

  /** What is left when this worker has nothing more to do. */
  unclosed(): Unclosed[] {
    this.sweep()
    return this.#pending.map((p) => ({ key: `${p.slot}`, waitsFor: p.waitsFor.map(String) }))
  }
}

/** Do these states, of all workers together, wait for each other in a circle? */
export function waitInCircle(states: readonly Unclosed[]): boolean {
  let left = [...states]
  for (;;) {
    const keys = new Set(left.map((s) => s.key))
    const still = left.filter((s) => s.waitsFor.some((k) => keys.has(k)))
    if (still.length === 0) return false
    if (still.length === left.length) return true
    left = still
  }
}

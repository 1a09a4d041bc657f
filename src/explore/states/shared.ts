/**
 * The visited set of a search by several workers: one table in shared memory. A state belongs to
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
 * arrives at another thread without its length.
 */
export interface Share {
  readonly worker: number
  readonly control: SharedArrayBuffer
  readonly table: SharedArrayBuffer
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
  readonly #table: Int32Array
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

  constructor(share: Share) {
    this.#table = new Int32Array(share.table)
    this.#control = new Int32Array(share.control)
    this.#scale = this.#table.length / 2 / 2 ** 32
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

  /** Put a fingerprint in. */
  insert(lo: number, hi: number): number {
    const table = this.#table
    const first = lo | 1
    const second = (hi & ~3) | PUBLISHED
    for (let i = Math.floor((first >>> 0) * this.#scale) * 2; ; i = (i + 2) % table.length) {
      let there = table[i] as number
      if (there === 0) {
        there = Atomics.compareExchange(table, i, 0, first)
        if (there === 0) {
          Atomics.store(table, i + 1, second | OPEN)
          this.slot = i
          this.#count()
          return ARRIVED.NEW
        }
      }
      if (there !== first) continue
      let word = table[i + 1] as number
      // Its owner is about to write the second word.
      while (word === 0) word = Atomics.load(table, i + 1)
      if ((word & ~OPEN) !== second) continue
      this.slot = i
      return (word & OPEN) === 0 ? ARRIVED.CLOSED : ARRIVED.OPEN
    }
  }

  /** Fetch the slot at which a search for a fingerprint begins, ahead of the search. */
  glance(lo: number): number {
    return this.#table[Math.floor(((lo | 1) >>> 0) * this.#scale) * 2] as number
  }

  /** Has somebody put this fingerprint in? */
  has(lo: number, hi: number): boolean {
    const table = this.#table
    const first = lo | 1
    const second = (hi & ~3) | PUBLISHED
    for (let i = Math.floor((first >>> 0) * this.#scale) * 2; ; i = (i + 2) % table.length) {
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
    if (all * 2 >= this.#table.length * FULL) this.#full = true
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
    return ((this.#table[slot + 1] as number) & OPEN) !== 0
  }

  #close(slot: number): void {
    this.#table[slot + 1] = (this.#table[slot + 1] as number) & ~OPEN
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

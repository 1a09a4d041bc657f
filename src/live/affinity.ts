/**
 * On which CPUs the worker runs. A program stays on one: what a page waits for in the batch of
 * another CPU, MADV_PAGEOUT passes over, and its result would depend on the scheduler.
 */
import type { Libc } from './libc.js'
import { NR } from './numbers.js'

/** Room for 1024 CPUs. */
const WORDS = 16

export class Affinity {
  readonly #libc: Libc
  readonly #all = new BigUint64Array(WORDS)
  readonly #one = new BigUint64Array(WORDS)

  constructor(libc: Libc) {
    this.#libc = libc
    libc.call(NR.sched_getaffinity, 0, this.#all.byteLength, libc.address(this.#all))
  }

  /** Stay where this runs now. */
  stay(): void {
    const cpu = new Uint32Array(1)
    this.#libc.call(NR.getcpu, this.#libc.address(cpu), 0, 0)
    const n = cpu[0] ?? 0
    this.#one.fill(0n)
    this.#one[n >> 6] = 1n << BigInt(n & 63)
    this.#set(this.#one)
  }

  /** Go wherever the worker could when it began. */
  roam(): void {
    this.#set(this.#all)
  }

  #set(mask: BigUint64Array): void {
    this.#libc.call(NR.sched_setaffinity, 0, mask.byteLength, this.#libc.address(mask))
  }
}

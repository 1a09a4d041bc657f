/**
 * Bytes of this process by address, without the risk of a signal. The kernel itself makes the
 * access, to or from a pipe: it takes the same page fault as the program's own instruction would,
 * and answers -EFAULT where that would raise SIGBUS or SIGSEGV. Unlike process_vm_readv() this
 * asks no GUP, which refuses secretmem.
 */

import { O_CLOEXEC, O_NONBLOCK } from '../kernel/include/uapi.js'
import type { Libc } from './libc.js'
import { NR } from './numbers.js'

export class Memory {
  readonly #libc: Libc
  readonly #ends = new Int32Array(2)
  readonly #byte = new Uint8Array(1)
  readonly #at: bigint

  constructor(libc: Libc) {
    this.#libc = libc
    this.#at = libc.address(this.#byte)
    const error = libc.call(NR.pipe2, libc.address(this.#ends), O_CLOEXEC | O_NONBLOCK)
    if (error < 0) throw new Error(`pipe2: errno ${-error}`)
  }

  /** The byte at an address, or -EFAULT. */
  load(address: bigint): number {
    const [, input = 0] = this.#ends
    const given = this.#libc.call(NR.write, input, address, 1)
    if (given < 0) return given
    this.#take(this.#at)
    return this.#byte[0] as number
  }

  /** 1, or -EFAULT. */
  store(address: bigint, byte: number): number {
    const [, input = 0] = this.#ends
    this.#byte[0] = byte
    this.#libc.call(NR.write, input, this.#at, 1)
    const taken = this.#take(address)
    // What could not be stored is still in the pipe.
    if (taken < 0) this.#take(this.#at)
    return taken
  }

  /** Bytes at an address, up to 64 KiB; they must be there. */
  copyOut(address: bigint, into: Uint8Array): void {
    const [, input = 0] = this.#ends
    this.#libc.call(NR.write, input, address, into.length)
    this.#take(this.#libc.address(into), into.length)
  }

  /** Put bytes, up to 64 KiB, to an address that must be there. */
  copyIn(address: bigint, from: Uint8Array): void {
    const [, input = 0] = this.#ends
    this.#libc.call(NR.write, input, this.#libc.address(from), from.length)
    this.#take(address, from.length)
  }

  #take(into: bigint, length = 1): number {
    return this.#libc.call(NR.read, this.#ends[0] as number, into, length)
  }
}

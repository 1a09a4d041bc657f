/** Calls on the process's memory in the form that scenarios write them: with addresses of mmap(). */
import { fn, type Kernel } from '../../machine/fn.js'
import { sysMmap, sysMunmap } from '../mm/mmap.js'

/** mmap(2) at an address of the kernel's choice; size and offset in bytes. */
export const userMmap = fn(function* mmap(
  fd: number,
  prot: number,
  flags: number,
  size: bigint,
  offset: bigint,
): Kernel<number> {
  return Number(yield* sysMmap(0n, size, prot, flags, fd, offset))
})

/** munmap(2); size in bytes. */
export const userMunmap = fn(function* munmap(address: number, size: bigint): Kernel<number> {
  return yield* sysMunmap(BigInt(address), size)
})

/**
 * Calls on the process's memory in the form that scenarios write them: with addresses of mmap().
 */

import { sysMadvise } from '../kernel/mm/madvise.js'
import { sysMincore } from '../kernel/mm/mincore.js'
import { sysMlock, sysMunlock } from '../kernel/mm/mlock.js'
import { sysMmap, sysMunmap } from '../kernel/mm/mmap.js'
import { sysMprotect } from '../kernel/mm/mprotect.js'
import { fn, type Kernel } from '../machine/fn.js'

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

/** madvise(2); size in bytes. */
export const userMadvise = fn(function* madvise(
  address: number,
  size: bigint,
  advice: number,
): Kernel<number> {
  return yield* sysMadvise(BigInt(address), size, advice)
})

/** mprotect(2); size in bytes. */
export const userMprotect = fn(function* mprotect(
  address: number,
  size: bigint,
  prot: number,
): Kernel<number> {
  return yield* sysMprotect(BigInt(address), size, prot)
})

/** mlock(2); size in bytes. */
export const userMlock = fn(function* mlock(address: number, size: bigint): Kernel<number> {
  return yield* sysMlock(BigInt(address), size)
})

/** munlock(2); size in bytes. */
export const userMunlock = fn(function* munlock(address: number, size: bigint): Kernel<number> {
  return yield* sysMunlock(BigInt(address), size)
})

/** mincore(2) of the page at an offset in bytes. */
export const userMincore = fn(function* mincore(address: number, offset: bigint): Kernel<number> {
  return yield* sysMincore(BigInt(address) + offset)
})

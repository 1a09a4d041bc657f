/**
 * Calls on the process's memory in the form that scenarios and programs write them: an address that
 * mmap() gave, and bytes from there on.
 */

import { vmspliceToPipe } from '../kernel/fs/splice.js'
import { MPOL_MF_MOVE } from '../kernel/include/uapi.js'
import { pinLongterm } from '../kernel/mm/gup_test.js'
import { sysMadvise } from '../kernel/mm/madvise.js'
import { sysMincore } from '../kernel/mm/mincore.js'
import { sysMlock, sysMunlock } from '../kernel/mm/mlock.js'
import { sysMmap, sysMunmap } from '../kernel/mm/mmap.js'
import { sysMovePages } from '../kernel/mm/move_pages.js'
import { sysMprotect } from '../kernel/mm/mprotect.js'
import { sysMsync } from '../kernel/mm/msync.js'
import { fn, type Kernel } from '../machine/fn.js'
import type { UserAddress } from './layout.js'

/** mmap(2); size and offset in bytes. The address matters with MAP_FIXED. */
export const userMmap = fn(function* mmap(
  fd: number,
  prot: number,
  flags: number,
  size: bigint,
  offset: bigint,
  address: UserAddress,
): Kernel<bigint> {
  return yield* sysMmap(BigInt(address), size, prot, flags, fd, offset)
})

/** munmap(2) of bytes from an offset on. */
export const userMunmap = fn(function* munmap(
  address: UserAddress,
  size: bigint,
  offset: bigint,
): Kernel<number> {
  return yield* sysMunmap(BigInt(address) + offset, size)
})

/** madvise(2) of bytes from an offset on. */
export const userMadvise = fn(function* madvise(
  address: UserAddress,
  size: bigint,
  advice: number,
  offset: bigint,
): Kernel<number> {
  return yield* sysMadvise(BigInt(address) + offset, size, advice)
})

/** mprotect(2) of bytes from an offset on. */
export const userMprotect = fn(function* mprotect(
  address: UserAddress,
  size: bigint,
  prot: number,
  offset: bigint,
): Kernel<number> {
  return yield* sysMprotect(BigInt(address) + offset, size, prot)
})

/** mlock(2) of bytes from an offset on. */
export const userMlock = fn(function* mlock(
  address: UserAddress,
  size: bigint,
  offset: bigint,
): Kernel<number> {
  return yield* sysMlock(BigInt(address) + offset, size)
})

/** munlock(2) of bytes from an offset on. */
export const userMunlock = fn(function* munlock(
  address: UserAddress,
  size: bigint,
  offset: bigint,
): Kernel<number> {
  return yield* sysMunlock(BigInt(address) + offset, size)
})

/** msync(2) of bytes from an offset on. */
export const userMsync = fn(function* msync(
  address: UserAddress,
  size: bigint,
  flags: number,
  offset: bigint,
): Kernel<number> {
  return yield* sysMsync(BigInt(address) + offset, size, flags)
})

/** mincore(2) of the page at an offset in bytes. */
export const userMincore = fn(function* mincore(
  address: UserAddress,
  offset: bigint,
): Kernel<number> {
  return yield* sysMincore(BigInt(address) + offset)
})

/** move_pages(2) of the page at an offset in bytes. */
export const userMovePage = fn(function* move_pages(
  address: UserAddress,
  node: number,
  offset: bigint,
): Kernel<number> {
  return yield* sysMovePages(BigInt(address) + offset, node, MPOL_MF_MOVE)
})

/** A descriptor that has the page at an offset in bytes pinned until it is closed. */
export const userPinLongterm = fn(function* pin_longterm(
  address: UserAddress,
  offset: bigint,
  flags: number,
): Kernel<number> {
  return yield* pinLongterm(BigInt(address) + offset, flags)
})

/** The descriptor of a pipe that has the page at an offset in bytes. */
export const userVmsplice = fn(function* vmsplice(
  address: UserAddress,
  offset: bigint,
): Kernel<number> {
  return yield* vmspliceToPipe(BigInt(address) + offset)
})

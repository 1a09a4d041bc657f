/** mlock(2) and munlock(2): memory that stays, faulted in at once. */
import { alsoWrites, rmw } from '../../machine/effects.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { downWrite, upWrite } from '../../machine/locks.js'
import { isVmHugetlbPage } from '../fs/hugetlbfs.js'
import { EINVAL, ENOMEM } from '../include/errno.js'
import { currentMm, type MmStruct, VM_IO, VM_LOCKED, type VmArea } from '../include/mm_types.js'
import { PAGE_SIZE, roundUpToPage } from '../include/types.js'
import { mlockFolio, munlockFolio } from './mlocked.js'
import { splitAt } from './mmap.js'
import { nextPte, PTE_PRESENT, pteAt, pteFolio } from './pgtable.js'
import { mlockErrno, mmPopulate } from './populate.js'
import { vmaIsSecretmem } from './secretmem.js'
import { lruAddDrain } from './swap.js'
import { findVma, vmaPages } from './vma.js'

/**
 * Lock, or unlock, what a VMA maps already.
 *
 * Models: 6.2 mm/mlock.c mlock_vma_pages_range.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const mlockVmaPages = fn(function* mlock_vma_pages_range(
  vma: VmArea,
  lock: boolean,
): Kernel<void> {
  const mm = vma.vmMm!
  let at = vma.vmStart
  alsoWrites(vma, 'vmFlags')
  // VM_IO keeps who migrates, or reclaims, a page of it from counting it too.
  if (lock) vma.vmFlags |= VM_LOCKED | VM_IO
  else vma.vmFlags &= ~VM_LOCKED
  yield* lruAddDrain()
  for (;;) {
    yield rmw(mm.pageTable, 'xaHead')
    at = nextPte(mm, at, vma.vmEnd)
    if (at < 0n) break
    const pte = pteAt(mm, at)
    at += PAGE_SIZE
    if (!(pte & PTE_PRESENT)) continue
    if (lock) mlockFolio(pteFolio(pte))
    else munlockFolio(pteFolio(pte))
  }
  yield* lruAddDrain()
  alsoWrites(vma, 'vmFlags')
  vma.vmFlags &= ~VM_IO
})

/**
 * Change [start, end) of a VMA, which is split for it. What is locked already, huge pages, and
 * secret memory, which always is locked, stay as they are. 0 or -ENOMEM.
 *
 * Models: 6.2 mm/mlock.c mlock_fixup.
 *
 * Compared: 6.17 and 7.0 source, live 6.18.44.
 */
export const mlockFixup = fn(function* mlock_fixup(
  whole: VmArea,
  start: bigint,
  end: bigint,
  lock: boolean,
): Kernel<number> {
  const locked = (whole.vmFlags & VM_LOCKED) !== 0
  if (locked === lock || isVmHugetlbPage(whole) || vmaIsSecretmem(whole)) return 0
  const mm = whole.vmMm!
  let error = yield* splitAt(mm, start)
  if (error === 0) error = yield* splitAt(mm, end)
  if (error !== 0) return error
  const vma = findVma(mm, start) as VmArea
  mm.lockedVm += lock ? vmaPages(vma) : -vmaPages(vma)
  yield* mlockVmaPages(vma, lock)
  return 0
})

/**
 * Models: 6.2 mm/mlock.c apply_vma_lock_flags: -ENOMEM where something is not mapped, or
 * without memory for a VMA.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const applyVmaLockFlags = fn(function* apply_vma_lock_flags(
  mm: MmStruct,
  start: bigint,
  end: bigint,
  lock: boolean,
): Kernel<number> {
  if (end < start) return -EINVAL
  let at = start
  while (at < end) {
    const vma = findVma(mm, at)
    if (vma === null || vma.vmStart > at) return -ENOMEM
    const stop = vma.vmEnd < end ? vma.vmEnd : end
    const error = yield* mlockFixup(vma, at, stop, lock)
    if (error !== 0) return error
    at = stop
  }
  return 0
})

/**
 * mlock(2), bytes: 0; -ENOMEM where something is not mapped or cannot be faulted in; -EAGAIN
 * without memory.
 *
 * Models: 6.2 mm/mlock.c do_mlock. Simplifies: the process may lock any amount.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const sysMlock = fn(function* mlock(start: bigint, length: bigint): Kernel<number> {
  const mm = currentMm()
  const from = start & ~(PAGE_SIZE - 1n)
  const end = from + roundUpToPage(length + (start - from))
  yield* downWrite(mm.mmapLock)
  const error = yield* applyVmaLockFlags(mm, from, end, true)
  yield* upWrite(mm.mmapLock)
  if (error !== 0) return error
  return mlockErrno(yield* mmPopulate(mm, from, end))
})

/** munlock(2), bytes. Models: 6.2 mm/mlock.c munlock. Compared: 6.17 and 7.0 source. */
export const sysMunlock = fn(function* munlock(start: bigint, length: bigint): Kernel<number> {
  const mm = currentMm()
  const from = start & ~(PAGE_SIZE - 1n)
  yield* downWrite(mm.mmapLock)
  const end = from + roundUpToPage(length + (start - from))
  const ret = yield* applyVmaLockFlags(mm, from, end, false)
  yield* upWrite(mm.mmapLock)
  return ret
})

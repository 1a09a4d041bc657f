/** Faulting pages in ahead of their use, for MADV_POPULATE_*, mlock() and MAP_POPULATE. */
import { read } from '../../machine/effects.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { downRead, upRead } from '../../machine/locks.js'
import { EAGAIN, EFAULT, EHWPOISON, EINVAL, ENOMEM } from '../include/errno.js'
import {
  FAULT_FLAG_WRITE,
  type MmStruct,
  VM_EXEC,
  VM_FAULT_ERROR,
  VM_FAULT_RETRY,
  VM_READ,
  VM_SHARED,
  VM_WRITE,
  type VmArea,
} from '../include/mm_types.js'
import { PAGE_SIZE } from '../include/types.js'
import { checkVmaFlags, faultErrno, gupFaultFlags, pteAllows, touchPage } from './gup.js'
import { handleMmFault } from './memory.js'
import { pteAt } from './pgtable.js'
import { vmaIsSecretmem } from './secretmem.js'
import { lruAddDrain } from './swap.js'
import { findVma, vmaLookup } from './vma.js'

/**
 * Fault one page of a VMA in: 0 or an error; -EAGAIN: mmap_lock was dropped, look the VMA up
 * again. mmap_lock is held for reading.
 *
 * Models: 6.2 mm/gup.c __get_user_pages without pages.
 */
export const faultinPage = fn(function* faultin_page(
  vma: VmArea,
  address: bigint,
  write: boolean,
): Kernel<number> {
  for (;;) {
    yield read(vma.vmMm!.pageTable, 'xaHead')
    const pte = pteAt(vma.vmMm!, address)
    if (pteAllows(pte, write)) {
      touchPage(pte, write)
      return 0
    }
    const fault = yield* handleMmFault(vma, address, gupFaultFlags(write))
    if (fault & VM_FAULT_RETRY) return -EAGAIN
    if (fault & VM_FAULT_ERROR) return faultErrno(fault)
  }
})

/** Fault in [start, end). See `madvisePopulate`. */
export const faultinRange = fn(function* faultin_page_range(
  mm: MmStruct,
  start: bigint,
  end: bigint,
  write: boolean,
): Kernel<number> {
  let at = start
  while (at < end) {
    const vma = vmaLookup(mm, at)
    if (vma === null) return -ENOMEM
    if (checkVmaFlags(vma, write) !== 0) return -EINVAL
    const ret = yield* faultinPage(vma, at, write)
    if (ret === -EAGAIN) {
      yield* downRead(mm.mmapLock)
      continue
    }
    if (ret !== 0) return ret
    at += PAGE_SIZE
  }
  return 0
})

/**
 * Fault in [start, end): 0; -ENOMEM where nothing is mapped; -EINVAL where the mapping does not
 * allow it; -EFAULT where there is nothing behind it; -EHWPOISON. mmap_lock is held for reading,
 * and may have been dropped meanwhile. What was new has left this CPU's batch then.
 *
 * Models: 6.2 mm/madvise.c madvise_populate and mm/gup.c faultin_vma_page_range.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const madvisePopulate = fn(function* madvise_populate(
  mm: MmStruct,
  start: bigint,
  end: bigint,
  write: boolean,
): Kernel<number> {
  const ret = yield* faultinRange(mm, start, end, write)
  yield* lruAddDrain()
  return ret
})

/** Shared mappings are read, private ones that can be written are. */
function populateFlags(vma: VmArea): boolean {
  return (vma.vmFlags & (VM_WRITE | VM_SHARED)) === VM_WRITE
}

/** FOLL_FORCE: what can be accessed in some way is faulted in, also where it cannot be read. */
function mayPopulate(vma: VmArea): number {
  return vma.vmFlags & (VM_READ | VM_WRITE | VM_EXEC) && !vmaIsSecretmem(vma) ? 0 : -EFAULT
}

/**
 * Fault in what of [start, end) is mapped: 0 or the first error. Where nothing is mapped, nothing
 * is done.
 *
 * Models: 6.2 mm/gup.c __mm_populate and populate_vma_page_range. Simplifies: mmap_lock is held for
 * each page, not from one to the next, and the batch is drained behind each page, not each VMA.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const mmPopulate = fn(function* __mm_populate(
  mm: MmStruct,
  start: bigint,
  end: bigint,
): Kernel<number> {
  let at = start
  let ret = 0
  while (at < end && ret === 0) {
    yield* downRead(mm.mmapLock)
    const vma = findVma(mm, at)
    if (vma === null || vma.vmStart >= end) {
      yield* upRead(mm.mmapLock)
      return 0
    }
    if (vma.vmStart > at) at = vma.vmStart
    ret = mayPopulate(vma)
    if (ret === 0) {
      ret = yield* faultinPage(vma, at, populateFlags(vma))
      yield* lruAddDrain()
    }
    if (ret === -EAGAIN) {
      ret = 0
      continue
    }
    yield* upRead(mm.mmapLock)
    at += PAGE_SIZE
  }
  return ret
})

/**
 * Fault in all of a private VMA that can be written, each page for its own: the first error ends
 * it, and nobody hears of it. mmap_lock is held for writing, so no fault may drop it.
 *
 * Models: 6.2 mm/gup.c populate_vma_page_range, without `locked`. Compared: 6.17 and 7.0 source.
 */
export const populateVmaPageRange = fn(function* populate_vma_page_range(
  vma: VmArea,
): Kernel<void> {
  if (checkVmaFlags(vma, true) !== 0) return
  let at = vma.vmStart
  let fault = 0
  while (at < vma.vmEnd && !(fault & VM_FAULT_ERROR)) {
    yield read(vma.vmMm!.pageTable, 'xaHead')
    const pte = pteAt(vma.vmMm!, at)
    if (pteAllows(pte, true)) {
      touchPage(pte, true)
      at += PAGE_SIZE
    } else {
      fault = yield* handleMmFault(vma, at, FAULT_FLAG_WRITE)
    }
  }
  yield* lruAddDrain()
})

/**
 * What mlock() makes of an error. Poison is no word of its own here: FOLL_HWPOISON is not asked
 * for.
 *
 * Models: 6.2 mm/mlock.c __mlock_posix_error_return.
 *
 * Compared: 6.17 and 7.0 source.
 */
export function mlockErrno(error: number): number {
  if (error === -EFAULT || error === -EHWPOISON) return -ENOMEM
  return error === -ENOMEM ? -EAGAIN : error
}

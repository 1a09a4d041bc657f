/**
 * msync(2). The files here have no disk, so it writes nothing back; what is left are its refusals.
 * mmap_lock guards the walk and is dropped while a file is asked, as in Linux.
 */
import { fn, type Kernel } from '../../machine/fn.js'
import { downRead, upRead } from '../../machine/locks.js'
import { fput, getFile } from '../fs/file_table.js'
import { EBUSY, EINVAL, ENOMEM } from '../include/errno.js'
import { currentMm, VM_LOCKED, VM_SHARED, type VmArea } from '../include/mm_types.js'
import { isPageAligned, roundUpToPage } from '../include/types.js'
import { MS_ASYNC, MS_INVALIDATE, MS_SYNC } from '../include/uapi.js'
import { findVma } from './vma.js'

/**
 * Ask the file behind a shared mapping, without mmap_lock: 0, or -EINVAL for one without fsync.
 *
 * Models: 6.2 fs/sync.c vfs_fsync_range. Compared: 6.12 source.
 */
export const syncVma = fn(function* vfs_fsync_range(vma: VmArea): Kernel<number> {
  const file = vma.vmFile!
  yield* getFile(file)
  yield* upRead(vma.vmMm!.mmapLock)
  const error = file.fOp!.fsync === undefined ? -EINVAL : yield* file.fOp!.fsync!(file)
  yield* fput(file)
  return error
})

/**
 * msync(2), bytes: 0; -EINVAL for unknown flags, for both of MS_ASYNC and MS_SYNC, or for an address
 * that is not page aligned; -EBUSY for MS_INVALIDATE of locked memory; -ENOMEM at the end where
 * something was not mapped, and at once with MS_ASYNC alone.
 *
 * Models: 6.2 mm/msync.c msync. Compared: 6.12 source.
 */
export const sysMsync = fn(function* msync(
  addr: bigint,
  length: bigint,
  flags: number,
): Kernel<number> {
  if (flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC) || !isPageAligned(addr)) return -EINVAL
  if ((flags & (MS_ASYNC | MS_SYNC)) === (MS_ASYNC | MS_SYNC)) return -EINVAL
  // Unsigned in C: what is beyond 2^63 is negative here, and only the last page of all wraps to 0.
  const len = roundUpToPage(length)
  if (len < 0n) return -ENOMEM
  let start = addr
  const end = start + len
  if (end === start) return 0
  const mm = currentMm()
  let unmapped = 0
  yield* downRead(mm.mmapLock)
  let vma = findVma(mm, start)
  for (;;) {
    let error = -ENOMEM
    if (vma === null) break
    if (start < vma.vmStart) {
      if (flags === MS_ASYNC || vma.vmStart >= end) break
      start = vma.vmStart
      unmapped = -ENOMEM
    }
    if (flags & MS_INVALIDATE && vma.vmFlags & VM_LOCKED) {
      yield* upRead(mm.mmapLock)
      return -EBUSY
    }
    start = vma.vmEnd
    if (flags & MS_SYNC && vma.vmFile !== null && vma.vmFlags & VM_SHARED) {
      error = yield* syncVma(vma)
      if (error !== 0) return error
      if (start >= end) return unmapped
      yield* downRead(mm.mmapLock)
    } else if (start >= end) {
      yield* upRead(mm.mmapLock)
      return unmapped
    }
    vma = findVma(mm, start)
  }
  yield* upRead(mm.mmapLock)
  return -ENOMEM
})

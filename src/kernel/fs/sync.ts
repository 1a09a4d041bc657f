/** fsync(2) and fdatasync(2). */
import { fn, type Kernel } from '../../machine/fn.js'
import { EBADF, EINVAL } from '../include/errno.js'
import { fget, fput } from './file_table.js'

/**
 * -EBADF, -EINVAL for a file that has no fsync.
 *
 * Models: 6.2 fs/sync.c do_fsync. Simplifies: no file system here tells data from metadata, so
 * datasync is left out.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const doFsync = fn(function* do_fsync(fd: number): Kernel<number> {
  const file = yield* fget(fd)
  if (file === null) return -EBADF
  const ret = file.fOp!.fsync === undefined ? -EINVAL : yield* file.fOp!.fsync!(file)
  yield* fput(file)
  return ret
})

/** Models: 6.2 fs/sync.c fsync. Compared: 6.17 and 7.0 source. */
export const sysFsync = fn(function* fsync(fd: number): Kernel<number> {
  return yield* doFsync(fd)
})

/** Models: 6.2 fs/sync.c fdatasync. Compared: 6.17 and 7.0 source. */
export const sysFdatasync = fn(function* fdatasync(fd: number): Kernel<number> {
  return yield* doFsync(fd)
})

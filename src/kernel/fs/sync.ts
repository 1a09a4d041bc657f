/** fsync(2) and fdatasync(2). */
import { fn, type Kernel } from '../../machine/fn.js'
import { EBADF, EINVAL } from '../include/errno.js'
import { fget, fput } from './file_table.js'

/**
 * -EBADF, -EINVAL for a file that has no fsync.
 *
 * Models: 6.2 fs/sync.c do_fsync.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const sysFsync = fn(function* fsync(fd: number): Kernel<number> {
  const file = yield* fget(fd)
  if (file === null) return -EBADF
  const ret = file.fOp!.fsync === undefined ? -EINVAL : yield* file.fOp!.fsync!(file)
  yield* fput(file)
  return ret
})

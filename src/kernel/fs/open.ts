/** ftruncate(2) and fallocate(2): the checks of the VFS, in Linux's order, before the file's own. */
import { fn, type Kernel } from '../../machine/fn.js'
import { downWrite, upWrite } from '../../machine/locks.js'
import {
  EBADF,
  EFBIG,
  EINVAL,
  EISDIR,
  ENODEV,
  EOPNOTSUPP,
  EPERM,
  ESPIPE,
} from '../include/errno.js'
import { type File, FMODE_WRITE, S_IFDIR, S_IFIFO, S_IFMT, S_IFREG } from '../include/fs.js'
import { MAX_LFS_FILESIZE } from '../include/types.js'
import {
  FALLOC_FL_COLLAPSE_RANGE,
  FALLOC_FL_INSERT_RANGE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_UNSHARE_RANGE,
  FALLOC_FL_ZERO_RANGE,
} from '../include/uapi.js'
import { fget, fput } from './file_table.js'

const SUPPORTED =
  FALLOC_FL_KEEP_SIZE |
  FALLOC_FL_PUNCH_HOLE |
  FALLOC_FL_COLLAPSE_RANGE |
  FALLOC_FL_ZERO_RANGE |
  FALLOC_FL_INSERT_RANGE |
  FALLOC_FL_UNSHARE_RANGE

/**
 * Models: 6.2 fs/open.c do_truncate, with notify_change as far as the size. i_rwsem is the outer
 * inode's, whatever inode the operation then works on.
 */
const doTruncate = fn(function* do_truncate(file: File, length: bigint): Kernel<number> {
  const inode = file.fInode!
  if (inode.iOp === null || inode.iOp.setattr === undefined) return -EPERM
  yield* downWrite(inode.iRwsem)
  const ret = yield* inode.iOp!.setattr!(file.fDentry!, length)
  yield* upWrite(inode.iRwsem)
  return ret
})

/**
 * ftruncate(2), `length` in bytes. -EINVAL: negative, not a regular file, not open for writing;
 * -EBADF; then as the file system says.
 *
 * Models: 6.2 fs/open.c do_sys_ftruncate. Simplifies: no limits of the process, no append-only or
 * swap files.
 */
export const sysFtruncate = fn(function* ftruncate(fd: number, length: bigint): Kernel<number> {
  if (length < 0n) return -EINVAL
  const file = yield* fget(fd)
  if (file === null) return -EBADF
  let ret = -EINVAL
  const regular = (file.fInode!.iMode & S_IFMT) === S_IFREG
  if (regular && file.fMode & FMODE_WRITE) ret = yield* doTruncate(file, length)
  yield* fput(file)
  return ret
})

/**
 * The mode's own rules: 0 or an error.
 *
 * Models: 6.2 fs/open.c vfs_fallocate, its first tests.
 */
export const vfsFallocateMode = fn(function vfs_fallocate_mode(mode: number): number {
  if (mode & ~SUPPORTED) return -EOPNOTSUPP
  const has = (bits: number): boolean => (mode & bits) === bits
  if (has(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) return -EOPNOTSUPP
  if (mode & FALLOC_FL_PUNCH_HOLE && !(mode & FALLOC_FL_KEEP_SIZE)) return -EOPNOTSUPP
  if (mode & FALLOC_FL_COLLAPSE_RANGE && mode & ~FALLOC_FL_COLLAPSE_RANGE) return -EINVAL
  if (mode & FALLOC_FL_INSERT_RANGE && mode & ~FALLOC_FL_INSERT_RANGE) return -EINVAL
  const unshare = FALLOC_FL_UNSHARE_RANGE | FALLOC_FL_KEEP_SIZE
  if (mode & FALLOC_FL_UNSHARE_RANGE && mode & ~unshare) return -EINVAL
  return 0
})

/**
 * Models: 6.2 fs/open.c vfs_fallocate. Simplifies: no append-only, immutable or swap files.
 */
export const vfsFallocate = fn(function* vfs_fallocate(
  file: File,
  mode: number,
  offset: bigint,
  len: bigint,
): Kernel<number> {
  if (offset < 0n || len <= 0n) return -EINVAL
  const error = vfsFallocateMode(mode)
  if (error !== 0) return error
  if (!(file.fMode & FMODE_WRITE)) return -EBADF
  const kind = file.fInode!.iMode & S_IFMT
  if (kind === S_IFIFO) return -ESPIPE
  if (kind === S_IFDIR) return -EISDIR
  if (kind !== S_IFREG) return -ENODEV
  if (offset + len > MAX_LFS_FILESIZE) return -EFBIG
  if (file.fOp!.fallocate === undefined) return -EOPNOTSUPP
  return yield* file.fOp!.fallocate!(file, mode, offset, len)
})

/** fallocate(2); offset and length in bytes. */
export const sysFallocate = fn(function* fallocate(
  fd: number,
  mode: number,
  offset: bigint,
  len: bigint,
): Kernel<number> {
  const file = yield* fget(fd)
  if (file === null) return -EBADF
  const ret = yield* vfsFallocate(file, mode, offset, len)
  yield* fput(file)
  return ret
})

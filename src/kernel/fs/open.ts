/**
 * Size, space, mode and owner of open files: the checks of the VFS, in Linux's order, before the
 * file's own. Also open(2) and truncate(2) of /proc/self/fd/N, which name an inode by a descriptor.
 */
import { fn, type Kernel } from '../../machine/fn.js'
import { downWrite, upWrite } from '../../machine/locks.js'
import {
  EBADF,
  EFBIG,
  EINVAL,
  EISDIR,
  ENODEV,
  ENXIO,
  EOPNOTSUPP,
  EPERM,
  ESPIPE,
} from '../include/errno.js'
import {
  type File,
  FMODE_WRITE,
  S_IALLUGO,
  S_IFDIR,
  S_IFIFO,
  S_IFMT,
  S_IFREG,
} from '../include/fs.js'
import { MAX_LFS_FILESIZE } from '../include/types.js'
import {
  FALLOC_FL_COLLAPSE_RANGE,
  FALLOC_FL_INSERT_RANGE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_UNSHARE_RANGE,
  FALLOC_FL_ZERO_RANGE,
  O_LARGEFILE,
  O_RDWR,
} from '../include/uapi.js'
import { fdInstall, fget, fput, getUnusedFd, openedFile } from './file_table.js'
import { ihold } from './inode.js'

const SUPPORTED =
  FALLOC_FL_KEEP_SIZE |
  FALLOC_FL_PUNCH_HOLE |
  FALLOC_FL_COLLAPSE_RANGE |
  FALLOC_FL_ZERO_RANGE |
  FALLOC_FL_INSERT_RANGE |
  FALLOC_FL_UNSHARE_RANGE

/**
 * Change what is not -1: size, mode, owner. i_rwsem is that of the inode that was named, whatever
 * inode the operation then works on.
 *
 * Models: 6.2 fs/attr.c notify_change, with the locking of its callers. Simplifies: no
 * permissions and no set-uid bits to clear; -EPERM for an inode without the operation, which
 * stands for what cannot be changed.
 */
export const notifyChange = fn(function* notify_change(
  file: File,
  size: bigint,
  mode: number,
  uid: number,
): Kernel<number> {
  const inode = file.fInode!
  if (inode.iOp === null || inode.iOp.setattr === undefined) return -EPERM
  yield* downWrite(inode.iRwsem)
  const ret = yield* inode.iOp!.setattr!(file.fDentry!, size, mode, uid)
  yield* upWrite(inode.iRwsem)
  return ret
})

/** Models: 6.2 fs/open.c do_truncate. */
export const doTruncate = fn(function* do_truncate(file: File, length: bigint): Kernel<number> {
  return yield* notifyChange(file, length, -1, -1)
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

/**
 * truncate(2) of /proc/self/fd/N: the link leads to the inode, whatever its file may do. Errors as
 * ftruncate(2), but for how the file was opened, and -EISDIR for a directory.
 *
 * Models: 6.2 fs/open.c vfs_truncate.
 *
 * Compared: 6.17 and 7.0 source, live 6.18.44.
 */
export const sysTruncateFdLink = fn(function* vfs_truncate(
  fd: number,
  length: bigint,
): Kernel<number> {
  if (length < 0n) return -EINVAL
  const file = yield* fget(fd)
  if (file === null) return -EBADF
  const kind = file.fInode!.iMode & S_IFMT
  let ret = kind === S_IFDIR ? -EISDIR : -EINVAL
  if (kind === S_IFREG) ret = yield* doTruncate(file, length)
  yield* fput(file)
  return ret
})

/**
 * open(2) of /proc/self/fd/N: a descriptor of a new file on the same inode. -EBADF;
 * -EISDIR for a directory; -ENXIO for an inode that was never meant to be opened.
 *
 * Models: 6.2 fs/open.c do_dentry_open, with no_open of fs/inode.c and may_open of fs/namei.c.
 * Simplifies: the new file is readable and writable, with a dentry of its own.
 *
 * Compared: 6.17 and 7.0 source, live 6.18.44.
 */
export const sysOpenFdLink = fn(function* do_dentry_open(fd: number): Kernel<number> {
  const file = yield* fget(fd)
  if (file === null) return -EBADF
  const inode = file.fInode!
  let ret = -ENXIO
  if ((inode.iMode & S_IFMT) === S_IFDIR) ret = -EISDIR
  else if (inode.iFop !== null) {
    ret = yield* getUnusedFd()
    if (ret >= 0) {
      yield* ihold(inode)
      yield* fdInstall(ret, openedFile(inode, inode.iFop!, O_RDWR | O_LARGEFILE))
    }
  }
  yield* fput(file)
  return ret
})

/**
 * fchmod(2): 0 or an error.
 *
 * Models: 6.2 fs/open.c vfs_fchmod and chmod_common.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const sysFchmod = fn(function* fchmod(fd: number, mode: number): Kernel<number> {
  const file = yield* fget(fd)
  if (file === null) return -EBADF
  const type = file.fInode!.iMode & ~S_IALLUGO
  const ret = yield* notifyChange(file, -1n, (mode & S_IALLUGO) | type, -1)
  yield* fput(file)
  return ret
})

/**
 * fchown(2) of the owner: 0 or an error. Models: 6.2 fs/open.c chown_common. Simplifies: no groups.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const sysFchown = fn(function* fchown(fd: number, uid: number): Kernel<number> {
  const file = yield* fget(fd)
  if (file === null) return -EBADF
  const ret = yield* notifyChange(file, -1n, -1, uid)
  yield* fput(file)
  return ret
})

/** fcntl(2), as far as descriptors and flags go, and dup(2). Seals are in mm/memfd. */
import { read, rmw } from '../../machine/effects.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { EBADF, EINVAL } from '../include/errno.js'
import { filesStruct } from '../include/fs.js'
import { FD_CLOEXEC, O_APPEND, O_DIRECT, O_NOATIME, O_NONBLOCK } from '../include/uapi.js'
import { fdInstall, fget, fput, getUnusedFd } from './file_table.js'

/** What F_SETFL may change. */
const SETFL_MASK = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME

/**
 * F_GETFD: FD_CLOEXEC or 0, or -EBADF.
 *
 * Models: 6.2 fs/fcntl.c do_fcntl, with get_close_on_exec.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const sysFcntlGetfd = fn(function* fcntl_getfd(fd: number): Kernel<number> {
  const files = filesStruct()
  yield read(files, 'openFds')
  if (fd < 0 || fd >= files.fd.length || files.fd.get(fd) === null) return -EBADF
  return files.closeOnExec & (1 << fd) ? FD_CLOEXEC : 0
})

/**
 * F_GETFL: the flags of open(2), or -EBADF.
 *
 * Models: 6.2 fs/fcntl.c do_fcntl.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const sysFcntlGetfl = fn(function* fcntl_getfl(fd: number): Kernel<number> {
  const file = yield* fget(fd)
  if (file === null) return -EBADF
  yield read(file, 'fFlags')
  const flags = file.fFlags
  yield* fput(file)
  return flags
})

/**
 * F_SETFL: 0, -EBADF, or -EINVAL for O_DIRECT.
 *
 * Models: 6.2 fs/fcntl.c setfl. Simplifies: no file here can do direct I/O, where in 6.18 one of
 * tmpfs can that was opened by a path; no append-only inodes.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const sysFcntlSetfl = fn(function* setfl(fd: number, flags: number): Kernel<number> {
  const file = yield* fget(fd)
  if (file === null) return -EBADF
  let ret = -EINVAL
  if (!(flags & O_DIRECT)) {
    yield rmw(file, 'fFlags')
    file.fFlags = (flags & SETFL_MASK) | (file.fFlags & ~SETFL_MASK)
    ret = 0
  }
  yield* fput(file)
  return ret
})

/**
 * dup(2): the lowest free descriptor, or -EBADF.
 *
 * Models: 6.2 fs/file.c dup.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const sysDup = fn(function* dup(oldfd: number): Kernel<number> {
  const file = yield* fget(oldfd)
  if (file === null) return -EBADF
  const fd = yield* getUnusedFd()
  if (fd >= 0) yield* fdInstall(fd, file)
  else yield* fput(file)
  return fd
})

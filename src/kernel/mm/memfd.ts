/**
 * memfd_create(2) and the seals. Whether a file can be sealed is a question to its mapping: the
 * seals of anything that looks like shmem are where shmem keeps them.
 */
import { write } from '../../machine/effects.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { downWrite, upWrite } from '../../machine/locks.js'
import { isErr, ptrErr } from '../../machine/struct.js'
import { fdInstall, fget, fput, getUnusedFdFlags, putUnusedFd } from '../fs/file_table.js'
import { EBADF, EINVAL, EPERM } from '../include/errno.js'
import { FMODE_WRITE } from '../include/fs.js'
import {
  F_SEAL_FUTURE_WRITE,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  F_SEAL_WRITE,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  O_CLOEXEC,
  O_LARGEFILE,
} from '../include/uapi.js'
import { shmemFile, shmemFileSetup, shmemI } from './shmem.js'

const ALL_SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE

/**
 * A descriptor, or -EINVAL for unknown flags, -EMFILE.
 *
 * Models: 6.2 mm/memfd.c memfd_create. Simplifies: no huge pages; the name is not asked for.
 */
export const sysMemfdCreate = fn(function* memfd_create(flags: number): Kernel<number> {
  if (flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING)) return -EINVAL
  const fd = yield* getUnusedFdFlags(flags & MFD_CLOEXEC ? O_CLOEXEC : 0)
  if (fd < 0) return fd
  const file = yield* shmemFileSetup()
  if (isErr(file)) {
    yield* putUnusedFd(fd)
    return ptrErr(file)
  }
  file.fFlags |= O_LARGEFILE
  if (flags & MFD_ALLOW_SEALING) shmemI(file.fInode!).seals &= ~F_SEAL_SEAL
  yield* fdInstall(fd, file)
  return fd
})

/**
 * F_GET_SEALS: the seals, -EBADF, or -EINVAL for a file that has none.
 *
 * Models: 6.2 mm/memfd.c memfd_get_seals, with memfd_file_seals_ptr.
 */
export const sysFcntlGetSeals = fn(function* memfd_get_seals(fd: number): Kernel<number> {
  const file = yield* fget(fd)
  if (file === null) return -EBADF
  const ret = shmemFile(file) ? shmemI(file.fInode!).seals : -EINVAL
  yield* fput(file)
  return ret
})

/**
 * F_ADD_SEALS: 0 or, in this order, -EBADF; -EPERM if not open for writing; -EINVAL for unknown
 * seals; -EINVAL for a file that has none; -EPERM if sealed against it.
 *
 * Models: 6.2 mm/memfd.c memfd_add_seals. Simplifies: nobody maps or pins pages of the file, so
 * there is nothing to wait for and -EBUSY does not occur.
 */
export const sysFcntlAddSeals = fn(function* memfd_add_seals(
  fd: number,
  seals: number,
): Kernel<number> {
  const file = yield* fget(fd)
  if (file === null) return -EBADF
  let ret = 0
  if (!(file.fMode & FMODE_WRITE)) ret = -EPERM
  else if (seals & ~ALL_SEALS) ret = -EINVAL
  else {
    const inode = file.fInode!
    yield* downWrite(inode.iRwsem)
    if (!shmemFile(file)) ret = -EINVAL
    else if (shmemI(inode).seals & F_SEAL_SEAL) ret = -EPERM
    else {
      yield write(shmemI(inode), 'seals')
      shmemI(inode).seals |= seals
    }
    yield* upWrite(inode.iRwsem)
  }
  yield* fput(file)
  return ret
})

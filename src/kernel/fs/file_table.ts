/**
 * Open files and descriptors. A descriptor's slot is read under RCU; who finds a file there takes
 * a reference unless it is the last moment, and looks again. The last fput() runs the file's
 * release on the way back to user mode: release first, then the dentry, then the inode.
 *
 * file_lock is a leaf: each of its sections is the step that announces the table.
 */
import { kzalloc } from '../../machine/alloc.js'
import { alsoReads, read, rmw, write } from '../../machine/effects.js'
import { LimitError } from '../../machine/fault.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { kfreeRcu, rcuReadLock, rcuReadUnlock } from '../../machine/rcu.js'
import { taskWorkAdd } from '../../machine/work.js'
import { EBADF } from '../include/errno.js'
import {
  Dentry,
  File,
  type FileOperations,
  FMODE_LSEEK,
  FMODE_PREAD,
  FMODE_PWRITE,
  FMODE_READ,
  FMODE_WRITE,
  filesStruct,
  type Inode,
  NR_OPEN,
} from '../include/fs.js'
import { O_CLOEXEC } from '../include/uapi.js'
import { iput } from './inode.js'

/**
 * An open file of its own on an inode, whose reference it takes over. Readable and writable, but
 * not at a position; it can be sought in if the operations have llseek.
 *
 * Models: 6.2 fs/file_table.c alloc_file_pseudo. Simplifies: never fails.
 *
 * Compared: 6.17 and 7.0 source.
 */
export function allocFilePseudo(inode: Inode, fOp: FileOperations, flags: number): File {
  const dentry = kzalloc(Dentry)
  dentry.dInode = inode
  dentry.dCount = 1
  const file = kzalloc(File)
  file.fCount = 1
  file.fMode = FMODE_READ | FMODE_WRITE
  if (fOp.llseek !== undefined) file.fMode |= FMODE_LSEEK
  file.fFlags = flags
  file.fOp = fOp
  file.fDentry = dentry
  file.fInode = inode
  file.fMapping = inode.iMapping
  return file
}

/**
 * The same as open(2) leaves it, which pread and pwrite can use.
 *
 * Models: 6.2 fs/open.c do_dentry_open. Simplifies: files without llseek are streams.
 *
 * Compared: 6.17 and 7.0 source.
 */
export function openedFile(inode: Inode, fOp: FileOperations, flags: number): File {
  const file = allocFilePseudo(inode, fOp, flags)
  if (fOp.llseek !== undefined) file.fMode |= FMODE_PREAD | FMODE_PWRITE
  return file
}

/** Models: 6.2 fs/dcache.c dput, for a dentry that is not hashed. */
export const dput = fn(function* dput(dentry: Dentry): Kernel<void> {
  yield rmw(dentry, 'dCount')
  dentry.dCount--
  if (dentry.dCount > 0) return
  const inode = dentry.dInode!
  dentry.dInode = null
  yield* iput(inode)
  kfreeRcu(dentry)
})

/**
 * The file has no users: release, then the dentry and with it the inode, then the memory.
 *
 * Models: 6.2 fs/file_table.c __fput.
 */
export const __fput = fn(function* __fput(file: File): Kernel<void> {
  const inode = file.fInode!
  if (file.fOp!.release !== undefined) yield* file.fOp!.release!(inode, file)
  yield* dput(file.fDentry!)
  kfreeRcu(file)
})

/**
 * Drop a reference. The last one queues __fput() for the way back to user mode.
 *
 * Models: 6.2 fs/file_table.c fput, of a task.
 */
export const fput = fn(function* fput(file: File): Kernel<void> {
  yield rmw(file, 'fCount')
  file.fCount--
  if (file.fCount === 0) taskWorkAdd(file)
})

/** Take another reference. Models: 6.2 include/linux/fs.h get_file. */
export const getFile = fn(function* get_file(file: File): Kernel<void> {
  yield rmw(file, 'fCount')
  file.fCount++
})

/**
 * The file behind a descriptor, with a reference, or NULL.
 *
 * Models: 6.2 fs/file.c __fget_files_rcu. Simplifies: taking the reference and looking at the slot
 * again are one step, since a change between the two cannot be told from one right after.
 */
export const fget = fn(function* fget(fd: number): Kernel<File | null> {
  const files = filesStruct()
  if (fd < 0 || fd >= NR_OPEN) return null
  rcuReadLock()
  for (;;) {
    yield read(files, 'fd')
    const file = files.fd.get(fd)
    if (file !== null) {
      yield rmw(file, 'fCount')
      alsoReads(files, 'fd')
      if (file.fCount === 0 || files.fd.get(fd) !== file) continue
      file.fCount++
    }
    rcuReadUnlock()
    return file
  }
})

/**
 * Reserve the lowest free descriptor: its number. exec() closes it if `flags` has O_CLOEXEC.
 *
 * Models: 6.2 fs/file.c alloc_fd. Simplifies: there is room for 32 descriptors, and who asks for
 * more meets that limit of ours; Linux says -EMFILE at the process's own, 1024 by default.
 */
export const getUnusedFdFlags = fn(function* get_unused_fd_flags(flags: number): Kernel<number> {
  const files = filesStruct()
  yield rmw(files, 'openFds')
  for (let fd = 0; fd < NR_OPEN; fd++) {
    if (files.openFds & (1 << fd)) continue
    files.openFds |= 1 << fd
    if (flags & O_CLOEXEC) files.closeOnExec |= 1 << fd
    else files.closeOnExec &= ~(1 << fd)
    return fd
  }
  throw new LimitError(`a process has room for ${NR_OPEN} descriptors here`)
})

/** The same with no flags. */
export const getUnusedFd = fn(function* get_unused_fd(): Kernel<number> {
  return yield* getUnusedFdFlags(0)
})

/** Models: 6.2 fs/file.c put_unused_fd. Compared: 6.17 and 7.0 source. */
export const putUnusedFd = fn(function* put_unused_fd(fd: number): Kernel<void> {
  const files = filesStruct()
  yield rmw(files, 'openFds')
  files.openFds &= ~(1 << fd)
})

/** Publish a file under a reserved descriptor, which takes over the reference. fd_install(). */
export const fdInstall = fn(function* fd_install(fd: number, file: File): Kernel<void> {
  const files = filesStruct()
  yield write(files, 'fd')
  files.fd.set(fd, file)
})

/**
 * close(2): 0 or -EBADF.
 *
 * Models: 6.2 fs/file.c close_fd and fs/open.c filp_close. Simplifies: no f_op->flush; 6.18 does
 * not leave the last fput() to the way back to user mode, which begins right behind it.
 */
export const sysClose = fn(function* close(fd: number): Kernel<number> {
  const files = filesStruct()
  if (fd < 0 || fd >= NR_OPEN) return -EBADF
  yield rmw(files, 'fd')
  const file = files.fd.get(fd)
  if (file === null) return -EBADF
  files.fd.set(fd, null)
  files.openFds &= ~(1 << fd)
  yield* fput(file)
  return 0
})

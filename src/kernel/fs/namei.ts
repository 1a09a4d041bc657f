/** open(2) of what a scenario may want to find on tmpfs: a file, a directory, a fifo, a device. */
import { fn, type Kernel } from '../../machine/fn.js'
import { opsTable } from '../../machine/struct.js'
import { EINVAL } from '../include/errno.js'
import {
  type FileOperations,
  FMODE_WRITE,
  fsState,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFREG,
  type SuperBlock,
} from '../include/fs.js'
import { O_LARGEFILE, O_RDWR } from '../include/uapi.js'
import { shmemGetInode } from '../mm/shmem.js'
import { fdInstall, getUnusedFd, openedFile } from './file_table.js'
import { iput } from './inode.js'

export const TMPFS_REGULAR = 0
export const TMPFS_DIRECTORY = 1
export const TMPFS_FIFO = 2
export const DEVTMPFS_DEVICE = 3

/** Nothing that a scenario does with a special file reaches its driver. */
const specialFops: FileOperations = opsTable({ name: 'special_fops' })

function placeOf(kind: number): { sb: SuperBlock; mode: number } | undefined {
  const { tmpfs, devtmpfs } = fsState()
  switch (kind) {
    case TMPFS_REGULAR:
      return { sb: tmpfs!, mode: S_IFREG | 0o644 }
    case TMPFS_DIRECTORY:
      return { sb: tmpfs!, mode: S_IFDIR | 0o755 }
    case TMPFS_FIFO:
      return { sb: tmpfs!, mode: S_IFIFO | 0o644 }
    case DEVTMPFS_DEVICE:
      return { sb: devtmpfs!, mode: S_IFCHR | 0o666 }
    default:
      return undefined
  }
}

/**
 * A new object of a kind, opened for reading and writing, a directory for reading only; -EINVAL for
 * another kind.
 *
 * Models: 6.2 mm/shmem.c shmem_mknod and fs/open.c do_sys_openat2. Simplifies: no names; the
 * object is gone with its last descriptor.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const openTmpfs = fn(function* open_tmpfs(kind: number): Kernel<number> {
  const place = placeOf(kind)
  if (place === undefined) return -EINVAL
  const inode = yield* shmemGetInode(place.sb, place.mode)
  const fd = yield* getUnusedFd()
  if (fd < 0) {
    yield* iput(inode)
    return fd
  }
  const fOp = inode.iFop === null ? specialFops : inode.iFop
  const file = openedFile(inode, fOp, O_RDWR | O_LARGEFILE)
  if (kind === TMPFS_DIRECTORY) file.fMode &= ~FMODE_WRITE
  yield* fdInstall(fd, file)
  return fd
})

/** fstat(2) and fstatfs(2). */
import { kfree, kzalloc } from '../../machine/alloc.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { EBADF } from '../include/errno.js'
import { type Inode, Kstat } from '../include/fs.js'
import { fget, fput } from './file_table.js'

/** Which field of `struct stat` a scenario asks for. */
export const STAT_NOTHING = 0
export const STAT_BLOCKS = 1
export const STAT_SIZE_PAGES = 2
export const STAT_MODE = 3

/** Models: 6.2 fs/stat.c generic_fillattr. Compared: 6.17 and 7.0 source. */
function genericFillattr(inode: Inode, stat: Kstat): void {
  stat.size = inode.iSize
  stat.blocks = inode.iBlocks
  stat.mode = inode.iMode
  stat.nlink = inode.iNlink
  stat.uid = inode.iUid
}

/**
 * Fill `stat`: 0 or an error.
 *
 * Models: 6.2 fs/stat.c vfs_fstat and vfs_getattr_nosec.
 */
export const vfsFstat = fn(function* vfs_fstat(fd: number, stat: Kstat): Kernel<number> {
  const file = yield* fget(fd)
  if (file === null) return -EBADF
  const inode = file.fInode!
  let ret = 0
  if (inode.iOp !== null && inode.iOp.getattr !== undefined) {
    ret = yield* inode.iOp!.getattr!(file.fDentry!, stat)
  } else genericFillattr(inode, stat)
  yield* fput(file)
  return ret
})

/**
 * fstat(2): 0 or an error. A scenario cannot look into the buffer, so it says which field it wants
 * instead of the 0.
 *
 * Models: 6.2 fs/stat.c newfstat.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const sysFstat = fn(function* fstat(fd: number, field: number): Kernel<number> {
  const stat = kzalloc(Kstat)
  let ret = yield* vfsFstat(fd, stat)
  if (ret === 0 && field === STAT_BLOCKS) ret = stat.blocks
  if (ret === 0 && field === STAT_SIZE_PAGES) ret = Number(stat.size >> 12n)
  if (ret === 0 && field === STAT_MODE) ret = stat.mode
  kfree(stat)
  return ret
})

/**
 * fstatfs(2): the magic number of the file system.
 *
 * Models: 6.2 fs/statfs.c fd_statfs.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const sysFstatfs = fn(function* fstatfs(fd: number): Kernel<number> {
  const file = yield* fget(fd)
  if (file === null) return -EBADF
  const magic = file.fInode!.iSb!.sMagic
  yield* fput(file)
  return magic
})

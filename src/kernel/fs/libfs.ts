/**
 * Super blocks. A pseudo file system has a root directory, made like any inode with new_inode():
 * it is on the list of the super block's inodes, and its mapping has no private data.
 */
import { kzalloc } from '../../machine/alloc.js'
import { write } from '../../machine/effects.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { spinLockInit } from '../../machine/locks.js'
import { fsState, S_IFDIR, SuperBlock, type SuperOperations } from '../include/fs.js'
import { newInode } from './inode.js'

/**
 * A new super block on the list of all.
 *
 * Models: 6.2 fs/super.c sget_fc. Simplifies: s_umount and mounts are left out; a kernel mount is
 * for ever; the newest comes first in the list, not last.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const sget = fn(function* sget(
  magic: number,
  sOp: SuperOperations | null,
): Kernel<SuperBlock> {
  const sb = kzalloc(SuperBlock)
  sb.sMagic = magic
  sb.sOp = sOp
  spinLockInit(sb.sInodeListLock, 's_inode_list_lock')
  const state = fsState()
  yield write(state, 'superBlocks')
  sb.sNext = state.superBlocks
  state.superBlocks = sb
  return sb
})

/**
 * Mount a pseudo file system inside the kernel.
 *
 * Models: 6.2 fs/libfs.c init_pseudo and pseudo_fs_fill_super, with kern_mount.
 */
export const pseudoFsMount = fn(function* pseudo_fs_fill_super(magic: number): Kernel<SuperBlock> {
  const sb = yield* sget(magic, null)
  sb.sRoot = yield* newInode(sb, S_IFDIR | 0o600)
  return sb
})

/** The pseudo file system of 6.18 for files without a place: nothing on it can be executed. */
import { fn, type Kernel, original } from '../../../machine/fn.js'
import { pseudoFsMount } from '../../fs/libfs.js'
import type { SuperBlock } from '../../include/fs.js'
import { ANON_INODE_FS_MAGIC } from '../../include/uapi.js'

const mount = original(pseudoFsMount)

/** Models: 6.18 fs/anon_inodes.c anon_inodefs_init_fs_context, its SB_I_NOEXEC. */
export const anonInodefsMount = fn(function* anon_inodefs_init_fs_context(
  magic: number,
): Kernel<SuperBlock> {
  const sb = yield* mount(magic)
  sb.noexec = magic === ANON_INODE_FS_MAGIC
  return sb
})

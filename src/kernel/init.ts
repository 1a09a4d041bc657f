/** start_kernel(): the globals of mm and fs, and the file systems that the kernel mounts itself. */
import { fn, type Kernel } from '../machine/fn.js'
import { mutexInit, spinLockInit } from '../machine/locks.js'
import { constructAt, type Obj, type Struct } from '../machine/struct.js'
import { pseudoFsMount, sget } from './fs/libfs.js'
import { FilesStruct, FsState, filesStruct, fsState, S_IFDIR } from './include/fs.js'
import { MmState, mmState } from './include/mm.js'
import { ANON_INODE_FS_MAGIC, TMPFS_MAGIC } from './include/uapi.js'
import { shmemGetInode, shmemSuperOperations } from './mm/shmem.js'

/** Models: 6.2 init/main.c start_kernel, as far as this kernel has what it starts. */
export const kernelInit = fn(function* kernel_init(): Kernel<void> {
  for (const s of [FsState, FilesStruct, MmState] as unknown as Struct<Obj>[]) {
    constructAt(s, s.base, 0)
  }
  spinLockInit(fsState().sbLock, 'sb_lock')
  spinLockInit(filesStruct().fileLock, 'file_lock')
  mutexInit(mmState().mfMutex, 'mf_mutex')

  const state = fsState()
  const shm = yield* sget(TMPFS_MAGIC, shmemSuperOperations)
  shm.sRoot = yield* shmemGetInode(shm, S_IFDIR | 0o777)
  state.shmMnt = shm
  const tmpfs = yield* sget(TMPFS_MAGIC, shmemSuperOperations)
  tmpfs.sRoot = yield* shmemGetInode(tmpfs, S_IFDIR | 0o777)
  state.tmpfs = tmpfs
  const devtmpfs = yield* sget(TMPFS_MAGIC, shmemSuperOperations)
  devtmpfs.sRoot = yield* shmemGetInode(devtmpfs, S_IFDIR | 0o755)
  state.devtmpfs = devtmpfs
  state.anonInodes = yield* pseudoFsMount(ANON_INODE_FS_MAGIC)
})

/** start_kernel(): the globals of mm and fs, and the file systems that the kernel mounts itself. */
import { fn, type Kernel } from '../machine/fn.js'
import { initRwsem, mutexInit, spinLockInit } from '../machine/locks.js'
import { constructAt, type Obj, type Struct } from '../machine/struct.js'
import { hugetlbfsOps } from './fs/hugetlbfs.js'
import { pseudoFsMount, sget } from './fs/libfs.js'
import { FilesStruct, FsState, filesStruct, fsState, S_IFDIR } from './include/fs.js'
import './include/lockdep.js'
import { MmState, mmState } from './include/mm.js'
import { currentMm, MmStruct } from './include/mm_types.js'
import { SwapInfo } from './include/swap.js'
import {
  ANON_INODE_FS_MAGIC,
  HUGETLBFS_MAGIC,
  SECRETMEM_MAGIC,
  TMPFS_MAGIC,
} from './include/uapi.js'
import { xaInit } from './lib/xarray.js'
import { shmemGetInode, shmemSuperOperations } from './mm/shmem.js'

/**
 * Models: 6.2 init/main.c start_kernel, as far as this kernel has what it starts.
 *
 * Compared: 6.12 source.
 */
export const kernelInit = fn(function* kernel_init(): Kernel<void> {
  for (const s of [FsState, FilesStruct, MmState, MmStruct, SwapInfo] as unknown as Struct<Obj>[]) {
    constructAt(s, s.base, 0)
  }
  spinLockInit(fsState().sbLock, 'sb_lock')
  spinLockInit(filesStruct().fileLock, 'file_lock')
  mutexInit(mmState().mfMutex, 'mf_mutex')
  initRwsem(mmState().memHotplugLock, 'mem_hotplug_lock')
  const mm = currentMm()
  initRwsem(mm.mmapLock, 'mmap_lock')
  initRwsem(mm.anonVmaLock, 'anon_vma->rwsem')
  xaInit(mm.pageTable)

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
  state.secretmem = yield* pseudoFsMount(SECRETMEM_MAGIC)
  state.secretmem.noexec = true
  state.hugetlbfs = yield* sget(HUGETLBFS_MAGIC, hugetlbfsOps)
})

/**
 * What all restrictedmem series of 2022 and 2023 share: memfd_restricted() makes two files. The
 * inner one is an unlinked tmpfs file and owns every page. The outer one, on a pseudo file system
 * of its own, is what user space holds; its mapping never has pages, and its inode's size stays 0.
 *
 * Left out: the designs' own object between the two, which `restrictedmemFileCreate` makes.
 */

import {
  allocFilePseudo,
  fdInstall,
  fput,
  getUnusedFd,
  putUnusedFd,
} from '../kernel/fs/file_table.js'
import { allocAnonInode, iput } from '../kernel/fs/inode.js'
import { pseudoFsMount } from '../kernel/fs/libfs.js'
import { EINVAL } from '../kernel/include/errno.js'
import {
  type Dentry,
  File,
  type FileOperations,
  FMODE_LSEEK,
  FMODE_PREAD,
  FMODE_PWRITE,
  type InodeOperations,
  S_IFREG,
  type SuperBlock,
} from '../kernel/include/fs.js'
import { O_LARGEFILE, O_RDWR, RESTRICTEDMEM_MAGIC } from '../kernel/include/uapi.js'
import { shmemFileSetup } from '../kernel/mm/shmem.js'
import { kfree } from '../machine/alloc.js'
import { fn, type Kernel } from '../machine/fn.js'
import {
  constructAt,
  errPtr,
  isErr,
  type Obj,
  ptr,
  ptrErr,
  type Struct,
  struct,
} from '../machine/struct.js'

/** Statics of mm/restrictedmem.c. */
interface RestrictedmemState extends Obj {
  /** restrictedmem_mnt: the pseudo file system of the outer files. */
  mnt: SuperBlock | null
}

const RestrictedmemState: Struct<RestrictedmemState> = struct<RestrictedmemState>(
  'RestrictedmemState',
  { mnt: ptr('SuperBlock') },
  { capacity: 1 },
)

/** The super block of the outer files. */
export function restrictedmemMnt(): SuperBlock {
  return (RestrictedmemState.at(RestrictedmemState.base) as RestrictedmemState).mnt as SuperBlock
}

/**
 * Mount the pseudo file system. Its root directory is an inode like any other on the list of the
 * super block's inodes, with nothing in its mapping's private data.
 *
 * Models: v10 mm/restrictedmem.c restrictedmem_init.
 */
export const restrictedmemInit = fn(function* restrictedmem_init(): Kernel<void> {
  constructAt(RestrictedmemState as unknown as Struct<Obj>, RestrictedmemState.base, 0)
  const state = RestrictedmemState.at(RestrictedmemState.base) as RestrictedmemState
  const sb = yield* pseudoFsMount(RESTRICTEDMEM_MAGIC)
  sb.noexec = true
  state.mnt = sb
})

/**
 * Make the outer file for an inner one. Takes over the reference on `memfd` if it succeeds;
 * otherwise returns an ERR_PTR and `memfd` stays the caller's.
 *
 * Replaced by each design: the kernel itself has no such object.
 */
export const restrictedmemFileCreate = fn(function* restrictedmem_file_create(
  _memfd: File,
): Kernel<File> {
  return errPtr(File, -EINVAL)
})

/** What a design does to the inner file's mapping before any page exists. */
export const restrictedmemPrepareMapping = fn(function restrictedmem_prepare_mapping(
  _memfd: File,
): void {})

/**
 * The outer inode and file for a design's object. -ENOMEM is not modelled.
 *
 * Models: v10 mm/restrictedmem.c restrictedmem_file_create, its second half.
 */
export const restrictedmemOuterFile = fn(function* restrictedmem_outer_file(
  object: Obj,
  fops: FileOperations,
  iops: InodeOperations,
): Kernel<File> {
  const inode = yield* allocAnonInode(restrictedmemMnt())
  if (isErr(inode)) {
    kfree(object)
    return errPtr(File, ptrErr(inode))
  }
  inode.iMode |= S_IFREG
  inode.iOp = iops
  inode.iMapping!.privateData = object
  const file = allocFilePseudo(inode, fops, O_RDWR)
  if (isErr(file)) {
    yield* iput(inode)
    kfree(object)
    return file
  }
  file.fFlags |= O_LARGEFILE
  return file
})

/**
 * memfd_restricted(2): a descriptor, or -EINVAL for any flag, or the error of shmem's
 * file set-up. The descriptor is not close-on-exec.
 *
 * Models: v10 mm/restrictedmem.c memfd_restricted.
 */
export const memfdRestricted = fn(function* memfd_restricted(flags: number): Kernel<number> {
  if (flags !== 0) return -EINVAL
  const fd = yield* getUnusedFd()
  if (fd < 0) return fd

  const memfd = yield* shmemFileSetup()
  if (isErr(memfd)) {
    yield* putUnusedFd(fd)
    return ptrErr(memfd)
  }
  memfd.fMode |= FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE
  memfd.fFlags |= O_LARGEFILE
  restrictedmemPrepareMapping(memfd)

  const file = yield* restrictedmemFileCreate(memfd)
  if (isErr(file)) {
    yield* fput(memfd)
    yield* putUnusedFd(fd)
    return ptrErr(file)
  }
  memfd.fMapping!.unevictable = true
  memfd.fMapping!.gfpMovable = false
  yield* fdInstall(fd, file)
  return fd
})

/** d_inode(dentry)->i_mapping->private_data. */
export function privateDataOf(dentry: Dentry): Obj | null {
  return dentry.dInode!.iMapping!.privateData
}

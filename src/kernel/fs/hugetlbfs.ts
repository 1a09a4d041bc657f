/**
 * Files of huge pages on a machine that has none in reserve: they can be made, sized, read as
 * zeroes and sealed, but nothing can be allocated in them.
 */
import { kzalloc } from '../../machine/alloc.js'
import { read, write } from '../../machine/effects.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { downWrite, upWrite } from '../../machine/locks.js'
import { containerOf, errPtr, opsTable } from '../../machine/struct.js'
import { EINVAL, ENODEV, ENOMEM, ENOSPC, ENXIO, EOPNOTSUPP, EPERM } from '../include/errno.js'
import {
  type AddressSpaceOps,
  type Dentry,
  File,
  type FileOperations,
  fsState,
  HugetlbfsInodeInfo,
  type Inode,
  type InodeOperations,
  S_IFREG,
  type SuperOperations,
} from '../include/fs.js'
import {
  VM_FAULT_SIGBUS,
  VM_NORESERVE,
  VM_WRITE,
  type VmArea,
  type VmFault,
  type VmOperations,
} from '../include/mm_types.js'
import { MAX_LFS_FILESIZE } from '../include/types.js'
import {
  F_SEAL_FUTURE_WRITE,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  F_SEAL_WRITE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  O_RDWR,
  SEEK_CUR,
  SEEK_DATA,
  SEEK_END,
  SEEK_HOLE,
} from '../include/uapi.js'
import { sealCheckFutureWrite } from '../mm/shmem_mmap.js'
import { allocFilePseudo } from './file_table.js'
import { freeInodeRcu, inodeInit, inodeSbListAdd } from './inode.js'

const HPAGE_SHIFT = 21
/** log2 of the sizes that x86-64 has. */
const SIZES: readonly number[] = [21, 30]

function hugetlbfsI(inode: Inode): HugetlbfsInodeInfo {
  return containerOf(inode, HugetlbfsInodeInfo, 'vfsInode')
}

/**
 * Is this a file of huge pages?
 *
 * Models: 6.2 include/linux/hugetlb.h is_file_hugepages.
 *
 * Compared: 6.17 and 7.0 source.
 */
export function isFileHugepages(file: File): boolean {
  return file.fOp === hugetlbfsFileOperations
}

/** HUGETLBFS_I(), of a file. */
export function hugetlbfsInfo(file: File): HugetlbfsInodeInfo {
  return hugetlbfsI(file.fInode!)
}

/** The bytes that a mapping of `length` bytes has: whole huge pages. */
export function hugeLength(file: File, length: bigint): bigint {
  const mask = pageMask(file.fInode!)
  return (length + mask) & ~mask
}

function pageMask(inode: Inode): bigint {
  return (1n << BigInt(hugetlbfsI(inode).pageShift)) - 1n
}

/** Models: 6.2 fs/hugetlbfs/inode.c hugetlbfs_setattr, the size. Compared: 6.17 and 7.0 source. */
export const hugetlbfsSetattr = fn(function* hugetlbfs_setattr(
  dentry: Dentry,
  size: bigint,
  mode: number,
  uid: number,
): Kernel<number> {
  const inode = dentry.dInode!
  const seals = hugetlbfsI(inode).seals
  if (size >= 0n) {
    if (size & pageMask(inode)) return -EINVAL
    if (size < inode.iSize && seals & F_SEAL_SHRINK) return -EPERM
    if (size > inode.iSize && seals & F_SEAL_GROW) return -EPERM
    yield write(inode, 'iSize')
    inode.iSize = size
  }
  if (mode >= 0) inode.iMode = mode
  if (uid >= 0) inode.iUid = uid
  return 0
})

/**
 * Holes read as zeroes.
 *
 * Models: 6.2 fs/hugetlbfs/inode.c hugetlbfs_read_iter.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const hugetlbfsRead = fn(function* hugetlbfs_read_iter(
  file: File,
  pos: bigint,
  len: number,
): Kernel<number> {
  yield read(file.fInode!, 'iSize')
  const left = file.fInode!.iSize - pos
  if (left <= 0n) return 0
  return left < BigInt(len) ? Number(left) : len
})

/**
 * All of the file is data.
 *
 * Models: 6.2 fs/read_write.c generic_file_llseek.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const genericFileLlseek = fn(function* generic_file_llseek(
  file: File,
  offset: bigint,
  whence: number,
): Kernel<bigint> {
  yield read(file.fInode!, 'iSize')
  const size = file.fInode!.iSize
  let pos = offset
  if (whence === SEEK_DATA || whence === SEEK_HOLE) {
    if (offset < 0n || offset >= size) return BigInt(-ENXIO)
    if (whence === SEEK_HOLE) pos = size
  }
  if (whence === SEEK_CUR) pos += file.fPos
  if (whence === SEEK_END) pos += size
  if (pos < 0n || pos > MAX_LFS_FILESIZE) return BigInt(-EINVAL)
  file.fPos = pos
  return pos
})

/** Models: 6.2 fs/hugetlbfs/inode.c hugetlbfs_fallocate. Compared: 6.17 and 7.0 source. */
export const hugetlbfsFallocate = fn(function* hugetlbfs_fallocate(
  file: File,
  mode: number,
  offset: bigint,
  len: bigint,
): Kernel<number> {
  const inode = file.fInode!
  if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)) return -EOPNOTSUPP
  yield read(inode, 'iSize')
  const seals = hugetlbfsI(inode).seals
  if (mode & FALLOC_FL_PUNCH_HOLE) {
    return seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE) ? -EPERM : 0
  }
  if (seals & F_SEAL_GROW && offset + len > inode.iSize) return -EPERM
  return -ENOSPC
})

/**
 * Is this memory of huge pages?
 *
 * Models: 6.2 include/linux/hugetlb_inline.h is_vm_hugetlb_page.
 *
 * Compared: live 6.18.44.
 */
export function isVmHugetlbPage(vma: VmArea): boolean {
  return vma.vmOps === hugetlbVmOps
}

/**
 * How far an address (bytes) is behind the begin of its huge page.
 *
 * Models: 6.2 include/linux/hugetlb.h huge_page_mask. Simplifies: by the offset in the file, since
 * a mapping may begin at any page here; in Linux it begins with a huge page.
 *
 * Compared: live 6.18.44.
 */
export function offsetInHugePage(vma: VmArea, address: bigint): bigint {
  const offset = (BigInt(vma.vmPgoff) << 12n) + (address - vma.vmStart)
  return offset & pageMask(vma.vmFile!.fInode!)
}

/**
 * There is no page to be had.
 *
 * Models: 6.2 mm/hugetlb.c hugetlb_no_page.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const hugetlbFault = fn(function* hugetlb_no_page(_vmf: VmFault): Kernel<number> {
  return VM_FAULT_SIGBUS
})

const hugetlbVmOps: VmOperations = opsTable({ name: 'hugetlb_vm_ops', fault: hugetlbFault })

/**
 * A mapping wants its pages reserved, and there are none, unless it does not want that. One that
 * can be written makes the file as large as it is.
 *
 * Models: 6.2 fs/hugetlbfs/inode.c hugetlbfs_file_mmap. Simplifies: the address is not rounded to
 * huge pages.
 *
 * Compared: 6.17 and 7.0 source, live 6.18.44.
 */
export const hugetlbfsMmap = fn(function* hugetlbfs_file_mmap(
  file: File,
  vma: VmArea,
): Kernel<number> {
  const inode = file.fInode!
  const denied = sealCheckFutureWrite(hugetlbfsI(inode).seals, vma)
  if (denied !== 0) return denied
  const start = BigInt(vma.vmPgoff) << 12n
  if (start & pageMask(inode)) return -EINVAL
  if (!(vma.vmFlags & VM_NORESERVE)) return -ENOMEM
  vma.vmOps = hugetlbVmOps
  const len = start + (vma.vmEnd - vma.vmStart)
  yield* downWrite(inode.iRwsem)
  if (vma.vmFlags & VM_WRITE && inode.iSize < len) {
    yield write(inode, 'iSize')
    inode.iSize = len
  }
  yield* upWrite(inode.iRwsem)
  return 0
})

/** noop_fsync(). */
export const noopFsync = fn(function* noop_fsync(_file: File): Kernel<number> {
  return 0
})

const hugetlbfsFileOperations: FileOperations = opsTable({
  name: 'hugetlbfs_file_operations',
  read: hugetlbfsRead,
  llseek: genericFileLlseek,
  mmap: hugetlbfsMmap,
  fallocate: hugetlbfsFallocate,
  fsync: noopFsync,
})

const hugetlbfsInodeOperations: InodeOperations = opsTable({
  name: 'hugetlbfs_inode_operations',
  setattr: hugetlbfsSetattr,
})

const hugetlbfsAops: AddressSpaceOps = opsTable({ name: 'hugetlbfs_aops' })

export const hugetlbfsFreeInode = fn(function* hugetlbfs_free_inode(inode: Inode): Kernel<void> {
  freeInodeRcu(hugetlbfsI(inode))
})

export const hugetlbfsOps: SuperOperations = opsTable({
  name: 'hugetlbfs_ops',
  freeInode: hugetlbfsFreeInode,
})

/**
 * A file of size 0 with pages of 2^`log` bytes, 0 for the machine's default; an ERR_PTR: -ENODEV
 * for a size that the machine has not got.
 *
 * Models: 6.2 fs/hugetlbfs/inode.c hugetlb_file_setup.
 *
 * Compared: 6.17 and 7.0 source, live 6.18.44.
 */
export const hugetlbFileSetup = fn(function* hugetlb_file_setup(log: number): Kernel<File> {
  const pageShift = log === 0 ? HPAGE_SHIFT : log
  if (!SIZES.includes(pageShift)) return errPtr(File, -ENODEV)
  const info = kzalloc(HugetlbfsInodeInfo)
  const inode = info.vfsInode
  inodeInit(inode, fsState().hugetlbfs!, S_IFREG | 0o777)
  info.pageShift = pageShift
  info.seals = F_SEAL_SEAL
  inode.iNlink = 0
  inode.iMapping!.aOps = hugetlbfsAops
  inode.iOp = hugetlbfsInodeOperations
  inode.iFop = hugetlbfsFileOperations
  yield* inodeSbListAdd(inode)
  return allocFilePseudo(inode, hugetlbfsFileOperations, O_RDWR)
})

/**
 * Files, inodes, super blocks. The inode is the memory, the file is a view of it, the mapping is
 * the inode's cache of pages.
 */
import '../../machine/locks.js'
import type { Op } from '../../machine/fn.js'
import type { RwSemaphore, Spinlock } from '../../machine/locks.js'
import {
  anyPtr,
  embed,
  flag,
  i64,
  num,
  type Obj,
  ops,
  type PtrVec,
  ptr,
  ptrs,
  type Struct,
  struct,
} from '../../machine/struct.js'
import type { Folio } from './mm.js'
import type { VmArea } from './mm_types.js'
import type { XArray } from './xarray.js'
import './xarray.js'

/** struct address_space_operations, as far as 6.2 needs it here. */
export interface AddressSpaceOps {
  readonly name: string
  readonly migrateFolio?: Op<[mapping: AddressSpace, dst: Folio, src: Folio, mode: number], number>
  readonly errorRemovePage?: Op<[mapping: AddressSpace, folio: Folio], number>
  readonly writepage?: Op<[folio: Folio], number>
  readonly dirtyFolio?: Op<[mapping: AddressSpace, folio: Folio], boolean>
  /** Called when a folio leaves the cache (`free_folio`). */
  readonly freeFolio?: Op<[folio: Folio], void>
}

export interface FileOperations {
  readonly name: string
  /** f_op has read, write, or their iter forms. */
  readonly read?: Op<[file: File, pos: bigint, len: number], number>
  readonly write?: Op<[file: File, pos: bigint, len: number, byte: number], number>
  readonly llseek?: Op<[file: File, offset: bigint, whence: number], bigint>
  /** Accept a new VMA and give it its `vmOps`, or refuse. mmap_lock is held for writing. */
  readonly mmap?: Op<[file: File, vma: VmArea], number>
  readonly fallocate?: Op<[file: File, mode: number, offset: bigint, len: bigint], number>
  readonly fsync?: Op<[file: File], number>
  readonly release?: Op<[inode: Inode, file: File], number>
}

export interface InodeOperations {
  readonly name: string
  /** What changes of size (bytes), mode (with the type's bits) and owner; -1 is what does not. */
  readonly setattr?: Op<[dentry: Dentry, size: bigint, mode: number, uid: number], number>
  /** Fills `stat`. */
  readonly getattr?: Op<[dentry: Dentry, stat: Kstat], number>
}

export interface SuperOperations {
  readonly name: string
  readonly evictInode?: Op<[inode: Inode], void>
  /** Frees the inode's memory, after a grace period. */
  readonly freeInode?: Op<[inode: Inode], void>
}

export interface AddressSpace extends Obj {
  /** The inode that owns this mapping; NULL for a swap address space. */
  host: Inode | null
  /** The page cache: index to folio. Guard: its own lock for writers. */
  iPages: XArray
  /** Guard: i_pages lock. */
  nrpages: number
  aOps: AddressSpaceOps | null
  /** AS_UNEVICTABLE. Set once, before the mapping is used. */
  unevictable: boolean
  /** AS_INACCESSIBLE (6.11): the host may not touch the pages, so nobody moves them. Set once. */
  inaccessible: boolean
  /** __GFP_MOVABLE in gfp_mask. Set once. */
  gfpMovable: boolean
  /** AS_EXITING: set by the final truncation. */
  exiting: boolean
  /** Error to report at fsync (AS_EIO), a positive errno. */
  wbErr: number
  /** Owner's data. What guards it depends on the owner. */
  privateData: Obj | null
  invalidateLock: RwSemaphore
  /** First VMA that maps it (i_mmap). Guard: iMmapRwsem; that there is none is read without. */
  iMmap: VmArea | null
  iMmapRwsem: RwSemaphore
  /** Writable shared mappings; negative: they are denied. Atomic. */
  iMmapWritable: number
}

export const AddressSpace: Struct<AddressSpace> = struct<AddressSpace>(
  'AddressSpace',
  {
    host: ptr('Inode'),
    iPages: embed('XArray'),
    nrpages: num(),
    aOps: ops(),
    unevictable: flag(),
    inaccessible: flag(),
    gfpMovable: flag(),
    exiting: flag(),
    wbErr: num(),
    privateData: anyPtr(),
    invalidateLock: embed('RwSemaphore'),
    iMmap: ptr('VmArea'),
    iMmapRwsem: embed('RwSemaphore'),
    iMmapWritable: num(),
  },
  { capacity: 8, quiet: ['nrpages', 'iMmapWritable'] },
)

export const I_NEW = 1
export const I_WILL_FREE = 2
export const I_FREEING = 4
export const I_CLEAR = 8

export const S_IFIFO = 0o010000
export const S_IFCHR = 0o020000
export const S_IFDIR = 0o040000
export const S_IFREG = 0o100000
export const S_IFMT = 0o170000
/** Permissions, set-uid, set-gid and sticky bits. */
export const S_IALLUGO = 0o7777

export interface Inode extends Obj {
  iMode: number
  iUid: number
  /** Bytes. Written under i_rwsem, read without. */
  iSize: bigint
  /** 512-byte blocks. Guard: i_lock, or the file system's own. */
  iBlocks: number
  /** References; atomic. */
  iCount: number
  /** I_* bits. Guard: i_lock. */
  iState: number
  iNlink: number
  iSb: SuperBlock | null
  iMapping: AddressSpace | null
  iData: AddressSpace
  iOp: InodeOperations | null
  iFop: FileOperations | null
  iRwsem: RwSemaphore
  iLock: Spinlock
  /**
   * Next on the super block's list of inodes, and whether it is on it. Guard: s_inode_list_lock.
   */
  iSbNext: Inode | null
  iSbListed: boolean
  iPrivate: Obj | null
}

export const Inode: Struct<Inode> = struct<Inode>(
  'Inode',
  {
    iMode: num(),
    iUid: num(),
    iSize: i64(),
    iBlocks: num(),
    iCount: num(),
    iState: num(),
    iNlink: num(),
    iSb: ptr('SuperBlock'),
    iMapping: ptr('AddressSpace'),
    iData: embed('AddressSpace'),
    iOp: ops(),
    iFop: ops(),
    iRwsem: embed('RwSemaphore'),
    iLock: embed('Spinlock'),
    iSbNext: ptr('Inode'),
    iSbListed: flag(),
    iPrivate: anyPtr(),
  },
  { capacity: 256, quiet: ['iBlocks', 'iPrivate'] },
)

/** struct hugetlbfs_inode_info. */
export interface HugetlbfsInodeInfo extends Obj {
  /** F_SEAL_* bits. Guard: i_rwsem. */
  seals: number
  /** log2 of the size of its pages. Set once. */
  pageShift: number
  vfsInode: Inode
}

export const HugetlbfsInodeInfo: Struct<HugetlbfsInodeInfo> = struct<HugetlbfsInodeInfo>(
  'HugetlbfsInodeInfo',
  { seals: num(), pageShift: num(), vfsInode: embed('Inode') },
  { capacity: 64 },
)

export interface SuperBlock extends Obj {
  sMagic: number
  /** Head of the list of inodes, newest first. Guard: s_inode_list_lock. */
  sInodes: Inode | null
  sInodeListLock: Spinlock
  sOp: SuperOperations | null
  /** The root directory's inode. */
  sRoot: Inode | null
  /** Next on the list of all super blocks. */
  sNext: SuperBlock | null
  /** SB_I_NOEXEC. */
  noexec: boolean
}

export const SuperBlock: Struct<SuperBlock> = struct<SuperBlock>(
  'SuperBlock',
  {
    sMagic: num(),
    sInodes: ptr('Inode'),
    sInodeListLock: embed('Spinlock'),
    sOp: ops(),
    sRoot: ptr('Inode'),
    sNext: ptr('SuperBlock'),
    noexec: flag(),
  },
  { capacity: 128 },
)

export interface Dentry extends Obj {
  dInode: Inode | null
  /** References; atomic. */
  dCount: number
}

export const Dentry: Struct<Dentry> = struct<Dentry>(
  'Dentry',
  { dInode: ptr('Inode'), dCount: num() },
  { capacity: 256, quiet: true },
)

export const FMODE_READ = 1
export const FMODE_WRITE = 2
export const FMODE_LSEEK = 4
export const FMODE_PREAD = 8
export const FMODE_PWRITE = 16

export interface File extends Obj {
  /** References; atomic. */
  fCount: number
  fMode: number
  fFlags: number
  fOp: FileOperations | null
  fDentry: Dentry | null
  fInode: Inode | null
  fMapping: AddressSpace | null
  fPos: bigint
  privateData: Obj | null
}

export const File: Struct<File> = struct<File>(
  'File',
  {
    fCount: num(),
    fMode: num(),
    fFlags: num(),
    fOp: ops(),
    fDentry: ptr('Dentry'),
    fInode: ptr('Inode'),
    fMapping: ptr('AddressSpace'),
    fPos: i64(),
    privateData: anyPtr(),
  },
  { capacity: 256 },
)

export const NR_OPEN = 32

/** The descriptor table; all tasks share one process. */
export interface FilesStruct extends Obj {
  fileLock: Spinlock
  /** Read under RCU, written under fileLock. */
  fd: PtrVec<File>
  /** Bit mask of descriptors that are reserved or open. Guard: fileLock. */
  openFds: number
  /** Bit mask of those that exec() closes. Guard: fileLock. */
  closeOnExec: number
}

export const FilesStruct: Struct<FilesStruct> = struct<FilesStruct>(
  'FilesStruct',
  { fileLock: embed('Spinlock'), fd: ptrs('File', NR_OPEN), openFds: num(), closeOnExec: num() },
  { capacity: 1, quiet: true },
)

/** Globals of fs/. */
export interface FsState extends Obj {
  /** Head of the list of super blocks. */
  superBlocks: SuperBlock | null
  /** Protects that list. */
  sbLock: Spinlock
  /** The internal tmpfs mount that memfds live on. */
  shmMnt: SuperBlock | null
  /** A mounted tmpfs, and devtmpfs. */
  tmpfs: SuperBlock | null
  /** The pseudo file system of files without a place, such as VMs. */
  anonInodes: SuperBlock | null
  devtmpfs: SuperBlock | null
  secretmem: SuperBlock | null
  /** The internal mount of files of huge pages. */
  hugetlbfs: SuperBlock | null
}

export const FsState: Struct<FsState> = struct<FsState>(
  'FsState',
  {
    superBlocks: ptr('SuperBlock'),
    sbLock: embed('Spinlock'),
    shmMnt: ptr('SuperBlock'),
    tmpfs: ptr('SuperBlock'),
    anonInodes: ptr('SuperBlock'),
    devtmpfs: ptr('SuperBlock'),
    secretmem: ptr('SuperBlock'),
    hugetlbfs: ptr('SuperBlock'),
  },
  { capacity: 1 },
)

/** What stat() reports; filled by i_op->getattr. */
export interface Kstat extends Obj {
  size: bigint
  blocks: number
  mode: number
  nlink: number
  uid: number
}

export const Kstat: Struct<Kstat> = struct<Kstat>(
  'Kstat',
  { size: i64(), blocks: num(), mode: num(), nlink: num(), uid: num() },
  { capacity: 64, quiet: true },
)

export function fsState(): FsState {
  return FsState.at(FsState.base) as FsState
}

export function filesStruct(): FilesStruct {
  return FilesStruct.at(FilesStruct.base) as FilesStruct
}

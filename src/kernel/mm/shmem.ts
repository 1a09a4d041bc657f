/**
 * shmem: tmpfs and memfd. The inode's mapping holds the pages; there is nothing behind them. A page
 * that is not up to date was preallocated and has no content yet.
 *
 * Changes of size and punching hold i_rwsem; lookups hold nothing. Left out: swap, huge pages,
 * quotas and memory accounting.
 */
import { kzalloc } from '../../machine/alloc.js'
import { type Blob, PAGE_BYTES, withBytes } from '../../machine/blob.js'
import { alsoReads, alsoWrites, read, write } from '../../machine/effects.js'
import { warnOn } from '../../machine/fault.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { spinLockInit } from '../../machine/locks.js'
import { containerOf, errPtr, isErr, opsTable, ptrErr } from '../../machine/struct.js'
import { directMapStore } from '../arch/x86/mm/direct_map.js'
import { allocFilePseudo } from '../fs/file_table.js'
import { clearInode, freeInodeRcu, inodeInit, inodeSbListAdd, iput } from '../fs/inode.js'
import { EEXIST, EFBIG, EINVAL, ENOENT, ENOMEM, EPERM } from '../include/errno.js'
import {
  type AddressSpace,
  type AddressSpaceOps,
  type Dentry,
  File,
  fsState,
  type Inode,
  type InodeOperations,
  type Kstat,
  S_IFREG,
  type SuperBlock,
  type SuperOperations,
} from '../include/fs.js'
import {
  AOP_WRITEPAGE_ACTIVATE,
  Folio,
  nrPages,
  SGP_CACHE,
  SGP_FALLOC,
  SGP_NOALLOC,
  SGP_READ,
  SGP_WRITE,
  ShmemInodeInfo,
} from '../include/mm.js'
import {
  addPages,
  bytesToPgoff,
  bytesToPgoffUp,
  isPageAligned,
  MAX_LFS_FILESIZE,
  PAGE_SIZE,
  PGOFF_MAX,
  type Pgoff,
  pgoffToBytes,
  roundUpToPage,
} from '../include/types.js'
import {
  F_SEAL_EXEC,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  O_RDWR,
  S_IXUGO,
} from '../include/uapi.js'
import {
  addToPageCache,
  filemapLockFolio,
  findGetEntry,
  folioLock,
  folioSetLocked,
  folioTrylock,
  folioUnlock,
} from './filemap.js'
import { migrateFolio } from './migrate.js'
import { allocFolioMayFail, clearFolio } from './page_alloc.js'
import { shmemFileOperations } from './shmem_file.js'
import { folioAddLru, folioMarkAccessed, folioPut } from './swap.js'
import { truncateInodeFolio } from './truncate.js'
import { unmapMappingRange } from './zap.js'

/** 512-byte blocks of a page. */
const BLOCKS_PER_PAGE = 8

/** SHMEM_I(): right only for an inode of tmpfs. */
export function shmemI(inode: Inode): ShmemInodeInfo {
  return containerOf(inode, ShmemInodeInfo, 'vfsInode')
}

/**
 * Is this the mapping of a shmem file?
 *
 * Models: 6.2 include/linux/shmem_fs.h shmem_mapping: it compares a_ops.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const shmemMapping = fn(function shmem_mapping(mapping: AddressSpace): boolean {
  return mapping.aOps === shmemAops
})

/** Count pages that came or went. One step with what changed them: info->lock is a leaf. */
function shmemAccount(inode: Inode, pages: number): void {
  alsoWrites(shmemI(inode), 'alloced')
  alsoWrites(inode, 'iBlocks')
  shmemI(inode).alloced += pages
  inode.iBlocks += pages * BLOCKS_PER_PAGE
}

/**
 * Bring the counts in line with the page cache, from which pages may have vanished behind shmem's
 * back.
 *
 * Models: 6.2 mm/shmem.c shmem_recalc_inode.
 *
 * Compared: 6.17 and 7.0 source.
 */
function shmemRecalcInode(inode: Inode): void {
  alsoReads(shmemI(inode), 'alloced')
  alsoReads(inode.iMapping!, 'nrpages')
  const freed = shmemI(inode).alloced - inode.iMapping!.nrpages
  if (freed > 0) shmemAccount(inode, -freed)
}

/**
 * A new folio in the page cache, locked, with a reference, clean and not up to date; or an
 * ERR_PTR: -ENOMEM, or -EEXIST if somebody was faster.
 *
 * Models: 6.2 mm/shmem.c shmem_get_folio_gfp, its part that allocates. Simplifies: order 0; no
 * accounting, so never -ENOSPC.
 */
export const shmemAllocAndAdd = fn(function* shmem_alloc_and_acct_folio(
  inode: Inode,
  index: Pgoff,
): Kernel<Folio> {
  const mapping = inode.iMapping!
  const folio = yield* allocFolioMayFail(mapping.gfpMovable)
  if (folio === null) return errPtr(Folio, -ENOMEM)
  folioSetLocked(folio)
  folio.swapbacked = true
  const error = yield* addToPageCache(folio, mapping, index)
  if (error !== 0) {
    yield* folioUnlock(folio)
    yield* folioPut(folio)
    return errPtr(Folio, error)
  }
  shmemAccount(inode, nrPages(folio))
  shmemRecalcInode(inode)
  yield* folioAddLru(folio)
  return folio
})

/** Is an index behind the end of the file, for the modes that mind? */
export const beyondEof = fn(function* shmem_beyond_eof(
  inode: Inode,
  index: Pgoff,
  sgp: number,
): Kernel<boolean> {
  if (sgp > SGP_CACHE) return false
  yield read(inode, 'iSize')
  return pgoffToBytes(index) >= inode.iSize
})

/**
 * The folio at an index, locked and with a reference. NULL for a hole with SGP_READ. ERR_PTRs:
 * -EFBIG behind MAX_LFS_FILESIZE, -EINVAL behind the end of the file (not for SGP_WRITE and
 * SGP_FALLOC), -ENOENT for a hole with SGP_NOALLOC, -ENOMEM.
 *
 * SGP_WRITE never clears a page: its caller is going to overwrite all of it. SGP_FALLOC clears one
 * that it finds preallocated, so that undoing does not take it for its own. Nobody makes it dirty.
 *
 * Models: 6.2 mm/shmem.c shmem_get_folio_gfp. Simplifies: 6.18 refuses, with a warning, a mapping
 * that is not shmem's by `shmemMapping`.
 */
export const shmemGetFolio = fn(function* shmem_get_folio(
  inode: Inode,
  index: Pgoff,
  sgp: number,
): Kernel<Folio | null> {
  if (pgoffToBytes(index) > MAX_LFS_FILESIZE) return errPtr(Folio, -EFBIG)
  const mapping = inode.iMapping!
  for (;;) {
    if (yield* beyondEof(inode, index, sgp)) return errPtr(Folio, -EINVAL)
    let folio = yield* filemapLockFolio(mapping, index)
    let clear = sgp !== SGP_WRITE
    let isNew = false
    if (folio !== null) {
      if (sgp === SGP_WRITE) folioMarkAccessed(folio)
      if (folio.uptodate) return folio
      if (sgp === SGP_READ) {
        yield* folioUnlock(folio)
        yield* folioPut(folio)
        return null
      }
    } else {
      if (sgp === SGP_READ) return null
      if (sgp === SGP_NOALLOC) return errPtr(Folio, -ENOENT)
      folio = yield* shmemAllocAndAdd(inode, index)
      if (isErr(folio)) {
        if (ptrErr(folio) === -EEXIST) continue
        return folio
      }
      isNew = true
      if (sgp === SGP_WRITE) folio.referenced = true
      // fallocate() leaves what it makes without content.
      if (sgp === SGP_FALLOC) clear = false
    }
    if (clear) {
      clearFolio(folio)
      folio.uptodate = true
    }
    if (!(yield* beyondEof(inode, index, sgp))) return folio
    // The file was truncated meanwhile; what we made must not stay behind its end.
    if (isNew) {
      yield* truncateInodeFolio(mapping, folio)
      shmemRecalcInode(inode)
    }
    yield* folioUnlock(folio)
    yield* folioPut(folio)
    return errPtr(Folio, -EINVAL)
  }
})

/**
 * Remove the folios of [start, end] that nobody has locked; unfalloc: only those without content.
 */
export const undoRangeTry = fn(function* shmem_undo_range_trylock(
  inode: Inode,
  start: Pgoff,
  end: Pgoff,
  unfalloc: boolean,
): Kernel<void> {
  const mapping = inode.iMapping!
  let index = start
  while (index <= end) {
    const folio = yield* findGetEntry(mapping, index, end)
    if (folio === null) return
    index = addPages(folio.index, nrPages(folio))
    if (yield* folioTrylock(folio)) {
      if (!unfalloc || !folio.uptodate) yield* truncateInodeFolio(mapping, folio)
      yield* folioUnlock(folio)
    }
    yield* folioPut(folio)
  }
})

/**
 * The same, waiting for locks; once through for a hole, until nothing is left at the end of a file.
 */
export const undoRangeWait = fn(function* shmem_undo_range_lock(
  inode: Inode,
  start: Pgoff,
  end: Pgoff,
  unfalloc: boolean,
): Kernel<void> {
  const mapping = inode.iMapping!
  let index = start
  while (index <= end) {
    const folio = yield* findGetEntry(mapping, index, end)
    if (folio === null) {
      if (index === start || end !== PGOFF_MAX) return
      index = start
      continue
    }
    const next = addPages(folio.index, nrPages(folio))
    yield* folioLock(folio)
    if (unfalloc && folio.uptodate) index = next
    else if ((yield* truncateInodeFolio(mapping, folio)) === 0) index = next
    else index = folio.index
    yield* folioUnlock(folio)
    yield* folioPut(folio)
  }
})

/**
 * Zero the bytes of an edge page that lie in [lstart, lend]; the page stays, dirty, and one without
 * content stays without.
 *
 * Models: 6.2 mm/shmem.c shmem_get_partial_folio and mm/truncate.c truncate_inode_partial_folio.
 */
export const zeroPartial = fn(function* truncate_inode_partial_folio(
  inode: Inode,
  index: Pgoff,
  lstart: bigint,
  lend: bigint,
): Kernel<void> {
  const folio = yield* filemapLockFolio(inode.iMapping!, index)
  if (folio === null) return
  alsoWrites(folio, 'dirty')
  folio.dirty = true
  const pos = pgoffToBytes(index)
  const from = lstart > pos ? Number(lstart - pos) : 0
  const to = lend === -1n || lend - pos >= PAGE_SIZE ? PAGE_BYTES : Number(lend - pos) + 1
  yield write(folio, 'data')
  directMapStore(folio)
  folio.data = withBytes(folio.data as Blob, from, to - from, 0)
  yield* folioUnlock(folio)
  yield* folioPut(folio)
})

/**
 * Drop the pages of [lstart, lend] (bytes, both inclusive; lend -1 for no end). The first pass
 * takes what it can lock at once, the second waits. `unfalloc` takes back a fallocate(): pages
 * that have got content stay.
 *
 * Models: 6.2 mm/shmem.c shmem_undo_range. Simplifies: no swap entries, one folio at a time; an
 * edge that is page aligned is left to the second pass, which does the same to it.
 */
export const shmemUndoRange = fn(function* shmem_undo_range(
  inode: Inode,
  lstart: bigint,
  lend: bigint,
  unfalloc: boolean,
): Kernel<void> {
  const start = bytesToPgoffUp(lstart)
  const end = lend === -1n ? PGOFF_MAX : addPages(bytesToPgoff(lend + 1n), -1)
  yield* undoRangeTry(inode, start, end, unfalloc)
  if (!unfalloc) {
    const head = bytesToPgoff(lstart)
    if (!isPageAligned(lstart)) yield* zeroPartial(inode, head, lstart, lend)
    const tail = lend === -1n ? head : bytesToPgoff(lend)
    const another = tail !== head || isPageAligned(lstart)
    if (lend !== -1n && another && !isPageAligned(lend + 1n)) {
      yield* zeroPartial(inode, tail, lstart, lend)
    }
  }
  yield* undoRangeWait(inode, start, end, unfalloc)
  shmemRecalcInode(inode)
})

/** Models: 6.2 mm/shmem.c shmem_truncate_range. */
export const shmemTruncateRange = fn(function* shmem_truncate_range(
  inode: Inode,
  lstart: bigint,
  lend: bigint,
): Kernel<void> {
  yield* shmemUndoRange(inode, lstart, lend, false)
})

/**
 * Change the size. -EPERM if a seal forbids it. A size that is not larger than the old one, the
 * same included, drops what lies behind it.
 */
export const shmemSetSize = fn(function* shmem_set_size(
  inode: Inode,
  size: bigint,
): Kernel<number> {
  const info = shmemI(inode)
  yield read(inode, 'iSize')
  const oldsize = inode.iSize
  if (size < oldsize && info.seals & F_SEAL_SHRINK) return -EPERM
  if (size > oldsize && info.seals & F_SEAL_GROW) return -EPERM
  if (size !== oldsize) {
    yield write(inode, 'iSize')
    inode.iSize = size
  }
  if (size <= oldsize) {
    const holebegin = roundUpToPage(size)
    if (oldsize > holebegin) yield* unmapMappingRange(inode.iMapping!, holebegin, 0n, true)
    yield read(info, 'alloced')
    if (info.alloced > 0) yield* shmemTruncateRange(inode, size, -1n)
    // Private copies may have been made while pages went.
    if (oldsize > holebegin) yield* unmapMappingRange(inode.iMapping!, holebegin, 0n, true)
  }
  return 0
})

/**
 * Change size, mode or owner. Relies on i_rwsem, but does not take it.
 *
 * Models: 6.2 mm/shmem.c shmem_setattr, with setattr_copy. Simplifies: no permissions: the caller
 * may do everything.
 */
export const shmemSetattr = fn(function* shmem_setattr(
  dentry: Dentry,
  size: bigint,
  mode: number,
  uid: number,
): Kernel<number> {
  const inode = dentry.dInode!
  if (size >= 0n) {
    const error = yield* shmemSetSize(inode, size)
    if (error !== 0) return error
  }
  const sealed = mode >= 0 && (shmemI(inode).seals & F_SEAL_EXEC) !== 0
  if (sealed && (inode.iMode ^ mode) & S_IXUGO) return -EPERM
  if (uid >= 0) inode.iUid = uid
  if (mode >= 0) inode.iMode = mode
  return 0
})

/**
 * Size and blocks. The inode must be one of tmpfs: this goes by what lies before it in memory.
 *
 * Models: 6.2 mm/shmem.c shmem_getattr.
 */
export const shmemGetattr = fn(function* shmem_getattr(
  dentry: Dentry,
  stat: Kstat,
): Kernel<number> {
  const inode = dentry.dInode!
  yield read(inode, 'iBlocks')
  if (shmemI(inode).alloced !== inode.iMapping!.nrpages) shmemRecalcInode(inode)
  stat.size = inode.iSize
  stat.blocks = inode.iBlocks
  stat.mode = inode.iMode
  stat.nlink = inode.iNlink
  stat.uid = inode.iUid
  return 0
})

/**
 * The last user of the inode is gone. An inode whose mapping is not shmem's keeps its pages, and
 * clear_inode() then trips over them.
 *
 * Models: 6.2 mm/shmem.c shmem_evict_inode. Simplifies: no shrink list, no swap list.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const shmemEvictInode = fn(function* shmem_evict_inode(inode: Inode): Kernel<void> {
  if (shmemMapping(inode.iMapping!)) {
    inode.iSize = 0n
    inode.iMapping!.exiting = true
    yield* shmemTruncateRange(inode, 0n, -1n)
  }
  // Nobody else can reach the inode any more.
  alsoReads(inode, 'iBlocks')
  warnOn(inode.iBlocks !== 0, 'shmem_evict_inode: the inode still has blocks')
  clearInode(inode)
})

/** Models: 6.2 mm/shmem.c shmem_free_in_core_inode. Compared: 6.17 and 7.0 source. */
export const shmemFreeInode = fn(function* shmem_free_inode(inode: Inode): Kernel<void> {
  freeInodeRcu(shmemI(inode))
})

/**
 * The page of a failed frame stays; reads find the poison.
 *
 * Models: 6.2 mm/shmem.c.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const shmemErrorRemovePage = fn(function* shmem_error_remove_page(
  _mapping: AddressSpace,
  _folio: Folio,
): Kernel<number> {
  return 0
})

/**
 * The page stays and is activated, as without a swap area.
 *
 * Models: 6.2 mm/shmem.c shmem_writepage. Simplifies: pages of shmem never go to swap.
 */
export const shmemWritepage = fn(function* shmem_writepage(folio: Folio): Kernel<number> {
  yield write(folio, 'dirty')
  folio.dirty = true
  return AOP_WRITEPAGE_ACTIVATE
})

export const shmemAops: AddressSpaceOps = opsTable({
  name: 'shmem_aops',
  writepage: shmemWritepage,
  migrateFolio,
  errorRemovePage: shmemErrorRemovePage,
})

export const shmemInodeOperations: InodeOperations = opsTable({
  name: 'shmem_inode_operations',
  getattr: shmemGetattr,
  setattr: shmemSetattr,
})

/** Directories, devices and fifos of tmpfs; what can be done with them is not modelled. */
export const shmemSpecialInodeOperations: InodeOperations = opsTable({
  name: 'shmem_special_inode_operations',
  getattr: shmemGetattr,
})

export const shmemSuperOperations: SuperOperations = opsTable({
  name: 'shmem_ops',
  evictInode: shmemEvictInode,
  freeInode: shmemFreeInode,
})

/**
 * A new inode of tmpfs with one reference, on the super block's list.
 *
 * Models: 6.2 mm/shmem.c shmem_get_inode. Simplifies: no inode limit, so it never fails.
 */
export const shmemGetInode = fn(function* shmem_get_inode(
  sb: SuperBlock,
  mode: number,
): Kernel<Inode> {
  const info = kzalloc(ShmemInodeInfo)
  const inode = info.vfsInode
  inodeInit(inode, sb, mode)
  spinLockInit(info.lock, 'info->lock')
  info.seals = F_SEAL_SEAL
  yield* inodeSbListAdd(inode)
  if ((mode & S_IFREG) === S_IFREG) {
    inode.iMapping!.aOps = shmemAops
    inode.iOp = shmemInodeOperations
    inode.iFop = shmemFileOperations
  } else {
    inode.iOp = shmemSpecialInodeOperations
  }
  return inode
})

/**
 * An unlinked file of size 0 on the internal mount, as memfd_create() and memfd_restricted() use.
 *
 * Models: 6.2 mm/shmem.c __shmem_file_setup. Simplifies: size 0 and VM_NORESERVE only.
 */
export const shmemFileSetup = fn(function* shmem_file_setup(): Kernel<File> {
  const inode = yield* shmemGetInode(fsState().shmMnt!, S_IFREG | 0o777)
  inode.iNlink = 0
  const file = allocFilePseudo(inode, shmemFileOperations, O_RDWR)
  if (isErr(file)) {
    yield* iput(inode)
    return errPtr(File, ptrErr(file))
  }
  return file
})

/** For mm/memfd: does this descriptor name a file of tmpfs, by the predicate? */
export function shmemFile(file: File): boolean {
  return shmemMapping(file.fMapping!)
}

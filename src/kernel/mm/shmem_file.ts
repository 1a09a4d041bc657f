/**
 * What can be done with an open file of tmpfs: read, write, seek, allocate and punch. Writing and
 * changing the allocation hold i_rwsem.
 */
import { offStack, onStack } from '../../machine/alloc.js'
import { type Blob, withBytes } from '../../machine/blob.js'
import { alsoReads, alsoWrites, read, rmw, write } from '../../machine/effects.js'
import { mark } from '../../machine/fault.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { downWrite, upWrite } from '../../machine/locks.js'
import { isErr, opsTable, ptrErr } from '../../machine/struct.js'
import { directMapLoad, directMapStore } from '../arch/x86/mm/direct_map.js'
import { EFBIG, EINVAL, EIO, ENXIO, EOPNOTSUPP, EPERM } from '../include/errno.js'
import type { File, FileOperations, Inode } from '../include/fs.js'
import { type Folio, SGP_FALLOC, SGP_READ, SGP_WRITE, ShmemFalloc } from '../include/mm.js'
import type { VmArea } from '../include/mm_types.js'
import {
  addPages,
  bytesToPgoff,
  bytesToPgoffUp,
  MAX_LFS_FILESIZE,
  PAGE_SIZE,
  type Pgoff,
  pgoffToBytes,
} from '../include/types.js'
import {
  F_SEAL_FUTURE_WRITE,
  F_SEAL_GROW,
  F_SEAL_WRITE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  SEEK_CUR,
  SEEK_DATA,
  SEEK_END,
  SEEK_HOLE,
} from '../include/uapi.js'
import { xaFindAfterIndex, xaFindIndex, xaLoad } from '../lib/xarray.js'
import { folioUnlock } from './filemap.js'
import { shmemGetFolio, shmemI, shmemTruncateRange, shmemUndoRange } from './shmem.js'
import {
  clearFalloc,
  publishPunch,
  sealCheckFutureWrite,
  shmemAnonVmOps,
  shmemVmOps,
} from './shmem_mmap.js'
import { folioPut } from './swap.js'
import { unmapMappingRange } from './zap.js'

/**
 * Whole pages of [offset, offset + len) become holes, edges are cleared; faults on the whole pages
 * wait meanwhile. i_rwsem is held.
 */
export const punchHole = fn(function* shmem_punch_hole(
  inode: Inode,
  offset: bigint,
  len: bigint,
): Kernel<number> {
  if (shmemI(inode).seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) return -EPERM
  const start = bytesToPgoffUp(offset)
  const end = bytesToPgoff(offset + len)
  const falloc = onStack(ShmemFalloc)
  publishPunch(inode, falloc, start, end)
  // The end of a hole within the first page is -1, compared as unsigned: everything behind the
  // start is unmapped, though not punched.
  if (end > start || end === 0) {
    const whole = end === 0 ? 0n : pgoffToBytes(end) - pgoffToBytes(start)
    yield* unmapMappingRange(inode.iMapping!, pgoffToBytes(start), whole, false)
  }
  yield* shmemTruncateRange(inode, offset, offset + len - 1n)
  clearFalloc(inode, falloc)
  offStack(falloc)
  mark('page-punched')
  return 0
})

/** Allocate the pages of [start, end); an error takes back those that have no content yet. */
export const allocateRange = fn(function* shmem_allocate_range(
  inode: Inode,
  start: Pgoff,
  end: Pgoff,
): Kernel<number> {
  let index = start
  while (index < end) {
    const folio = yield* shmemGetFolio(inode, index, SGP_FALLOC)
    if (isErr(folio)) {
      if (index > start) {
        yield* shmemUndoRange(inode, pgoffToBytes(start), pgoffToBytes(index) - 1n, true)
      }
      return ptrErr(folio!)
    }
    index = addPages(index, 1)
    // Dirty, so that reclaim does not drop what fallocate() has promised.
    alsoWrites(folio!, 'dirty')
    folio!.dirty = true
    yield* folioUnlock(folio!)
    yield* folioPut(folio!)
  }
  return 0
})

/**
 * fallocate(2) on tmpfs: mode 0 or KEEP_SIZE allocates, PUNCH_HOLE with KEEP_SIZE punches;
 * -EOPNOTSUPP for others, -EPERM if a seal forbids it.
 *
 * Models: 6.2 mm/shmem.c shmem_fallocate. Simplifies: no record of an allocation, which only swap
 * asks for, no limits of the process or the file system, no signals.
 */
export const shmemFallocate = fn(function* shmem_fallocate(
  file: File,
  mode: number,
  offset: bigint,
  len: bigint,
): Kernel<number> {
  const inode = file.fInode!
  const info = shmemI(inode)
  if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)) return -EOPNOTSUPP
  yield* downWrite(inode.iRwsem)
  let error = 0
  if (mode & FALLOC_FL_PUNCH_HOLE) {
    error = yield* punchHole(inode, offset, len)
  } else if (info.seals & F_SEAL_GROW && offset + len > inode.iSize) {
    error = -EPERM
  } else {
    const end = bytesToPgoffUp(offset + len)
    const undoFallocend = info.fallocend
    if (end > info.fallocend) info.fallocend = end
    error = yield* allocateRange(inode, bytesToPgoff(offset), end)
    if (error !== 0) info.fallocend = undoFallocend
    else if (!(mode & FALLOC_FL_KEEP_SIZE) && offset + len > inode.iSize) {
      yield write(inode, 'iSize')
      inode.iSize = offset + len
    }
  }
  yield* upWrite(inode.iRwsem)
  return error
})

/** Bytes from `pos` to the end of its page, at most `len`. */
function inPage(pos: bigint, len: number): number {
  return Math.min(len, Number(PAGE_SIZE - (pos & (PAGE_SIZE - 1n))))
}

/**
 * How many bytes of the page at `pos` are to be read, by the size as it is once the page has been
 * looked up. 6.2 asks whether the file ends in this page, and does not see that it ends before.
 *
 * Models: 6.2 mm/shmem.c shmem_file_read_iter, its second look at i_size. Replaced by 6.18.
 */
export const bytesInPage = fn(function shmem_bytes_in_page(inode: Inode, pos: bigint): bigint {
  const size = inode.iSize
  return bytesToPgoff(pos) === bytesToPgoff(size) ? size - pos : PAGE_SIZE
})

/**
 * Read: the bytes available up to `len`, 0 behind the end; -EIO at a poisoned page, even for none.
 *
 * Models: 6.2 mm/shmem.c shmem_file_read_iter. Simplifies: tells how many bytes, not which; the
 * second look at the size is in the step that lets go of the page, or finds none.
 */
export const shmemRead = fn(function* shmem_file_read_iter(
  file: File,
  pos: bigint,
  len: number,
): Kernel<number> {
  const inode = file.fInode!
  let done = 0
  do {
    const at = pos + BigInt(done)
    yield read(inode, 'iSize')
    if (inode.iSize <= at) return done
    const folio = yield* shmemGetFolio(inode, bytesToPgoff(at), SGP_READ)
    if (isErr(folio)) return ptrErr(folio!) === -EINVAL ? done : ptrErr(folio!)
    if (folio !== null) {
      // memory_failure() sets it before it has the lock.
      yield read(folio, 'hwpoison')
      const poisoned = folio.hwpoison
      if (!poisoned) directMapLoad(folio)
      yield* folioUnlock(folio)
      yield* folioPut(folio)
      if (poisoned) return done > 0 ? done : -EIO
    }
    alsoReads(inode, 'iSize')
    const left = bytesInPage(inode, at)
    if (left <= 0n) return done
    const here = inPage(at, len - done)
    done += left < BigInt(here) ? Number(left) : here
  } while (done < len)
  return done
})

/** One page's part of a write; i_rwsem is held. Models: 6.2 shmem_write_begin and _end. */
export const writePage = fn(function* shmem_write_page(
  inode: Inode,
  pos: bigint,
  len: number,
  byte: number,
): Kernel<number> {
  const seals = shmemI(inode).seals
  if (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) return -EPERM
  const end = pos + BigInt(len)
  if (seals & F_SEAL_GROW && end > inode.iSize) return -EPERM
  const folio = (yield* shmemGetFolio(inode, bytesToPgoff(pos), SGP_WRITE)) as Folio
  if (isErr(folio)) return ptrErr(folio)
  yield read(folio, 'hwpoison')
  if (folio.hwpoison) {
    yield* folioUnlock(folio)
    yield* folioPut(folio)
    return -EIO
  }
  yield write(folio, 'data')
  const offset = Number(pos & (PAGE_SIZE - 1n))
  const fresh = folio.uptodate ? (folio.data as Blob) : withBytes(folio.data as Blob, 0, 4096, 0)
  directMapStore(folio)
  folio.data = withBytes(fresh, offset, len, byte)
  folio.uptodate = true
  alsoWrites(folio, 'dirty')
  folio.dirty = true
  if (end > inode.iSize) inode.iSize = end
  yield* folioUnlock(folio)
  yield* folioPut(folio)
  return len
})

/**
 * Write `len` bytes of one value at `pos`; how many were written, or an error if none. -EFBIG
 * behind the largest size, -EPERM if a seal forbids it.
 *
 * Models: 6.2 mm/filemap.c generic_file_write_iter with shmem_aops. Simplifies: one page at a time.
 */
export const shmemWrite = fn(function* shmem_file_write_iter(
  file: File,
  pos: bigint,
  len: number,
  byte: number,
): Kernel<number> {
  const inode = file.fInode!
  if (len === 0) return 0
  if (pos >= MAX_LFS_FILESIZE) return -EFBIG
  yield* downWrite(inode.iRwsem)
  let done = 0
  let error = 0
  while (done < len && error === 0) {
    const at = pos + BigInt(done)
    const part = yield* writePage(inode, at, inPage(at, len - done), byte)
    if (part < 0) error = part
    else done += part
  }
  yield* upWrite(inode.iRwsem)
  return done > 0 ? done : error
})

/**
 * The first byte from `start` on, before `end`, that is data or a hole; -ENXIO behind the end, or
 * if there is no data. The end of the last page there can be does not fit a loff_t: that page is
 * no data, and if it is no hole either, a hole is looked for behind it in vain.
 *
 * Models: 6.2 mm/filemap.c mapping_seek_hole_data, with folio_seek_hole_data and order 0.
 *
 * Compared: 6.17 and 7.0 source.
 */
function mappingSeekHoleData(inode: Inode, from: bigint, end: bigint, isData: boolean): bigint {
  if (end <= from) return BigInt(-ENXIO)
  const pages = inode.iMapping!.iPages
  const max = bytesToPgoff(end - 1n)
  let start = from
  let index = xaFindIndex(pages, bytesToPgoff(start), max)
  for (; index >= 0 && start < end; index = xaFindAfterIndex(pages, index, max)) {
    const pos = pgoffToBytes(index as Pgoff)
    if (start < pos && !isData) return start
    if (start < pos) start = pos
    const next = BigInt.asIntN(64, pos + PAGE_SIZE)
    const wanted = (xaLoad(pages, index) as Folio).uptodate === isData
    if (!wanted) start = next
    if (start < next) return start
  }
  if (isData) return BigInt(-ENXIO)
  return start > end ? end : start
}

/**
 * lseek(2). SEEK_DATA and SEEK_HOLE: a page is data when it is up to date, so one that was only
 * preallocated is a hole; -ENXIO behind the end, or if there is no data. Else -EINVAL for a
 * position that is negative or too large.
 *
 * Models: 6.2 mm/shmem.c shmem_file_llseek.
 */
export const shmemLlseek = fn(function* shmem_file_llseek(
  file: File,
  offset: bigint,
  whence: number,
): Kernel<bigint> {
  const inode = file.fInode!
  let pos = offset
  if (whence === SEEK_DATA || whence === SEEK_HOLE) {
    if (offset < 0n) return BigInt(-ENXIO)
    yield* downWrite(inode.iRwsem)
    pos = mappingSeekHoleData(inode, offset, inode.iSize, whence === SEEK_DATA)
    if (pos >= 0n) file.fPos = pos
    yield* upWrite(inode.iRwsem)
    return pos
  }
  yield rmw(file, 'fPos')
  alsoReads(inode, 'iSize')
  if (whence === SEEK_CUR) pos += file.fPos
  if (whence === SEEK_END) pos += inode.iSize
  if (pos < 0n || pos > MAX_LFS_FILESIZE) return BigInt(-EINVAL)
  file.fPos = pos
  return pos
})

/** noop_fsync(). */
export const noopFsync = fn(function* noop_fsync(_file: File): Kernel<number> {
  return 0
})

/** Models: 6.2 mm/shmem.c shmem_mmap. */
export const shmemMmap = fn(function* shmem_mmap(file: File, vma: VmArea): Kernel<number> {
  const inode = file.fInode!
  const info = shmemI(inode)
  yield read(info, 'seals')
  const error = sealCheckFutureWrite(info.seals, vma)
  if (error !== 0) return error
  vma.vmOps = inode.iNlink !== 0 ? shmemVmOps : shmemAnonVmOps
  return 0
})

export const shmemFileOperations: FileOperations = opsTable({
  name: 'shmem_file_operations',
  read: shmemRead,
  write: shmemWrite,
  llseek: shmemLlseek,
  mmap: shmemMmap,
  fsync: noopFsync,
  fallocate: shmemFallocate,
})

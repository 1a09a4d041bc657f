/**
 * memfd_create(2) and the seals. Whether a file can be sealed is a question to its mapping: the
 * seals of anything that looks like shmem are where shmem keeps them. Sealing against writes first
 * makes sure that nobody can still write: no mapping that is, or may become, writable, and no page
 * that somebody has a reference to, as direct I/O has.
 */
import { alsoReads, read, rmw, write } from '../../machine/effects.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { downWrite, upWrite } from '../../machine/locks.js'
import { isErr, ptrErr } from '../../machine/struct.js'
import { fdInstall, fget, fput, getUnusedFdFlags, putUnusedFd } from '../fs/file_table.js'
import { hugetlbFileSetup, hugetlbfsInfo, isFileHugepages } from '../fs/hugetlbfs.js'
import { EBADF, EBUSY, EFAULT, EINVAL, EPERM } from '../include/errno.js'
import {
  type AddressSpace,
  type File,
  FMODE_LSEEK,
  FMODE_PREAD,
  FMODE_PWRITE,
  FMODE_WRITE,
  type Inode,
} from '../include/fs.js'
import { type Folio, nrPages } from '../include/mm.js'
import { PGOFF_MAX, type Pgoff } from '../include/types.js'
import {
  F_SEAL_FUTURE_WRITE,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  F_SEAL_WRITE,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  MFD_HUGE_MASK,
  MFD_HUGE_SHIFT,
  MFD_HUGETLB,
  O_CLOEXEC,
  O_LARGEFILE,
} from '../include/uapi.js'
import {
  xaClearMark,
  xaFindAfterIndex,
  xaFindIndex,
  xaGetMark,
  xaLoad,
  xaSetMark,
} from '../lib/xarray.js'
import { shmemFile, shmemFileSetup, shmemI } from './shmem.js'
import { lruAddDrain, lruAddDrainAll, lruAddDrainPerCpu } from './swap.js'

/** NAME_MAX without the prefix `memfd:`, and the longest name there can be, in bytes. */
const MFD_NAME_MAX_LEN = 249

/**
 * The flags of memfd_create(), or an error.
 *
 * Models: 6.2 mm/memfd.c memfd_create, its first lines.
 */
export const memfdSanitizeFlags = fn(function memfd_sanitize_flags(flags: number): number {
  return unknownFlags(flags, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB) ? -EINVAL : flags
})

/** Has it a flag that is neither in `all` nor, with MFD_HUGETLB, a bit of a size? */
export function unknownFlags(flags: number, all: number): boolean {
  const sizes = flags & MFD_HUGETLB ? MFD_HUGE_MASK << MFD_HUGE_SHIFT : 0
  return (flags & ~(all | sizes)) !== 0
}

/**
 * The seals of a file that can be sealed; -1 for another.
 *
 * Models: 6.2 mm/memfd.c memfd_file_seals_ptr.
 *
 * Compared: 6.17 and 7.0 source.
 */
export function memfdFileSeals(file: File): number {
  if (shmemFile(file)) return shmemI(file.fInode!).seals
  return isFileHugepages(file) ? hugetlbfsInfo(file).seals : -1
}

/** Change them. */
export function setMemfdFileSeals(file: File, seals: number): void {
  if (isFileHugepages(file)) hugetlbfsInfo(file).seals = seals
  else shmemI(file.fInode!).seals = seals
}

/** A new memfd gets its seals: sealed against sealing, unless sealing was asked for. */
export const memfdInitFile = fn(function memfd_init_file(file: File, flags: number): void {
  if (flags & MFD_ALLOW_SEALING) setMemfdFileSeals(file, memfdFileSeals(file) & ~F_SEAL_SEAL)
})

/**
 * A descriptor. First -EINVAL for the flags; then by the name, given as its length in bytes
 * or -1 for a bad pointer, -EFAULT and -EINVAL; then -ENODEV for a size of huge
 * pages.
 *
 * Models: 6.2 mm/memfd.c memfd_create.
 */
export const memfdCreateNamed = fn(function* memfd_create(
  name: number,
  given: number,
): Kernel<number> {
  const flags = memfdSanitizeFlags(given)
  // Sizes of huge pages may set the sign bit; an error never has them.
  if (flags < 0 && flags > -4096) return flags
  if (name < 0) return -EFAULT
  if (name > MFD_NAME_MAX_LEN) return -EINVAL
  const fd = yield* getUnusedFdFlags(flags & MFD_CLOEXEC ? O_CLOEXEC : 0)
  if (fd < 0) return fd
  const log = (flags >>> MFD_HUGE_SHIFT) & MFD_HUGE_MASK
  const file = flags & MFD_HUGETLB ? yield* hugetlbFileSetup(log) : yield* shmemFileSetup()
  if (isErr(file)) {
    yield* putUnusedFd(fd)
    return ptrErr(file)
  }
  file.fMode |= FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE
  file.fFlags |= O_LARGEFILE
  memfdInitFile(file, flags)
  yield* fdInstall(fd, file)
  return fd
})

/** memfd_create(2) with a good name. */
export const sysMemfdCreate = fn(function* memfd_create(flags: number): Kernel<number> {
  return yield* memfdCreateNamed(1, flags)
})

/**
 * F_GET_SEALS: the seals, -EBADF, or -EINVAL for a file that has none.
 *
 * Models: 6.2 mm/memfd.c memfd_get_seals, with memfd_file_seals_ptr.
 */
export const sysFcntlGetSeals = fn(function* memfd_get_seals(fd: number): Kernel<number> {
  const file = yield* fget(fd)
  if (file === null) return -EBADF
  const seals = memfdFileSeals(file)
  const ret = seals >= 0 ? seals : -EINVAL
  yield* fput(file)
  return ret
})

/** PAGECACHE_TAG_TOWRITE, which no file in memory needs. */
const MEMFD_TAG_PINNED = 2
/** The last of the scans, between which it waits 150 ms in all. */
const LAST_SCAN = 4

/** Does somebody hold a reference to a page besides the cache and PTEs? One announced look. */
export const hasExtraRefs = fn(function* memfd_folio_has_extra_refs(folio: Folio): Kernel<boolean> {
  yield* lruAddDrainPerCpu(folio)
  yield read(folio, 'refcount')
  alsoReads(folio, 'mapcount')
  return folio.refcount - folio.mapcount !== nrPages(folio)
})

/** Mark what has references too many. Models: 6.2 mm/memfd.c memfd_tag_pins. */
export const memfdTagPins = fn(function* memfd_tag_pins(mapping: AddressSpace): Kernel<boolean> {
  yield* lruAddDrain()
  const pages = mapping.iPages
  let tagged = false
  yield read(pages, 'xaHead')
  let index = xaFindIndex(pages, 0, PGOFF_MAX) as Pgoff
  while (index >= 0) {
    const folio = xaLoad(pages, index) as Folio
    if (yield* hasExtraRefs(folio)) {
      xaSetMark(pages, index, MEMFD_TAG_PINNED)
      tagged = true
    }
    index = xaFindAfterIndex(pages, index, PGOFF_MAX) as Pgoff
  }
  return tagged
})

/** One look at what is marked: is some of it still pinned? The last look clears all marks. */
export const memfdScan = fn(function* memfd_scan_pins(
  mapping: AddressSpace,
  last: boolean,
): Kernel<boolean> {
  const pages = mapping.iPages
  let pinned = false
  yield read(pages, 'xaHead')
  let index = xaFindIndex(pages, 0, PGOFF_MAX) as Pgoff
  while (index >= 0) {
    if (xaGetMark(pages, index, MEMFD_TAG_PINNED)) {
      const extra = yield* hasExtraRefs(xaLoad(pages, index) as Folio)
      if (extra) pinned = true
      if (!extra || last) xaClearMark(pages, index, MEMFD_TAG_PINNED)
    }
    index = xaFindAfterIndex(pages, index, PGOFF_MAX) as Pgoff
  }
  return pinned
})

/**
 * Wait for references to pages to go: -EBUSY if some are there after the last look. i_rwsem is
 * held, and writable mappings are denied.
 *
 * Models: 6.2 mm/memfd.c memfd_wait_for_pins. Simplifies: the time that it sleeps is any time; no
 * signal ends it early; a page is looked at under i_pages' lock only for its own moment.
 */
export const memfdWaitForPins = fn(function* memfd_wait_for_pins(
  mapping: AddressSpace,
): Kernel<number> {
  let pinned = yield* memfdTagPins(mapping)
  let scan = 0
  while (pinned && scan <= LAST_SCAN) {
    if (scan === 0) yield* lruAddDrainAll()
    pinned = yield* memfdScan(mapping, scan === LAST_SCAN)
    scan += 1
  }
  return pinned ? -EBUSY : 0
})

/** Models: 6.2 include/linux/fs.h mapping_deny_writable: -EBUSY if one may write already. */
export const mappingDenyWritable = fn(function* mapping_deny_writable(
  mapping: AddressSpace,
): Kernel<number> {
  yield rmw(mapping, 'iMmapWritable')
  if (mapping.iMmapWritable > 0) return -EBUSY
  mapping.iMmapWritable--
  return 0
})

export const mappingAllowWritable = fn(function* mapping_allow_writable(
  mapping: AddressSpace,
): Kernel<void> {
  yield rmw(mapping, 'iMmapWritable')
  mapping.iMmapWritable++
})

/** F_ALL_SEALS. */
export const memfdAllSeals = fn(function memfd_all_seals(): number {
  return F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE
})

/** The seals that a request is for. In 6.2 those that it names. */
export const memfdImpliedSeals = fn(function memfd_implied_seals(
  _inode: Inode,
  seals: number,
): number {
  return seals
})

/** The part of F_ADD_SEALS under i_rwsem. */
export const addSealsLocked = fn(function* memfd_add_seals_locked(
  file: File,
  given: number,
): Kernel<number> {
  const inode = file.fInode!
  const mapping = file.fMapping!
  const now = memfdFileSeals(file)
  if (now < 0) return -EINVAL
  if (now & F_SEAL_SEAL) return -EPERM
  const seals = memfdImpliedSeals(inode, given)
  if (seals & F_SEAL_WRITE && !(now & F_SEAL_WRITE)) {
    const denied = yield* mappingDenyWritable(mapping)
    if (denied !== 0) return denied
    const pinned = yield* memfdWaitForPins(mapping)
    if (pinned !== 0) {
      yield* mappingAllowWritable(mapping)
      return pinned
    }
  }
  if (isFileHugepages(file)) yield write(hugetlbfsInfo(file), 'seals')
  else yield write(shmemI(inode), 'seals')
  setMemfdFileSeals(file, now | seals)
  return 0
})

/**
 * F_ADD_SEALS: 0 or, in this order, -EBADF; -EPERM if not open for writing; -EINVAL for unknown
 * seals; -EINVAL for a file that has none; -EPERM if sealed against it; -EBUSY for F_SEAL_WRITE
 * while somebody may still write. An error adds none of the seals.
 *
 * Models: 6.2 mm/memfd.c memfd_add_seals.
 */
export const sysFcntlAddSeals = fn(function* memfd_add_seals(
  fd: number,
  seals: number,
): Kernel<number> {
  const file = yield* fget(fd)
  if (file === null) return -EBADF
  let ret = 0
  if (!(file.fMode & FMODE_WRITE)) ret = -EPERM
  else if (seals & ~memfdAllSeals()) ret = -EINVAL
  else {
    const inode = file.fInode!
    yield* downWrite(inode.iRwsem)
    ret = yield* addSealsLocked(file, seals)
    yield* upWrite(inode.iRwsem)
  }
  yield* fput(file)
  return ret
})

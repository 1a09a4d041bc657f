/**
 * mm/restrictedmem.c as Sean Christopherson reworked it (x86/upm_base_support, January 2023), the
 * base of the patch in the thread; `upm.ts` makes a design of it. The inner tmpfs file holds the
 * pages; the object between the files holds the bindings: an XArray from page offset to the
 * notifier of who uses that range.
 *
 * rm->lock is held for writing to bind and unbind, and for reading across the whole of a hole
 * punch, so that the callbacks before and after it go to the same users. get_page and the memory
 * failure walk look at the bindings without it.
 *
 * Ends of ranges are exclusive in every call here, but the XArray takes them as inclusive.
 */
import '../machine/locks.js'
import { fput } from '../kernel/fs/file_table.js'
import { EFAULT, EINVAL, EPERM } from '../kernel/include/errno.js'
import type {
  AddressSpace,
  Dentry,
  File,
  FileOperations,
  Inode,
  InodeOperations,
  Kstat,
} from '../kernel/include/fs.js'
import { Folio, nrPages, SGP_WRITE } from '../kernel/include/mm.js'
import type { RestrictedmemNotifier } from '../kernel/include/restrictedmem.js'
import { addPages, bytesToPgoff, isPageAligned, type Pgoff } from '../kernel/include/types.js'
import { FALLOC_FL_PUNCH_HOLE } from '../kernel/include/uapi.js'
import type { XArray } from '../kernel/include/xarray.js'
import {
  xaDestroy,
  xaEmpty,
  xaFindAfterIndex,
  xaFindIndex,
  xaInit,
  xaLoad,
  xaStoreRange,
} from '../kernel/lib/xarray.js'
import { folioUnlock } from '../kernel/mm/filemap.js'
import { shmemGetFolio, shmemMapping } from '../kernel/mm/shmem.js'
import { kfree, kzalloc } from '../machine/alloc.js'
import { read, rmw } from '../machine/effects.js'
import { warnOn } from '../machine/fault.js'
import { fn, type Kernel } from '../machine/fn.js'
import {
  downRead,
  downWrite,
  initRwsem,
  type RwSemaphore,
  spinLock,
  spinUnlock,
  upRead,
  upWrite,
} from '../machine/locks.js'
import { synchronizeRcu } from '../machine/rcu.js'
import {
  embed,
  errPtr,
  flag,
  isErr,
  type Obj,
  opsTable,
  ptr,
  type Struct,
  struct,
} from '../machine/struct.js'
import { privateDataOf, restrictedmemMnt, restrictedmemOuterFile } from './wrapper.js'

export interface Restrictedmem extends Obj {
  lock: RwSemaphore
  /** The inner file; the one reference to it is this. Constant. */
  memfd: File | null
  /** Page offset to notifier. Written under `lock`; also read without it. */
  bindings: XArray
  /** The bindings are exclusive. Guard: `lock`. */
  exclusive: boolean
}

export const Restrictedmem: Struct<Restrictedmem> = struct<Restrictedmem>(
  'Restrictedmem',
  { lock: embed('RwSemaphore'), memfd: ptr('File'), bindings: embed('XArray'), exclusive: flag() },
  { capacity: 64 },
)

function rmOf(file: File): Restrictedmem {
  return file.fMapping!.privateData as Restrictedmem
}

/** Models: x86/upm_base_support mm/restrictedmem.c restrictedmem_release. */
export const upmRelease = fn(function* restrictedmem_release(
  inode: Inode,
  _file: File,
): Kernel<number> {
  const rm = inode.iMapping!.privateData as Restrictedmem
  xaDestroy(rm.bindings)
  yield* fput(rm.memfd!)
  kfree(rm)
  return 0
})

/** Tell every binding that [start, end) goes away. One call for each XArray entry. */
export const upmNotifyStart = fn(function* restrictedmem_notify_start(
  rm: Restrictedmem,
  start: Pgoff,
  end: Pgoff,
): Kernel<void> {
  let index = xaFindIndex(rm.bindings, start, end)
  while (index >= 0) {
    const notifier = xaLoad(rm.bindings, index) as RestrictedmemNotifier
    yield* notifier.ops!.invalidateStart(notifier, start, end)
    index = xaFindAfterIndex(rm.bindings, index, end)
  }
})

export const upmNotifyEnd = fn(function* restrictedmem_notify_end(
  rm: Restrictedmem,
  start: Pgoff,
  end: Pgoff,
): Kernel<void> {
  let index = xaFindIndex(rm.bindings, start, end)
  while (index >= 0) {
    const notifier = xaLoad(rm.bindings, index) as RestrictedmemNotifier
    yield* notifier.ops!.invalidateEnd(notifier, start, end)
    index = xaFindAfterIndex(rm.bindings, index, end)
  }
})

/**
 * Punch a hole between the callbacks. Offset and length in bytes, page aligned or -EINVAL.
 *
 * Models: x86/upm_base_support mm/restrictedmem.c restrictedmem_punch_hole. The loops over the
 * bindings are functions of their own.
 */
export const upmPunchHole = fn(function* restrictedmem_punch_hole(
  rm: Restrictedmem,
  mode: number,
  offset: bigint,
  len: bigint,
): Kernel<number> {
  const memfd = rm.memfd!
  if (!isPageAligned(offset) || !isPageAligned(len)) return -EINVAL
  const start = bytesToPgoff(offset)
  const end = bytesToPgoff(offset + len)

  yield* downRead(rm.lock)
  yield* upmNotifyStart(rm, start, end)
  const ret = yield* memfd.fOp!.fallocate!(memfd, mode, offset, len)
  yield* upmNotifyEnd(rm, start, end)
  yield* upRead(rm.lock)
  return ret
})

/** Models: x86/upm_base_support mm/restrictedmem.c restrictedmem_fallocate. */
export const upmFallocate = fn(function* restrictedmem_fallocate(
  file: File,
  mode: number,
  offset: bigint,
  len: bigint,
): Kernel<number> {
  const rm = rmOf(file)
  const memfd = rm.memfd!
  if (mode & FALLOC_FL_PUNCH_HOLE) return yield* upmPunchHole(rm, mode, offset, len)
  return yield* memfd.fOp!.fallocate!(memfd, mode, offset, len)
})

/** The inner file behind the outer one's dentry. Replaced by designs with another object. */
export const restrictedmemInner = fn(function restrictedmem_inner(dentry: Dentry): File {
  return (privateDataOf(dentry) as Restrictedmem).memfd!
})

/**
 * The size may be set while it is 0, and only to a multiple of the page size; -EPERM and -EINVAL
 * otherwise, tested in this order. The inner inode's i_rwsem is not taken.
 *
 * Models: x86/upm_base_support mm/restrictedmem.c restrictedmem_setattr.
 */
export const restrictedmemSetattr = fn(function* restrictedmem_setattr(
  dentry: Dentry,
  size: bigint,
  mode: number,
  uid: number,
): Kernel<number> {
  const memfd = restrictedmemInner(dentry)
  const inner = memfd.fInode!
  if (size >= 0n) {
    yield read(inner, 'iSize')
    if (inner.iSize !== 0n) return -EPERM
    if (!isPageAligned(size)) return -EINVAL
  }
  return yield* inner.iOp!.setattr!(memfd.fDentry!, size, mode, uid)
})

/** Models: x86/upm_base_support mm/restrictedmem.c restrictedmem_getattr. */
export const upmGetattr = fn(function* restrictedmem_getattr(
  dentry: Dentry,
  stat: Kstat,
): Kernel<number> {
  const rm = privateDataOf(dentry) as Restrictedmem
  const memfd = rm.memfd!
  return yield* memfd.fInode!.iOp!.getattr!(memfd.fDentry!, stat)
})

export const upmFops: FileOperations = opsTable({
  name: 'restrictedmem_fops',
  release: upmRelease,
  fallocate: upmFallocate,
})

export const upmIops: InodeOperations = opsTable({
  name: 'restrictedmem_iops',
  getattr: upmGetattr,
  setattr: restrictedmemSetattr,
})

export const upmFileCreate = fn(function* restrictedmem_file_create(memfd: File): Kernel<File> {
  const rm = kzalloc(Restrictedmem)
  initRwsem(rm.lock, 'rm->lock')
  xaInit(rm.bindings)
  rm.memfd = memfd
  return yield* restrictedmemOuterFile(rm, upmFops, upmIops)
})

/**
 * Bind a notifier to [start, end). Only exclusive bindings exist: -EINVAL for another kind, or
 * if part of the range (end included) is taken.
 *
 * Models: x86/upm_base_support mm/restrictedmem.c restrictedmem_bind.
 */
export const upmBind = fn(function* restrictedmem_bind(
  file: File,
  start: Pgoff,
  end: Pgoff,
  notifier: RestrictedmemNotifier,
  exclusive: boolean,
): Kernel<number> {
  const rm = rmOf(file)
  let ret = -EINVAL
  yield* downWrite(rm.lock)
  if (exclusive) {
    const fits = xaEmpty(rm.bindings) || rm.exclusive
    if (fits && xaFindIndex(rm.bindings, start, end) < 0) {
      yield rmw(rm.bindings, 'xaHead')
      xaStoreRange(rm.bindings, start, end, notifier)
      rm.exclusive = exclusive
      ret = 0
    }
  }
  yield* upWrite(rm.lock)
  return ret
})

/**
 * What the binding hears before it goes: nothing. The tree in which SEV-SNP was tried on these
 * files put an invalidation here.
 */
export const upmUnbindNotify = fn(function* restrictedmem_unbind_notify(
  _rm: Restrictedmem,
  _start: Pgoff,
  _end: Pgoff,
): Kernel<void> {})

/**
 * Take the binding of [start, end) away, whoever's it is. The grace period is for the memory
 * failure walk, which calls notifiers under a spinlock only.
 *
 * Models: x86/upm_base_support mm/restrictedmem.c restrictedmem_unbind.
 */
export const upmUnbind = fn(function* restrictedmem_unbind(
  file: File,
  start: Pgoff,
  end: Pgoff,
): Kernel<void> {
  const rm = rmOf(file)
  yield* downWrite(rm.lock)
  yield* upmUnbindNotify(rm, start, end)
  yield rmw(rm.bindings, 'xaHead')
  xaStoreRange(rm.bindings, start, end, null)
  yield* synchronizeRcu()
  yield* upWrite(rm.lock)
})

/**
 * The page at an offset, with a reference for the caller; allocated if it was absent. Neither the
 * size of the file nor PageHWPoison is looked at, and the page is neither zeroed nor made dirty.
 * -EINVAL (and a warning) if nobody is bound there.
 *
 * Models: x86/upm_base_support mm/restrictedmem.c restrictedmem_get_page.
 */
export const restrictedmemGetPage = fn(function* restrictedmem_get_page(
  file: File,
  offset: Pgoff,
): Kernel<Folio> {
  const rm = rmOf(file)
  yield read(rm.bindings, 'xaHead')
  if (warnOn(xaLoad(rm.bindings, offset) === null, 'restrictedmem_get_page: nothing is bound')) {
    return errPtr(Folio, -EINVAL)
  }
  return yield* shmemUptodateFolio(rm.memfd!.fInode!, offset)
})

/** The tail that all get_page functions share: SGP_WRITE, mark up to date, unlock. */
export const shmemUptodateFolio = fn(function* restrictedmem_get_page_tail(
  inode: Inode,
  offset: Pgoff,
): Kernel<Folio> {
  const folio = yield* shmemGetFolio(inode, offset, SGP_WRITE)
  if (folio === null) return errPtr(Folio, -EFAULT)
  if (isErr(folio)) return folio
  folio.uptodate = true
  yield* folioUnlock(folio)
  return folio
})

/**
 * Find the restricted file whose inner mapping this is, by walking the inodes of the pseudo file
 * system, and tell its bindings. What is on that list is the root directory, whose private data
 * is NULL; the outer inodes, from alloc_anon_inode(), are not.
 *
 * Called with the folio locked. The walk holds s_inode_list_lock, which also keeps unbind's grace
 * period from ending; rm->lock it does not take, since it must not sleep.
 *
 * Models: x86/upm_base_support mm/restrictedmem.c restrictedmem_error_page, its walk.
 */
export const restrictedmemErrorWalk = fn(function* restrictedmem_error_walk(
  folio: Folio,
  mapping: AddressSpace,
): Kernel<void> {
  const sb = restrictedmemMnt()
  const start = folio.index
  const end = addPages(start, nrPages(folio))
  yield* spinLock(sb.sInodeListLock)
  let inode = sb.sInodes
  while (inode !== null) {
    const rm = inode.iMapping!.privateData as Restrictedmem | null
    yield read(rm, 'memfd')
    const memfd = rm!.memfd!
    if (memfd.fMapping === mapping) {
      yield* upmCallError(rm!, start, end)
      break
    }
    inode = inode.iSbNext
  }
  spinUnlock(sb.sInodeListLock)
})

/** Tell the bindings in [start, end], as the XArray reads it, of the failure. */
export const upmCallError = fn(function* restrictedmem_call_error(
  rm: Restrictedmem,
  start: Pgoff,
  end: Pgoff,
): Kernel<void> {
  yield read(rm.bindings, 'xaHead')
  let index = xaFindIndex(rm.bindings, start, end)
  while (index >= 0) {
    const notifier = xaLoad(rm.bindings, index) as RestrictedmemNotifier
    yield* notifier.ops!.error(notifier, start, end)
    yield read(rm.bindings, 'xaHead')
    index = xaFindAfterIndex(rm.bindings, index, end)
  }
})

/** Models: x86/upm_base_support mm/restrictedmem.c restrictedmem_error_page. */
export const upmErrorPage = fn(function* restrictedmem_error_page(
  folio: Folio,
  mapping: AddressSpace,
): Kernel<void> {
  if (!shmemMapping(mapping)) return
  yield* restrictedmemErrorWalk(folio, mapping)
})

/** For scenarios that name a page of a restricted file: its pages are in the inner one. */
export const upmBackingMapping = fn(function upm_backing_mapping(file: File): AddressSpace | null {
  const mapping = file.fMapping!
  return mapping.privateData === null
    ? mapping
    : (mapping.privateData as Restrictedmem).memfd!.fMapping
})

/**
 * KVM_SET_MEMORY_ATTRIBUTES2 on a guest_memfd: pages become private, or shared, where they are. All
 * of a range or none of it.
 *
 * invalidate_lock is held for writing from the first look to the end, so nobody finds a page anew.
 * Who has found one before still has a reference, and that is what a conversion to private looks
 * for, once no page table of the process has the range any more: the order of the two is what makes
 * it safe. Against the guest, whose fault has no reference, only the invalidation helps.
 */
import { read, rmw } from '../../../../machine/effects.js'
import { LimitError, mark, tracepoint } from '../../../../machine/fault.js'
import { fn, type Kernel } from '../../../../machine/fn.js'
import { downWrite, upWrite } from '../../../../machine/locks.js'
import { kvmX86GmemInvalidate } from '../../../arch/x86/kvm/x86_ops.js'
import { fget, fput } from '../../../fs/file_table.js'
import { EAGAIN, EBADF, EINVAL, ENOMEM, ENOTTY } from '../../../include/errno.js'
import type { AddressSpace, File, Inode } from '../../../include/fs.js'
import { KVM_FILTER_PRIVATE, KVM_FILTER_SHARED } from '../../../include/kvm.js'
import { nrPages } from '../../../include/mm.js'
import {
  addPages,
  bytesToPgoff,
  isPageAligned,
  type Pgoff,
  pgoffToBytes,
  u64,
} from '../../../include/types.js'
import { KVM_MEMORY_ATTRIBUTE_PRIVATE } from '../../../include/uapi.js'
import { shouldFailslab } from '../../../mm/failslab.js'
import { findGetEntry } from '../../../mm/filemap.js'
import { folioMaybeDmaPinned } from '../../../mm/gup.js'
import { folioPut } from '../../../mm/swap.js'
import { unmapMappingPages } from '../../../mm/zap.js'
import { kvmArchHasPrivateMem } from '../../../v6_18/arch/x86/kvm/private_mem.js'
import { type KvmGmem, kvmGmemOf } from '../../../v6_18/include/guest_memfd.js'
import {
  __kvmGmemInvalidateBegin,
  kvmGmemFops,
  kvmGmemInvalidateEnd,
} from '../../../v6_18/virt/kvm/guest_memfd.js'
import type { KvmMemoryAttributes2 } from '../../../virt/kvm/guest_memfd.js'
import { type GmemInode, gmemI } from '../../include/guest_memfd.js'
import { LRU_CACHE_NOT_DRAINED, lruCacheDrainForFolio } from '../../mm/folio.js'
import { kvmGmemGetAttributes } from './guest_memfd.js'

/**
 * Models: 7.4 virt/kvm/guest_memfd.c kvm_gmem_range_has_attributes. invalidate_lock is held for
 * writing.
 */
function rangeHasAttributes(gi: GmemInode, start: Pgoff, end: Pgoff, attributes: number): boolean {
  for (let i = start; i < end; i = addPages(i, 1)) {
    if (kvmGmemGetAttributes(gi, i) !== attributes) return false
  }
  return true
}

/**
 * The first page of [start, end) that somebody besides the page cache refers to, or -1. What has a
 * pin, or is mapped again, is in use for sure; any other reference may be a batch's, which is drained
 * before it counts.
 *
 * Models: 7.4 virt/kvm/guest_memfd.c kvm_gmem_has_outstanding_references and
 * __folio_has_outstanding_references. Simplifies: one folio at a time, so that each is held for less
 * time.
 */
export const kvmGmemHasOutstandingReferences = fn(function* kvm_gmem_has_outstanding_references(
  mapping: AddressSpace,
  start: Pgoff,
  end: Pgoff,
): Kernel<number> {
  let drained = LRU_CACHE_NOT_DRAINED
  let next = start
  while (next < end) {
    const folio = yield* findGetEntry(mapping, next, addPages(end, -1))
    if (folio === null) return -1
    next = addPages(folio.index, nrPages(folio))
    yield read(folio, 'refcount')
    let busy = folioMaybeDmaPinned(folio)
    if (!busy) {
      yield read(folio, 'mapcount')
      busy = folio.mapcount > 0
    }
    if (!busy) {
      drained = yield* lruCacheDrainForFolio(folio, 1, drained)
      yield read(folio, 'refcount')
      busy = folio.refcount !== nrPages(folio) + 1
    }
    const index = folio.index
    yield* folioPut(folio)
    if (busy) return index
  }
  return -1
})

/**
 * Who protects guest memory gives the pages of [start, end) back to the host. It warns if one does
 * not come back, and the page becomes shared all the same. Nobody maps them.
 *
 * Models: 7.4 virt/kvm/guest_memfd.c kvm_gmem_make_shared.
 */
export const kvmGmemMakeShared = fn(function* kvm_gmem_make_shared(
  mapping: AddressSpace,
  start: Pgoff,
  end: Pgoff,
): Kernel<void> {
  let next = start
  while (next < end) {
    const folio = yield* findGetEntry(mapping, next, addPages(end, -1))
    if (folio === null) return
    next = addPages(folio.index, nrPages(folio))
    yield* kvmX86GmemInvalidate(folio)
    yield* folioPut(folio)
  }
})

/**
 * Zap what maps [start, end) as memory of the kinds that the filter names, for all views of the
 * inode.
 *
 * Models: 7.4 virt/kvm/guest_memfd.c kvm_gmem_invalidate_start.
 */
export const kvmGmemInvalidateStart = fn(function* kvm_gmem_invalidate_start(
  mapping: AddressSpace,
  start: Pgoff,
  end: Pgoff,
  filter: number,
): Kernel<void> {
  let gmem = mapping.privateData as KvmGmem | null
  while (gmem !== null) {
    yield* __kvmGmemInvalidateBegin(gmem, start, end, filter)
    gmem = gmem.entry
  }
})

function checked(index: Pgoff, gi: GmemInode): void {
  if (index > gi.attributes.length) {
    throw new LimitError(`a guest_memfd converts its first ${gi.attributes.length} pages here`)
  }
}

/**
 * Readers see the range as it was, or as it is.
 *
 * Models: 7.4 lib/maple_tree.c mas_store_prealloc. Simplifies: a word for each page, not for each
 * range.
 */
export const masStorePrealloc = fn(function* mas_store_prealloc(
  gi: GmemInode,
  start: Pgoff,
  end: Pgoff,
  attributes: number,
): Kernel<void> {
  yield rmw(gi, 'attributes')
  for (let i = start; i < end; i = addPages(i, 1)) gi.attributes.set(i, attributes)
  mark('pages-converted')
  tracepoint('kvm_gmem_converted', gi.vfsInode.iMapping!, start, end, attributes)
})

/**
 * Convert a range that is not of this kind throughout: 0; -ENOMEM; -EAGAIN with the offset of a page
 * that is in use. Of either nothing has changed, but that the process has to fault its pages in
 * again. invalidate_lock is held for writing.
 *
 * Models: 7.4 virt/kvm/guest_memfd.c __kvm_gmem_set_attributes.
 */
export const convertRange = fn(function* __kvm_gmem_convert(
  inode: Inode,
  start: Pgoff,
  end: Pgoff,
  args: KvmMemoryAttributes2,
): Kernel<number> {
  const mapping = inode.iMapping!
  const toPrivate = args.attributes !== 0n
  args.errorOffset = pgoffToBytes(start)
  if (yield* shouldFailslab()) return -ENOMEM
  if (toPrivate) {
    yield* unmapMappingPages(mapping, start, addPages(end, -1), false)
    const busy = yield* kvmGmemHasOutstandingReferences(mapping, start, end)
    if (busy >= 0) {
      args.errorOffset = pgoffToBytes(busy as Pgoff)
      return -EAGAIN
    }
  }
  // Parts of the range may be of the new kind already: what the guest has there stays.
  const filter = toPrivate ? KVM_FILTER_SHARED : KVM_FILTER_PRIVATE
  yield* kvmGmemInvalidateStart(mapping, start, end, filter)
  if (!toPrivate) yield* kvmGmemMakeShared(mapping, start, end)
  yield* masStorePrealloc(gmemI(inode), start, end, Number(args.attributes))
  yield* kvmGmemInvalidateEnd(mapping, start, end)
  return 0
})

/** Models: 7.4 virt/kvm/guest_memfd.c __kvm_gmem_set_attributes. */
export const __kvmGmemSetAttributes = fn(function* __kvm_gmem_set_attributes(
  inode: Inode,
  args: KvmMemoryAttributes2,
): Kernel<number> {
  const mapping = inode.iMapping!
  const start = bytesToPgoff(args.offset)
  const end = bytesToPgoff(args.offset + args.size)
  checked(end, gmemI(inode))
  yield* downWrite(mapping.invalidateLock)
  let r = 0
  if (!rangeHasAttributes(gmemI(inode), start, end, Number(args.attributes))) {
    r = yield* convertRange(inode, start, end, args)
  }
  yield* upWrite(mapping.invalidateLock)
  return r
})

/**
 * What is wrong with a request, in the order in which it is looked at; 0 or -EINVAL. The words have
 * no sign.
 *
 * Models: 7.4 virt/kvm/guest_memfd.c kvm_gmem_set_attributes. Simplifies: words that are reserved.
 */
function checkRequest(file: File, args: KvmMemoryAttributes2): number {
  const offset = u64(args.offset)
  const size = u64(args.size)
  const iSize = file.fInode!.iSize
  if (args.flags !== 0n) return -EINVAL
  if (!kvmArchHasPrivateMem(kvmGmemOf(file).kvm!)) return -EINVAL
  if (u64(args.attributes) & ~BigInt(KVM_MEMORY_ATTRIBUTE_PRIVATE)) return -EINVAL
  if (size === 0n || u64(offset + size) < offset) return -EINVAL
  if (!isPageAligned(offset) || !isPageAligned(size)) return -EINVAL
  return offset >= iSize || offset + size > iSize ? -EINVAL : 0
}

/**
 * KVM_SET_MEMORY_ATTRIBUTES2: offset and size in bytes. 0; -EBADF; -ENOTTY for a file that is no
 * guest_memfd; -EINVAL; what a conversion says, and then where in `errorOffset`.
 *
 * Models: 7.4 virt/kvm/guest_memfd.c kvm_gmem_ioctl and kvm_gmem_set_attributes.
 */
export const kvmGmemSetAttributes = fn(function* kvm_gmem_set_attributes(
  fd: number,
  args: KvmMemoryAttributes2,
): Kernel<number> {
  const file = yield* fget(fd)
  if (file === null) return -EBADF
  let r = -ENOTTY
  if (file.fOp === kvmGmemFops) r = checkRequest(file, args)
  if (r === 0) r = yield* __kvmGmemSetAttributes(file.fInode!, args)
  yield* fput(file)
  return r
})

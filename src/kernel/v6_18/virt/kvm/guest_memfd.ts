/**
 * guest_memfd as of 6.18: a file whose pages are guest memory. The file is one VM's view and pins
 * the VM; the inode is the memory. Memslots are bound to ranges of the file and do not pin it: when
 * it is released it tells them. What a slot does with its file is in `guest_memfd_slot.ts`.
 *
 * The mapping's invalidate_lock orders everything that changes bindings or removes pages (for
 * writing) against what must find the bindings the same before and after (for reading).
 */
import { kfree, kzalloc } from '../../../../machine/alloc.js'
import { read, write } from '../../../../machine/effects.js'
import { mark, tracepoint, warnOn } from '../../../../machine/fault.js'
import { fn, type Kernel } from '../../../../machine/fn.js'
import {
  downRead,
  downWrite,
  mutexLock,
  mutexUnlock,
  upRead,
  upWrite,
  writeLock,
  writeUnlock,
} from '../../../../machine/locks.js'
import { isErr, opsTable, ptrErr } from '../../../../machine/struct.js'
import { kvmFlushRemoteTlbs, kvmTdpMmuZap } from '../../../arch/x86/kvm/tdp_mmu.js'
import { kvmX86GmemInvalidate } from '../../../arch/x86/kvm/x86_ops.js'
import { allocFilePseudo, fdInstall, fput, getUnusedFd } from '../../../fs/file_table.js'
import { allocAnonInode } from '../../../fs/inode.js'
import { EINVAL, EOPNOTSUPP } from '../../../include/errno.js'
import {
  type AddressSpace,
  type AddressSpaceOps,
  type Dentry,
  type File,
  type FileOperations,
  fsState,
  type Inode,
  type InodeOperations,
  S_IFREG,
} from '../../../include/fs.js'
import {
  KVM_FILTER_PRIVATE,
  KVM_FILTER_SHARED,
  type Kvm,
  type KvmMemorySlot,
} from '../../../include/kvm.js'
import { type Folio, MF_DELAYED, nrPages } from '../../../include/mm.js'
import {
  addPages,
  bytesToPgoff,
  type Gfn,
  isPageAligned,
  PGOFF_MAX,
  type Pgoff,
} from '../../../include/types.js'
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  GUEST_MEMFD_FLAG_INIT_SHARED,
  GUEST_MEMFD_FLAG_MMAP,
  O_LARGEFILE,
  O_RDWR,
} from '../../../include/uapi.js'
import { xaDestroy, xaFindAfterIndex, xaFindIndex, xaInit, xaLoad } from '../../../lib/xarray.js'
import { filemapGrabFolio, folioUnlock } from '../../../mm/filemap.js'
import { folioPut } from '../../../mm/swap.js'
import { truncateInodePagesRange } from '../../../mm/truncate.js'
import {
  kvmMmuInvalidateBegin,
  kvmMmuInvalidateEnd,
  kvmMmuInvalidateRangeAdd,
} from '../../../virt/kvm/invalidate.js'
import { kvmGetKvm, kvmPutKvm } from '../../../virt/kvm/kvm_main.js'
import { kvmFget, kvmOf } from '../../../virt/kvm/vm_file.js'
import { kvmArchHasPrivateMem } from '../../arch/x86/kvm/private_mem.js'
import { KvmGmem, kvmGmemOf } from '../../include/guest_memfd.js'
import { kvmGmemMmap } from './guest_memfd_user.js'

/** The first view of a mapping's inode: i_private_list. */
function firstView(mapping: AddressSpace): KvmGmem | null {
  return mapping.privateData as KvmGmem | null
}

/** The first bound index from `from` on; `end` if nothing is bound before it. */
function bindingFrom(gmem: KvmGmem, from: Pgoff, end: Pgoff): Pgoff {
  const index = xaFindIndex(gmem.bindings, from, end - 1)
  return index < 0 ? end : (index as Pgoff)
}

/** The same behind the entry at `index`. */
function bindingAfter(gmem: KvmGmem, index: Pgoff, end: Pgoff): Pgoff {
  const next = xaFindAfterIndex(gmem.bindings, index, end - 1)
  return next < 0 ? end : (next as Pgoff)
}

/** An overlapping slot's part of [start, end), as the first gfn and the one behind the last. */
function gfnStart(slot: KvmMemorySlot, start: Pgoff): Gfn {
  return (slot.baseGfn + Math.max(slot.gmemPgoff, start) - slot.gmemPgoff) as Gfn
}

function gfnEnd(slot: KvmMemorySlot, end: Pgoff): Gfn {
  return (slot.baseGfn + Math.min(slot.gmemPgoff + slot.npages, end) - slot.gmemPgoff) as Gfn
}

/**
 * A file whose pages user space may touch from the start backs shared memory. The flags are the
 * inode's, so that all of its views have the same; without a view nobody asks.
 *
 * Models: 6.18 virt/kvm/guest_memfd.c kvm_gmem_get_invalidate_filter.
 */
export const kvmGmemGetInvalidateFilter = fn(function kvm_gmem_get_invalidate_filter(
  mapping: AddressSpace,
): number {
  const gmem = firstView(mapping)
  const shared = gmem !== null && (gmem.flags & GUEST_MEMFD_FLAG_INIT_SHARED) !== 0
  return shared ? KVM_FILTER_SHARED : KVM_FILTER_PRIVATE
})

/**
 * Zap what the VM maps of [start, end) of the file, and let faults there wait until the end. The
 * VM's invalidation begins with the first slot that is found, under mmu_lock.
 *
 * Models: 6.18 virt/kvm/guest_memfd.c __kvm_gmem_invalidate_begin.
 */
export const __kvmGmemInvalidateBegin = fn(function* __kvm_gmem_invalidate_begin(
  gmem: KvmGmem,
  start: Pgoff,
  end: Pgoff,
  attrFilter: number,
): Kernel<void> {
  const kvm = gmem.kvm!
  let flush = false
  let foundMemslot = false
  // Not ordered by invalidate_lock: a slot that goes while the file is dying unbinds without it.
  yield read(gmem.bindings, 'xaHead')
  let index = bindingFrom(gmem, start, end)
  while (index < end) {
    const slot = xaLoad(gmem.bindings, index) as KvmMemorySlot
    const first = gfnStart(slot, start)
    const last = gfnEnd(slot, end)
    if (!foundMemslot) {
      foundMemslot = true
      yield* writeLock(kvm.mmuLock)
      kvmMmuInvalidateBegin(kvm)
    }
    tracepoint('kvm_unmap_gfn_range', slot, slot.gmemPgoff, start, end, first, last)
    if (yield* kvmUnmapGfnRange(kvm, slot, first, last, attrFilter)) flush = true
    yield read(gmem.bindings, 'xaHead')
    index = bindingAfter(gmem, index, end)
  }
  if (flush) yield* kvmFlushRemoteTlbs(kvm)
  if (foundMemslot) writeUnlock(kvm.mmuLock)
})

/** Models: 6.18 virt/kvm/kvm_main.c kvm_mmu_unmap_gfn_range. mmu_lock is held for writing. */
export const kvmUnmapGfnRange = fn(function* kvm_mmu_unmap_gfn_range(
  kvm: Kvm,
  slot: KvmMemorySlot,
  first: Gfn,
  last: Gfn,
  filter: number,
): Kernel<boolean> {
  kvmMmuInvalidateRangeAdd(kvm, first, last)
  // The tables to zap are those of the slot's address space; there are no others.
  if (slot.asId !== 0) return false
  return yield* kvmTdpMmuZap(kvm, first, last, filter)
})

/** Models: 6.18 virt/kvm/guest_memfd.c kvm_gmem_invalidate_begin: all views of the inode. */
export const kvmGmemInvalidateBegin = fn(function* kvm_gmem_invalidate_begin(
  mapping: AddressSpace,
  start: Pgoff,
  end: Pgoff,
): Kernel<void> {
  const attrFilter = kvmGmemGetInvalidateFilter(mapping)
  let gmem = firstView(mapping)
  while (gmem !== null) {
    yield* __kvmGmemInvalidateBegin(gmem, start, end, attrFilter)
    gmem = gmem.entry
  }
})

/** Models: 6.18 virt/kvm/guest_memfd.c __kvm_gmem_invalidate_end. */
export const __kvmGmemInvalidateEnd = fn(function* __kvm_gmem_invalidate_end(
  gmem: KvmGmem,
  start: Pgoff,
  end: Pgoff,
): Kernel<void> {
  const kvm = gmem.kvm!
  yield read(gmem.bindings, 'xaHead')
  if (bindingFrom(gmem, start, end) === end) return
  yield* writeLock(kvm.mmuLock)
  yield write(kvm, 'mmuInvalidateSeq')
  kvmMmuInvalidateEnd(kvm)
  writeUnlock(kvm.mmuLock)
})

/** Models: 6.18 virt/kvm/guest_memfd.c kvm_gmem_invalidate_end. */
export const kvmGmemInvalidateEnd = fn(function* kvm_gmem_invalidate_end(
  mapping: AddressSpace,
  start: Pgoff,
  end: Pgoff,
): Kernel<void> {
  let gmem = firstView(mapping)
  while (gmem !== null) {
    yield* __kvmGmemInvalidateEnd(gmem, start, end)
    gmem = gmem.entry
  }
})

/**
 * Remove the pages of a range (bytes, page aligned); beyond the end of the file too.
 *
 * Models: 6.18 virt/kvm/guest_memfd.c kvm_gmem_punch_hole.
 */
export const kvmGmemPunchHole = fn(function* kvm_gmem_punch_hole(
  inode: Inode,
  offset: bigint,
  len: bigint,
): Kernel<number> {
  const mapping = inode.iMapping!
  const start = bytesToPgoff(offset)
  const end = bytesToPgoff(offset + len)
  // Bindings must not change between begin and end, or they would not balance.
  yield* downWrite(mapping.invalidateLock)
  yield* kvmGmemInvalidateBegin(mapping, start, end)
  yield* truncateInodePagesRange(mapping, offset, offset + len - 1n)
  yield* kvmGmemInvalidateEnd(mapping, start, end)
  yield* upWrite(mapping.invalidateLock)
  mark('page-punched')
  return 0
})

/**
 * Make the pages of a range (bytes, page aligned): -EINVAL beyond the end of the file, -ENOMEM with
 * what was made until then left behind. They are not zeroed before somebody uses them.
 *
 * Models: 6.18 virt/kvm/guest_memfd.c kvm_gmem_allocate. Simplifies: no signals.
 */
export const kvmGmemAllocate = fn(function* kvm_gmem_allocate(
  inode: Inode,
  offset: bigint,
  len: bigint,
): Kernel<number> {
  const mapping = inode.iMapping!
  if (offset + len > inode.iSize) return -EINVAL
  yield* downRead(mapping.invalidateLock)
  let index = bytesToPgoff(offset)
  const end = bytesToPgoff(offset + len)
  let r = 0
  while (index < end && r === 0) {
    const folio = yield* filemapGrabFolio(mapping, index)
    if (isErr(folio)) r = ptrErr(folio)
    else {
      index = addPages(folio.index, nrPages(folio))
      yield* folioUnlock(folio)
      yield* folioPut(folio)
    }
  }
  yield* upRead(mapping.invalidateLock)
  return r
})

/**
 * fallocate(2): allocate or punch, never with a change of size. -EOPNOTSUPP for other modes,
 * -EINVAL if the range is not page aligned.
 *
 * Models: 6.18 virt/kvm/guest_memfd.c kvm_gmem_fallocate. Simplifies: no times of the file.
 */
export const kvmGmemFallocate = fn(function* kvm_gmem_fallocate(
  file: File,
  mode: number,
  offset: bigint,
  len: bigint,
): Kernel<number> {
  if (!(mode & FALLOC_FL_KEEP_SIZE)) return -EOPNOTSUPP
  if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)) return -EOPNOTSUPP
  if (!isPageAligned(offset) || !isPageAligned(len)) return -EINVAL
  const inode = file.fInode!
  if (mode & FALLOC_FL_PUNCH_HOLE) return yield* kvmGmemPunchHole(inode, offset, len)
  return yield* kvmGmemAllocate(inode, offset, len)
})

/** list_del() of a view. */
function unlinkView(mapping: AddressSpace, gmem: KvmGmem): void {
  if (mapping.privateData === gmem) {
    mapping.privateData = gmem.entry
    return
  }
  let before = firstView(mapping)!
  while (before.entry !== gmem) before = before.entry!
  before.entry = gmem.entry
}

/**
 * The last reference to the file is gone: the slots forget it, and what the VM maps of it is
 * zapped. slots_lock keeps the slots from being freed meanwhile. The memory stays with the inode.
 *
 * Models: 6.18 virt/kvm/guest_memfd.c kvm_gmem_release.
 */
export const kvmGmemRelease = fn(function* kvm_gmem_release(
  inode: Inode,
  file: File,
): Kernel<number> {
  const gmem = kvmGmemOf(file)
  const kvm = gmem.kvm!
  const mapping = inode.iMapping!
  yield* mutexLock(kvm.slotsLock)
  yield* downWrite(mapping.invalidateLock)
  let index = bindingFrom(gmem, 0 as Pgoff, PGOFF_MAX)
  while (index < PGOFF_MAX) {
    const slot = xaLoad(gmem.bindings, index) as KvmMemorySlot
    yield write(slot, 'gmemFile')
    slot.gmemFile = null
    index = bindingAfter(gmem, index, PGOFF_MAX)
  }
  const attrFilter = kvmGmemGetInvalidateFilter(mapping)
  yield* __kvmGmemInvalidateBegin(gmem, 0 as Pgoff, PGOFF_MAX, attrFilter)
  yield* __kvmGmemInvalidateEnd(gmem, 0 as Pgoff, PGOFF_MAX)
  unlinkView(mapping, gmem)
  yield* upWrite(mapping.invalidateLock)
  mutexUnlock(kvm.slotsLock)

  xaDestroy(gmem.bindings)
  kfree(gmem)
  yield* kvmPutKvm(kvm)
  return 0
})

/**
 * Must never be reached: the mapping is inaccessible, and nobody migrates pages of such a one.
 *
 * Models: 6.18 virt/kvm/guest_memfd.c kvm_gmem_migrate_folio.
 */
export const kvmGmemMigrateFolio = fn(function* kvm_gmem_migrate_folio(
  _mapping: AddressSpace,
  _dst: Folio,
  _src: Folio,
  _mode: number,
): Kernel<number> {
  warnOn(true, 'kvm_gmem_migrate_folio was called')
  return -EINVAL
})

/**
 * A page failed. The guest loses the mapping and finds the poison when it comes back; the page
 * stays in the file. The caller holds the folio lock, and invalidate_lock is taken inside of it,
 * while a punch takes the two the other way round.
 *
 * Models: 6.18 virt/kvm/guest_memfd.c kvm_gmem_error_folio.
 */
export const kvmGmemErrorFolio = fn(function* kvm_gmem_error_folio(
  mapping: AddressSpace,
  folio: Folio,
): Kernel<number> {
  yield* downRead(mapping.invalidateLock)
  const start = folio.index
  const end = addPages(start, nrPages(folio))
  yield* kvmGmemInvalidateBegin(mapping, start, end)
  yield* kvmGmemInvalidateEnd(mapping, start, end)
  yield* upRead(mapping.invalidateLock)
  return MF_DELAYED
})

/** noop_dirty_folio(): the folio's dirty bit is all there is. */
export const noopDirtyFolio = fn(function* noop_dirty_folio(
  _mapping: AddressSpace,
  folio: Folio,
): Kernel<boolean> {
  if (folio.dirty) return false
  folio.dirty = true
  return true
})

/**
 * Who protects the guest's memory gets the page back before it is free.
 *
 * Models: 6.18 virt/kvm/guest_memfd.c kvm_gmem_free_folio.
 */
export const kvmGmemFreeFolio = fn(function* kvm_gmem_free_folio(folio: Folio): Kernel<void> {
  yield* kvmX86GmemInvalidate(folio)
})

/** The operation on a failed page has been called error_remove_folio since 6.8. */
const kvmGmemAops: AddressSpaceOps = opsTable({
  name: 'kvm_gmem_aops',
  dirtyFolio: noopDirtyFolio,
  migrateFolio: kvmGmemMigrateFolio,
  errorRemovePage: kvmGmemErrorFolio,
  freeFolio: kvmGmemFreeFolio,
})

/** The size is fixed, and so is everything else. Models: 6.18 kvm_gmem_setattr. */
export const kvmGmemSetattr = fn(function* kvm_gmem_setattr(
  _dentry: Dentry,
  _size: bigint,
): Kernel<number> {
  return -EINVAL
})

const kvmGmemIops: InodeOperations = opsTable({ name: 'kvm_gmem_iops', setattr: kvmGmemSetattr })

export const kvmGmemFops: FileOperations = opsTable({
  name: 'kvm_gmem_fops',
  mmap: kvmGmemMmap,
  release: kvmGmemRelease,
  fallocate: kvmGmemFallocate,
})

/**
 * The flags that a VM's guest_memfd can have. Memory that is shared from the start makes no sense
 * where memory is private from the start. NULL asks what there is at all.
 *
 * Models: 6.18 include/linux/kvm_host.h kvm_gmem_get_supported_flags, with x86's
 * kvm_arch_supports_gmem_init_shared.
 */
export const kvmGmemGetSupportedFlags = fn(function kvm_gmem_get_supported_flags(
  kvm: Kvm | null,
): number {
  if (kvm !== null && kvmArchHasPrivateMem(kvm)) return GUEST_MEMFD_FLAG_MMAP
  return GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED
})

/**
 * The inode of a new file with these flags.
 *
 * Models: 6.18 virt/kvm/guest_memfd.c __kvm_gmem_create, its anon_inode_create_getfile.
 */
export const kvmGmemMakeInode = fn(function* kvm_gmem_make_inode(_flags: number): Kernel<Inode> {
  return yield* allocAnonInode(fsState().anonInodes!)
})

/**
 * A new file of this size, known to the VM alone.
 *
 * Models: 6.18 virt/kvm/guest_memfd.c __kvm_gmem_create. Simplifies: never -ENOMEM.
 */
export const __kvmGmemCreate = fn(function* __kvm_gmem_create(
  kvm: Kvm,
  size: bigint,
  flags: number,
): Kernel<number> {
  const fd = yield* getUnusedFd()
  if (fd < 0) return fd
  const gmem = kzalloc(KvmGmem)
  const inode = yield* kvmGmemMakeInode(flags)
  inode.iMode |= S_IFREG
  inode.iSize = size
  inode.iOp = kvmGmemIops
  const mapping = inode.iMapping!
  mapping.aOps = kvmGmemAops
  mapping.gfpMovable = false
  mapping.unevictable = true
  mapping.inaccessible = true
  const file = allocFilePseudo(inode, kvmGmemFops, O_RDWR)
  file.fFlags |= O_LARGEFILE
  file.privateData = gmem

  yield* kvmGetKvm(kvm)
  gmem.kvm = kvm
  gmem.flags = flags
  xaInit(gmem.bindings)
  mapping.privateData = gmem
  yield* fdInstall(fd, file)
  return fd
})

/**
 * A descriptor of a new file; -EINVAL for flags that the VM does not support, or a size (signed, in
 * bytes) that is not positive and page aligned.
 *
 * Models: 6.18 virt/kvm/guest_memfd.c kvm_gmem_create.
 */
export const kvmGmemCreate = fn(function* kvm_gmem_create(
  kvm: Kvm,
  size: bigint,
  flags: bigint,
): Kernel<number> {
  if ((flags & ~BigInt(kvmGmemGetSupportedFlags(kvm))) !== 0n) return -EINVAL
  if (size <= 0n || !isPageAligned(size)) return -EINVAL
  return yield* __kvmGmemCreate(kvm, size, Number(flags))
})

/**
 * KVM_CREATE_GUEST_MEMFD: -EBADF, or -ENOTTY, if `vm` is no VM. The size and the flags are unsigned
 * words of the request.
 *
 * Models: 6.18 virt/kvm/kvm_main.c kvm_vm_ioctl, KVM_CREATE_GUEST_MEMFD.
 */
export const kvmVmIoctlCreateGuestMemfd = fn(function* kvm_vm_ioctl_create_guest_memfd(
  vm: number,
  size: bigint,
  flags: bigint,
): Kernel<number> {
  const file = yield* kvmFget(vm)
  if (isErr(file)) return ptrErr(file)
  const bytes = BigInt.asIntN(64, size)
  const wanted = BigInt.asUintN(64, flags)
  const ret = yield* kvmGmemCreate(kvmOf(file), bytes, wanted)
  yield* fput(file)
  return ret
})

/**
 * guest_memfd that converts in place, on its way to 7.4: the 13th posting of the series, of 10
 * September 2026, as it was applied to the tree of KVM on x86. No release has it. Read in that tree's
 * guest_memfd.c; the other files that the series touches are known from earlier postings.
 *
 * New against 6.18: the inode knows of each page whether it is private, and the VM has no attributes
 * any more; a page that is not private can be mapped by the process and by the guest. Whoever looks a
 * page up holds invalidate_lock for reading, and KVM gets no reference to it.
 *
 * Left out: the module parameter gmem_in_place_conversion, which is set here; NUMA policies; what
 * KVM_CHECK_EXTENSION says of it; that a confidential guest can begin with the page itself.
 */
import { kzalloc } from '../../../../machine/alloc.js'
import { alsoReads, rmw, write } from '../../../../machine/effects.js'
import { fn, type Kernel, original } from '../../../../machine/fn.js'
import { downRead, downWrite, upRead, upWrite } from '../../../../machine/locks.js'
import {
  constructAt,
  errPtr,
  isErr,
  type Obj,
  opsTable,
  ptrErr,
  type Struct,
} from '../../../../machine/struct.js'
import { kvmX86GmemPrepare } from '../../../arch/x86/kvm/x86_ops.js'
import { fput } from '../../../fs/file_table.js'
import { freeInodeRcu, inodeInit } from '../../../fs/inode.js'
import { pseudoFsMount } from '../../../fs/libfs.js'
import { EACCES, EEXIST, EFAULT, ENOMEM, ENOTTY } from '../../../include/errno.js'
import type { AddressSpace, File, Inode, SuperOperations } from '../../../include/fs.js'
import {
  KVM_FILTER_PRIVATE,
  KVM_FILTER_SHARED,
  KVM_MEMSLOT_GMEM_ONLY,
  type Kvm,
  type KvmMemorySlot,
} from '../../../include/kvm.js'
import { Folio } from '../../../include/mm.js'
import { addPages, type Gfn, type Pgoff } from '../../../include/types.js'
import {
  GUEST_MEMFD_FLAG_INIT_SHARED,
  GUEST_MEMFD_FLAG_MMAP,
  GUEST_MEMFD_MAGIC,
  KVM_MEMORY_ATTRIBUTE_PRIVATE,
} from '../../../include/uapi.js'
import { xaFindIndex, xaStoreRange } from '../../../lib/xarray.js'
import { shouldFailslab } from '../../../mm/failslab.js'
import { filemapGrabFolio, folioUnlock } from '../../../mm/filemap.js'
import { clearFolio } from '../../../mm/page_alloc.js'
import { folioPut } from '../../../mm/swap.js'
import { kvmReleaseFaultinPage } from '../../../v6_18/arch/x86/kvm/mmu.js'
import { kvmGmemOf } from '../../../v6_18/include/guest_memfd.js'
import { __kvmGmemGetPfn, kvmGmemGetFile } from '../../../v6_18/virt/kvm/guest_memfd_slot.js'
import { searchMemslots } from '../../../virt/kvm/memslots.js'
import { kvmFget } from '../../../virt/kvm/vm_file.js'
import { GmemInode, gmemI, KvmGmemState } from '../../include/guest_memfd.js'

/** Models: 7.4 virt/kvm/guest_memfd.c kvm_gmem_get_default_attributes. */
function defaultAttributes(flags: number): number {
  return flags & GUEST_MEMFD_FLAG_INIT_SHARED ? 0 : KVM_MEMORY_ATTRIBUTE_PRIVATE
}

/** Models: 7.4 virt/kvm/guest_memfd.c kvm_gmem_get_attributes. */
export function kvmGmemGetAttributes(gi: GmemInode, index: Pgoff): number {
  return index < gi.attributes.length ? gi.attributes.get(index) : defaultAttributes(gi.flags)
}

/**
 * Is the page at this offset private?
 *
 * Models: 7.4 virt/kvm/guest_memfd.c kvm_gmem_is_private_mem.
 */
export const kvmGmemIsPrivateIndex = fn(function kvm_gmem_is_private_mem(
  mapping: AddressSpace,
  index: Pgoff,
): boolean {
  const gi = gmemI(mapping.host!)
  return (kvmGmemGetAttributes(gi, index) & KVM_MEMORY_ATTRIBUTE_PRIVATE) !== 0
})

/** Models: 7.4 virt/kvm/guest_memfd.c kvm_gmem_get_index. */
function kvmGmemGetIndex(slot: KvmMemorySlot, gfn: Gfn): Pgoff {
  return addPages(slot.gmemPgoff, gfn - slot.baseGfn)
}

/**
 * Is what a gfn maps private, by the file that its slot has? Without one, or with one that is being
 * closed, it is not. The answer may be old at once: who maps by it holds invalidate_lock all the
 * time, or looks at the invalidation sequence under mmu_lock.
 *
 * Models: 7.4 virt/kvm/guest_memfd.c kvm_gmem_is_private_gfn. Simplifies: the file's reference,
 * which is taken and put around one load, is not: where it would be the last one, that of the
 * look-up of the page right behind it is too.
 */
export const kvmGmemIsPrivateGfn = fn(function kvm_gmem_is_private_gfn(
  kvm: Kvm,
  gfn: Gfn,
): boolean {
  alsoReads(kvm, 'memslots')
  const slot = searchMemslots(kvm.memslots!, gfn)
  if (slot === null) return false
  alsoReads(slot, 'gmemFile')
  const file = slot.gmemFile
  if (file === null) return false
  alsoReads(file, 'fCount')
  if (file.fCount === 0) return false
  alsoReads(gmemI(file.fInode!), 'attributes')
  return kvmGmemIsPrivateIndex(file.fMapping!, kvmGmemGetIndex(slot, gfn))
})

/** For judges: the kind of a gfn's memory; undefined once no file says it. No kernel code asks. */
export const kindByFile = fn(function gfn_kind(kvm: Kvm, gfn: Gfn): boolean | undefined {
  const slot = kvm.memslots === null ? null : searchMemslots(kvm.memslots, gfn)
  if (slot === null || slot.gmemFile === null) return undefined
  return kvmGmemIsPrivateIndex(slot.gmemFile.fMapping!, kvmGmemGetIndex(slot, gfn))
})

/**
 * Pages of both kinds may be mapped, so who removes some concerns the tables of both.
 *
 * Models: 7.4 virt/kvm/guest_memfd.c kvm_gmem_get_all_gfns_filter.
 */
export const kvmGmemGetAllGfnsFilter = fn(function kvm_gmem_get_all_gfns_filter(
  _mapping: AddressSpace,
): number {
  return KVM_FILTER_SHARED | KVM_FILTER_PRIVATE
})

/** Models: 7.4 virt/kvm/guest_memfd.c kvm_gmem_destroy_inode and kvm_gmem_free_inode. */
export const kvmGmemFreeInode = fn(function* kvm_gmem_free_inode(inode: Inode): Kernel<void> {
  freeInodeRcu(gmemI(inode))
})

const kvmGmemSuperOperations: SuperOperations = opsTable({
  name: 'kvm_gmem_super_operations',
  freeInode: kvmGmemFreeInode,
})

/** Models: 7.4 virt/kvm/guest_memfd.c kvm_gmem_init_mount. */
export const kvmGmemInitMount = fn(function* kvm_gmem_init_mount(): Kernel<void> {
  constructAt(KvmGmemState as unknown as Struct<Obj>, KvmGmemState.base, 0)
  const sb = yield* pseudoFsMount(GUEST_MEMFD_MAGIC)
  sb.sOp = kvmGmemSuperOperations
  sb.noexec = true
  const state = KvmGmemState.at(KvmGmemState.base) as KvmGmemState
  state.mnt = sb
})

/**
 * An inode all of whose pages are of the kind that the flags say.
 *
 * Models: 7.4 virt/kvm/guest_memfd.c kvm_gmem_alloc_inode and kvm_gmem_init_inode, its attributes.
 * Simplifies: never -ENOMEM.
 */
export const kvmGmemAllocInode = fn(function* kvm_gmem_alloc_inode(flags: number): Kernel<Inode> {
  const gi = kzalloc(GmemInode)
  const state = KvmGmemState.at(KvmGmemState.base) as KvmGmemState
  inodeInit(gi.vfsInode, state.mnt!, 0o600)
  gi.flags = flags
  for (let i = 0; i < gi.attributes.length; i++) gi.attributes.set(i, defaultAttributes(flags))
  return gi.vfsInode
})

/** Any VM's file may be shared from the start. Models: 7.4 kvm_gmem_get_supported_flags. */
export const kvmGmemSupportedFlagsAll = fn(function kvm_gmem_get_supported_flags(
  _kvm: Kvm | null,
): number {
  return GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED
})

/**
 * The folio of a fault of the process, locked; ERR_PTR(-EACCES) if it is private. invalidate_lock is
 * dropped before the folio is mapped: its reference is what a conversion sees.
 *
 * Models: 7.4 virt/kvm/guest_memfd.c kvm_gmem_fault_user_mapping, its section of invalidate_lock.
 */
export const kvmGmemFaultFolioShared = fn(function* kvm_gmem_fault_folio(
  mapping: AddressSpace,
  index: Pgoff,
): Kernel<Folio> {
  yield* downRead(mapping.invalidateLock)
  const folio = kvmGmemIsPrivateIndex(mapping, index)
    ? errPtr(Folio, -EACCES)
    : yield* filemapGrabFolio(mapping, index)
  yield* upRead(mapping.invalidateLock)
  return folio
})

/**
 * Publish the binding if nobody has one there: 0, -EEXIST or -ENOMEM. All of the slot's memory is in
 * the file.
 *
 * Models: 7.4 virt/kvm/guest_memfd.c kvm_gmem_prepare_memory_region and
 * kvm_gmem_commit_memory_region. Simplifies: one after the other, as in 6.18, where 7.4 binds when
 * the slot is committed.
 */
export const publishGmemOnly = fn(function* kvm_gmem_commit_memory_region(
  slot: KvmMemorySlot,
  file: File,
  start: Pgoff,
): Kernel<number> {
  const gmem = kvmGmemOf(file)
  const last = addPages(start, slot.npages - 1)
  slot.gmemFile = file
  slot.gmemPgoff = start
  slot.flags |= KVM_MEMSLOT_GMEM_ONLY
  yield* downWrite(file.fMapping!.invalidateLock)
  let r = 0
  if (xaFindIndex(gmem.bindings, start, last) >= 0) r = -EEXIST
  else if (yield* shouldFailslab()) r = -ENOMEM
  else {
    yield rmw(gmem.bindings, 'xaHead')
    xaStoreRange(gmem.bindings, start, last, slot)
  }
  yield* upWrite(file.fMapping!.invalidateLock)
  return r
})

/**
 * Take the binding back, whether or not the file is being closed: slots_lock keeps its release away.
 *
 * Models: 7.4 virt/kvm/guest_memfd.c kvm_gmem_unbind.
 */
export const kvmGmemUnbindLocked = fn(function* kvm_gmem_unbind(slot: KvmMemorySlot): Kernel<void> {
  const file = slot.gmemFile
  if (file === null) return
  const start = slot.gmemPgoff
  yield* downWrite(file.fMapping!.invalidateLock)
  yield rmw(kvmGmemOf(file).bindings, 'xaHead')
  xaStoreRange(kvmGmemOf(file).bindings, start, addPages(start, slot.npages - 1), null)
  yield write(slot, 'gmemFile')
  slot.gmemFile = null
  yield* upWrite(file.fMapping!.invalidateLock)
})

/**
 * The page behind a gfn of a slot, zeroed if it is new, without a reference; or an ERR_PTR as of
 * 6.18. It may leave the file at any moment, and become of the other kind: all that keeps the
 * caller from mapping it then is the invalidation sequence. SRCU is held.
 *
 * Models: 7.4 virt/kvm/guest_memfd.c kvm_gmem_get_pfn. Simplifies: order 0.
 */
export const kvmGmemGetPfnLocked = fn(function* kvm_gmem_get_pfn(
  slot: KvmMemorySlot,
  gfn: Gfn,
): Kernel<Folio> {
  const index = kvmGmemGetIndex(slot, gfn)
  const file = yield* kvmGmemGetFile(slot)
  if (file === null) return errPtr(Folio, -EFAULT)
  const mapping = file.fMapping!
  yield* downRead(mapping.invalidateLock)
  const folio = yield* __kvmGmemGetPfn(file, slot, index)
  let r = 0
  if (!isErr(folio)) {
    if (!folio.uptodate) {
      clearFolio(folio)
      folio.uptodate = true
    }
    // kvm_arch_gmem_make_private(), which asks whether that has been done.
    if (kvmGmemIsPrivateIndex(mapping, index)) r = yield* kvmX86GmemPrepare(slot.kvm!, gfn, folio)
    yield* folioUnlock(folio)
    yield* folioPut(folio)
  }
  yield* upRead(mapping.invalidateLock)
  yield* fput(file)
  return r === 0 ? folio : errPtr(Folio, r)
})

const releasePage = original(kvmReleaseFaultinPage)

/** Of a file's page there is no reference to put. Models: 7.4 kvm_release_faultin_page. */
export const kvmReleaseFaultinPageIfAny = fn(function* kvm_release_faultin_page(
  folio: Folio,
  fromFile: boolean,
  dirty: boolean,
): Kernel<void> {
  if (!fromFile) yield* releasePage(folio, fromFile, dirty)
})

/**
 * KVM_SET_MEMORY_ATTRIBUTES: the VM has none. -EBADF, or what else `vm` is; -ENOTTY.
 *
 * Models: 7.4 virt/kvm/kvm_main.c kvm_vm_ioctl, with gmem_in_place_conversion.
 */
export const kvmVmHasNoAttributes = fn(function* kvm_vm_ioctl_set_mem_attributes(
  vm: number,
  _gpa: bigint,
  _size: bigint,
  _attributes: bigint,
  _flags: bigint,
): Kernel<number> {
  const file = yield* kvmFget(vm)
  if (isErr(file)) return ptrErr(file)
  yield* fput(file)
  return -ENOTTY
})

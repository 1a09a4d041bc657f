/**
 * v10: the series as posted on 2 December 2022. The object between the two files keeps a list of
 * notifiers under a mutex; the list is walked once before and once after a hole is punched, and
 * the mutex is not held in between. Notifiers hear of the whole file, whatever range they use.
 */
import '../machine/locks.js'
import { GFN_END } from '../kernel/arch/x86/kvm/tdp_mmu.js'
import { fget, fput } from '../kernel/fs/file_table.js'
import { EINVAL } from '../kernel/include/errno.js'
import type {
  AddressSpace,
  Dentry,
  File,
  FileOperations,
  Inode,
  InodeOperations,
  Kstat,
} from '../kernel/include/fs.js'
import { KVM_REQ_MCE_SHUTDOWN, type Kvm, KvmMemorySlot } from '../kernel/include/kvm.js'
import { type Folio, nrPages } from '../kernel/include/mm.js'
import type { RestrictedmemNotifier } from '../kernel/include/restrictedmem.js'
import {
  addPages,
  bytesToPgoff,
  type Gfn,
  isPageAligned,
  type Pgoff,
} from '../kernel/include/types.js'
import {
  FALLOC_FL_PUNCH_HOLE,
  KVM_MEM_LOG_DIRTY_PAGES,
  KVM_MEM_PRIVATE,
  KVM_MEM_READONLY,
} from '../kernel/include/uapi.js'
import { mePagecacheClean } from '../kernel/mm/memory_failure.js'
import { sysMemfdRestricted } from '../kernel/mm/restrictedmem.js'
import { shmemMapping } from '../kernel/mm/shmem.js'
import { sysKvmSetMemoryAttributes } from '../kernel/virt/kvm/memory_attributes.js'
import { privateSlotFlags } from '../kernel/virt/kvm/memory_region.js'
import {
  KVM_MR_CREATE,
  kvmArchPrepareMemoryRegion,
  kvmPrepareMemoryRegion,
} from '../kernel/virt/kvm/memslots.js'
import {
  gfnToPgoff,
  kvmRestrictedMemGetPfn,
  kvmRestrictedmemBind,
  kvmRestrictedmemError,
  kvmRestrictedmemUnbind,
  restrictedmemEndGfn,
  restrictedmemFirstGfn,
  restrictedmemOverlaps,
} from '../kernel/virt/kvm/restrictedmem.js'
import { kfree, kzalloc } from '../machine/alloc.js'
import { read, rmw } from '../machine/effects.js'
import { tracepoint } from '../machine/fault.js'
import { fn, type Kernel, replace } from '../machine/fn.js'
import {
  type Mutex,
  mutexInit,
  mutexLock,
  mutexUnlock,
  spinLock,
  spinUnlock,
} from '../machine/locks.js'
import {
  containerOf,
  embed,
  type Obj,
  opsTable,
  ptr,
  type Struct,
  struct,
} from '../machine/struct.js'
import { backingMapping } from '../user/harness.js'
import { defineDesign } from './design.js'
import { mePagecacheCleanHooked, restrictedmemErrorPage } from './memory-failure-hook.js'
import { fileIsRestrictedmem } from './upm-kvm.js'
import { restrictedmemInner, restrictedmemSetattr, shmemUptodateFolio } from './upm-mm.js'
import { v10SetMemAttributes } from './v10-attributes.js'
import {
  memfdRestricted,
  privateDataOf,
  restrictedmemFileCreate,
  restrictedmemInit,
  restrictedmemMnt,
  restrictedmemOuterFile,
} from './wrapper.js'

export interface RestrictedmemData extends Obj {
  lock: Mutex
  /** The inner file; the one reference to it is this. Constant. */
  memfd: File | null
  /** Newest first. Guard: `lock`. */
  notifiers: RestrictedmemNotifier | null
}

export const RestrictedmemData: Struct<RestrictedmemData> = struct<RestrictedmemData>(
  'RestrictedmemData',
  { lock: embed('Mutex'), memfd: ptr('File'), notifiers: ptr('RestrictedmemNotifier') },
  { capacity: 64 },
)

function dataOf(file: File): RestrictedmemData {
  return file.fMapping!.privateData as RestrictedmemData
}

/** Models: v10 mm/restrictedmem.c restrictedmem_invalidate_start. */
export const invalidateStart = fn(function* restrictedmem_invalidate_start(
  data: RestrictedmemData,
  start: Pgoff,
  end: Pgoff,
): Kernel<void> {
  yield* mutexLock(data.lock)
  let notifier = data.notifiers
  while (notifier !== null) {
    yield* notifier.ops!.invalidateStart(notifier, start, end)
    notifier = notifier.next
  }
  mutexUnlock(data.lock)
})

/** Models: v10 mm/restrictedmem.c restrictedmem_invalidate_end. */
export const invalidateEnd = fn(function* restrictedmem_invalidate_end(
  data: RestrictedmemData,
  start: Pgoff,
  end: Pgoff,
): Kernel<void> {
  yield* mutexLock(data.lock)
  let notifier = data.notifiers
  while (notifier !== null) {
    yield* notifier.ops!.invalidateEnd(notifier, start, end)
    notifier = notifier.next
  }
  mutexUnlock(data.lock)
})

/** Models: v10 mm/restrictedmem.c restrictedmem_release. */
export const v10Release = fn(function* restrictedmem_release(
  inode: Inode,
  _file: File,
): Kernel<number> {
  const data = inode.iMapping!.privateData as RestrictedmemData
  yield* fput(data.memfd!)
  kfree(data)
  return 0
})

/** Models: v10 mm/restrictedmem.c restrictedmem_fallocate and restrictedmem_punch_hole. */
export const v10Fallocate = fn(function* restrictedmem_fallocate(
  file: File,
  mode: number,
  offset: bigint,
  len: bigint,
): Kernel<number> {
  const data = dataOf(file)
  const memfd = data.memfd!
  if (!(mode & FALLOC_FL_PUNCH_HOLE)) {
    return yield* memfd.fOp!.fallocate!(memfd, mode, offset, len)
  }
  if (!isPageAligned(offset) || !isPageAligned(len)) return -EINVAL
  const start = bytesToPgoff(offset)
  const end = bytesToPgoff(offset + len)
  yield* invalidateStart(data, start, end)
  const ret = yield* memfd.fOp!.fallocate!(memfd, mode, offset, len)
  yield* invalidateEnd(data, start, end)
  return ret
})

/**
 * tmpfs's getattr, given the outer file's path: it takes the outer inode for one of its own.
 *
 * Models: v10 mm/restrictedmem.c restrictedmem_getattr.
 */
export const v10Getattr = fn(function* restrictedmem_getattr(
  dentry: Dentry,
  stat: Kstat,
): Kernel<number> {
  const data = privateDataOf(dentry) as RestrictedmemData
  return yield* data.memfd!.fInode!.iOp!.getattr!(dentry, stat)
})

export const v10Inner = fn(function restrictedmem_inner(dentry: Dentry): File {
  return (privateDataOf(dentry) as RestrictedmemData).memfd!
})

const v10Fops: FileOperations = opsTable({
  name: 'restrictedmem_fops',
  release: v10Release,
  fallocate: v10Fallocate,
})

const v10Iops: InodeOperations = opsTable({
  name: 'restrictedmem_iops',
  getattr: v10Getattr,
  setattr: restrictedmemSetattr,
})

export const v10FileCreate = fn(function* restrictedmem_file_create(memfd: File): Kernel<File> {
  const data = kzalloc(RestrictedmemData)
  mutexInit(data.lock, 'data->lock')
  data.memfd = memfd
  return yield* restrictedmemOuterFile(data, v10Fops, v10Iops)
})

/** Models: v10 mm/restrictedmem.c restrictedmem_register_notifier. Never fails. */
export const v10RegisterNotifier = fn(function* restrictedmem_register_notifier(
  file: File,
  notifier: RestrictedmemNotifier,
): Kernel<number> {
  const data = dataOf(file)
  yield* mutexLock(data.lock)
  notifier.next = data.notifiers
  data.notifiers = notifier
  mutexUnlock(data.lock)
  return 0
})

/** Models: v10 mm/restrictedmem.c restrictedmem_unregister_notifier. */
export const v10UnregisterNotifier = fn(function* restrictedmem_unregister_notifier(
  file: File,
  notifier: RestrictedmemNotifier,
): Kernel<void> {
  const data = dataOf(file)
  yield* mutexLock(data.lock)
  let link = data.notifiers
  if (link === notifier) {
    data.notifiers = notifier.next
  } else {
    while (link !== null && link.next !== notifier) link = link.next
    if (link !== null) link.next = notifier.next
  }
  mutexUnlock(data.lock)
})

/** Models: v10 mm/restrictedmem.c restrictedmem_get_page. No binding is asked for. */
export const v10GetPage = fn(function* restrictedmem_get_page(
  file: File,
  offset: Pgoff,
): Kernel<Folio> {
  return yield* shmemUptodateFolio(dataOf(file).memfd!.fInode!, offset)
})

/**
 * As in upm, but the list lock is dropped before the notifiers are called under the mutex.
 *
 * Models: v10 mm/restrictedmem.c restrictedmem_error_page.
 */
export const v10ErrorPage = fn(function* restrictedmem_error_page(
  folio: Folio,
  mapping: AddressSpace,
): Kernel<void> {
  if (!shmemMapping(mapping)) return
  const sb = restrictedmemMnt()
  const start = folio.index
  const end = addPages(start, nrPages(folio))
  yield* spinLock(sb.sInodeListLock)
  let inode = sb.sInodes
  while (inode !== null) {
    const data = inode.iMapping!.privateData as RestrictedmemData | null
    yield read(data, 'memfd')
    if (data!.memfd!.fMapping === mapping) {
      spinUnlock(sb.sInodeListLock)
      yield* v10CallError(data!, start, end)
      return
    }
    inode = inode.iSbNext
  }
  spinUnlock(sb.sInodeListLock)
})

export const v10CallError = fn(function* restrictedmem_notifier_error(
  data: RestrictedmemData,
  start: Pgoff,
  end: Pgoff,
): Kernel<void> {
  yield* mutexLock(data.lock)
  let notifier = data.notifiers
  while (notifier !== null) {
    yield* notifier.ops!.error(notifier, start, end)
    notifier = notifier.next
  }
  mutexUnlock(data.lock)
})

/**
 * KVM's side: the slot owns the file; two slots, or two VMs, may use one range.
 *
 * Models: v10 virt/kvm/kvm_main.c __kvm_set_memory_region, its part for private slots.
 */
export const v10KvmBind = fn(function* kvm_restrictedmem_bind(
  slot: KvmMemorySlot,
  fd: number,
  offset: Pgoff,
): Kernel<number> {
  const file = yield* fget(fd)
  if (file === null) return -EINVAL
  if (!fileIsRestrictedmem(file)) {
    yield* fput(file)
    return -EINVAL
  }
  slot.restrictedFile = file
  slot.restrictedOffset = offset
  return 0
})

/**
 * Only now does the slot hear of its file.
 *
 * Models: v10 virt/kvm/kvm_main.c kvm_prepare_memory_region. slots_arch_lock is held. Simplifies:
 * a slot that fails is taken off the file's list by who puts the file, not under slots_arch_lock.
 */
export const v10Prepare = fn(function* kvm_prepare_memory_region(
  kvm: Kvm,
  slot: KvmMemorySlot | null,
  change: number,
): Kernel<number> {
  if (change === KVM_MR_CREATE && slot!.flags & KVM_MEM_PRIVATE) {
    yield* v10RegisterNotifier(slot!.restrictedFile!, slot!.notifier)
  }
  return kvmArchPrepareMemoryRegion(kvm, slot, change)
})

/** Models: v10 virt/kvm/kvm_main.c check_memory_region_flags. */
export const v10PrivateFlags = fn(function private_slot_flags(): number {
  return KVM_MEM_PRIVATE | KVM_MEM_READONLY | KVM_MEM_LOG_DIRTY_PAGES
})

export const v10KvmUnbind = fn(function* kvm_restrictedmem_unbind(
  slot: KvmMemorySlot,
): Kernel<void> {
  const file = slot.restrictedFile!
  yield* v10UnregisterNotifier(file, slot.notifier)
  slot.restrictedFile = null
  yield* fput(file)
})

/** Models: v10 virt/kvm/kvm_main.c kvm_restrictedmem_get_pfn. */
export const v10KvmGetPfn = fn(function* kvm_restrictedmem_get_pfn(
  slot: KvmMemorySlot,
  gfn: Gfn,
): Kernel<Folio> {
  return yield* v10GetPage(slot.restrictedFile!, gfnToPgoff(slot, gfn))
})

/** Models: v10 virt/kvm/kvm_main.c restrictedmem_range_is_valid, gfn_start. */
export const v10FirstGfn = fn(function restrictedmem_first_gfn(
  slot: KvmMemorySlot,
  start: Pgoff,
): Gfn {
  const behind = start - slot.restrictedOffset
  return (behind > 0 ? slot.baseGfn + behind : slot.baseGfn) as Gfn
})

/**
 * The sum is unsigned: where the range ends further below the slot's part of the file than the slot
 * is above gfn 0, it wraps, and then every gfn from the slot on is meant.
 *
 * Models: v10 virt/kvm/kvm_main.c restrictedmem_range_is_valid, gfn_end.
 */
export const v10EndGfn = fn(function restrictedmem_end_gfn(slot: KvmMemorySlot, end: Pgoff): Gfn {
  const inSlot = Math.min(end - slot.restrictedOffset, slot.npages)
  const gfn = slot.baseGfn + inSlot
  return gfn < 0 ? (GFN_END as Gfn) : (gfn as Gfn)
})

/** A notifier hears of the whole file; a range outside its slot is none of its business. */
export const v10Overlaps = fn(function restrictedmem_overlaps(
  slot: KvmMemorySlot,
  start: Pgoff,
  end: Pgoff,
): boolean {
  return v10FirstGfn(slot, start) < v10EndGfn(slot, end)
})

/** Models: v10 virt/kvm/kvm_main.c kvm_restrictedmem_error: every vCPU leaves with SHUTDOWN. */
export const v10KvmError = fn(function* kvm_restrictedmem_error(
  notifier: RestrictedmemNotifier,
  start: Pgoff,
  end: Pgoff,
): Kernel<void> {
  const slot = containerOf(notifier, KvmMemorySlot, 'notifier')
  tracepoint('restrictedmem_error', slot, start, end)
  const kvm = slot.kvm!
  yield rmw(kvm, 'vcpus')
  for (let i = 0; i < kvm.vcpus.length; i++) {
    const vcpu = kvm.vcpus.get(i)
    if (vcpu !== null) vcpu.requests |= KVM_REQ_MCE_SHUTDOWN
  }
})

export const v10BackingMapping = fn(function v10_backing_mapping(file: File): AddressSpace | null {
  const mapping = file.fMapping!
  return mapping.privateData === null
    ? mapping
    : (mapping.privateData as RestrictedmemData).memfd!.fMapping
})

export const v10 = defineDesign({
  id: 'v10',
  summary: 'As posted: notifiers on a list under a mutex, called before and after a punch.',
  cite: ['20221202061347.1070246-2-chao.p.peng@linux.intel.com'],
  init: restrictedmemInit,
  locks: ['data->lock'],
  replaces: [
    replace(sysMemfdRestricted, memfdRestricted),
    replace(restrictedmemFileCreate, v10FileCreate),
    replace(restrictedmemInner, v10Inner),
    replace(mePagecacheClean, mePagecacheCleanHooked),
    replace(restrictedmemErrorPage, v10ErrorPage),
    replace(kvmRestrictedmemBind, v10KvmBind),
    replace(kvmRestrictedmemUnbind, v10KvmUnbind),
    replace(kvmRestrictedMemGetPfn, v10KvmGetPfn),
    replace(restrictedmemFirstGfn, v10FirstGfn),
    replace(restrictedmemEndGfn, v10EndGfn),
    replace(restrictedmemOverlaps, v10Overlaps),
    replace(kvmPrepareMemoryRegion, v10Prepare),
    replace(privateSlotFlags, v10PrivateFlags),
    replace(sysKvmSetMemoryAttributes, v10SetMemAttributes),
    replace(kvmRestrictedmemError, v10KvmError),
    replace(backingMapping, v10BackingMapping),
  ],
})

/**
 * mmap(2) and munmap(2). New mappings go to the lowest free address from MMAP_BASE on, so that an
 * address fits into a scenario's variable; else the layout is x86-64's.
 */
import { kfree, kzalloc } from '../../machine/alloc.js'
import { rmw } from '../../machine/effects.js'
import { LimitError } from '../../machine/fault.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { downWrite, upWrite } from '../../machine/locks.js'
import { fget, fput, getFile } from '../fs/file_table.js'
import { hugeLength, isFileHugepages, isVmHugetlbPage, offsetInHugePage } from '../fs/hugetlbfs.js'
import {
  EACCES,
  EBADF,
  EEXIST,
  EINVAL,
  ENODEV,
  ENOMEM,
  EOPNOTSUPP,
  EOVERFLOW,
  EPERM,
} from '../include/errno.js'
import { type File, FMODE_READ, FMODE_WRITE } from '../include/fs.js'
import {
  currentMm,
  type MmStruct,
  VM_EXEC,
  VM_LOCKED,
  VM_MAYEXEC,
  VM_MAYREAD,
  VM_MAYSHARE,
  VM_MAYWRITE,
  VM_NORESERVE,
  VM_READ,
  VM_SHARED,
  VM_WRITE,
  VmArea,
} from '../include/mm_types.js'
import {
  bytesToPgoff,
  isPageAligned,
  MAX_LFS_FILESIZE,
  PAGE_SHIFT,
  type Pgoff,
  roundUpToPage,
} from '../include/types.js'
import {
  LEGACY_MAP_MASK,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_FIXED_NOREPLACE,
  MAP_GROWSDOWN,
  MAP_HUGETLB,
  MAP_LOCKED,
  MAP_NONBLOCK,
  MAP_NORESERVE,
  MAP_POPULATE,
  MAP_PRIVATE,
  MAP_SHARED,
  MAP_SHARED_VALIDATE,
  MAP_TYPE,
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
} from '../include/uapi.js'
import { shouldFailslab } from './failslab.js'
import {
  mmuNotifierInvalidateRangeEnd,
  mmuNotifierInvalidateRangeStart,
  mmuNotifierRelease,
} from './mmu_notifier.js'
import { mmPopulate } from './populate.js'
import { lruAddDrainToUnmap } from './swap.js'
import {
  anonVmaLink,
  findVma,
  findVmaIntersection,
  mappingMapWritable,
  mappingUnmapWritable,
  removeVma,
  unlinkAnonVmas,
  unlinkFileVma,
  vmAreaDup,
  vmaCountsAsWriter,
  vmaLink,
  vmaLinkFile,
  vmaPages,
  vmaUnlink,
} from './vma.js'
import { zapPteRange } from './zap.js'

/** Where the search for a free address begins. */
const MMAP_BASE = 0x10000000n
/** TASK_SIZE of x86-64 with four levels: no address of the process is this high. */
export const TASK_SIZE = 0x7ffffffff000n
/** vm.mmap_min_addr. */
const MMAP_MIN_ADDR = 0x10000n

/** calc_vm_prot_bits() and calc_vm_flag_bits(): vm_flags of PROT_* and MAP_*. */
export function vmFlagsOf(prot: number, flags: number): number {
  return (
    (prot & PROT_READ ? VM_READ : 0) |
    (prot & PROT_WRITE ? VM_WRITE : 0) |
    (prot & PROT_EXEC ? VM_EXEC : 0) |
    (flags & MAP_LOCKED ? VM_LOCKED : 0) |
    (flags & MAP_NORESERVE ? VM_NORESERVE : 0)
  )
}

/** The start of the lowest gap of `len` bytes, or -ENOMEM. mmap_lock is held. */
function vmUnmappedArea(mm: MmStruct, len: bigint): bigint {
  let address = MMAP_BASE
  for (let vma = mm.mmap; vma !== null; vma = vma.vmNext) {
    if (vma.vmEnd <= address) continue
    if (vma.vmStart >= address + len) break
    address = vma.vmEnd
  }
  return address + len <= TASK_SIZE ? address : BigInt(-ENOMEM)
}

/**
 * Models: 6.2 mm/mmap.c get_unmapped_area. Simplifies: a hint without MAP_FIXED is not taken.
 *
 * Compared: 6.17 and 7.0 source.
 */
function getUnmappedArea(mm: MmStruct, addr: bigint, len: bigint, flags: number): bigint {
  if (len > TASK_SIZE) return BigInt(-ENOMEM)
  if (!(flags & (MAP_FIXED | MAP_FIXED_NOREPLACE))) return vmUnmappedArea(mm, len)
  if (addr > TASK_SIZE - len) return BigInt(-ENOMEM)
  if (!isPageAligned(addr)) return BigInt(-EINVAL)
  return addr < MMAP_MIN_ADDR ? BigInt(-EPERM) : addr
}

/**
 * Models: 6.2 mm/mmap.c file_mmap_ok, for a regular file. A negative offset is one beyond 2^63.
 *
 * Compared: 6.17 and 7.0 source.
 */
function fileMmapOk(offset: bigint, len: bigint): boolean {
  return offset >= 0n && offset >> PAGE_SHIFT <= (MAX_LFS_FILESIZE - len) >> PAGE_SHIFT
}

/** May a shared mapping of this file be made? vm_flags to add, or an error. */
function sharedFlags(file: File, prot: number, flags: number): number {
  if ((flags & MAP_TYPE) === MAP_SHARED_VALIDATE && flags & ~LEGACY_MAP_MASK) return -EOPNOTSUPP
  if (prot & PROT_WRITE && !(file.fMode & FMODE_WRITE)) return -EACCES
  return VM_SHARED | VM_MAYSHARE
}

/** The refusals that depend on the file, in their order; else the VMA's flags. */
function fileFlags(file: File, prot: number, flags: number): number {
  const type = flags & MAP_TYPE
  let vmFlags = vmFlagsOf(prot, flags) | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC
  if (type === MAP_SHARED || type === MAP_SHARED_VALIDATE) {
    const shared = sharedFlags(file, prot, flags)
    if (shared < 0) return shared
    vmFlags |= shared
    if (!(file.fMode & FMODE_WRITE)) vmFlags &= ~(VM_MAYWRITE | VM_SHARED)
  } else if (type !== MAP_PRIVATE) return -EINVAL
  if (!(file.fMode & FMODE_READ)) return -EACCES
  if (file.fInode!.iSb!.noexec) {
    if (prot & PROT_EXEC) return -EPERM
    vmFlags &= ~VM_MAYEXEC
  }
  if (file.fOp!.mmap === undefined) return -ENODEV
  return flags & MAP_GROWSDOWN ? -EINVAL : vmFlags
}

/**
 * What the seals say to a new mapping: the VMA's flags, perhaps with fewer rights, or an error. In
 * 6.2 the file's own mmap operation sees to it.
 *
 * Models: 6.2 mm/mmap.c do_mmap, which asks nobody at this place.
 */
export const memfdCheckSealsMmap = fn(function memfd_check_seals_mmap(
  _file: File,
  vmFlags: number,
): number {
  return vmFlags
})

/**
 * What mmap() says if what is at its place cannot be unmapped. Replaced by 6.18, which says why.
 *
 * Models: 6.2 mm/mmap.c __mmap_region.
 *
 * Compared: 6.1 source.
 */
export const mmapUnmapError = fn(function mmap_unmap_error(_error: number): number {
  return -ENOMEM
})

/**
 * Enter a checked mapping: the file is asked, and from then on faults and reverse mapping know the
 * VMA. The address, or an error. mmap_lock is held for writing.
 *
 * Models: 6.2 mm/mmap.c mmap_region. Simplifies: VMAs are not merged; no accounting; 6.18 asks
 * whether the file may be written before it unmaps what is there, which shows only while
 * F_SEAL_WRITE waits for pins.
 */
export const mmapRegion = fn(function* mmap_region(
  file: File | null,
  addr: bigint,
  len: bigint,
  vmFlags: number,
  pgoff: Pgoff,
): Kernel<bigint> {
  const mm = currentMm()
  const unmapped = yield* doMunmap(mm, addr, addr + len)
  if (unmapped !== 0) return BigInt(mmapUnmapError(unmapped))
  if (yield* shouldFailslab()) return BigInt(-ENOMEM)
  const vma = kzalloc(VmArea)
  vma.vmMm = mm
  vma.vmStart = addr
  vma.vmEnd = addr + len
  vma.vmFlags = vmFlags
  vma.vmPgoff = pgoff
  if (file !== null) {
    const mapping = file.fMapping!
    const counts = vmaCountsAsWriter(vma)
    let error = counts ? yield* mappingMapWritable(mapping) : 0
    if (error === 0) {
      error = yield* file.fOp!.mmap!(file, vma)
      if (error !== 0 && counts) yield* mappingUnmapWritable(mapping)
    }
    if (error !== 0) {
      kfree(vma)
      return BigInt(error)
    }
    vma.vmFile = file
    yield* getFile(file)
    yield* vmaLinkFile(vma)
  }
  // Huge pages stay as it is; nobody counts them as locked.
  if (isVmHugetlbPage(vma)) vma.vmFlags &= ~VM_LOCKED
  if (vma.vmFlags & VM_LOCKED) mm.lockedVm += vmaPages(vma)
  vmaLink(mm, vma)
  yield* anonVmaLink(vma)
  return addr
})

/**
 * `length` and `offset` are unsigned in C; what is negative here is beyond every end there.
 *
 * Models: 6.2 mm/mmap.c do_mmap. mmap_lock is held for writing.
 */
export const doMmap = fn(function* do_mmap(
  file: File | null,
  addr: bigint,
  length: bigint,
  prot: number,
  flags: number,
  offset: bigint,
): Kernel<bigint> {
  if (length === 0n) return BigInt(-EINVAL)
  // Beyond 2^63 it wraps, or is at least more than there are addresses.
  if (length < 0n) return BigInt(-ENOMEM)
  const huge = file !== null && isFileHugepages(file)
  const len = huge ? hugeLength(file!, length) : roundUpToPage(length)
  const mm = currentMm()
  const at = getUnmappedArea(mm, addr, len, flags)
  if (at < 0n) return at
  if (flags & MAP_FIXED_NOREPLACE && findVmaIntersection(mm, at, at + len) !== null) {
    return BigInt(-EEXIST)
  }
  if (file === null) {
    if ((flags & MAP_TYPE) === MAP_SHARED) {
      throw new LimitError('shared anonymous memory is not modelled; a memfd is such a file')
    }
    if ((flags & MAP_TYPE) !== MAP_PRIVATE) return BigInt(-EINVAL)
    const vmFlags = vmFlagsOf(prot, flags) | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC
    return yield* mmapRegion(null, at, len, vmFlags, bytesToPgoff(at))
  }
  if (!fileMmapOk(offset, len)) return BigInt(-EOVERFLOW)
  const checked = fileFlags(file, prot, flags)
  if (checked < 0) return BigInt(checked)
  const vmFlags = memfdCheckSealsMmap(file, checked)
  if (vmFlags < 0) return BigInt(vmFlags)
  return yield* mmapRegion(file, at, len, vmFlags, bytesToPgoff(offset))
})

/**
 * mmap(2): the address in bytes, or an error. `addr` matters with MAP_FIXED only. Lengths and
 * offsets from 2^63 on are negative.
 *
 * Models: 6.2 arch/x86/kernel/sys_x86_64.c mmap, with ksys_mmap_pgoff. Simplifies: no anonymous
 * memory that is shared, no huge pages, no limits of the process.
 */
export const sysMmap = fn(function* mmap(
  addr: bigint,
  length: bigint,
  prot: number,
  flags: number,
  fd: number,
  offset: bigint,
): Kernel<bigint> {
  if (!isPageAligned(offset)) return BigInt(-EINVAL)
  let file: File | null = null
  if (!(flags & MAP_ANONYMOUS)) {
    file = yield* fget(fd)
    if (file === null) return BigInt(-EBADF)
  }
  let ret = BigInt(-EINVAL)
  if (!(flags & MAP_HUGETLB) || (file !== null && isFileHugepages(file))) {
    const mm = currentMm()
    yield* downWrite(mm.mmapLock)
    ret = yield* doMmap(file, addr, length, prot, flags, offset)
    yield* upWrite(mm.mmapLock)
    // What fails to be there already will be faulted in, or not, when it is needed.
    const populate = (flags & (MAP_POPULATE | MAP_NONBLOCK)) === MAP_POPULATE
    if (ret >= 0n && (populate || flags & MAP_LOCKED)) yield* mmPopulate(mm, ret, ret + length)
  }
  if (file !== null) yield* fput(file)
  return ret
})

/**
 * Cut a VMA in two at an address; `vma` stays the lower part. 0; -EINVAL within a huge page; -ENOMEM.
 * mmap_lock is held for writing.
 *
 * Models: 6.2 mm/mmap.c __split_vma and mm/hugetlb.c hugetlb_vm_op_split.
 */
export const splitVma = fn(function* __split_vma(vma: VmArea, address: bigint): Kernel<number> {
  if (isVmHugetlbPage(vma) && offsetInHugePage(vma, address) !== 0n) return -EINVAL
  if (yield* shouldFailslab()) return -ENOMEM
  const upper = vmAreaDup(vma)
  upper.vmStart = address
  upper.vmPgoff = (vma.vmPgoff + bytesToPgoff(address - vma.vmStart)) as Pgoff
  if (vma.vmFile !== null) {
    const mapping = vma.vmFile!.fMapping!
    yield* getFile(vma.vmFile!)
    if (vmaCountsAsWriter(vma)) {
      yield rmw(mapping, 'iMmapWritable')
      mapping.iMmapWritable++
    }
    yield* vmaLinkFile(upper)
  }
  yield* anonVmaLink(upper)
  // Who walks from a page to its PTE may see both for a moment: they name the same entries.
  vma.vmEnd = address
  vmaLink(vma.vmMm!, upper)
  return 0
})

/** Split VMAs so that none reaches over `address`: 0, -EINVAL or -ENOMEM. */
export const splitAt = fn(function* split_at(mm: MmStruct, address: bigint): Kernel<number> {
  const vma = findVma(mm, address)
  if (vma === null || vma.vmStart >= address) return 0
  return yield* splitVma(vma, address)
})

/**
 * Unmap [start, end): what is only partly in it is split. 0; or -EINVAL for a part of a huge page or
 * -ENOMEM, and then all stays. mmap_lock is held for writing.
 *
 * Models: 6.2 mm/mmap.c do_mas_align_munmap, unmap_region and free_pgtables. Simplifies:
 * mmap_lock is not downgraded for reading while PTEs are zapped.
 */
export const doMunmap = fn(function* do_munmap(
  mm: MmStruct,
  start: bigint,
  end: bigint,
): Kernel<number> {
  if (findVmaIntersection(mm, start, end) === null) return 0
  let error = yield* splitAt(mm, start)
  if (error === 0) error = yield* splitAt(mm, end)
  if (error !== 0) return error
  yield* lruAddDrainToUnmap()
  yield* mmuNotifierInvalidateRangeStart(mm, start, end)
  let vma = findVmaIntersection(mm, start, end)
  while (vma !== null) {
    yield* zapPteRange(vma, vma.vmStart, vma.vmEnd, true)
    vma = vma.vmNext !== null && vma.vmNext.vmStart < end ? vma.vmNext : null
  }
  yield* mmuNotifierInvalidateRangeEnd(mm, start, end)
  vma = findVmaIntersection(mm, start, end)
  while (vma !== null) {
    if (vma.vmFlags & VM_LOCKED) mm.lockedVm -= vmaPages(vma)
    vmaUnlink(mm, vma)
    yield* unlinkAnonVmas(vma)
    yield* unlinkFileVma(vma)
    yield* removeVma(vma)
    vma = findVmaIntersection(mm, start, end)
  }
  return 0
})

/**
 * munmap(2), bytes: 0, or -EINVAL for an address that is not page aligned, a length of 0, a range
 * that no process has, or a part of a huge page. What is not mapped is no error.
 *
 * Models: 6.2 mm/mmap.c __vm_munmap.
 */
export const sysMunmap = fn(function* munmap(addr: bigint, length: bigint): Kernel<number> {
  if (!isPageAligned(addr) || addr > TASK_SIZE || length > TASK_SIZE - addr) return -EINVAL
  const len = roundUpToPage(length)
  if (addr < 0n || len <= 0n) return -EINVAL
  const mm = currentMm()
  yield* downWrite(mm.mmapLock)
  const ret = yield* doMunmap(mm, addr, addr + len)
  yield* upWrite(mm.mmapLock)
  return ret
})

/**
 * The process exits: its memory goes, once nobody translates its addresses any more.
 *
 * Models: 6.2 mm/mmap.c exit_mmap.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const exitMmap = fn(function* exit_mmap(): Kernel<void> {
  const mm = currentMm()
  yield* mmuNotifierRelease(mm)
  yield* downWrite(mm.mmapLock)
  yield* doMunmap(mm, 0n, TASK_SIZE)
  yield* upWrite(mm.mmapLock)
})

/**
 * The address space of the one user process: VMAs, what a page fault carries, the page table, and
 * who else translates its addresses. mmap_lock guards the list of VMAs.
 */
import '../../machine/locks.js'
import '../../machine/rcu.js'
import type { Op } from '../../machine/fn.js'
import type { RwSemaphore } from '../../machine/locks.js'
import type { SrcuStruct } from '../../machine/rcu.js'
import {
  embed,
  flag,
  i64,
  num,
  type Obj,
  ops,
  ptr,
  type Struct,
  struct,
  wide,
} from '../../machine/struct.js'
import { MAX_TASKS } from '../../machine/task.js'
import type { File } from './fs.js'
import type { Folio } from './mm.js'
import type { Pgoff } from './types.js'
import type { XArray } from './xarray.js'
import './fs.js'
import './mm.js'
import './xarray.js'

/** struct vm_operations_struct. */
export interface VmOperations {
  readonly name: string
  /**
   * Puts the page, with a reference, into `vmf.page`; returns VM_FAULT_* bits. With
   * VM_FAULT_LOCKED the page is locked. mmap_lock is held for reading; with VM_FAULT_RETRY the
   * handler has dropped it.
   */
  readonly fault?: Op<[vmf: VmFault], number>
  /** A read fault may map pages that the file has around it (map_pages). */
  readonly mapsAround?: boolean
}

export interface VmArea extends Obj {
  vmMm: MmStruct | null
  /** Bytes, inclusive. */
  vmStart: bigint
  /** Bytes, exclusive. */
  vmEnd: bigint
  /** Offset into the file of the first page; for anonymous memory the page of its address. */
  vmPgoff: Pgoff
  /** VM_* bits. */
  vmFlags: number
  /** The VMA has a reference of its own. */
  vmFile: File | null
  vmOps: VmOperations | null
  /** Next VMA by address. Guard: mmap_lock. */
  vmNext: VmArea | null
  /** Next VMA of the same mapping (shared.rb). Guard: i_mmap_rwsem. */
  iMmapNext: VmArea | null
  /** Next VMA that may have anonymous pages. Guard: the anon_vma's lock. */
  anonNext: VmArea | null
}

export const VmArea: Struct<VmArea> = struct<VmArea>(
  'VmArea',
  {
    vmMm: ptr('MmStruct'),
    vmStart: i64(),
    vmEnd: i64(),
    vmPgoff: wide(),
    vmFlags: num(),
    vmFile: ptr('File'),
    vmOps: ops(),
    vmNext: ptr('VmArea'),
    iMmapNext: ptr('VmArea'),
    anonNext: ptr('VmArea'),
  },
  { capacity: 512 },
)

/** struct vm_fault: one page fault on its way. Only the faulting task touches it. */
export interface VmFault extends Obj {
  vma: VmArea | null
  /** The faulting address, bytes, page aligned. */
  address: bigint
  pgoff: Pgoff
  /** FAULT_FLAG_* bits. */
  flags: number
  /** What the handler found, with a reference. */
  page: Folio | null
  /** The private copy that a write to a private mapping gets. */
  cowPage: Folio | null
}

export const VmFault: Struct<VmFault> = struct<VmFault>(
  'VmFault',
  {
    vma: ptr('VmArea'),
    address: i64(),
    pgoff: wide(),
    flags: num(),
    page: ptr('Folio'),
    cowPage: ptr('Folio'),
  },
  { capacity: MAX_TASKS },
)

export interface MmStruct extends Obj {
  mmapLock: RwSemaphore
  /** First VMA by address. Guard: mmapLock. */
  mmap: VmArea | null
  /** Page of the address to PTE, a value entry. See mm/pgtable. */
  pageTable: XArray
  /** Who is told before PTEs change (notifier_subscriptions). Read under srcu. */
  notifiers: MmuNotifier | null
  notifierSrcu: SrcuStruct
  /** Guards the way from an anonymous folio to its PTE: the one anon_vma that there is. */
  anonVmaLock: RwSemaphore
  /** First VMA that may have anonymous pages. Guard: anonVmaLock. */
  anonVmas: VmArea | null
  /** Pages that are mlocked (locked_vm). Guard: mmapLock. */
  lockedVm: number
}

export const MmStruct: Struct<MmStruct> = struct<MmStruct>(
  'MmStruct',
  {
    mmapLock: embed('RwSemaphore'),
    mmap: ptr('VmArea'),
    pageTable: embed('XArray'),
    notifiers: ptr('MmuNotifier'),
    notifierSrcu: embed('SrcuStruct'),
    anonVmaLock: embed('RwSemaphore'),
    anonVmas: ptr('VmArea'),
    lockedVm: num(),
  },
  { capacity: 1 },
)

/** The process's mm; all tasks share it. */
export function currentMm(): MmStruct {
  return MmStruct.at(MmStruct.base) as MmStruct
}

/** struct mmu_notifier_ops. Ranges are addresses of the process in bytes, `end` exclusive. */
export interface MmuNotifierOps {
  readonly name: string
  /**
   * The mm goes, or the listener does: all translations go, and no new ones come. Called once,
   * under srcu, while the listener is still in the list.
   */
  readonly release?: Op<[mn: MmuNotifier, mm: MmStruct], void>
  /** What translates the range must stop to do so before this returns. May sleep. */
  readonly invalidateRangeStart?: Op<[mn: MmuNotifier, start: bigint, end: bigint], void>
  readonly invalidateRangeEnd?: Op<[mn: MmuNotifier, start: bigint, end: bigint], void>
}

export interface MmuNotifier extends Obj {
  ops: MmuNotifierOps | null
  /** Is in the mm's list (hlist_unhashed() says it is not). Guard: as `next`. */
  hashed: boolean
  /** Next of the mm. Written under the subscriptions' lock, read under srcu. */
  next: MmuNotifier | null
}

export const MmuNotifier: Struct<MmuNotifier> = struct<MmuNotifier>(
  'MmuNotifier',
  { ops: ops(), hashed: flag(), next: ptr('MmuNotifier') },
  { capacity: 16 },
)

/** vm_flags. */
export const VM_READ = 1
export const VM_WRITE = 2
export const VM_EXEC = 4
export const VM_SHARED = 8
export const VM_MAYREAD = 0x10
export const VM_MAYWRITE = 0x20
export const VM_MAYEXEC = 0x40
export const VM_MAYSHARE = 0x80
export const VM_LOCKED = 0x2000
export const VM_IO = 0x4000
export const VM_NORESERVE = 0x200000

/** enum fault_flag. */
export const FAULT_FLAG_WRITE = 1
export const FAULT_FLAG_ALLOW_RETRY = 4

/** What a fault handler answers. */
export const VM_FAULT_OOM = 0x1
export const VM_FAULT_SIGBUS = 0x2
export const VM_FAULT_HWPOISON = 0x10
export const VM_FAULT_SIGSEGV = 0x40
export const VM_FAULT_NOPAGE = 0x100
export const VM_FAULT_LOCKED = 0x200
export const VM_FAULT_RETRY = 0x400
export const VM_FAULT_ERROR = VM_FAULT_OOM | VM_FAULT_SIGBUS | VM_FAULT_HWPOISON | VM_FAULT_SIGSEGV

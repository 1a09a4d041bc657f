/**
 * The address space of the one user process: VMAs, what a page fault carries, and the page table.
 * mmap_lock guards the list of VMAs; each page table entry is atomic.
 */
import '../../machine/locks.js'
import type { Op } from '../../machine/fn.js'
import type { RwSemaphore } from '../../machine/locks.js'
import {
  embed,
  i64,
  num,
  type Obj,
  ops,
  ptr,
  type Struct,
  struct,
  wide,
} from '../../machine/struct.js'
import type { File } from './fs.js'
import type { Folio } from './mm.js'
import type { Pgoff } from './types.js'
import './fs.js'
import './mm.js'

/** struct vm_operations_struct. */
export interface VmOperations {
  readonly name: string
  /** Puts the page, with a reference, into `vmf.page`; returns VM_FAULT_* bits. */
  readonly fault?: Op<[vmf: VmFault], number>
}

export interface VmArea extends Obj {
  /** Bytes, inclusive. */
  vmStart: bigint
  /** Bytes, exclusive. */
  vmEnd: bigint
  /** Offset into the file of the first page. */
  vmPgoff: Pgoff
  /** VM_* bits. */
  vmFlags: number
  vmFile: File | null
  vmOps: VmOperations | null
  /** Next VMA by address. Guard: mmap_lock. */
  vmNext: VmArea | null
}

export const VmArea: Struct<VmArea> = struct<VmArea>(
  'VmArea',
  {
    vmStart: i64(),
    vmEnd: i64(),
    vmPgoff: wide(),
    vmFlags: num(),
    vmFile: ptr('File'),
    vmOps: ops(),
    vmNext: ptr('VmArea'),
  },
  { capacity: 64 },
)

/** struct vm_fault: one page fault on its way. Only the faulting task touches it. */
export interface VmFault extends Obj {
  vma: VmArea | null
  /** The faulting address, bytes. */
  address: bigint
  pgoff: Pgoff
  /** FAULT_FLAG_* bits. */
  flags: number
  /** What the handler found, with a reference. */
  page: Folio | null
}

export const VmFault: Struct<VmFault> = struct<VmFault>(
  'VmFault',
  { vma: ptr('VmArea'), address: i64(), pgoff: wide(), flags: num(), page: ptr('Folio') },
  { capacity: 32 },
)

export interface MmStruct extends Obj {
  mmapLock: RwSemaphore
  /** First VMA by address. Guard: mmapLock. */
  mmap: VmArea | null
}

export const MmStruct: Struct<MmStruct> = struct<MmStruct>(
  'MmStruct',
  { mmapLock: embed('RwSemaphore'), mmap: ptr('VmArea') },
  { capacity: 1 },
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

/** What a fault handler answers. */
export const VM_FAULT_OOM = 0x1
export const VM_FAULT_SIGBUS = 0x2
export const VM_FAULT_HWPOISON = 0x10
export const VM_FAULT_SIGSEGV = 0x40
export const VM_FAULT_NOPAGE = 0x100
export const VM_FAULT_LOCKED = 0x200
export const VM_FAULT_RETRY = 0x400

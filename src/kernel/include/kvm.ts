/**
 * KVM's objects: a VM, its memslots, its secondary MMU, its vCPUs.
 *
 * The secondary MMU is one table for each VM, gfn to SPTE, all leaves 4 KiB. A vCPU's TLB caches
 * what the hardware walked; it outlives the SPTE until it is flushed.
 */
import '../../machine/locks.js'
import '../../machine/rcu.js'
import '../../machine/wait.js'
import type { Mutex, RwLock, Spinlock } from '../../machine/locks.js'
import type { SrcuStruct } from '../../machine/rcu.js'
import {
  embed,
  flag,
  i64,
  num,
  type Obj,
  type PtrVec,
  ptr,
  ptrs,
  type Struct,
  struct,
  type Vec,
  vec,
  wide,
} from '../../machine/struct.js'
import { MAX_TASKS } from '../../machine/task.js'
import type { WaitQueueHead } from '../../machine/wait.js'
import type { File } from './fs.js'
import './fs.js'
import type { MmuNotifier } from './mm_types.js'
import './mm_types.js'
import type { RestrictedmemNotifier } from './restrictedmem.js'
import './restrictedmem.js'
import type { Gfn, Pfn, Pgoff } from './types.js'
import type { XArray } from './xarray.js'
import './xarray.js'

/** The most pages that a memslot has. */
export const KVM_MEM_MAX_NR_PAGES = 2 ** 31 - 1
/** A slot's id is below this. */
export const KVM_USER_MEM_SLOTS = 32764
/** Slots that a VM has room for at a time. */
export const MEMSLOT_PLACES = 10
/** KVM_MEMSLOT_INVALID: the slot is being deleted or moved. */
export const KVM_MEMSLOT_INVALID = 1 << 16
/** KVM_MEMSLOT_GMEM_ONLY: shared accesses too go to the guest_memfd file, not to user space. */
export const KVM_MEMSLOT_GMEM_ONLY = 1 << 17
/** What a vCPU's TLB keeps at once; what it must drop for more is not missed by a flush. */
export const TLB_ENTRIES = 4
/**
 * What mmu_invalidate_seq is compared with decides, not how large it is: a fault has noted the
 * present, or some past. As a counter it would tell states apart by how often something was
 * invalidated before.
 */
export const SEQ_NOW = 1
export const SEQ_PAST = 2
/**
 * Which roots an invalidation concerns: those of shared memory, of private memory, or both. Only a
 * VM with a root for each, a TD, makes a difference.
 */
export const KVM_FILTER_SHARED = 1
export const KVM_FILTER_PRIVATE = 2
/** INVALID_GPA as a gfn; no guest has memory there. Of a range: none has been added. */
export const INVALID_GPA = 0xfffffffffffff as Gfn

export interface KvmMemorySlot extends Obj {
  id: number
  /** Address space; there is one, number 0. */
  asId: number
  /** Constant while the slot is visible, as are all fields but the notifier's links. */
  baseGfn: Gfn
  npages: number
  /** KVM_MEM_* and KVM_MEMSLOT_INVALID. */
  flags: number
  userspaceAddr: Pgoff
  kvm: Kvm | null
  /** The file behind private gfns (the slot owns a reference), and the slot's offset in it. */
  restrictedFile: File | null
  restrictedOffset: Pgoff
  notifier: RestrictedmemNotifier
  /**
   * The guest_memfd file (gmem.file), without a reference: its release clears it. Written under
   * slots_lock; read under it, or under srcu with a reference taken unless the file is dying.
   */
  gmemFile: File | null
  /** The slot's offset in that file (gmem.pgoff). */
  gmemPgoff: Pgoff
}

export const KvmMemorySlot: Struct<KvmMemorySlot> = struct<KvmMemorySlot>(
  'KvmMemorySlot',
  {
    id: num(),
    asId: num(),
    baseGfn: wide(),
    npages: num(),
    flags: num(),
    userspaceAddr: wide(),
    kvm: ptr('Kvm'),
    restrictedFile: ptr('File'),
    restrictedOffset: wide(),
    notifier: embed('RestrictedmemNotifier'),
    gmemFile: ptr('File'),
    gmemPgoff: wide(),
  },
  { capacity: 256, quiet: ['baseGfn'] },
)

/** One of the two copies of the memslots; readers see one, the writer prepares the other. */
export interface KvmMemslots extends Obj {
  /** In no order; a slot is at the first place that was free from its id on, modulo the number. */
  slots: PtrVec<KvmMemorySlot>
}

export const KvmMemslots: Struct<KvmMemslots> = struct<KvmMemslots>(
  'KvmMemslots',
  { slots: ptrs('KvmMemorySlot', MEMSLOT_PLACES) },
  { capacity: 128, quiet: ['slots'] },
)

/** A present leaf of the secondary MMU. Guard: mmu_lock, write; or read for installing. */
export interface Spte extends Obj {
  gfn: Gfn
  pfn: Pfn
  writable: boolean
  /** Maps private memory. */
  private: boolean
  /**
   * The page is that of the slot's file, so no MMU notifier speaks for it; private ones all are.
   */
  fromFile: boolean
  /**
   * What the hardware marks when it writes through the leaf; but KVM marks each leaf that may be
   * written through in advance, so nothing can be learnt from it.
   */
  dirty: boolean
  /** The guest has written through it: for the judges, since nobody in the kernel can know. */
  written: boolean
}

export const Spte: Struct<Spte> = struct<Spte>(
  'Spte',
  {
    gfn: wide(),
    pfn: wide(),
    writable: flag(),
    private: flag(),
    fromFile: flag(),
    dirty: flag(),
    written: flag(),
  },
  { quiet: ['gfn', 'pfn', 'writable', 'private'] },
)

/** What a guest's fault asks for, and what was found for it. On the stack of who handles it. */
export interface KvmPageFault extends Obj {
  gfn: Gfn
  /** The guest writes. */
  write: boolean
  /** Nobody waits for the page: user space asks for it in advance. */
  prefetch: boolean
  /** The slot that contains the gfn, or NULL. */
  slot: KvmMemorySlot | null
  /** The page that was found may be mapped for writing. */
  mapWritable: boolean
}

export const KvmPageFault: Struct<KvmPageFault> = struct<KvmPageFault>(
  'KvmPageFault',
  {
    gfn: wide(),
    write: flag(),
    prefetch: flag(),
    slot: ptr('KvmMemorySlot'),
    mapWritable: flag(),
  },
  { capacity: MAX_TASKS, quiet: ['gfn', 'mapWritable'] },
)

export interface KvmVcpu extends Obj {
  kvm: Kvm | null
  id: number
  /**
   * TLB: valid bit, writable bit, gfn and pfn of each entry (low 31 bits are enough for the frames
   * here).
   */
  tlbValid: Vec
  tlbWritable: Vec
  tlbGfn: Vec
  tlbPfn: Vec
  /**
   * The root of the page table that the vCPU has loaded is one that was thrown away. Set under
   * mmu_lock with a request to load another, which the vCPU does before it enters the guest.
   */
  rootObsolete: boolean
  /**
   * mmu_seq of the fault under way: SEQ_NOW, or SEQ_PAST since an invalidation has ended; 0 outside
   * of faults. Written by others under mmu_lock.
   */
  mmuSeq: number
  /** KVM_REQ_* bits, set by others. */
  requests: number
  /** Exit reason of the last KVM_RUN. */
  exitReason: number
  /** kvm_run's memory_fault: KVM_MEMORY_EXIT_FLAG_* and the page's guest address, in bytes. */
  faultFlags: number
  faultGpa: bigint
}

export const KvmVcpu: Struct<KvmVcpu> = struct<KvmVcpu>(
  'KvmVcpu',
  {
    kvm: ptr('Kvm'),
    id: num(),
    tlbValid: vec(TLB_ENTRIES),
    tlbWritable: vec(TLB_ENTRIES),
    tlbGfn: vec(TLB_ENTRIES),
    tlbPfn: vec(TLB_ENTRIES),
    rootObsolete: flag(),
    mmuSeq: num(),
    requests: num(),
    exitReason: num(),
    faultFlags: num(),
    faultGpa: i64(),
  },
  { capacity: 64, quiet: true },
)

export interface Kvm extends Obj {
  /** References; atomic. */
  usersCount: number
  /** KVM has found a bug of its own (vm_bugged, vm_dead). Set for good; read without a lock. */
  vmDead: boolean
  vmType: number
  /** kvm->lock: vCPUs and, in v10, attributes. */
  lock: Mutex
  slotsLock: Mutex
  slotsArchLock: Mutex
  mmuLock: RwLock
  srcu: SrcuStruct
  /** The active memslots. Written under slots_arch_lock, read under srcu. */
  memslots: KvmMemslots | null
  inactive: KvmMemslots | null
  /** Invalidation protocol. Guard: mmu_lock; also read without it. */
  /** Always SEQ_NOW: it is what has been noted that grows old. */
  mmuInvalidateSeq: number
  mmuInvalidateInProgress: number
  /** Of the range, inclusive and exclusive; INVALID_GPA: none since the count left 0. */
  mmuInvalidateRangeStart: Gfn
  mmuInvalidateRangeEnd: Gfn
  /** How the VM hears of changes of the process's page table. */
  mmuNotifier: MmuNotifier
  mnInvalidateLock: Spinlock
  mnActiveInvalidateCount: number
  mnMemslotsUpdateWait: WaitQueueHead
  /** gfn to attributes, as value entries. */
  memAttrArray: XArray
  /** gfn to Spte. */
  tdpMmu: XArray
  vcpus: PtrVec<KvmVcpu>
}

export const Kvm: Struct<Kvm> = struct<Kvm>(
  'Kvm',
  {
    usersCount: num(),
    vmDead: flag(),
    vmType: num(),
    lock: embed('Mutex'),
    slotsLock: embed('Mutex'),
    slotsArchLock: embed('Mutex'),
    mmuLock: embed('RwLock'),
    srcu: embed('SrcuStruct'),
    memslots: ptr('KvmMemslots'),
    inactive: ptr('KvmMemslots'),
    mmuInvalidateSeq: num(),
    mmuInvalidateInProgress: num(),
    mmuInvalidateRangeStart: wide(),
    mmuInvalidateRangeEnd: wide(),
    mmuNotifier: embed('MmuNotifier'),
    mnInvalidateLock: embed('Spinlock'),
    mnActiveInvalidateCount: num(),
    mnMemslotsUpdateWait: embed('WaitQueueHead'),
    memAttrArray: embed('XArray'),
    tdpMmu: embed('XArray'),
    vcpus: ptrs('KvmVcpu', MAX_TASKS),
  },
  { capacity: 64, quiet: ['memslots', 'vcpus'] },
)

export const KVM_EXIT_UNKNOWN = 0
export const KVM_EXIT_HYPERCALL = 3
export const KVM_EXIT_MMIO = 6
export const KVM_EXIT_SHUTDOWN = 8
export const KVM_EXIT_INTR = 10
export const KVM_EXIT_MEMORY_FAULT = 39
export const KVM_MEMORY_EXIT_FLAG_PRIVATE = 8
export const KVM_REQ_MCE_SHUTDOWN = 1
export const KVM_REQ_VMSA_PAGE_RELOAD = 2
export const KVM_REQ_UPDATE_PROTECTED_GUEST_STATE = 4

/**
 * Page frames. One `Folio` stands for one frame of the memmap; order-0 only, but index ranges and
 * counts are written with `nrPages()`, so that a large folio has a place.
 *
 * References: the page cache holds `nrPages`, an LRU batch one, each entry of a batch of mlock one, an
 * isolation one, each lookup one.
 */
import '../../machine/locks.js'
import '../../machine/wait.js'
import type { Mutex, RwSemaphore, Spinlock } from '../../machine/locks.js'
import { embed, flag, num, type Obj, ptr, type Struct, struct, wide } from '../../machine/struct.js'
import { MAX_TASKS } from '../../machine/task.js'
import type { WaitQueueHead } from '../../machine/wait.js'
import type { AddressSpace, Inode } from './fs.js'
import type { SwpEntry } from './swap.js'
import type { Pfn, Pgoff } from './types.js'
import './fs.js'

export interface Folio extends Obj {
  /** Which frame. Set when the struct page is initialised. */
  pfn: Pfn
  /** In the allocator. Guard: the zone, which is not modelled as a lock: see mm/page_alloc. */
  buddy: boolean
  /** References; atomic. 0 while free or frozen. */
  refcount: number
  /** PTEs that map it; atomic. */
  mapcount: number
  /** PG_mlocked: some VMA that maps it is locked, as far as is known. Atomic. */
  mlocked: boolean
  /** Locked VMAs that map it, as far as is known; kept while it is unevictable, on a list. */
  mlockCount: number
  /** What waits in per-CPU batches of mlock, each with a reference; see mm/mlocked. 0: nothing. */
  mlockBatch: number
  /** PG_locked: number of the task that holds the folio lock + 1. */
  lockOwner: number
  /** PG_uptodate. */
  uptodate: boolean
  /** PG_dirty; atomic. */
  dirty: boolean
  /** PG_lru: on an LRU list, not merely in a batch; test-and-clear isolates. Atomic. */
  lru: boolean
  unevictable: boolean
  active: boolean
  referenced: boolean
  swapbacked: boolean
  /** PG_hwpoison; atomic test-and-set by memory_failure(). */
  hwpoison: boolean
  /** Taken off the free list because of its poison (page_private is MAGIC_HWPOISON). mf_mutex. */
  hwpoisonTakenOff: boolean
  /** PG_writeback. */
  writeback: boolean
  /** Task whose per-CPU lru_add batch holds it (and one reference), + 1. */
  lruBatch: number
  /** The mapping while in a page cache. Guard: folio lock and i_pages lock. */
  mapping: AddressSpace | null
  /** Page offset; stays after removal from the cache. */
  index: Pgoff
  anon: boolean
  /** Its slot while in the swap cache (PG_swapcache, page_private), else 0. Guard: as `mapping`. */
  swap: SwpEntry
  /** Came from a movable page block. */
  movableBlock: boolean
  /** Which NUMA node it is on (page_to_nid). Constant while it is in use; 0 for free frames. */
  nid: number
  /** In the memory block that a task wants offline: a bit for each task. */
  offlineBlock: number
  /** Its page block is MIGRATE_ISOLATE, on the way offline: never allocated. Guard: the zone. */
  isolateBlock: boolean
  /** Content, see machine/blob. */
  data: number
}

export const Folio: Struct<Folio> = struct<Folio>(
  'Folio',
  {
    pfn: wide(),
    buddy: flag(),
    refcount: num(),
    mapcount: num(),
    mlocked: flag(),
    mlockCount: num(),
    mlockBatch: num(),
    lockOwner: num(),
    uptodate: flag(),
    dirty: flag(),
    lru: flag(),
    unevictable: flag(),
    active: flag(),
    referenced: flag(),
    swapbacked: flag(),
    hwpoison: flag(),
    hwpoisonTakenOff: flag(),
    writeback: flag(),
    lruBatch: num(),
    mapping: ptr('AddressSpace'),
    index: wide(),
    anon: flag(),
    swap: num(),
    movableBlock: flag(),
    nid: num(),
    offlineBlock: num(),
    isolateBlock: flag(),
    data: num(),
  },
  { capacity: 4096, permanent: true, quiet: ['pfn', 'lockOwner', 'lruBatch', 'mlockBatch'] },
)

/** folio_nr_pages(): every folio here has one page. */
export function nrPages(_folio: Folio): number {
  return 1
}

/**
 * shmem's record of a fallocate() in progress (struct shmem_falloc), on the stack of who runs it.
 * Guard: the inode's i_lock, which is a leaf.
 */
export interface ShmemFalloc extends Obj {
  /** Faults in the range wait here, if it is a hole punch (`waitq` is set). */
  punching: boolean
  waitq: WaitQueueHead
  /** Pages [start, next). */
  start: Pgoff
  next: Pgoff
}

export const ShmemFalloc: Struct<ShmemFalloc> = struct<ShmemFalloc>(
  'ShmemFalloc',
  { punching: flag(), waitq: embed('WaitQueueHead'), start: wide(), next: wide() },
  { capacity: MAX_TASKS },
)

export interface ShmemInodeInfo extends Obj {
  /** Guards alloced and swapped. */
  lock: Spinlock
  /** F_SEAL_* bits. Guard: i_rwsem. */
  seals: number
  alloced: number
  /** Highest fallocated page offset. Guard: i_rwsem. */
  fallocend: Pgoff
  /** Embedded last, as in Linux: what lies before the inode is this struct's. */
  vfsInode: Inode
}

export const ShmemInodeInfo: Struct<ShmemInodeInfo> = struct<ShmemInodeInfo>(
  'ShmemInodeInfo',
  {
    lock: embed('Spinlock'),
    seals: num(),
    alloced: num(),
    fallocend: wide(),
    vfsInode: embed('Inode'),
  },
  { capacity: 256, quiet: ['alloced'] },
)

/** Globals of mm/. */
export interface MmState extends Obj {
  /** mf_mutex: one memory failure at a time. */
  mfMutex: Mutex
  /** mem_hotplug_lock: held for writing while memory comes or goes. */
  memHotplugLock: RwSemaphore
  /** hw_memory_failure: a real error was seen, so unpoison is refused. */
  hwMemoryFailure: boolean
  /** Pages with hwpoison set. */
  numPoisoned: number
  /** Entries of all batches of mlock: what nobody drains has to be looked for by nobody. */
  mlockEntries: number
}

export const MmState: Struct<MmState> = struct<MmState>(
  'MmState',
  {
    mfMutex: embed('Mutex'),
    memHotplugLock: embed('RwSemaphore'),
    hwMemoryFailure: flag(),
    numPoisoned: num(),
    mlockEntries: num(),
  },
  { capacity: 1 },
)

export function mmState(): MmState {
  return MmState.at(MmState.base) as MmState
}

/** enum migrate_mode. */
export const MIGRATE_ASYNC = 0
export const MIGRATE_SYNC_LIGHT = 1
export const MIGRATE_SYNC = 2

/** enum migrate_reason, as far as somebody here migrates for it. */
export const MR_COMPACTION = 0
export const MR_MEMORY_FAILURE = 1
export const MR_MEMORY_HOTPLUG = 2
export const MR_SYSCALL = 3

/** No node in particular: for a page that moves, the one that it is on. */
export const NUMA_NO_NODE = -1

/** What writepage returns when it has not started to write and the folio is still locked. */
export const AOP_WRITEPAGE_ACTIVATE = 0x80000

/** enum sgp_type, in its order. */
export const SGP_READ = 0
export const SGP_NOALLOC = 1
export const SGP_CACHE = 2
export const SGP_WRITE = 3
export const SGP_FALLOC = 4

/** enum mf_result. */
export const MF_IGNORED = 0
export const MF_FAILED = 1
export const MF_DELAYED = 2
export const MF_RECOVERED = 3

/** enum mf_flags. */
export const MF_COUNT_INCREASED = 1
export const MF_ACTION_REQUIRED = 2
export const MF_SOFT_OFFLINE = 8
export const MF_UNPOISON = 16
export const MF_SW_SIMULATED = 32

/**
 * Which lock guards which field, as the comments at the structs say it in words. The judge of
 * sections holds every execution to this table (`sections.ts`).
 */

/** Fields of a struct that one lock guards, and what may be done without it. */
export interface Guard {
  readonly struct: string
  readonly fields: readonly string[]
  /** Fields of the same object on whose values writes of these hang, under the same lock. */
  readonly tests?: readonly string[]
  /** The count of the object's users: once it is 0 nobody else is there. */
  readonly users?: string
  /**
   * Where the lock is, as fields from the object on (`vfsInode.iRwsem`); several: any of them. Of a
   * leaf lock, whose sections are one step each here, there is none.
   */
  readonly locks: readonly string[] | 'leaf'
  /** As Linux names the lock. */
  readonly name: string
  /** Why who only reads need not hold it. */
  readonly readers?: string
  /** Why who writes need not hold it. */
  readonly writers?: string
}

export const GUARDS: readonly Guard[] = [
  {
    struct: 'Kvm',
    fields: ['mnActiveInvalidateCount', 'mnMemslotsUpdateWait'],
    locks: ['mnInvalidateLock'],
    name: 'mn_invalidate_lock',
    users: 'usersCount',
    readers: 'who sleeps looks at its place in the queue',
    writers: 'who wakes has changed the count under it before',
  },
  {
    struct: 'Kvm',
    fields: ['mmuInvalidateInProgress', 'mmuInvalidateRangeStart', 'mmuInvalidateRangeEnd'],
    locks: ['mmuLock'],
    name: 'mmu_lock',
    readers: 'a fault that looks before it has the lock looks again when it has it',
  },
  {
    struct: 'Kvm',
    fields: ['tdpMmu'],
    tests: ['mmuInvalidateInProgress', 'mmuInvalidateRangeStart', 'mmuInvalidateRangeEnd'],
    locks: ['mmuLock'],
    name: 'mmu_lock',
    users: 'usersCount',
    readers: 'a vCPU walks the table as hardware does',
  },
  {
    struct: 'Kvm',
    fields: ['memslots', 'inactive'],
    locks: ['slotsLock'],
    name: 'slots_lock',
    readers: 'memslots are read under srcu',
  },
  {
    struct: 'Kvm',
    fields: ['memAttrArray'],
    locks: ['slotsLock', 'lock'],
    name: 'slots_lock, or in v10 kvm->lock',
    users: 'usersCount',
    readers: 'a fault that sees an attribute that changes retries by the invalidation of its gfn',
  },
  {
    struct: 'SuperBlock',
    fields: ['sInodes'],
    locks: ['sInodeListLock'],
    name: 's_inode_list_lock',
  },
  {
    struct: 'Inode',
    fields: ['iState', 'iCount'],
    locks: 'leaf',
    name: 'i_lock',
  },
  {
    struct: 'FilesStruct',
    fields: ['openFds', 'closeOnExec'],
    locks: 'leaf',
    name: 'file_lock',
  },
  {
    struct: 'Inode',
    fields: ['iSize'],
    users: 'iCount',
    locks: ['iRwsem'],
    name: 'i_rwsem',
    readers: 'the size may change as soon as it was read, and who minds asks again',
  },
  {
    struct: 'ShmemInodeInfo',
    fields: ['alloced'],
    locks: 'leaf',
    name: 'info->lock',
  },
  {
    struct: 'MmStruct',
    fields: ['mmap', 'lockedVm'],
    locks: ['mmapLock'],
    name: 'mmap_lock',
  },
  {
    struct: 'AddressSpace',
    fields: ['iMmap'],
    locks: ['iMmapRwsem'],
    name: 'i_mmap_rwsem',
    readers: 'whether anybody maps the file at all is asked without it',
  },
  {
    struct: 'MmStruct',
    fields: ['anonVmas'],
    locks: ['anonVmaLock'],
    name: 'anon_vma->rwsem',
  },
  {
    struct: 'ShmemInodeInfo',
    fields: ['seals', 'fallocend'],
    locks: ['vfsInode.iRwsem'],
    name: 'i_rwsem',
    readers: 'mmap and F_GET_SEALS take what they find',
  },
  {
    struct: 'GmemInode',
    fields: ['attributes'],
    locks: ['vfsInode.iData.invalidateLock'],
    name: 'invalidate_lock',
    readers: 'a fault of a guest that sees them change retries by the invalidation of its gfn',
  },
  {
    struct: 'Restrictedmem',
    fields: ['bindings', 'exclusive'],
    locks: ['lock'],
    name: 'rm->lock',
    readers: 'the walk of a memory failure reads the bindings under a spinlock only',
  },
  {
    struct: 'RestrictedmemData',
    fields: ['notifiers'],
    locks: ['lock'],
    name: 'data->lock',
  },
]

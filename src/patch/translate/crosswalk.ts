/**
 * What C and the model spell differently, one line a row. Everything that has the same name, and as
 * many arguments, needs no row: the dictionary knows it.
 *
 * In a row, `$0` is the first argument and `$0!` says that it is not NULL; names in it are the
 * model's. `*$0` is what the first argument, `&x`, points to.
 */

/** Calls that change nothing the model has, and give 0 or nothing. */
export const WITHOUT_EFFECT = new RegExp(
  `^(?:${[
    'pr_\\w+|printk\\w*|trace_\\w+|dump_page|dump_stack|print_\\w+|action_result_log',
    'cond_resched|prefetch\\w*|barrier|cpu_relax|smp_\\w+mb\\w*|might_\\w+|lockdep_\\w+',
    'count_vm_\\w+|count_memcg_\\w+|count_mthp_stat|mod_mthp_stat|__?mod_\\w+|mod_\\w+_state',
    '__lruvec_stat_\\w+|inc_mm_\\w+|dec_mm_\\w+|mod_lruvec\\w*|node_stat_\\w+|__count_vm_\\w+',
    'VM_BUG_ON\\w*|VM_WARN_ON\\w*|BUILD_BUG_ON\\w*|VM_WARN_ONCE\\w*|KVM_MMU_WARN_ON|assert_\\w+',
    'fsnotify\\w*|file_modified|file_accessed|task_io_\\w+|delayacct_\\w+|psi_\\w+|static_call_cond',
    'INIT_LIST_HEAD|INIT_HLIST_HEAD|mem_cgroup_\\w+|folio_memcg\\w*|kmsan_\\w+|kasan_\\w+',
    'folio_clear_mappedtodisk|(?:Set|Clear)PageError|inode_inc_iversion|inode_set_[cm]time_\\w+',
    'memalloc_\\w+_(?:save|restore)|num_poisoned_pages_\\w+|mm_inc_\\w+|percpu_counter_\\w+',
    'preempt_(?:disable|enable)|migrate_(?:disable|enable)|flush_dcache_\\w+|local_irq_\\w+',
  ].join('|')})$`,
)

/** `[template, type of C]`: an expression of the model. A type is not needed for a field. */
export type Row = readonly [template: string, type?: string]

export const EXPRESSIONS: Readonly<Record<string, Row>> = {
  file_inode: ['$0.fInode'],
  d_inode: ['$0.dInode'],
  d_backing_inode: ['$0.dInode'],
  file_dentry: ['$0.fDentry'],
  i_size_read: ['$0.iSize'],
  page_folio: ['$0'],
  folio_page: ['$0'],
  folio_file_page: ['$0'],
  compound_head: ['$0'],
  thp_head: ['$0'],
  READ_ONCE: ['$0'],
  rcu_dereference: ['$0'],
  rcu_dereference_protected: ['$0'],
  rcu_access_pointer: ['$0'],
  srcu_dereference: ['$0'],
  likely: ['$0'],
  unlikely: ['$0'],
  data_race: ['$0'],
  thp_nr_pages: ['nrPages($0!)', 'int'],
  folio_nr_pages: ['nrPages($0!)', 'int'],
  compound_nr: ['nrPages($0!)', 'int'],
  folio_next_index: ['addPages($0!.index, nrPages($0!))', 'pgoff_t'],
  folio_order: ['0', 'int'],
  PAGE_ALIGNED: ['isPageAligned($0)', 'bool'],
  IS_ALIGNED: ['($0 % $1 === 0)', 'bool'],
  ALIGN_DOWN: ['(($0 - ($0 % $1)) as Pgoff)', 'pgoff_t'],
  offset_in_page: ['($0 & (PAGE_SIZE - 1n))', 'loff_t'],
  linear_page_index: ['linearPageIndex($0!, $1)', 'pgoff_t'],
  folio_test_uptodate: ['$0.uptodate'],
  folio_test_dirty: ['$0.dirty'],
  folio_test_hwpoison: ['$0.hwpoison'],
  folio_test_unevictable: ['$0.unevictable'],
  folio_test_lru: ['$0.lru'],
  folio_test_writeback: ['$0.writeback'],
  folio_test_anon: ['$0.anon'],
  folio_test_active: ['$0.active'],
  folio_test_referenced: ['$0.referenced'],
  folio_test_swapbacked: ['$0.swapbacked'],
  folio_test_swapcache: ['($0!.swap !== 0)', 'bool'],
  folio_test_locked: ['($0!.lockOwner !== 0)', 'bool'],
  folio_test_large: ['false', 'bool'],
  folio_test_hugetlb: ['false', 'bool'],
  folio_test_ksm: ['false', 'bool'],
  folio_test_private: ['false', 'bool'],
  folio_has_private: ['false', 'bool'],
  folio_mapped: ['($0!.mapcount !== 0)', 'bool'],
  folio_mapcount: ['$0.mapcount'],
  folio_ref_count: ['$0.refcount'],
  page_count: ['$0.refcount'],
  page_ref_count: ['$0.refcount'],
  PageHWPoison: ['$0.hwpoison'],
  PageAnon: ['$0.anon'],
  PageLRU: ['$0.lru'],
  PageUptodate: ['$0.uptodate'],
  PageDirty: ['$0.dirty'],
  PageUnevictable: ['$0.unevictable'],
  PageHuge: ['false', 'bool'],
  PageTransHuge: ['false', 'bool'],
  PageCompound: ['false', 'bool'],
  page_mapped: ['($0!.mapcount !== 0)', 'bool'],
  page_mapping: ['folioMapping($0!)', 'struct address_space *'],
  folio_mapping: ['folioMapping($0!)', 'struct address_space *'],
  folio_pfn: ['$0.pfn'],
  folio_file_pfn: ['$0.pfn'],
  page_to_pfn: ['$0.pfn'],
  mapping_unevictable: ['$0.unevictable'],
  mapping_inaccessible: ['$0.inaccessible'],
  mapping_unmovable: ['$0.inaccessible'],
  mapping_exiting: ['$0.exiting'],
  signal_pending: ['false', 'bool'],
  fatal_signal_pending: ['false', 'bool'],
  atomic_read: ['$0'],
  fd_file: ['$0'],
  fd_empty: ['($0 === null)', 'bool'],
  filemap_release_folio: ['true', 'bool'],
  folio_needs_release: ['false', 'bool'],
  is_vm_hugetlb_page: ['false', 'bool'],
  kvm_gmem_get_index: ['addPages($0!.gmemPgoff, $1 - $0!.baseGfn)', 'pgoff_t'],
  kvm_gmem_supports_mmap: ['(kvmGmemOf(file!).flags & GUEST_MEMFD_FLAG_MMAP) !== 0', 'bool'],
  kvm_gmem_get_invalidate_filter: ['kvmGmemGetInvalidateFilter($0!.iMapping!)', 'int'],
  kvm_slot_can_be_private: ['($0!.flags & KVM_MEM_GUEST_MEMFD) !== 0', 'bool'],
  kvm_slot_has_gmem: ['($0!.flags & KVM_MEM_GUEST_MEMFD) !== 0', 'bool'],
  xa_is_value: ['xaIsValue($0)', 'bool'],
}

export interface CallRow {
  /** The model's function. */
  readonly to: string
  /** Its arguments; those of the C call if it is left out. */
  readonly args?: readonly string[]
  /** The XArray that the call reads or changes, announced. */
  readonly xarray?: 'read' | 'rmw'
  /** What is asked of the result. */
  readonly test?: string
  /** Which argument the model returns instead; the call's value is then 0 or the error. */
  readonly out?: number
  /** An out parameter that the model does without: which, and the result's field that it had. */
  readonly fills?: readonly [argument: number, field: string]
}

export const CALLS: Readonly<Record<string, CallRow>> = {
  filemap_invalidate_lock: { to: 'downWrite', args: ['$0!.invalidateLock'] },
  filemap_invalidate_unlock: { to: 'upWrite', args: ['$0!.invalidateLock'] },
  filemap_invalidate_lock_shared: { to: 'downRead', args: ['$0!.invalidateLock'] },
  filemap_invalidate_unlock_shared: { to: 'upRead', args: ['$0!.invalidateLock'] },
  inode_lock: { to: 'downWrite', args: ['$0!.iRwsem'] },
  inode_unlock: { to: 'upWrite', args: ['$0!.iRwsem'] },
  inode_lock_shared: { to: 'downRead', args: ['$0!.iRwsem'] },
  inode_unlock_shared: { to: 'upRead', args: ['$0!.iRwsem'] },
  i_mmap_lock_write: { to: 'downWrite', args: ['$0!.iMmapRwsem'] },
  i_mmap_unlock_write: { to: 'upWrite', args: ['$0!.iMmapRwsem'] },
  i_mmap_lock_read: { to: 'downRead', args: ['$0!.iMmapRwsem'] },
  i_mmap_unlock_read: { to: 'upRead', args: ['$0!.iMmapRwsem'] },
  mmap_read_lock: { to: 'downRead', args: ['$0!.mmapLock'] },
  mmap_read_unlock: { to: 'upRead', args: ['$0!.mmapLock'] },
  mmap_write_lock: { to: 'downWrite', args: ['$0!.mmapLock'] },
  mmap_write_unlock: { to: 'upWrite', args: ['$0!.mmapLock'] },
  xa_lock: { to: 'spinLock', args: ['$0!.xaLock'] },
  xa_unlock: { to: 'spinUnlock', args: ['$0!.xaLock'] },
  xa_lock_irq: { to: 'spinLock', args: ['$0!.xaLock'] },
  xa_unlock_irq: { to: 'spinUnlock', args: ['$0!.xaLock'] },
  spin_lock_irq: { to: 'spinLock' },
  spin_unlock_irq: { to: 'spinUnlock' },
  KVM_MMU_LOCK: { to: 'writeLock', args: ['$0!.mmuLock'] },
  KVM_MMU_UNLOCK: { to: 'writeUnlock', args: ['$0!.mmuLock'] },
  init_rwsem: { to: 'initRwsem', args: ['$0', "'#0'"] },
  xa_load: { to: 'xaLoad', xarray: 'read' },
  xa_empty: { to: 'xaEmpty', xarray: 'read' },
  xa_find: { to: 'xaFindIndex', args: ['$0', '*$1', '$2'], xarray: 'read', test: '>= 0' },
  xa_store_range: { to: 'xaStoreRange', args: ['$0', '$1', '$2', '$3'], xarray: 'rmw' },
  xa_destroy: { to: 'xaDestroy' },
  get_file_active: { to: 'getFileActive', args: ['slot!'] },
  kvm_gmem_get_folio: { to: 'filemapGrabFolio', args: ['$0!.iMapping!', '$1'] },
  kvm_gmem_invalidate_begin: { to: 'kvmGmemInvalidateBegin', args: ['$0!.iMapping!', '$1', '$2'] },
  kvm_gmem_invalidate_end: { to: 'kvmGmemInvalidateEnd', args: ['$0!.iMapping!', '$1', '$2'] },
  kvm_mmu_unmap_gfn_range: {
    to: 'kvmUnmapGfnRange',
    args: ['$0', '$1.slot', '$1.start', '$1.end', '$1.attr_filter'],
  },
  list_del: { to: 'unlinkView', args: ['inode!.iMapping!', '^$0'] },
  __kvm_gmem_get_pfn: {
    to: '__kvmGmemGetPfn',
    args: ['$0', '$1', '$2'],
    fills: [4, 'uptodate'],
  },
  SHMEM_I: { to: 'shmemI' },
  fdget: { to: 'fget' },
  fdget_raw: { to: 'fget' },
  fdput: { to: 'fput' },
  get_unused_fd_flags: { to: 'getUnusedFd', args: [] },
  put_unused_fd: { to: 'putUnusedFd' },
  shmem_file_setup: { to: 'shmemFileSetup', args: [] },
  alloc_file_pseudo: { to: 'allocFilePseudo', args: ['$0', '$4', '$3'] },
  clear_highpage: { to: 'clearFolio' },
  clear_user_highpage: { to: 'clearFolio', args: ['$0'] },
  unlock_page: { to: 'folioUnlock' },
  lock_page: { to: 'folioLock' },
  put_page: { to: 'folioPut' },
  get_page: { to: 'folioGet' },
  has_extra_refcount: { to: 'hasExtraRefcount', args: ['$1', '$2'] },
  delete_from_lru_cache: { to: 'deleteFromLruCache', args: ['$0'] },
  truncate_error_folio: { to: 'truncateErrorPage', args: ['$0', '$2'] },
  truncate_error_page: { to: 'truncateErrorPage', args: ['$0', '$2'] },
  shmem_get_folio: { to: 'shmemGetFolio', args: ['$0', '$1', '$3'], out: 2 },
  mmu_invalidate_retry_gfn_unsafe: { to: 'retryGfnUnsafe' },
}

/** A call as a statement that assigns: the place, the value. */
export const ASSIGNMENTS: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  WRITE_ONCE: [['$0', '$1']],
  rcu_assign_pointer: [['$0', '$1']],
  RCU_INIT_POINTER: [['$0', '$1']],
  i_size_write: [['$0.iSize', '$1']],
  folio_mark_uptodate: [['$0.uptodate', 'true']],
  __folio_mark_uptodate: [['$0.uptodate', 'true']],
  SetPageUptodate: [['$0.uptodate', 'true']],
  folio_clear_uptodate: [['$0.uptodate', 'false']],
  ClearPageUptodate: [['$0.uptodate', 'false']],
  folio_set_dirty: [['$0.dirty', 'true']],
  folio_clear_dirty: [['$0.dirty', 'false']],
  folio_cancel_dirty: [['$0.dirty', 'false']],
  ClearPageDirty: [['$0.dirty', 'false']],
  folio_clear_active: [['$0.active', 'false']],
  ClearPageActive: [['$0.active', 'false']],
  folio_clear_unevictable: [['$0.unevictable', 'false']],
  ClearPageUnevictable: [['$0.unevictable', 'false']],
  kvm_gmem_mark_prepared: [['$0.uptodate', 'true']],
  mapping_set_unevictable: [['$0.unevictable', 'true']],
  mapping_set_exiting: [['$0.exiting', 'true']],
  mapping_set_gfp_mask: [['$0.gfpMovable', '?movable']],
  mapping_set_inaccessible: [
    ['$0.inaccessible', 'true'],
    ['$0.unevictable', 'true'],
  ],
}

/** Structs that are another one in the model. */
export const STRUCTS: Readonly<Record<string, string>> = {
  page: 'folio',
  vm_area_struct: 'vm_area',
  gmem_file: 'kvm_gmem',
  xarray: 'x_array',
}

export const FIELDS: Readonly<Record<string, string>> = {
  i_private_data: 'privateData',
  private_list: 'privateData',
  i_private_list: 'privateData',
  i_sb_list: 'iSbNext',
  mmu_seq: 'seq',
  _refcount: 'refcount',
  f_ref: 'fCount',
}

/** Slots of tables. */
export const SLOTS: Readonly<Record<string, string>> = {
  error_remove_folio: 'errorRemovePage',
  migratepage: 'migrateFolio',
}

/** Slots of which the model only knows that they are filled so. */
export const PLAIN_SLOTS: Readonly<Record<string, string>> = {
  'map_pages = filemap_map_pages': 'mapsAround: true',
}

/** Lists by head and link: the first element, and the field of the next. */
export const LISTS: Readonly<
  Record<string, { readonly first: string; readonly next: string; readonly listed?: string }>
> = {
  's_inodes,i_sb_list': { first: '$head.sInodes', next: 'iSbNext', listed: 'iSbListed' },
  'i_private_list,entry': { first: '($head.privateData as KvmGmem | null)', next: 'entry' },
  'private_list,entry': { first: '($head.privateData as KvmGmem | null)', next: 'entry' },
}

/** Expressions that are a global of the model. */
export const GLOBALS: Readonly<Record<string, readonly [code: string, struct: string]>> = {
  'current->mm': ['currentMm()', 'mm_struct'],
  'current->files': ['filesStruct()', 'files_struct'],
  'restrictedmem_mnt->mnt_sb': ['restrictedmemMnt()', 'super_block'],
  'shm_mnt->mnt_sb': ['fsState().shmMnt!', 'super_block'],
}

/**
 * Whole statements. guest_memfd's flags are in the view of the file, not in i_private; a new sequence
 * number makes what faults have noted one of the past.
 */
export const STATEMENTS: Readonly<Record<string, readonly string[]>> = {
  'inode->i_private = (void *)(unsigned long)flags;': ['gmem!.flags = flags'],
  'kvm->mmu_invalidate_seq++;': ['advanceSeq(kvm)'],
}

/** Expressions over structs that the model passes as parameters of their own. */
export const PHRASES: Readonly<
  Record<string, readonly [code: string, type: 'bool' | 'int' | 'param', param: string]>
> = {
  'attr->ia_valid & ATTR_SIZE': ['size >= 0n', 'bool', 'size'],
  'attr->ia_size': ['size', 'param', 'size'],
  'path->dentry': ['dentry', 'param', 'dentry'],
  'args->size': ['size', 'param', 'size'],
  'args->flags': ['flags', 'param', 'flags'],
  '(u64)inode->i_private & GUEST_MEMFD_FLAG_INIT_SHARED': [
    '(kvmGmemOf(vmf.vma!.vmFile!).flags & GUEST_MEMFD_FLAG_INIT_SHARED) !== 0',
    'bool',
    'vmf',
  ],
}

/** Kinds of guard() and their functions. */
export const GUARDS: Readonly<Record<string, readonly [lock: string, unlock: string]>> = {
  mutex: ['mutexLock', 'mutexUnlock'],
  spinlock: ['spinLock', 'spinUnlock'],
  spinlock_irq: ['spinLock', 'spinUnlock'],
  spinlock_irqsave: ['spinLock', 'spinUnlock'],
  rcu: ['rcuReadLock', 'rcuReadUnlock'],
  rwsem_read: ['downRead', 'upRead'],
  rwsem_write: ['downWrite', 'upWrite'],
  read_lock: ['readLock', 'readUnlock'],
  write_lock: ['writeLock', 'writeUnlock'],
}

/** Kinds of CLASS(): what makes the object, what ends it, and its struct. */
export const CLASSES: Readonly<Record<string, readonly [make: string, end: string, of: string]>> = {
  fd: ['fget', 'fput', 'File'],
  fd_raw: ['fget', 'fput', 'File'],
  gmem_get_file: ['kvmGmemGetFile', 'fput', 'File'],
}

/** What __free() calls, by the name that it has there. */
export const FREES: Readonly<Record<string, string>> = {
  kfree: 'kfree',
  kvfree: 'kfree',
  fput: 'fput',
  folio_put: 'folioPut',
}

/** Structs that one task has on its stack: nobody else sees their fields. */
export const PRIVATE_STRUCTS: ReadonlySet<string> = new Set([
  'VmFault',
  'KvmPreFaultMemory',
  'Kstat',
])

/** Functions that were renamed between the model's version and others. */
export const RENAMED: Readonly<Record<string, string>> = {
  truncate_error_folio: 'truncate_error_page',
  __folio_migrate_mapping: 'folio_migrate_mapping',
  __kvm_set_memory_region: 'kvm_set_memory_region',
  kvm_faultin_pfn: 'kvm_mmu_faultin_pfn',
}

// A C name may be that of something every object has: `constructor` is no row.
for (const table of [EXPRESSIONS, CALLS, ASSIGNMENTS, STRUCTS, FIELDS, SLOTS, LISTS, GLOBALS]) {
  Object.setPrototypeOf(table, null)
}
for (const table of [PLAIN_SLOTS, STATEMENTS, PHRASES, GUARDS, CLASSES, FREES, RENAMED])
  Object.setPrototypeOf(table, null)

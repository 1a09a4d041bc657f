/**
 * The classes of the kernel's locks, which lockdep numbers in this order: who may hold a lock while
 * taking another one comes before it, as far as the two are ever held together. The page about the
 * order of locks is made from this list and from what the judge of the order has seen.
 */
import { declareLockClasses } from '../../machine/task.js'

/** A kind of lock, and what it guards. */
export interface LockClass {
  readonly name: string
  readonly guards: string
}

/** As mm/rmap.c and virt/kvm/locking.rst of Linux have the order, where they speak of a lock. */
export const LOCK_CLASSES: readonly LockClass[] = [
  { name: 'kvm->lock', guards: 'the vCPUs of a VM, while they come' },
  { name: 'kvm->slots_lock', guards: 'the memslots of a VM against other changes' },
  { name: 'kvm->slots_arch_lock', guards: 'what the architecture keeps for each memslot' },
  { name: 'mf_mutex', guards: 'the handling of memory failures: one at a time' },
  { name: 'mem_hotplug_lock', guards: 'which memory there is, while some comes or goes' },
  { name: 'i_rwsem', guards: 'size and seals of a file, and its holes against each other' },
  { name: 'mmap_lock', guards: 'the memory areas of a process' },
  { name: 'invalidate_lock', guards: 'a page cache against faults while pages are removed' },
  { name: 'folio_lock', guards: 'a page: its mapping, and its content while it is read or moved' },
  { name: 'i_mmap_rwsem', guards: 'the areas that map a file' },
  { name: 'anon_vma->rwsem', guards: 'the areas that map anonymous pages' },
  { name: 'kvm->mn_invalidate_lock', guards: 'the count of MMU notifier calls under way' },
  { name: 'kvm->mmu_lock', guards: 'the secondary MMU, and what is being invalidated in it' },
  { name: 's_inode_list_lock', guards: 'the inodes of a super block' },
  { name: 'i_lock', guards: 'the state of an inode, which says whether it is being freed' },
  { name: 'info->lock', guards: 'how many pages a file in memory has, and has swapped' },
  { name: 'file_lock', guards: 'the descriptors of a process' },
  { name: 'sb_lock', guards: 'the list of super blocks' },
]

/** Where Linux takes two locks against the order, and what shows it. */
export const INVERSIONS: readonly { readonly pair: string; readonly where: string }[] = [
  {
    pair: 'folio_lock > invalidate_lock',
    where:
      'memory_failure() calls kvm_gmem_error_folio() of 6.18 with the folio locked, which then ' +
      'takes invalidate_lock; lockdep does not see it, since PG_locked is no lock to it. The ' +
      'scenario memory-failure/punch-vs-failure shows the deadlock.',
  },
  {
    pair: 'mmap_lock > i_rwsem',
    where:
      'hugetlbfs_file_mmap() takes that of its inode, whose class is its own in Linux, as that of ' +
      'every type of file system is; nothing is read or written there with it held.',
  },
]

declareLockClasses(LOCK_CLASSES.map((c) => c.name))

/**
 * Set-ups in which every two calls are tried beside each other, and the calls that matter there. A
 * call has a short name, under which findings are noted; what is one operation for a VMM may be
 * several calls.
 */

/** An actor: the lines of its task. */
export type Actors = Readonly<Record<string, readonly string[]>>

export interface Setup {
  /** One word. */
  readonly name: string
  /** What there is, in a few words. */
  readonly about: string
  readonly lines: readonly string[]
  readonly actors: Actors
  /** Designs on which it says nothing that another one has not said: why. */
  readonly without?: Readonly<Record<string, string>>
}

const HOST: Actors = {
  compact: ['compact()'],
  drop_caches: ['drop_caches()'],
}

const GUEST: Actors = {
  guest_read: ['guest_read(vm, gpa=0)'],
  guest_write: ['guest_write(vm, gpa=0, 0x22)'],
  prefault: ['kvm_pre_fault_memory(vm, gpa=0, size=1P)'],
  unbind: ['unbind(vm, slot=0)'],
  close_vm: ['close(vm)'],
}

const ATTRIBUTES: Actors = {
  set_shared: ['set_attributes(vm, gpa=0, size=1P, 0)'],
  set_private: ['set_attributes(vm, gpa=0, size=1P, PRIVATE)'],
}

const FILE: Actors = {
  fallocate: ['fallocate(fd, KEEP_SIZE, offset=0, size=1P)'],
  punch: ['fallocate(fd, PUNCH_HOLE|KEEP_SIZE, offset=0, size=1P)'],
  truncate: ['ftruncate(fd, 0)'],
  close_fd: ['close(fd)'],
  migrate: ['migrate(fd, page=0)'],
  memory_failure: ['memory_failure(fd, page=0)'],
  soft_offline: ['soft_offline(fd, page=0)'],
  unpoison: ['unpoison(fd, page=0)'],
  offline: ['offline_memory(fd)'],
}

/** What a process does with a page that it maps at `at`. */
const MAPPING: Actors = {
  load: ['load(at)'],
  store: ['store(at, 0, 0x33)'],
  munmap: ['munmap(at, 1P)'],
  dontneed: ['madvise(at, 1P, MADV_DONTNEED)'],
  collapse: ['madvise(at, 1P, MADV_COLLAPSE)'],
  hwpoison: ['madvise(at, 1P, MADV_HWPOISON)'],
  soft_offline_at: ['madvise(at, 1P, MADV_SOFT_OFFLINE)'],
  mprotect: ['mprotect(at, 1P, PROT_READ)'],
  mlock: ['mlock(at, 1P)'],
  move_pages: ['move_pages(at, node=0)'],
}

const OF_SERIES = 'the series change nothing of ordinary memory'

/** For memory that is not private: what the series share is tried once. */
const ORDINARY = {
  'upm-pin': OF_SERIES,
  'upm-aops-repaired': OF_SERIES,
}

const PRIVATE_PAGE = [
  'vm = kvm_create_vm(SW_PROTECTED)',
  'fd = private_memory(vm, 1P)',
  'bind(vm, slot=0, gpa=0, size=1P, fd=fd, offset=0) == 0',
  'set_attributes(vm, gpa=0, size=1P, PRIVATE) == 0',
]

const NO_GUEST_MEMFD = 'there is no guest_memfd'
const CRASHES = 'memory failure crashes in the set-up'

export const SETUPS: readonly Setup[] = [
  {
    name: 'private',
    about: 'private memory, bound and touched',
    lines: [...PRIVATE_PAGE, 'guest_write(vm, gpa=0, 0x11) == 0', 'drain_lru()'],
    actors: {
      ...GUEST,
      ...ATTRIBUTES,
      rebind: ['unbind(vm, slot=0)', 'bind(vm, slot=0, gpa=0, size=1P, fd=fd, offset=0)'],
      bind_again: ['bind(vm, slot=1, gpa=1P, size=1P, fd=fd, offset=0)'],
      clear_flag: ['plain_slot(vm, slot=0, gpa=0, size=1P)'],
      ...FILE,
      ...HOST,
    },
  },
  {
    name: 'two-slots',
    // Neighbours are refused by upm, whose ranges take in their ends.
    about: 'private memory: two slots on one file, a page between, the first one touched',
    lines: [
      'vm = kvm_create_vm(SW_PROTECTED)',
      'fd = private_memory(vm, 3P)',
      'bind(vm, slot=0, gpa=0, size=1P, fd=fd, offset=0) == 0',
      'bind(vm, slot=1, gpa=1P, size=1P, fd=fd, offset=2P) == 0',
      'set_attributes(vm, gpa=0, size=2P, PRIVATE) == 0',
      'guest_write(vm, gpa=0, 0x11) == 0',
      'drain_lru()',
    ],
    actors: {
      write_0: ['guest_write(vm, gpa=0, 0x22)'],
      write_1: ['guest_write(vm, gpa=1P, 0x22)'],
      unbind_0: ['unbind(vm, slot=0)'],
      unbind_1: ['unbind(vm, slot=1)'],
      set_shared_1: ['set_attributes(vm, gpa=1P, size=1P, 0)'],
      punch_0: ['fallocate(fd, PUNCH_HOLE|KEEP_SIZE, offset=0, size=1P)'],
      punch_1: ['fallocate(fd, PUNCH_HOLE|KEEP_SIZE, offset=2P, size=1P)'],
      punch_all: ['fallocate(fd, PUNCH_HOLE|KEEP_SIZE, offset=0, size=3P)'],
      fallocate_1: ['fallocate(fd, KEEP_SIZE, offset=2P, size=1P)'],
      close_fd: ['close(fd)'],
      close_vm: ['close(vm)'],
      memory_failure: ['memory_failure(fd, page=0)'],
      ...HOST,
    },
  },
  {
    name: 'anonymous',
    about: 'a default VM on anonymous memory',
    lines: [
      'vm = kvm_create_vm(DEFAULT)',
      'at = mmap(-1, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, 1P)',
      'slot_over(vm, slot=0, gpa=0, size=1P, address=at) == 0',
      'guest_write(vm, gpa=0, 0x11) == 0',
      'drain_lru()',
    ],
    actors: {
      ...GUEST,
      move_slot: ['slot_over(vm, slot=0, gpa=1P, size=1P, address=at)'],
      ...MAPPING,
      ...HOST,
    },
    without: ORDINARY,
  },
  {
    name: 'memfd',
    about: 'a default VM on a memfd, mapped shared',
    lines: [
      'vm = kvm_create_vm(DEFAULT)',
      'fd = memfd_create()',
      'ftruncate(fd, 1P) == 0',
      'at = mmap(fd, PROT_READ|PROT_WRITE, MAP_SHARED, 1P)',
      'slot_over(vm, slot=0, gpa=0, size=1P, address=at) == 0',
      'guest_write(vm, gpa=0, 0x11) == 0',
      'drain_lru()',
    ],
    actors: {
      guest_read: GUEST.guest_read!,
      guest_write: GUEST.guest_write!,
      unbind: GUEST.unbind!,
      close_vm: GUEST.close_vm!,
      store: MAPPING.store!,
      munmap: MAPPING.munmap!,
      dontneed: MAPPING.dontneed!,
      remove: ['madvise(at, 1P, MADV_REMOVE)'],
      mlock: MAPPING.mlock!,
      move_pages: MAPPING.move_pages!,
      ...FILE,
      ...HOST,
    },
    without: ORDINARY,
  },
  {
    name: 'swapped',
    about: 'a default VM on anonymous memory that is in swap',
    lines: [
      'swapon(4P) == 0',
      'vm = kvm_create_vm(DEFAULT)',
      'at = mmap(-1, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, 1P)',
      'slot_over(vm, slot=0, gpa=0, size=1P, address=at) == 0',
      'guest_write(vm, gpa=0, 0x11) == 0',
      'drain_lru()',
      'madvise(at, 1P, MADV_PAGEOUT) == 0',
    ],
    actors: {
      guest_read: GUEST.guest_read!,
      guest_write: GUEST.guest_write!,
      unbind: GUEST.unbind!,
      close_vm: GUEST.close_vm!,
      pageout: ['madvise(at, 1P, MADV_PAGEOUT)'],
      ...MAPPING,
      ...HOST,
    },
    without: ORDINARY,
  },
  {
    name: 'poisoned',
    about: 'private memory whose page has failed',
    lines: [
      ...PRIVATE_PAGE,
      'guest_write(vm, gpa=0, 0x11) == 0',
      'drain_lru()',
      'memory_failure(fd, page=0)',
    ],
    actors: {
      guest_read: GUEST.guest_read!,
      guest_write: GUEST.guest_write!,
      prefault: GUEST.prefault!,
      unbind: GUEST.unbind!,
      close_vm: GUEST.close_vm!,
      set_shared: ATTRIBUTES.set_shared!,
      ...FILE,
      ...HOST,
    },
    without: {
      v10: CRASHES,
      upm: CRASHES,
      'upm-pin': CRASHES,
      'upm-aops': CRASHES,
      'upm-aops-repaired': 'the guest keeps the page, which is a finding of the set-up',
    },
  },
  {
    name: 'failed',
    about: 'a default VM on anonymous memory whose page has failed',
    lines: [
      'vm = kvm_create_vm(DEFAULT)',
      'at = mmap(-1, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, 1P)',
      'slot_over(vm, slot=0, gpa=0, size=1P, address=at) == 0',
      'guest_write(vm, gpa=0, 0x11) == 0',
      'drain_lru()',
      'madvise(at, 1P, MADV_HWPOISON) == 0',
    ],
    actors: { ...GUEST, ...MAPPING, ...HOST },
    without: ORDINARY,
  },
  {
    name: 'mapped',
    about: 'guest_memfd, mapped by a process and by the guest',
    lines: [
      'vm = kvm_create_vm(DEFAULT)',
      'fd = kvm_create_guest_memfd(vm, 1P, GUEST_MEMFD_FLAG_MMAP|GUEST_MEMFD_FLAG_INIT_SHARED)',
      'bind(vm, slot=0, gpa=0, size=1P, fd=fd, offset=0) == 0',
      'at = mmap(fd, PROT_READ|PROT_WRITE, MAP_SHARED, 1P)',
      'guest_write(vm, gpa=0, 0x11) == 0',
    ],
    actors: {
      ...GUEST,
      load: MAPPING.load!,
      store: MAPPING.store!,
      munmap: MAPPING.munmap!,
      dontneed: MAPPING.dontneed!,
      remove: ['madvise(at, 1P, MADV_REMOVE)'],
      mlock: MAPPING.mlock!,
      move_pages: MAPPING.move_pages!,
      hwpoison: MAPPING.hwpoison!,
      ...FILE,
      ...HOST,
    },
    without: {
      v10: NO_GUEST_MEMFD,
      upm: NO_GUEST_MEMFD,
      'upm-pin': NO_GUEST_MEMFD,
      'upm-aops': NO_GUEST_MEMFD,
      'upm-aops-repaired': NO_GUEST_MEMFD,
    },
  },
]

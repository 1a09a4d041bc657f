/** Numbers that user space passes in, and magic numbers. */
export const FALLOC_FL_KEEP_SIZE = 1
export const FALLOC_FL_PUNCH_HOLE = 2
export const FALLOC_FL_COLLAPSE_RANGE = 8
export const FALLOC_FL_ZERO_RANGE = 0x10
export const FALLOC_FL_INSERT_RANGE = 0x20
export const FALLOC_FL_UNSHARE_RANGE = 0x40
export const FALLOC_FL_WRITE_ZEROES = 0x80

export const MFD_CLOEXEC = 1
export const MFD_ALLOW_SEALING = 2
export const MFD_HUGETLB = 4
export const MFD_NOEXEC_SEAL = 8
export const MFD_EXEC = 0x10
export const MFD_HUGE_SHIFT = 26
export const MFD_HUGE_MASK = 0x3f

export const F_SEAL_SEAL = 1
export const F_SEAL_SHRINK = 2
export const F_SEAL_GROW = 4
export const F_SEAL_WRITE = 8
export const F_SEAL_FUTURE_WRITE = 0x10
export const F_SEAL_EXEC = 0x20

export const O_RDWR = 2
export const O_APPEND = 0o2000
export const O_NONBLOCK = 0o4000
export const O_DIRECT = 0o40000
export const O_LARGEFILE = 0o100000
export const O_NOATIME = 0o1000000
export const O_CLOEXEC = 0o2000000

export const FD_CLOEXEC = 1

export const SEEK_SET = 0
export const SEEK_CUR = 1
export const SEEK_END = 2
export const SEEK_DATA = 3
export const SEEK_HOLE = 4

export const PROT_NONE = 0
export const PROT_READ = 1
export const PROT_WRITE = 2
export const PROT_EXEC = 4
export const MAP_SHARED = 1
export const MAP_PRIVATE = 2

export const TMPFS_MAGIC = 0x01021994
export const ANON_INODE_FS_MAGIC = 0x09041934
export const HUGETLBFS_MAGIC = 0x958458f6 | 0
export const SECRETMEM_MAGIC = 0x5345434d
export const RESTRICTEDMEM_MAGIC = 0x5245534d
export const GUEST_MEMFD_MAGIC = 0x474d454d

export const KVM_X86_DEFAULT_VM = 0
export const KVM_X86_SW_PROTECTED_VM = 1
export const KVM_X86_SNP_VM = 4
export const KVM_X86_TDX_VM = 5
/** Bit 31 of the type; that word is kept here for uninitialised memory. */
export const KVM_VM_TYPE_ARM_PROTECTED = 1 << 30

export const KVM_MEM_LOG_DIRTY_PAGES = 1
export const KVM_MEM_READONLY = 2
export const KVM_MEM_PRIVATE = 4
/** The flag under its later name, with the same value. */
export const KVM_MEM_GUEST_MEMFD = 4
export const KVM_MEMORY_ATTRIBUTE_PRIVATE = 8

export const S_IXUGO = 0o111

export const MADV_NORMAL = 0
export const MADV_RANDOM = 1
export const MADV_SEQUENTIAL = 2
export const MADV_WILLNEED = 3
export const MADV_DONTNEED = 4
export const MADV_FREE = 8
export const MADV_REMOVE = 9
export const MADV_DONTFORK = 10
export const MADV_DOFORK = 11
export const MADV_HUGEPAGE = 14
export const MADV_NOHUGEPAGE = 15
export const MADV_DONTDUMP = 16
export const MADV_DODUMP = 17
export const MADV_COLD = 20
export const MADV_PAGEOUT = 21
export const MADV_POPULATE_READ = 22
export const MADV_POPULATE_WRITE = 23
export const MADV_DONTNEED_LOCKED = 24
export const MADV_COLLAPSE = 25
export const MADV_HWPOISON = 100
export const MADV_SOFT_OFFLINE = 101

export const MS_ASYNC = 1
export const MS_INVALIDATE = 2
export const MS_SYNC = 4

export const MAP_SHARED_VALIDATE = 3
export const MAP_TYPE = 0xf
export const MAP_FIXED = 0x10
export const MAP_ANONYMOUS = 0x20
export const MAP_GROWSDOWN = 0x100
export const MAP_LOCKED = 0x2000
export const MAP_NORESERVE = 0x4000
export const MAP_POPULATE = 0x8000
export const MAP_NONBLOCK = 0x10000
export const MAP_HUGETLB = 0x40000
export const MAP_SYNC = 0x80000
export const MAP_FIXED_NOREPLACE = 0x100000
/** What MAP_SHARED has always ignored; MAP_SHARED_VALIDATE refuses all others. */
export const LEGACY_MAP_MASK = 0x7c07f9f3

export const MPOL_MF_MOVE = 2
export const MPOL_MF_MOVE_ALL = 4

/**
 * Signals that an access of the process gets, with their codes, as values: -(1000 × signal +
 * code), beyond every errno.
 */
export const SIGBUS_ADRERR = -7002
export const SIGBUS_MCEERR_AR = -7004
export const SIGSEGV_MAPERR = -11001
export const SIGSEGV_ACCERR = -11002

/** Every such signal by name. */
export const SIGNALS: Readonly<Record<string, number>> = {
  SIGBUS_ADRERR,
  SIGBUS_MCEERR_AR,
  SIGSEGV_MAPERR,
  SIGSEGV_ACCERR,
}
export const GUEST_MEMFD_FLAG_MMAP = 1
export const GUEST_MEMFD_FLAG_INIT_SHARED = 2

/** Flags of mm/gup_test.h. */
export const PIN_LONGTERM_TEST_FLAG_USE_WRITE = 1
export const PIN_LONGTERM_TEST_FLAG_USE_FAST = 2

export const KVM_CAP_NR_MEMSLOTS = 10
export const KVM_CAP_USER_MEMORY2 = 231
export const KVM_CAP_MEMORY_FAULT_INFO = 232
export const KVM_CAP_MEMORY_ATTRIBUTES = 233
export const KVM_CAP_GUEST_MEMFD = 234
export const KVM_CAP_VM_TYPES = 235
export const KVM_CAP_PRE_FAULT_MEMORY = 236
export const KVM_CAP_GUEST_MEMFD_FLAGS = 244

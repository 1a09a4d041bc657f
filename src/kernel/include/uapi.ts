/** Numbers that user space passes in, and magic numbers. */
export const FALLOC_FL_KEEP_SIZE = 1
export const FALLOC_FL_PUNCH_HOLE = 2
export const FALLOC_FL_COLLAPSE_RANGE = 8
export const FALLOC_FL_ZERO_RANGE = 0x10
export const FALLOC_FL_INSERT_RANGE = 0x20
export const FALLOC_FL_UNSHARE_RANGE = 0x40

export const MFD_CLOEXEC = 1
export const MFD_ALLOW_SEALING = 2

export const F_SEAL_SEAL = 1
export const F_SEAL_SHRINK = 2
export const F_SEAL_GROW = 4
export const F_SEAL_WRITE = 8
export const F_SEAL_FUTURE_WRITE = 0x10

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

export const PROT_READ = 1
export const PROT_WRITE = 2
export const PROT_EXEC = 4
export const MAP_SHARED = 1
export const MAP_PRIVATE = 2

export const TMPFS_MAGIC = 0x01021994
export const ANON_INODE_FS_MAGIC = 0x09041934
export const RESTRICTEDMEM_MAGIC = 0x5245534d

export const KVM_X86_DEFAULT_VM = 0
export const KVM_X86_SW_PROTECTED_VM = 1

export const KVM_MEM_LOG_DIRTY_PAGES = 1
export const KVM_MEM_READONLY = 2
export const KVM_MEM_PRIVATE = 4
export const KVM_MEMORY_ATTRIBUTE_PRIVATE = 8

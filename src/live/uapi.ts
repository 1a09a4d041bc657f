/** Numbers of Linux's interface on x86-64, for calls that go to the real kernel. */

/** System calls. */
export const NR = {
  read: 0,
  write: 1,
  close: 3,
  fstat: 5,
  lseek: 8,
  mmap: 9,
  mprotect: 10,
  munmap: 11,
  ioctl: 16,
  pread64: 17,
  pwrite64: 18,
  madvise: 28,
  dup: 32,
  getpid: 39,
  fcntl: 72,
  ftruncate: 77,
  getppid: 110,
  mlock: 149,
  munlock: 150,
  prctl: 157,
  sched_setaffinity: 203,
  sched_getaffinity: 204,
  openat: 257,
  fallocate: 285,
  pipe2: 293,
  prlimit64: 302,
  getcpu: 309,
  memfd_create: 319,
  memfd_secret: 447,
} as const

export const AT_FDCWD = -100
export const O_RDONLY = 0
export const O_RDWR = 2
export const O_NONBLOCK = 0o4000
export const O_CLOEXEC = 0o2000000

export const F_SETFD = 2
export const FD_CLOEXEC = 1
export const F_ADD_SEALS = 1033
export const F_GET_SEALS = 1034
export const MFD_CLOEXEC = 1

export const PROT_NONE = 0
export const PROT_READ = 1
export const PROT_WRITE = 2
export const MAP_SHARED = 1
export const MAP_PRIVATE = 2
export const MAP_ANONYMOUS = 0x20

/** Advice that breaks memory. */
export const MADV_HWPOISON = 100
export const MADV_SOFT_OFFLINE = 101

export const PR_SET_PDEATHSIG = 1
export const SIGKILL = 9
export const RLIMIT_CORE = 4
export const RLIMIT_NOFILE = 7

export const EINTR = 4
export const ENOSYS = 38

export const FALLOC_FL_KEEP_SIZE = 1
export const FALLOC_FL_PUNCH_HOLE = 2

export const KVM_CREATE_VM = 0xae01
export const KVM_CHECK_EXTENSION = 0xae03
export const KVM_GET_VCPU_MMAP_SIZE = 0xae04
export const KVM_CREATE_VCPU = 0xae41
export const KVM_RUN = 0xae80
export const KVM_GET_SUPPORTED_CPUID = 0xc008ae05
export const KVM_SET_CPUID2 = 0x4008ae90
export const KVM_SET_REGS = 0x4090ae82
export const KVM_GET_SREGS = 0x8138ae83
export const KVM_SET_SREGS = 0x4138ae84
export const KVM_SET_USER_MEMORY_REGION2 = 0x40a0ae49
export const KVM_CREATE_GUEST_MEMFD = 0xc040aed4

/** struct kvm_run: where its fields are, and the exits that a guest here can have. */
export const KVM_RUN_IMMEDIATE_EXIT = 1
export const KVM_RUN_EXIT_REASON = 8
export const KVM_RUN_MMIO = 32
export const KVM_EXIT_MMIO = 6

/** Capabilities of KVM that the probe asks for, by the name that a user would look up. */
export const KVM_CAPS = {
  KVM_CAP_NR_MEMSLOTS: 10,
  KVM_CAP_USER_MEMORY2: 231,
  KVM_CAP_MEMORY_FAULT_INFO: 232,
  KVM_CAP_MEMORY_ATTRIBUTES: 233,
  KVM_CAP_GUEST_MEMFD: 234,
  KVM_CAP_VM_TYPES: 235,
  KVM_CAP_PRE_FAULT_MEMORY: 236,
  KVM_CAP_GUEST_MEMFD_FLAGS: 244,
} as const

export type KvmCap = keyof typeof KVM_CAPS

/** Bits of KVM_CAP_GUEST_MEMFD_FLAGS. */
export const GUEST_MEMFD_FLAG_MMAP = 1
export const GUEST_MEMFD_FLAG_INIT_SHARED = 2

export const KVM_MEM_GUEST_MEMFD = 4

/**
 * Numbers of Linux's interface on x86-64 that only the real kernel is given; what the model knows
 * too is in `kernel/include/uapi.ts`.
 */
import {
  KVM_CAP_GUEST_MEMFD,
  KVM_CAP_GUEST_MEMFD_FLAGS,
  KVM_CAP_MEMORY_ATTRIBUTES,
  KVM_CAP_MEMORY_FAULT_INFO,
  KVM_CAP_NR_MEMSLOTS,
  KVM_CAP_PRE_FAULT_MEMORY,
  KVM_CAP_USER_MEMORY2,
  KVM_CAP_VM_TYPES,
} from '../kernel/include/uapi.js'

/** System calls. */
export const NR = {
  read: 0,
  write: 1,
  close: 3,
  fstat: 5,
  mmap: 9,
  munmap: 11,
  ioctl: 16,
  pread64: 17,
  pwrite64: 18,
  mincore: 27,
  getpid: 39,
  fcntl: 72,
  getppid: 110,
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

export const F_SETFD = 2
export const F_ADD_SEALS = 1033
export const F_GET_SEALS = 1034

export const PR_SET_PDEATHSIG = 1
export const SIGKILL = 9
export const RLIMIT_CORE = 4
export const RLIMIT_NOFILE = 7

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
export const KVM_SET_USER_MEMORY_REGION = 0x4020ae46
export const KVM_SET_USER_MEMORY_REGION2 = 0x40a0ae49
export const KVM_CREATE_GUEST_MEMFD = 0xc040aed4

/** struct kvm_run: where its fields are, and the exits that a guest here can have. */
export const KVM_RUN_IMMEDIATE_EXIT = 1
export const KVM_RUN_EXIT_REASON = 8
export const KVM_RUN_MMIO = 32
export const KVM_EXIT_MMIO = 6

/** Capabilities of KVM that the probe asks for, by the name that a user would look up. */
export const KVM_CAPS = {
  KVM_CAP_NR_MEMSLOTS,
  KVM_CAP_USER_MEMORY2,
  KVM_CAP_MEMORY_FAULT_INFO,
  KVM_CAP_MEMORY_ATTRIBUTES,
  KVM_CAP_GUEST_MEMFD,
  KVM_CAP_VM_TYPES,
  KVM_CAP_PRE_FAULT_MEMORY,
  KVM_CAP_GUEST_MEMFD_FLAGS,
} as const

export type KvmCap = keyof typeof KVM_CAPS

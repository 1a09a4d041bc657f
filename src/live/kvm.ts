/** /dev/kvm and its virtual machines, as far as guest_memfd needs them. */

import {
  FD_CLOEXEC,
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
} from '../kernel/include/uapi.js'
import { type Libc, open } from './libc.js'
import {
  F_SETFD,
  KVM_CAPS,
  KVM_CHECK_EXTENSION,
  KVM_CREATE_GUEST_MEMFD,
  KVM_CREATE_VM,
  KVM_SET_USER_MEMORY_REGION,
  KVM_SET_USER_MEMORY_REGION2,
  type KvmCap,
  NR,
} from './numbers.js'

/** Bytes of user memory that a memslot points to. */
export const USER_BYTES = 128 << 10

/** What a memslot is made of; the names are those of the kernel's struct. */
export interface Region {
  readonly slot: number
  readonly flags: number
  readonly gpa: bigint
  readonly size: bigint
  readonly fd: number
  readonly offset: bigint
  readonly userAddress: bigint
}

export class Kvm {
  readonly libc: Libc
  /** The descriptor of /dev/kvm, or a negative errno. */
  readonly device: number
  /** User addresses for memslots: of memory that nobody looks at, and of none. */
  readonly plainMemory: bigint
  readonly noMemory: bigint
  readonly #create = new BigUint64Array(8)
  readonly #region = new BigUint64Array(20)
  readonly #words = new Uint32Array(this.#region.buffer)

  constructor(libc: Libc) {
    this.libc = libc
    this.plainMemory = anonymous(libc, USER_BYTES)
    this.noMemory = anonymous(libc, USER_BYTES, PROT_NONE)
    this.device = open(libc, '/dev/kvm')
  }

  capability(name: KvmCap): number {
    return this.libc.call(NR.ioctl, this.device, KVM_CHECK_EXTENSION, KVM_CAPS[name])
  }

  /** A virtual machine: a descriptor or a negative errno. */
  createVm(type = 0n): number {
    return this.libc.call(NR.ioctl, this.device, KVM_CREATE_VM, type)
  }

  createGuestMemfd(vm: number, size: bigint, flags: bigint): number {
    this.#create[0] = BigInt.asUintN(64, size)
    this.#create[1] = BigInt.asUintN(64, flags)
    const at = this.libc.address(this.#create)
    const fd = this.libc.call(NR.ioctl, vm, KVM_CREATE_GUEST_MEMFD, at)
    if (fd >= 0) this.libc.call(NR.fcntl, fd, F_SETFD, FD_CLOEXEC)
    return fd
  }

  /** The older request, which takes the first part of the struct. */
  setUserMemoryRegion(vm: number, region: Region): number {
    return this.#setRegion(KVM_SET_USER_MEMORY_REGION, vm, region)
  }

  setUserMemoryRegion2(vm: number, region: Region): number {
    return this.#setRegion(KVM_SET_USER_MEMORY_REGION2, vm, region)
  }

  #setRegion(request: number, vm: number, region: Region): number {
    this.#words[0] = region.slot
    this.#words[1] = region.flags
    this.#region[1] = BigInt.asUintN(64, region.gpa)
    this.#region[2] = BigInt.asUintN(64, region.size)
    this.#region[3] = region.userAddress
    this.#region[4] = BigInt.asUintN(64, region.offset)
    this.#words[10] = region.fd
    const at = this.libc.address(this.#region)
    return this.libc.call(NR.ioctl, vm, request, at)
  }
}

/** Private anonymous memory, zeroed; it stays until the process ends. */
export function anonymous(libc: Libc, bytes: number, prot = PROT_READ | PROT_WRITE): bigint {
  const address = libc.wide(NR.mmap, 0, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
  if (address < 0n) throw new Error(`mmap of ${bytes} bytes: errno ${-address}`)
  return address
}

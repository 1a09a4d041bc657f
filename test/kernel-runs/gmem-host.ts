/**
 * The VMM of the recorded run of 6.18.2 on the model: one process, its VMs, files and maps. The
 * test slot is number 1 at 1 MiB; its user address is anonymous memory with a byte of its own in
 * each page.
 */
import assert from 'node:assert/strict'
import type { Design } from '../../src/designs/design.js'
import { guestRead, guestWrite } from '../../src/kernel/arch/x86/kvm/guest.js'
import { sysClose } from '../../src/kernel/fs/file_table.js'
import { sysFallocate } from '../../src/kernel/fs/open.js'
import { errnoName } from '../../src/kernel/include/errno.js'
import { filesStruct } from '../../src/kernel/include/fs.js'
import { KVM_EXIT_MEMORY_FAULT, KVM_EXIT_MMIO, type KvmVcpu } from '../../src/kernel/include/kvm.js'
import type { Folio } from '../../src/kernel/include/mm.js'
import type { Pgoff } from '../../src/kernel/include/types.js'
import { MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, MAP_SHARED } from '../../src/kernel/include/uapi.js'
import { xaLoad } from '../../src/kernel/lib/xarray.js'
import { sysMmap, sysMunmap } from '../../src/kernel/mm/mmap.js'
import { sysKvmCreateGuestMemfd } from '../../src/kernel/virt/kvm/guest_memfd.js'
import { sysKvmCreateVm } from '../../src/kernel/virt/kvm/kvm_main.js'
import { sysKvmSetMemoryAttributes } from '../../src/kernel/virt/kvm/memory_attributes.js'
import { sysKvmSetUserMemoryRegion2 } from '../../src/kernel/virt/kvm/memory_region.js'
import { userLoadAt, userStoreAt } from '../../src/user/access.js'
import { bootRecorded, call, takeFindings } from './runner.js'

export const P = 4096n
export const GPA = 0x100000n
export const KEEP = 1
export const PUNCH = 3
const READ_WRITE = 3

/** What a recorded KVM_RUN looks like. */
export type Run = Readonly<Record<string, unknown>>

/** How a request differs from the usual one: slot 1 at 1 MiB with guest_memfd. */
export interface Region {
  readonly slot?: number
  readonly flags?: number
  readonly gpa?: bigint
  readonly size?: bigint
  readonly hva?: bigint
  readonly fd?: number
  readonly offset?: bigint
}

/** 0, `fd`, or the errno by name, as the recording has it. */
export function shown(ret: number, success: string | number = 0): string | number {
  return ret < 0 ? errnoName(ret) : success
}

export class Host {
  vm = -1
  fd = -1
  /** First byte of the user memory behind the test slot. */
  hva = 0n
  /** Maps of files: first byte and size. */
  readonly #maps: [address: bigint, size: bigint][] = []

  constructor(design: Design) {
    bootRecorded(design)
  }

  /** A call after which nothing may have gone wrong. */
  call(...args: Parameters<typeof call>): number {
    const ret = call(...args)
    assert.deepEqual(takeFindings(), [], args[0].cName)
    return ret
  }

  newVm(type: number): number {
    this.vm = this.call(sysKvmCreateVm, type)
    return this.vm
  }

  newFile(pages: number, flags: number): number {
    this.fd = this.call(sysKvmCreateGuestMemfd, this.vm, BigInt(pages) * P, BigInt(flags))
    return this.fd
  }

  /** Anonymous memory of so many pages, page n filled with `first + n`. */
  newUserMemory(pages: number, first: (page: number) => number): bigint {
    const size = BigInt(pages) * P
    this.hva = this.mmap(-1, size, MAP_PRIVATE | MAP_ANONYMOUS)
    for (let n = 0; n < pages; n++) this.store(this.hva + BigInt(n) * P, first(n))
    return this.hva
  }

  mmap(fd: number, size: bigint, flags = MAP_SHARED): bigint {
    const address = BigInt(this.call(sysMmap, 0n, size, READ_WRITE, flags, fd, 0n))
    if (fd >= 0 && address > 0n) this.#maps.push([address, size])
    return address
  }

  /** Anonymous memory at this address. */
  mmapAt(address: bigint, size: bigint): bigint {
    const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED
    return BigInt(this.call(sysMmap, address, size, READ_WRITE, flags, -1, 0n))
  }

  munmap(address: bigint, size: bigint): number {
    return this.call(sysMunmap, address, size)
  }

  /** The VM and its file go, and every map of a file. */
  closeAll(): void {
    for (const [address, size] of this.#maps) this.munmap(address, size)
    this.#maps.length = 0
    this.close(this.fd)
    this.close(this.vm)
  }

  load(address: bigint): number {
    return this.call(userLoadAt, Number(address), 0n)
  }

  store(address: bigint, byte: number): number {
    return this.call(userStoreAt, Number(address), 0n, byte)
  }

  region(r: Region = {}): number {
    const { slot = 1, flags = 4, gpa = GPA, size = 16n * P, hva = this.hva } = r
    const { fd = this.fd, offset = 0n } = r
    const args = [this.vm, slot, flags, gpa, size, hva, fd, offset]
    return this.call(sysKvmSetUserMemoryRegion2, ...args)
  }

  attributes(gpa: bigint, size: bigint, attributes: bigint, flags = 0n): number {
    return this.call(sysKvmSetMemoryAttributes, this.vm, gpa, size, attributes, flags)
  }

  fallocate(mode: number, offset: bigint, size: bigint, fd = this.fd): number {
    return this.call(sysFallocate, fd, mode, offset, size)
  }

  close(fd: number): number {
    return this.call(sysClose, fd)
  }

  /** The guest reads a byte; what KVM_RUN then says. */
  read(gpa: bigint): Run {
    const ret = this.call(guestRead, this.vm, gpa)
    return ret >= 0 ? { rc: 0, exit: 'IO', val: `0x${ret.toString(16)}` } : this.#exit(ret)
  }

  /** The guest writes a byte and reads it back. */
  write(gpa: bigint, byte: number): Run {
    const ret = this.call(guestWrite, this.vm, gpa, byte)
    return ret < 0 ? this.#exit(ret, true) : { rc: 0, exit: 'IO', val: `0x${byte.toString(16)}` }
  }

  #exit(ret: number, write = false): Run {
    const vcpu = this.vcpu
    if (vcpu.exitReason === KVM_EXIT_MMIO) {
      // The recorded accesses are dwords; the address is the page's, as asked for.
      return { rc: 0, exit: 'MMIO', write: Number(write) }
    }
    const errno = errnoName(ret).slice(1)
    if (vcpu.exitReason !== KVM_EXIT_MEMORY_FAULT) return { rc: -1, errno, exit: vcpu.exitReason }
    const gpa = `0x${vcpu.faultGpa.toString(16)}`
    return { rc: -1, errno, exit: 'MEMORY_FAULT(39)', flags: vcpu.faultFlags, gpa, size: 4096 }
  }

  /** The VM's one vCPU: the newest, since each task of a test runs in the newest VM. */
  get vcpu(): KvmVcpu {
    const kvm = filesStruct().fd.get(this.vm)!.privateData as unknown as {
      vcpus: { get(n: number): KvmVcpu }
    }
    return kvm.vcpus.get(0)
  }

  /** The folio cached at a page of the file, or null. */
  cached(page: number, fd = this.fd): Folio | null {
    const { iPages } = filesStruct().fd.get(fd)!.fMapping!
    return xaLoad(iPages, page as Pgoff) as Folio | null
  }
}

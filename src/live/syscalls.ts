/**
 * The running kernel's side of the interface that the model has too. Whatever a program opened or
 * mapped is given back at its end. What could harm a host is not here, or `limits.ts` refuses it.
 */
import { MAX_TRANSFER, type Syscalls } from '../conform/interpret.js'
import { Guest } from './guest.js'
import type { Kvm } from './kvm.js'
import type { Libc } from './libc.js'
import { breaksMemory } from './limits.js'
import type { Memory } from './memory.js'
import type { PageReader } from './page-facts.js'
import { F_ADD_SEALS, F_GET_SEALS, MFD_CLOEXEC, NR, O_CLOEXEC } from './uapi.js'

/** Offsets in struct stat, in units of 8 bytes. */
const ST_SIZE = 6
const ST_BLOCKS = 8

/** What one process keeps for all its programs. */
export class Live {
  readonly libc: Libc
  readonly memory: Memory
  readonly kvm: Kvm
  readonly pages: PageReader
  readonly #name = Buffer.from('restrictedmem\0')
  readonly #bytes = new Uint8Array(MAX_TRANSFER)
  readonly #stat = new BigInt64Array(18)
  readonly #at: { readonly name: bigint; readonly bytes: bigint; readonly stat: bigint }

  constructor(libc: Libc, memory: Memory, kvm: Kvm, pages: PageReader) {
    this.libc = libc
    this.memory = memory
    this.kvm = kvm
    this.pages = pages
    this.#at = {
      name: libc.address(this.#name),
      bytes: libc.address(this.#bytes),
      stat: libc.address(this.#stat),
    }
  }

  /**
   * Run `body` with the system calls; afterwards nothing that they made is left. `userAddress` is
   * where all memslots point to.
   */
  program<T>(userAddress: bigint, body: (kernel: Syscalls) => T): T {
    const files = new Set<number>()
    const maps = new Map<bigint, bigint>()
    try {
      return body(this.#syscalls(files, maps, userAddress))
    } finally {
      for (const [address, len] of maps) this.libc.call(NR.munmap, address, len)
      for (const fd of files) this.libc.call(NR.close, fd)
    }
  }

  #syscalls(files: Set<number>, maps: Map<bigint, bigint>, userAddress: bigint): Syscalls {
    const { libc, memory, kvm, pages } = this
    const { call, wide } = libc
    const at = this.#at
    const opened = (fd: number): number => {
      if (fd >= 0) files.add(fd)
      return fd
    }
    let guest: Guest | undefined
    return {
      memfdCreate: (flags) => opened(call(NR.memfd_create, at.name, flags | MFD_CLOEXEC)),
      memfdSecret: (flags) => opened(call(NR.memfd_secret, flags | O_CLOEXEC)),
      dup: (fd) => opened(call(NR.dup, fd)),
      close: (fd) => {
        files.delete(fd)
        return call(NR.close, fd)
      },
      ftruncate: (fd, size) => call(NR.ftruncate, fd, size),
      fallocate: (fd, mode, offset, len) => call(NR.fallocate, fd, mode, offset, len),
      pwrite: (fd, offset, len, byte) => {
        this.#bytes.fill(byte, 0, len)
        return call(NR.pwrite64, fd, at.bytes, len, offset)
      },
      write: (fd, len, byte) => {
        this.#bytes.fill(byte, 0, len)
        return call(NR.write, fd, at.bytes, len)
      },
      pread: (fd, offset, into) =>
        this.#got(call(NR.pread64, fd, at.bytes, into.length, offset), into),
      read: (fd, into) => this.#got(call(NR.read, fd, at.bytes, into.length), into),
      lseek: (fd, offset, whence) => wide(NR.lseek, fd, offset, whence),
      fcntlAddSeals: (fd, seals) => call(NR.fcntl, fd, F_ADD_SEALS, seals),
      fcntlGetSeals: (fd) => call(NR.fcntl, fd, F_GET_SEALS),
      fstat: (fd) => {
        call(NR.fstat, fd, at.stat)
        return [this.#stat[ST_SIZE] as bigint, this.#stat[ST_BLOCKS] as bigint]
      },
      mmap: (fd, prot, flags, len, offset) => {
        const address = wide(NR.mmap, 0, len, prot, flags, fd, offset)
        if (address >= 0n) maps.set(address, len)
        return address
      },
      munmap: (address, len) => {
        maps.delete(address)
        return call(NR.munmap, address, len)
      },
      madvise: (address, len, advice) => {
        if (breaksMemory(advice)) throw new Error(`advice ${advice} on a running host`)
        return call(NR.madvise, address, len, advice)
      },
      mprotect: (address, len, prot) => call(NR.mprotect, address, len, prot),
      load: (address) => memory.load(address),
      store: (address, byte) => memory.store(address, byte),
      pageFacts: (address) => pages.facts(address),
      kvmCreateVm: () => opened(kvm.createVm()),
      kvmCreateGuestMemfd: (vm, size, flags) => opened(kvm.createGuestMemfd(vm, size, flags)),
      kvmSetUserMemoryRegion2: (vm, slot, flags, gpa, size, fd, offset) =>
        kvm.setUserMemoryRegion2(vm, { slot, flags, gpa, size, fd, offset, userAddress }),
      kvmRun: (vm, gpa) => {
        if (guest === undefined) {
          guest = new Guest(kvm, memory, vm)
          for (const fd of guest.files) opened(fd)
          maps.set(...guest.map)
        }
        return guest.run(gpa)
      },
    }
  }

  #got(count: number, into: Uint8Array): number {
    if (count > 0) into.set(this.#bytes.subarray(0, count))
    return count
  }
}

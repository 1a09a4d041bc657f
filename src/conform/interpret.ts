/**
 * What the calls of a program mean, in terms of system calls. Both kernels are run by this same
 * interpreter, so a difference between two results is a difference between two kernels.
 */
import { ENOSYS, errnoName } from '../kernel/include/errno.js'
import { type PageFacts, pageAnswer } from './page-facts.js'
import { exact, GUEST_MEMORY, type Int, type Op, type Result } from './program.js'

/**
 * The system calls, with one implementation by the model and one by the live kernel. Results are
 * as the kernel's: negative errno, or what the call returns. Descriptors are the kernel's own.
 */
export interface Syscalls {
  memfdCreate(flags: number): number
  memfdSecret(flags: number): number
  dup(fd: number): number
  close(fd: number): number
  ftruncate(fd: number, size: bigint): number
  fallocate(fd: number, mode: number, offset: bigint, len: bigint): number
  /** Writes `len` bytes of this value. */
  pwrite(fd: number, offset: bigint, len: number, byte: number): number
  /** Reads into the buffer as many bytes as it has. */
  pread(fd: number, offset: bigint, into: Uint8Array): number
  read(fd: number, into: Uint8Array): number
  write(fd: number, len: number, byte: number): number
  lseek(fd: number, offset: bigint, whence: number): bigint
  fcntlAddSeals(fd: number, seals: number): number
  fcntlGetSeals(fd: number): number
  /** The address, or a negative errno. */
  mmap(fd: number, prot: number, flags: number, len: bigint, offset: bigint): bigint
  munmap(address: bigint, len: bigint): number
  madvise(address: bigint, len: bigint, advice: number): number
  mprotect(address: bigint, len: bigint, prot: number): number
  /**
   * The byte that user space finds at an address; -EFAULT if the access faults, -EHWPOISON if the
   * signal says that the memory is broken.
   */
  load(address: bigint): number
  /** 1, or an error as for load. */
  store(address: bigint, byte: number): number
  /** What is mapped at an address; undefined if nothing is. */
  pageFacts(address: bigint): PageFacts | undefined
  /** st_size and st_blocks. */
  fstat(fd: number): readonly [size: bigint, blocks: bigint]
  /** KVM_CREATE_VM of type 0. */
  kvmCreateVm(): number
  kvmCreateGuestMemfd(vm: number, size: bigint, flags: bigint): number
  /** The user address is the kernel's choice. */
  kvmSetUserMemoryRegion2(
    vm: number,
    slot: number,
    flags: number,
    gpa: bigint,
    size: bigint,
    fd: number,
    offset: bigint,
  ): number
  /**
   * The guest of a VM adds 1 to the byte at a guest physical address and says what it
   * is then; `mmio` if there is no memory for the guest, a negative errno if KVM_RUN fails.
   */
  kvmRun(vm: number, gpa: bigint): number | string
  readonly ownMachine?: OwnMachineCalls
}

/**
 * Calls that only a kernel in a machine of its own is asked for; where they are missing, a program
 * gets -ENOSYS.
 */
export interface OwnMachineCalls {
  /** KVM_SET_USER_MEMORY_REGION without flags. */
  kvmSetUserMemoryRegion(
    vm: number,
    slot: number,
    gpa: bigint,
    size: bigint,
    address: bigint,
  ): number
  /**
   * move_pages() of one page with MPOL_MF_MOVE: its status word, which is -1 before the call, or
   * the call's error.
   */
  movePages(address: bigint, node: number): number
  /** Writes to /proc/sys/vm/compact_memory. */
  compact(): number
}

interface Mapping {
  readonly address: bigint
  readonly len: bigint
}

/** The largest buffer that a program can read into or write from. */
export const MAX_TRANSFER = 1 << 20

const buffer = new Uint8Array(MAX_TRANSFER)

/** Results from here to -1 are errors; others are values, whatever they mean. */
const MAX_ERRNO = 4095

const PAGE = 4096n

/** Bytes a plain `write` writes. */
const WRITE_BYTE = 1

/** What a kernel returned, as transcripts have it: errors by name, all else as it is. */
export function namedAnswer(value: Int): Int | string {
  return value < 0 && value >= -MAX_ERRNO ? errnoName(Number(value)) : value
}

function fnv1a(bytes: Uint8Array): number {
  let h = 0x811c9dc5
  for (let i = 0; i < bytes.length; i++) h = Math.imul(h ^ (bytes[i] as number), 0x01000193)
  return h >>> 0
}

function into(len: Int): Uint8Array {
  if (len < 0 || len > MAX_TRANSFER) throw new RangeError(`a transfer of ${len} bytes`)
  return buffer.subarray(0, Number(len))
}

/** Runs the calls of one program and knows its files and maps, by order of creation. */
export class Interpreter {
  readonly #kernel: Syscalls
  readonly #files: number[] = []
  readonly #maps: (Mapping | undefined)[] = []
  /** The VM that was made because none had been; the file of the one that calls are on, if any. */
  #firstVm: number | undefined
  #vmFile: number | undefined
  /** The file that the call under way names; undefined if it names none. */
  #named: number | undefined
  #hash: number | undefined

  constructor(kernel: Syscalls) {
    this.#kernel = kernel
  }

  /** Make one call. */
  run(op: Op): Result {
    this.#named = undefined
    this.#hash = undefined
    const answer = this.#call(op)
    const r = typeof answer === 'string' ? answer : namedAnswer(answer)
    const h = this.#hash === undefined ? {} : { h: this.#hash }
    if (this.#named === undefined || this.#named < 0) return { r, ...h }
    const [size, blocks] = this.#kernel.fstat(this.#named)
    return { r, ...h, s: [exact(size), exact(blocks)] }
  }

  #call(op: Op): Int | string {
    const k = this.#kernel
    switch (op[0]) {
      case 'create':
        return this.#opened(k.memfdCreate(Number(op[1])))
      case 'secret':
        return this.#opened(k.memfdSecret(Number(op[1])))
      case 'gmem':
        return this.#opened(k.kvmCreateGuestMemfd(this.#vm(), BigInt(op[1]), BigInt(op[2])))
      case 'vm':
        this.#vmFile = this.#files.length
        return this.#opened(k.kvmCreateVm())
      case 'use':
        this.#vmFile = Number(op[1])
        this.#fd(op[1])
        return 0
      case 'bind': {
        const [, slot, flags, gpa, size, file, offset] = op
        const fd = this.#fd(file)
        return k.kvmSetUserMemoryRegion2(
          this.#vm(),
          Number(slot),
          Number(flags),
          BigInt(gpa),
          BigInt(size),
          fd,
          BigInt(offset),
        )
      }
      case 'delete':
        return k.kvmSetUserMemoryRegion2(this.#vm(), Number(op[1]), 0, 0n, 0n, -1, 0n)
      case 'trunc':
        return k.ftruncate(this.#fd(op[1]), BigInt(op[2]))
      case 'falloc':
        return k.fallocate(this.#fd(op[1]), Number(op[2]), BigInt(op[3]), BigInt(op[4]))
      case 'lseek':
        return exact(k.lseek(this.#fd(op[1]), BigInt(op[2]), Number(op[3])))
      case 'seal':
        return k.fcntlAddSeals(this.#fd(op[1]), Number(op[2]))
      case 'getseals':
        return k.fcntlGetSeals(this.#fd(op[1]))
      case 'fstat':
        this.#fd(op[1])
        return 0
      case 'run':
        return k.kvmRun(this.#vm(), BigInt(op[1]))
      case 'dup':
        return this.#opened(k.dup(this.#fd(op[1])))
      case 'close':
        return this.#close(op[1])
      case 'compact':
        return k.ownMachine === undefined ? -ENOSYS : k.ownMachine.compact()
      case 'pwrite':
      case 'pread':
      case 'read':
      case 'write':
        return this.#transfer(op)
      case 'mmap':
      case 'munmap':
      case 'load':
      case 'store':
      case 'page':
        return this.#memory(op)
      case 'slot':
      case 'move':
        return this.#ownMachine(op)
      case 'madvise':
      case 'mprotect':
        return this.#range(op)
    }
  }

  #transfer(op: Extract<Op, readonly ['pwrite' | 'pread' | 'read' | 'write', ...unknown[]]>): Int {
    const k = this.#kernel
    const fd = this.#fd(op[1])
    switch (op[0]) {
      case 'pwrite':
        return k.pwrite(fd, BigInt(op[2]), into(op[3]).length, Number(op[4]))
      case 'write':
        return k.write(fd, into(op[2]).length, WRITE_BYTE)
      case 'pread':
        return this.#hashed(into(op[3]), (bytes) => k.pread(fd, BigInt(op[2]), bytes))
      case 'read':
        return this.#hashed(into(op[2]), (bytes) => k.read(fd, bytes))
    }
  }

  #memory(op: Extract<Op, readonly ['mmap' | 'munmap' | 'load' | 'store' | 'page', ...unknown[]]>) {
    const k = this.#kernel
    if (op[0] === 'mmap') {
      const [, file, prot, flags, len, offset] = op
      const fd = this.#fd(file)
      const address = k.mmap(fd, Number(prot), Number(flags), BigInt(len), BigInt(offset))
      this.#maps.push(address < 0n ? undefined : { address, len: BigInt(len) })
      return address < 0n ? Number(address) : 'map'
    }
    const map = this.#maps[Number(op[1])]
    if (map === undefined) return 'nomap'
    if (op[0] === 'munmap') {
      this.#maps[Number(op[1])] = undefined
      return k.munmap(map.address, map.len)
    }
    const offset = BigInt(op[2])
    if (offset < 0n || offset >= map.len) return 'nomap'
    const at = map.address + offset
    if (op[0] === 'page') return pageAnswer(k.pageFacts(at))
    return op[0] === 'load' ? k.load(at) : k.store(at, Number(op[3]))
  }

  /** Calls on a map that not every kernel has. */
  #ownMachine(op: Extract<Op, readonly ['slot' | 'move', ...unknown[]]>): Int | string {
    const k = this.#kernel.ownMachine
    if (k === undefined) return -ENOSYS
    const map = this.#maps[Number(op[1])]
    if (map === undefined) return 'nomap'
    if (op[0] === 'slot') {
      return k.kvmSetUserMemoryRegion(this.#vm(), 0, BigInt(GUEST_MEMORY), map.len, map.address)
    }
    const offset = BigInt(op[2])
    if (offset < 0n || offset >= map.len) return 'nomap'
    return k.movePages(map.address + offset, Number(op[3]))
  }

  /** Calls on whole pages of a map; a range that leaves the map could be anybody's. */
  #range(op: Extract<Op, readonly ['madvise' | 'mprotect', ...unknown[]]>): Int | string {
    const [name, number, start, length, how] = op
    const map = this.#maps[Number(number)]
    const [offset, len] = [BigInt(start), BigInt(length)]
    const pages = map === undefined ? 0n : ((map.len + PAGE - 1n) / PAGE) * PAGE
    if (map === undefined || offset < 0n || len < 0n || offset + len > pages) return 'nomap'
    const at = map.address + offset
    const k = this.#kernel
    return name === 'madvise' ? k.madvise(at, len, Number(how)) : k.mprotect(at, len, Number(how))
  }

  #hashed(bytes: Uint8Array, read: (bytes: Uint8Array) => number): number {
    const got = read(bytes)
    if (got > 0) this.#hash = fnv1a(bytes.subarray(0, got))
    return got
  }

  #opened(fd: number): number | string {
    this.#files.push(fd < 0 ? -1 : fd)
    this.#named = fd
    return fd < 0 ? fd : 'fd'
  }

  /** The descriptor of the VM that calls are on; a program that has none gets one. */
  #vm(): number {
    if (this.#vmFile !== undefined) return this.#files[this.#vmFile] ?? -1
    this.#firstVm ??= this.#kernel.kvmCreateVm()
    return this.#firstVm
  }

  #close(file: Int): number {
    const fd = this.#files[Number(file)] ?? -1
    if (fd >= 0) this.#files[Number(file)] = -1
    return this.#kernel.close(fd)
  }

  #fd(file: Int): number {
    this.#named = this.#files[Number(file)] ?? -1
    return this.#named
  }
}

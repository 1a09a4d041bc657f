/**
 * The running kernel's side of the table of calls. What takes its arguments as the row has them
 * goes to the kernel by number; the rest is here. Whatever a program opened or mapped is given back
 * at its end. What could harm a host is refused by the rows, in `limits.ts`.
 */
import type { Call, Int } from '../calls/call.js'
import { CALLS, type ProgramCall } from '../calls/table.js'
import type { Syscalls } from '../conform/interpret.js'
import type { PageFacts } from '../conform/page-facts.js'
import { MAX_TRANSFER } from '../conform/program.js'
import { MADV_HWPOISON, MADV_SOFT_OFFLINE, MFD_CLOEXEC, O_CLOEXEC } from '../kernel/include/uapi.js'
import { Guest } from './guest.js'
import type { Kvm } from './kvm.js'
import type { Libc } from './libc.js'
import type { Memory } from './memory.js'
import { F_ADD_SEALS, F_GET_SEALS, NR } from './numbers.js'
import type { PageReader } from './page-facts.js'

/** Offsets in struct stat, in units of 8 bytes. */
const ST_SIZE = 6
const ST_BLOCKS = 8

/** What one process keeps for all its programs. */
export class Live {
  readonly libc: Libc
  readonly memory: Memory
  readonly kvm: Kvm
  readonly pages: PageReader
  readonly name = Buffer.from('restrictedmem\0')
  readonly bytes = new Uint8Array(MAX_TRANSFER)
  readonly stat = new BigInt64Array(18)

  constructor(libc: Libc, memory: Memory, kvm: Kvm, pages: PageReader) {
    this.libc = libc
    this.memory = memory
    this.kvm = kvm
    this.pages = pages
  }

  /**
   * Run `body` with the system calls; afterwards nothing that they made is left. `userAddress` is
   * where all private memslots point to.
   */
  program<T>(userAddress: bigint, body: (kernel: Syscalls) => T): T {
    const calls = new LiveCalls(this, userAddress)
    try {
      return body(calls)
    } finally {
      calls.giveBack()
    }
  }
}

/** Arguments of a row as numbers where they are no addresses or sizes. */
type Handler = (args: readonly bigint[], bytes: Uint8Array) => Int

/** One program on the running kernel. */
class LiveCalls implements Syscalls {
  readonly ownMachine = false
  readonly #live: Live
  readonly #files = new Set<number>()
  readonly #maps = new Map<bigint, bigint>()
  readonly #handlers: Partial<Record<ProgramCall, Handler>>
  #guest: Guest | undefined

  constructor(live: Live, userAddress: bigint) {
    this.#live = live
    this.#handlers = { ...this.#ofFiles(), ...this.#ofMemory(), ...this.#ofKvm(userAddress) }
  }

  call(name: ProgramCall, args: readonly Int[], bytes: Uint8Array): Int {
    const row: Call = CALLS[name]
    const wide = args.map(BigInt)
    const result = this.#handlers[name]?.(wide, bytes) ?? this.#byNumber(row, wide)
    if (row.program?.makes === 'file' && result >= 0) this.#files.add(Number(result))
    if (name === 'close') this.#files.delete(Number(wide[0]))
    if (name === 'munmap') this.#maps.delete(wide[0] ?? 0n)
    return result
  }

  #byNumber({ program, parameters }: Call, args: readonly bigint[]): Int {
    const raw: bigint[] = []
    const within = parameters.findIndex((p) => p.kind === 'offset')
    parameters.forEach((p, i) => {
      if (p.kind === 'address') raw.push((args[i] ?? 0n) + (args[within] ?? 0n))
      else if (i !== within) raw.push(args[i] ?? 0n)
    })
    if (program?.nr === undefined) throw new Error('a call that nobody knows how to make')
    return this.#live.libc.wide(program.nr, ...raw)
  }

  #ofFiles(): Partial<Record<ProgramCall, Handler>> {
    const { libc, name, bytes } = this.#live
    const { call } = libc
    const at = libc.address(bytes)
    const got = (count: number, into: Uint8Array): number => {
      if (count > 0) into.set(bytes.subarray(0, count))
      return count
    }
    return {
      memfd_create: ([flags = 0n]) =>
        call(NR.memfd_create, libc.address(name), Number(flags) | MFD_CLOEXEC),
      memfd_secret: ([flags = 0n]) => call(NR.memfd_secret, Number(flags) | O_CLOEXEC),
      pread: ([fd = 0n, offset = 0n, len = 0n], into) =>
        got(call(NR.pread64, fd, at, len, offset), into),
      read: ([fd = 0n, len = 0n], into) => got(call(NR.read, fd, at, len), into),
      pwrite: ([fd = 0n, offset = 0n, len = 0n, byte = 0n]) => {
        bytes.fill(Number(byte), 0, Number(len))
        return call(NR.pwrite64, fd, at, len, offset)
      },
      write: ([fd = 0n, len = 0n, byte = 0n]) => {
        bytes.fill(Number(byte), 0, Number(len))
        return call(NR.write, fd, at, len)
      },
      fcntl_add_seals: ([fd = 0n, seals = 0n]) => call(NR.fcntl, fd, F_ADD_SEALS, seals),
      fcntl_get_seals: ([fd = 0n]) => call(NR.fcntl, fd, F_GET_SEALS),
    }
  }

  #ofMemory(): Partial<Record<ProgramCall, Handler>> {
    const { libc, memory } = this.#live
    const incore = new Uint8Array(1)
    return {
      mmap: ([fd = 0n, prot = 0n, flags = 0n, len = 0n, offset = 0n]) => {
        const address = libc.wide(NR.mmap, 0, len, prot, flags, fd, offset)
        if (address >= 0n) this.#maps.set(address, len)
        return address
      },
      madvise: (args) => {
        const [, , advice = 0n] = args
        if (BREAKS_MEMORY.includes(Number(advice))) throw new Error(`advice ${advice} on a host`)
        return this.#byNumber(CALLS.madvise, args)
      },
      mincore: ([address = 0n, offset = 0n]) => {
        const error = libc.call(NR.mincore, address + offset, 1, libc.address(incore))
        return error < 0 ? error : (incore[0] ?? 0) & 1
      },
      load: ([address = 0n, offset = 0n]) => memory.load(address + offset),
      store: ([address = 0n, offset = 0n, byte = 0n]) =>
        memory.store(address + offset, Number(byte)),
    }
  }

  #ofKvm(userAddress: bigint): Partial<Record<ProgramCall, Handler>> {
    const { kvm } = this.#live
    const none = { gpa: 0n, size: 0n, fd: -1, offset: 0n, userAddress: 0n }
    return {
      kvm_create_vm: ([type = 0n]) => kvm.createVm(type),
      kvm_create_guest_memfd: ([vm = 0n, size = 0n, flags = 0n]) =>
        kvm.createGuestMemfd(Number(vm), size, flags),
      kvm_set_user_memory_region2: ([vm = 0n, slot = 0n, flags = 0n, gpa, size, , fd, offset]) =>
        kvm.setUserMemoryRegion2(Number(vm), {
          slot: Number(slot),
          flags: Number(flags),
          gpa: gpa ?? 0n,
          size: size ?? 0n,
          fd: Number(fd ?? -1n),
          offset: offset ?? 0n,
          userAddress,
        }),
      kvm_set_user_memory_region: ([vm = 0n, slot = 0n, flags = 0n, gpa, size, uaddr, offset]) =>
        kvm.setUserMemoryRegion(Number(vm), {
          ...none,
          slot: Number(slot),
          flags: Number(flags),
          gpa: gpa ?? 0n,
          size: size ?? 0n,
          userAddress: (uaddr ?? 0n) + (offset ?? 0n),
        }),
      unbind: ([vm = 0n, slot = 0n]) =>
        kvm.setUserMemoryRegion2(Number(vm), { ...none, slot: Number(slot), flags: 0 }),
    }
  }

  fstat(fd: number): readonly [bigint, bigint] {
    const { libc, stat } = this.#live
    libc.call(NR.fstat, fd, libc.address(stat))
    return [stat[ST_SIZE] as bigint, stat[ST_BLOCKS] as bigint]
  }

  pageFacts(address: bigint): PageFacts | undefined {
    return this.#live.pages.facts(address)
  }

  guest(vm: number, gpa: bigint, how: 'run' | 'peek'): number | string {
    const { kvm, memory } = this.#live
    if (this.#guest === undefined) {
      this.#guest = new Guest(kvm, memory, vm)
      for (const fd of this.#guest.files) this.#files.add(fd)
      this.#maps.set(...this.#guest.map)
    }
    return this.#guest.run(gpa, how)
  }

  giveBack(): void {
    const { libc } = this.#live
    for (const [address, len] of this.#maps) libc.call(NR.munmap, address, len)
    for (const fd of this.#files) libc.call(NR.close, fd)
  }
}

/** Asked for in spite of the limits, they are refused once more. */
const BREAKS_MEMORY = [MADV_HWPOISON, MADV_SOFT_OFFLINE]

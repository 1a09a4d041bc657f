/**
 * The model as a kernel to conform: its system calls, and how a program runs on it. The kernel of a
 * profile boots once; after each program the machine is set back.
 */

import { bootKernel } from '../cell/boot.js'
import { defineDesign, type Profile } from '../designs/design.js'
import { guestRead, guestWrite } from '../kernel/arch/x86/kvm/guest.js'
import { sysDup } from '../kernel/fs/fcntl.js'
import { sysClose } from '../kernel/fs/file_table.js'
import { sysFallocate, sysFtruncate } from '../kernel/fs/open.js'
import { sysLseek, sysPread, sysPwrite, sysRead, sysWrite } from '../kernel/fs/read_write.js'
import { vfsFstat } from '../kernel/fs/stat.js'
import { EFAULT, EHWPOISON, EINTR, ENXIO } from '../kernel/include/errno.js'
import { Kstat } from '../kernel/include/fs.js'
import { currentMm } from '../kernel/include/mm_types.js'
import { KVM_X86_DEFAULT_VM, MPOL_MF_MOVE, SIGBUS_MCEERR_AR } from '../kernel/include/uapi.js'
import { compact } from '../kernel/mm/compaction.js'
import { sysMadvise } from '../kernel/mm/madvise.js'
import { sysFcntlAddSeals, sysFcntlGetSeals, sysMemfdCreate } from '../kernel/mm/memfd.js'
import { sysMmap, sysMunmap } from '../kernel/mm/mmap.js'
import { sysMovePages } from '../kernel/mm/move_pages.js'
import { sysMprotect } from '../kernel/mm/mprotect.js'
import { PTE_PRESENT, pteAt, pteFolio } from '../kernel/mm/pgtable.js'
import { sysMemfdSecret } from '../kernel/mm/secretmem.js'
import { taskWorkRun } from '../kernel/task_work.js'
import { sysKvmCreateGuestMemfd } from '../kernel/virt/kvm/guest_memfd.js'
import { sysKvmCreateVm } from '../kernel/virt/kvm/kvm_main.js'
import {
  sysKvmSetUserMemoryRegion,
  sysKvmSetUserMemoryRegion2,
} from '../kernel/virt/kvm/memslots.js'
import { kzalloc } from '../machine/alloc.js'
import { Alone, Misbehaviour } from '../machine/alone.js'
import type { FnTag } from '../machine/fn.js'
import { watchReturns } from '../machine/frames.js'
import { userLoad, userStore } from '../user/access.js'
import { readPages } from '../user/harness.js'
import { Interpreter, type Syscalls } from './interpret.js'
import { asReturn, callsOf, chainOf, type Return } from './origin.js'
import type { PageFacts } from './page-facts.js'
import type { Op, Result } from './program.js'

/** The profile whose kernel answers for a release: the newest that is not younger. */
export function profileOf(release: string): { profile: Profile; exact: boolean } {
  const [, major = '0', minor = '0'] = /^(\d+)\.(\d+)/.exec(release) ?? []
  const version = Number(major) * 1000 + Number(minor)
  return { profile: version >= 6018 ? '6.18' : '6.2', exact: [6002, 6018].includes(version) }
}

/** A byte, or the errno that stands for the signal. */
function faulted(byte: number): number {
  if (byte >= 0) return byte
  return byte === SIGBUS_MCEERR_AR ? -EHWPOISON : -EFAULT
}

/**
 * Why KVM_RUN came back without a byte. No signal but that of a broken page interrupts it here, and
 * whoever handles that learns what it means.
 */
function leftGuest(errno: number): number | string {
  if (errno === -ENXIO) return 'mmio'
  return errno === -EINTR ? -EHWPOISON : errno
}

/** What the page table of the process has at an address. */
function pageFacts(address: bigint): PageFacts | undefined {
  const pte = pteAt(currentMm(), address)
  if (!(pte & PTE_PRESENT)) return undefined
  const { mapcount, uptodate, dirty, anon, swapbacked, mlockCount } = pteFolio(pte)
  return {
    mapcount,
    uptodate,
    dirty,
    mmap: mapcount > 0,
    anon,
    swapbacked,
    mlocked: mlockCount > 0,
  }
}

/**
 * The user address of the memslots of `bind`: anonymous memory, which no call of a program reaches.
 */
const USER_AREA = 0x7f0000000000n

/** The system calls of one program, by kernel function. */
function syscalls(alone: Alone, stat: Kstat): Syscalls {
  const call = (f: FnTag, ...args: unknown[]): number => alone.call(f, ...args) as number
  return {
    memfdCreate: (flags) => call(sysMemfdCreate, flags),
    memfdSecret: (flags) => call(sysMemfdSecret, flags),
    dup: (fd) => call(sysDup, fd),
    close: (fd) => call(sysClose, fd),
    ftruncate: (fd, size) => call(sysFtruncate, fd, size),
    fallocate: (fd, mode, offset, len) => call(sysFallocate, fd, mode, offset, len),
    pwrite: (fd, offset, len, byte) => call(sysPwrite, fd, offset, len, byte),
    pread: (fd, offset, into) => {
      const got = call(sysPread, fd, offset, into.length)
      readPages(fd, offset, into.subarray(0, Math.max(got, 0)))
      return got
    },
    read: (fd, into) => {
      const from = alone.call(sysLseek, fd, 0n, 1) as bigint
      const got = call(sysRead, fd, into.length)
      readPages(fd, from, into.subarray(0, Math.max(got, 0)))
      return got
    },
    write: (fd, len, byte) => call(sysWrite, fd, len, byte),
    lseek: (fd, offset, whence) => alone.call(sysLseek, fd, offset, whence) as bigint,
    fcntlAddSeals: (fd, seals) => call(sysFcntlAddSeals, fd, seals),
    fcntlGetSeals: (fd) => call(sysFcntlGetSeals, fd),
    fstat: (fd) => {
      call(vfsFstat, fd, stat)
      return [stat.size, BigInt(stat.blocks)]
    },
    mmap: (fd, prot, flags, len, offset) =>
      alone.call(sysMmap, 0n, len, prot, flags, fd, offset) as bigint,
    munmap: (address, len) => call(sysMunmap, address, len),
    madvise: (address, len, advice) => call(sysMadvise, address, len, advice),
    mprotect: (address, len, prot) => call(sysMprotect, address, len, prot),
    load: (address) => faulted(call(userLoad, address)),
    store: (address, byte) => faulted(call(userStore, address, byte)) || 1,
    pageFacts,
    kvmCreateVm: () => call(sysKvmCreateVm, KVM_X86_DEFAULT_VM),
    kvmCreateGuestMemfd: (vm, size, flags) => call(sysKvmCreateGuestMemfd, vm, size, flags),
    kvmSetUserMemoryRegion2: (vm, slot, flags, gpa, size, fd, offset) =>
      call(sysKvmSetUserMemoryRegion2, vm, slot, flags, gpa, size, USER_AREA, fd, offset),
    kvmRun: (vm, gpa) => {
      const byte = call(guestRead, vm, gpa)
      if (byte < 0) return leftGuest(byte)
      const next = (byte + 1) & 0xff
      const written = call(guestWrite, vm, gpa, next)
      return written < 0 ? leftGuest(written) : next
    },
    ownMachine: {
      kvmSetUserMemoryRegion: (vm, slot, gpa, size, address) =>
        call(sysKvmSetUserMemoryRegion, vm, slot, 0, gpa, size, address),
      movePages: (address, node) => call(sysMovePages, address, node, MPOL_MF_MOVE),
      compact: () => call(compact),
    },
  }
}

/** Which call of a program decided an answer, and the functions that its result went through. */
export interface Explanation {
  /** Its index. */
  readonly call: number
  /** Outermost first; empty if the call did not return. */
  readonly chain: readonly string[]
}

/** A booted kernel that runs programs, each from the same state. */
export class Model {
  readonly profile: Profile
  readonly #alone: Alone
  readonly #stat: Kstat

  /** In frames, programs take several times as long, with the same results. */
  constructor(profile: Profile, inFrames = false) {
    this.profile = profile
    const design = { id: `linux-${profile}`, summary: 'as released', profile, cite: [] }
    bootKernel(defineDesign({ ...design, replaces: [] }), 'lowered')
    this.#stat = kzalloc(Kstat)
    this.#alone = new Alone(taskWorkRun)
    this.#alone.inFrames = inFrames
  }

  /**
   * Run a program. A call in which the kernel misbehaves has the finding's id as its result and is
   * the last one.
   */
  run(ops: readonly Op[]): Result[] {
    const interpreter = new Interpreter(syscalls(this.#alone, this.#stat))
    const results: Result[] = []
    try {
      for (const op of ops) results.push(interpreter.run(op))
    } catch (error) {
      if (!(error instanceof Misbehaviour)) throw error
      results.push({ r: error.id })
    }
    this.#alone.rewind()
    return results
  }

  /**
   * Why the model answers the last call as it does. That which only looks runs no kernel code: what
   * it sees is the work of the last call before that changed it.
   */
  explain(ops: readonly Op[]): Explanation {
    const last = ops.at(-1)
    if (last?.[0] !== 'page') return { call: ops.length - 1, chain: this.#chain(ops) }
    let call = ops.length - 1
    const seen = this.run(ops).at(-1)?.r
    while (call > 0 && this.run([...ops.slice(0, call), last]).at(-1)?.r === seen) call--
    return { call, chain: this.#chain(ops.slice(0, call + 1)) }
  }

  /** The functions that the result of the last call went through, outermost first. */
  #chain(ops: readonly Op[]): string[] {
    const interpreter = new Interpreter(syscalls(this.#alone, this.#stat))
    const returns: Return[] = []
    const { inFrames } = this.#alone
    try {
      for (const op of ops.slice(0, -1)) interpreter.run(op)
      this.#alone.inFrames = true
      watchReturns((cName, fp, value) => returns.push(asReturn(cName, fp, value)))
      for (const op of ops.slice(-1)) interpreter.run(op)
    } catch (error) {
      if (!(error instanceof Misbehaviour)) throw error
    } finally {
      watchReturns(undefined)
      this.#alone.inFrames = inFrames
      this.#alone.rewind()
    }
    // fstat() is how user space sees afterwards what the call did; it is no part of it.
    const calls = callsOf(returns).filter((c) => c.at(-1)?.cName !== vfsFstat.cName)
    return chainOf(calls.at(-1) ?? [])
  }
}

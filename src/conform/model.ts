/**
 * The model as a kernel to conform: its system calls, and how a program runs on it. The kernel of a
 * profile boots once; after each program the machine is set back.
 */

import type { Call, Int, Kind } from '../calls/call.js'
import { CALLS, type ProgramCall } from '../calls/table.js'
import { bootKernel } from '../cell/boot.js'
import { defineDesign, type Profile } from '../designs/design.js'
import { guestRead, guestWrite } from '../kernel/arch/x86/kvm/guest.js'
import { sysLseek } from '../kernel/fs/read_write.js'
import { vfsFstat } from '../kernel/fs/stat.js'
import { EFAULT, EHWPOISON, EINTR, ENXIO } from '../kernel/include/errno.js'
import { Kstat } from '../kernel/include/fs.js'
import { currentMm } from '../kernel/include/mm_types.js'
import { SEEK_CUR, SIGBUS_MCEERR_AR } from '../kernel/include/uapi.js'
import { PTE_PRESENT, pteAt, pteFolio } from '../kernel/mm/pgtable.js'
import { taskWorkRun } from '../kernel/task_work.js'
import { kzalloc } from '../machine/alloc.js'
import { Alone, Misbehaviour } from '../machine/alone.js'
import { watchReturns } from '../machine/frames.js'
import { readPages } from '../user/harness.js'
import { USER_BASE } from '../user/layout.js'
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
  const { mapcount, uptodate, dirty, anon, swapbacked, mlocked } = pteFolio(pte)
  return {
    mapcount,
    uptodate,
    dirty,
    mmap: mapcount > 0,
    anon,
    swapbacked,
    mlocked,
  }
}

/** An argument as the function of a row takes it. */
function passed(kind: Kind, value: Int): number | bigint {
  return kind === 'bytes' || kind === 'offset' || kind === 'length' ? BigInt(value) : Number(value)
}

/** The kernel of the model, asked by the function of each row. */
class ModelCalls implements Syscalls {
  readonly ownMachine = true
  readonly pageFacts = pageFacts
  readonly #alone: Alone
  readonly #stat: Kstat

  constructor(alone: Alone, stat: Kstat) {
    this.#alone = alone
    this.#stat = stat
  }

  call(name: ProgramCall, args: readonly Int[], bytes: Uint8Array): Int {
    const row = CALLS[name] as Call
    const at = row.program?.reads === true ? this.#position(name, args) : 0n
    const given = row.parameters.map((p, i) => passed(p.kind, args[i] ?? 0))
    if (name === 'kvm_set_user_memory_region2') given[USER_ADDRESS] = Number(USER_BASE)
    const result = this.#alone.call(row.fn, ...given) as Int
    if (row.program?.reads === true) {
      readPages(Number(args[0]), at, bytes.subarray(0, Math.max(Number(result), 0)))
    }
    if (name === 'load') return faulted(Number(result))
    return name === 'store' ? faulted(Number(result)) || 1 : result
  }

  /** Where in the file a read begins. */
  #position(name: ProgramCall, args: readonly Int[]): bigint {
    if (name === 'pread') return BigInt(args[1] ?? 0)
    return this.#alone.call(sysLseek, Number(args[0]), 0n, SEEK_CUR) as bigint
  }

  fstat(fd: number): readonly [bigint, bigint] {
    this.#alone.call(vfsFstat, fd, this.#stat)
    return [this.#stat.size, BigInt(this.#stat.blocks)]
  }

  guest(vm: number, gpa: bigint, how: 'run' | 'peek'): number | string {
    const byte = this.#alone.call(guestRead, vm, gpa) as number
    if (byte < 0) return leftGuest(byte)
    if (how === 'peek') return byte
    const next = (byte + 1) & 0xff
    const written = this.#alone.call(guestWrite, vm, gpa, next) as number
    return written < 0 ? leftGuest(written) : next
  }
}

/**
 * The user address of a private slot is anonymous memory, which no call of a program reaches; its
 * place among the arguments of the row.
 */
const USER_ADDRESS = CALLS.kvm_set_user_memory_region2.parameters.findIndex(
  (p) => p.kind === 'address',
)

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
    const interpreter = new Interpreter(new ModelCalls(this.#alone, this.#stat))
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
    const interpreter = new Interpreter(new ModelCalls(this.#alone, this.#stat))
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

/**
 * What the calls of a program mean, in terms of the table of calls. Both kernels are run by this
 * same interpreter, so a difference between two results is a difference between two kernels.
 */

import type { Call, Int } from '../calls/call.js'
import { callOf, type ProgramCall, programParameters } from '../calls/table.js'
import { ENOSYS, errnoName } from '../kernel/include/errno.js'
import { PAGE_SIZE as PAGE } from '../kernel/include/types.js'
import { type PageFacts, pageAnswer } from './page-facts.js'
import { exact, isTransfer, MAX_TRANSFER, type Op, type Result } from './program.js'

/** A kernel: the model, or the running one. */
export interface Syscalls {
  /**
   * Make a call with the arguments of its row, in their order: descriptors and addresses are the
   * kernel's own. `bytes` is what it reads into or writes from, of the wanted length. The result is
   * the kernel's: a negative errno, or what the call returns; for a load or a store that faults
   * -EFAULT, or -EHWPOISON if the signal says that the memory is broken.
   */
  call(name: ProgramCall, args: readonly Int[], bytes: Uint8Array): Int
  /** What is mapped at an address; undefined if nothing is. */
  pageFacts(address: bigint): PageFacts | undefined
  /** st_size and st_blocks. */
  fstat(fd: number): readonly [size: bigint, blocks: bigint]
  /**
   * The guest of a VM adds 1 to the byte at a guest physical address, or only reads it, and says
   * what it is then; `mmio` if there is no memory for the access, a negative errno if KVM_RUN
   * fails.
   */
  guest(vm: number, gpa: bigint, how: 'run' | 'peek'): number | string
  /** Whether it runs in a machine of its own, and may be asked anything. */
  readonly ownMachine: boolean
}

interface Mapping {
  readonly address: bigint
  readonly len: bigint
}

const buffer = new Uint8Array(MAX_TRANSFER)

/** Results from here to -1 are errors; others are values, whatever they mean. */
const MAX_ERRNO = 4095

/** What a kernel returned, as transcripts have it: errors by name, all else as it is. */
export function namedAnswer(value: Int): Int | string {
  return value < 0 && value >= -MAX_ERRNO ? errnoName(Number(value)) : value
}

function fnv1a(bytes: Uint8Array): number {
  let h = 0x811c9dc5
  for (let i = 0; i < bytes.length; i++) h = Math.imul(h ^ (bytes[i] as number), 0x01000193)
  return h >>> 0
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
    const r = typeof answer === 'string' ? answer : namedAnswer(exact(BigInt(answer)))
    const h = this.#hash === undefined ? {} : { h: this.#hash }
    if (this.#named === undefined || this.#named < 0) return { r, ...h }
    const [size, blocks] = this.#kernel.fstat(this.#named)
    return { r, ...h, s: [exact(size), exact(blocks)] }
  }

  #call([name, ...given]: Op): Int | string {
    const [first = 0, second = 0] = given
    switch (name) {
      case 'use':
        this.#vmFile = Number(first)
        this.#fd(first)
        return 0
      case 'run':
      case 'peek':
        return this.#kernel.guest(this.#vm(), BigInt(first), name)
      case 'page': {
        const at = this.#place(first, second)
        return at === undefined ? 'nomap' : pageAnswer(this.#kernel.pageFacts(at))
      }
      case 'fstat':
        this.#fd(first)
        return 0
      case 'close':
        return this.#close(first)
      default:
        return this.#made(name, given)
    }
  }

  /** A call whose row says it all. */
  #made(name: ProgramCall, given: readonly Int[]): Int | string {
    const row = callOf(name) as Call
    const { program } = row
    if (program?.ownMachine === true && !this.#kernel.ownMachine) return -ENOSYS
    const args = this.#arguments(row, given)
    if (args === undefined) return 'nomap'
    const bytes = buffer.subarray(0, Number(countOf(row, args)))
    if (name === 'kvm_create_vm') this.#vmFile = this.#files.length
    const result = this.#kernel.call(name, args, bytes)
    if (program?.ends === 'map') this.#maps[Number(given[0])] = undefined
    if (program?.makes === 'file') return this.#opened(Number(result))
    if (program?.makes === 'map') return this.#mapped(BigInt(result), sizeOf(row, args))
    if (program?.reads === true && result > 0) this.#hash = fnv1a(bytes.subarray(0, Number(result)))
    return result
  }

  /** The arguments of a row, from those of a program; undefined if they leave their map. */
  #arguments(row: Call, given: readonly Int[]): Int[] | undefined {
    const written = new Map(programParameters(row).map((p, i) => [p.of, given[i] ?? 0]))
    const at = row.parameters.find((p) => p.kind === 'address' && p.hidden !== true)
    const map = at === undefined ? undefined : this.#maps[Number(written.get(at))]
    if (at !== undefined && map === undefined) return undefined
    const args = row.parameters.map((p): Int => {
      if (p.hidden === true) return p.preset ?? 0
      const value = written.get(p)
      switch (p.kind) {
        case 'vm':
          return this.#vm()
        case 'file':
          return this.#fd(value ?? -1)
        case 'address':
          return map?.address ?? 0n
        case 'offset':
          return BigInt(value ?? 0)
        case 'length':
          return BigInt(value ?? map?.len ?? 0)
        case 'bytes':
          return BigInt(value ?? 0)
        default:
          return Number(value)
      }
    })
    return map === undefined || isWithin(row, args, map) ? args : undefined
  }

  /** An address within a map. */
  #place(map: Int, offset: Int): bigint | undefined {
    const known = this.#maps[Number(map)]
    if (known === undefined || offset < 0 || offset >= known.len) return undefined
    return known.address + BigInt(offset)
  }

  #opened(fd: number): number | string {
    this.#files.push(fd < 0 ? -1 : fd)
    this.#named = fd
    return fd < 0 ? fd : 'fd'
  }

  #mapped(address: bigint, len: bigint): bigint | string {
    this.#maps.push(address < 0n ? undefined : { address, len })
    return address < 0n ? address : 'map'
  }

  /** The descriptor of the VM that calls are on; a program that has none gets one. */
  #vm(): number {
    if (this.#vmFile !== undefined) return this.#files[this.#vmFile] ?? -1
    this.#firstVm ??= Number(this.#kernel.call('kvm_create_vm', [0], buffer.subarray(0, 0)))
    return this.#firstVm
  }

  #close(file: Int): Int {
    const fd = this.#files[Number(file)] ?? -1
    if (fd >= 0) this.#files[Number(file)] = -1
    return this.#kernel.call('close', [fd], buffer.subarray(0, 0))
  }

  #fd(file: Int): number {
    this.#named = this.#files[Number(file)] ?? -1
    return this.#named
  }
}

function argumentOf(row: Call, args: readonly Int[], is: (kind: string, name: string) => boolean) {
  const i = row.parameters.findIndex((p) => is(p.kind, p.name))
  return i < 0 ? undefined : args[i]
}

/** How much a call transfers. */
function countOf(row: Call, args: readonly Int[]): Int {
  const count = argumentOf(row, args, (kind) => kind === 'count') ?? 0
  if (!isTransfer(count)) throw new RangeError(`a transfer of ${count} bytes`)
  return count
}

function sizeOf(row: Call, args: readonly Int[]): bigint {
  return BigInt(argumentOf(row, args, (_kind, name) => name === 'size') ?? 0)
}

/** Memory beside a map could be anybody's. */
function isWithin(row: Call, args: readonly Int[], map: Mapping): boolean {
  const offset = argumentOf(row, args, (kind) => kind === 'offset') ?? 0n
  const length = argumentOf(row, args, (kind) => kind === 'length')
  if (length === undefined) return offset >= 0n && offset < map.len
  const pages = ((map.len + PAGE - 1n) / PAGE) * PAGE
  const end = BigInt(offset) + BigInt(length)
  return row.program?.ends === 'map' || (offset >= 0n && length >= 0n && end <= pages)
}

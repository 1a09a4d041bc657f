/**
 * What a program must not ask of a running host: memory by the gigabyte, mappings at addresses of
 * its own choice, descriptors without end. Looked at before a program is sent, and again before it
 * runs.
 */
import type { Op } from '../conform/program.js'
import { isGuestAddress } from './guest.js'
import {
  FALLOC_FL_PUNCH_HOLE,
  KVM_MEM_GUEST_MEMFD,
  MADV_HWPOISON,
  MADV_SOFT_OFFLINE,
  MAP_PRIVATE,
  MAP_SHARED,
} from './uapi.js'

/** Bytes that one call may allocate. */
const MAX_ALLOCATION = 1n << 20n
const MAX_SLOT = 1n << 24n
/** KVM_MEM_MAX_NR_PAGES is 2^31 - 1. */
const REFUSED_SLOT = 1n << 43n
/** A private map is charged as a whole, and the kernel's log tells if it is more than there is. */
const MAX_MAP = 1n << 30n
/** No map is as long as this. */
const ADDRESS_SPACE = 1n << 47n
const MAX_FILES = 64
const MAX_CALLS = 1000
const MAX_OFFSET = (1n << 63n) - 1n
const MFD_HUGETLB = 4
const CREATES = new Set(['create', 'gmem', 'secret', 'vm', 'dup'])

/** The reason why a program does not run on a real kernel, if there is one. */
export function refusal(ops: readonly Op[]): string | undefined {
  if (ops.length > MAX_CALLS) return `a program has at most ${MAX_CALLS} calls`
  if (ops.filter(([name]) => CREATES.has(name)).length > MAX_FILES) {
    return `a program opens at most ${MAX_FILES} files`
  }
  if (ops.some(([name]) => name === 'run') && !ops.every(suitsGuest)) {
    return 'a guest has its code below 64 KiB, looks at guest_memfd only, and its VM is the only one'
  }
  for (const op of ops) {
    const reason = refusalOf(op)
    if (reason !== undefined) return `${op[0]}: ${reason}`
  }
  return undefined
}

/** Whether a call leaves the guest's own memory and VM alone and gives it only guest_memfd. */
function suitsGuest(op: Op): boolean {
  if (op[0] === 'vm' || op[0] === 'use') return false
  return op[0] !== 'bind' || (isGuestAddress(BigInt(op[3])) && op[2] === KVM_MEM_GUEST_MEMFD)
}

function refusalOf(op: Op): string | undefined {
  switch (op[0]) {
    case 'create':
      return (Number(op[1]) & MFD_HUGETLB) !== 0 ? 'huge pages are scarce' : undefined
    case 'falloc':
      return allocates(Number(op[2]), BigInt(op[3]), BigInt(op[4])) ? 'more than 1 MiB' : undefined
    case 'pwrite':
    case 'pread':
      return refusedTransfer(BigInt(op[3]))
    case 'write':
    case 'read':
      return refusedTransfer(BigInt(op[2]))
    case 'bind':
      return describesMuch(BigInt(op[4])) ? 'more than 16 MiB' : undefined
    case 'run':
      return isGuestAddress(BigInt(op[1])) ? undefined : 'not from 64 KiB to 1 MiB'
    case 'slot':
    case 'move':
    case 'compact':
      return 'only for a kernel of its own'
    case 'madvise':
      return breaksMemory(Number(op[4])) ? 'memory of this host would break' : undefined
    case 'mmap':
      return refusedMap(Number(op[3]), BigInt(op[4]))
    default:
      return undefined
  }
}

/** Whether advice takes frames of the machine out of use, for good. */
export function breaksMemory(advice: number): boolean {
  return advice === MADV_HWPOISON || advice === MADV_SOFT_OFFLINE
}

function refusedTransfer(len: bigint): string | undefined {
  return len < 0n || len > MAX_ALLOCATION ? 'not 0 to 1 MiB' : undefined
}

function refusedMap(flags: number, len: bigint): string | undefined {
  if ((flags & ~(MAP_SHARED | MAP_PRIVATE)) !== 0) return 'flags beyond MAP_SHARED and MAP_PRIVATE'
  return len > MAX_MAP && len < ADDRESS_SPACE ? 'more than 1 GiB' : undefined
}

/** KVM allocates a description of every page of a slot, unless there are more than it accepts. */
function describesMuch(size: bigint): boolean {
  return size > MAX_SLOT && size < REFUSED_SLOT
}

/**
 * Whether fallocate() could take more than is allowed; beyond the largest offset it takes nothing.
 */
function allocates(mode: number, offset: bigint, len: bigint): boolean {
  if ((mode & FALLOC_FL_PUNCH_HOLE) !== 0 || len <= MAX_ALLOCATION) return false
  return offset + len <= MAX_OFFSET
}

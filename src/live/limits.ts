/**
 * What a program must not ask of a running host: memory by the gigabyte, mappings at addresses of
 * its own choice, descriptors without end. Looked at before a program is sent, and again before it
 * runs.
 */
import type { Arguments } from '../calls/call.js'
import { callOf, GUEST_MEMORY } from '../calls/table.js'
import { argumentNames, type Op } from '../conform/program.js'
import { KVM_MEM_GUEST_MEMFD } from '../kernel/include/uapi.js'
import { isGuestAddress } from './guest.js'

const MAX_FILES = 64
const MAX_CALLS = 1000

/** The reason why a program does not run on a real kernel, if there is one. */
export function refusal(ops: readonly Op[]): string | undefined {
  if (ops.length > MAX_CALLS) return `a program has at most ${MAX_CALLS} calls`
  if (ops.filter(([name]) => callOf(name)?.program?.makes === 'file').length > MAX_FILES) {
    return `a program opens at most ${MAX_FILES} files`
  }
  if (ops.some(hasGuest) && !ops.every(suitsGuest)) {
    return 'a guest has its code below 64 KiB, and its VM is the only one'
  }
  for (const op of ops) {
    const reason = refusalOf(op)
    if (reason !== undefined) return `${op[0]}: ${reason}`
  }
  return undefined
}

/** Whether a guest takes part. */
export function hasGuest([name]: Op): boolean {
  return name === 'run' || name === 'peek'
}

function argumentsOf(op: Op): Arguments {
  const [, ...args] = op
  return Object.fromEntries(argumentNames(op).map((name, i) => [name, BigInt(args[i] ?? 0)]))
}

/**
 * Whether a call leaves the guest's own memory and VM alone. What has no guest_memfd is ordinary
 * memory, a map of the program.
 */
function suitsGuest(op: Op): boolean {
  const { gpa = BigInt(GUEST_MEMORY), flags = 0n } = argumentsOf(op)
  switch (op[0]) {
    case 'kvm_create_vm':
    case 'use':
      return false
    case 'kvm_set_user_memory_region2':
      return isGuestAddress(gpa) && flags === BigInt(KVM_MEM_GUEST_MEMFD)
    case 'kvm_set_user_memory_region':
      return isGuestAddress(gpa)
    default:
      return true
  }
}

function refusalOf(op: Op): string | undefined {
  const args = argumentsOf(op)
  if (hasGuest(op)) return isGuestAddress(args.gpa ?? 0n) ? undefined : 'not from 64 KiB to 1 MiB'
  const program = callOf(op[0])?.program
  return program?.ownMachine === true ? 'only for a kernel of its own' : program?.refuse?.(args)
}

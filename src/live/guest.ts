/**
 * A guest on real guest_memfd memory: three instructions of 64-bit code in user mode, which
 * increment a byte, load it, and store it to an address that has no memory, so that every run ends
 * in an MMIO exit. Code and page tables lie in a memslot of their own, in ordinary memory.
 *
 * A guest in user mode with paging on is run by the hardware, or by what stands for it. One in
 * real mode may be emulated by KVM through the user address of the slot, which says nothing about
 * guest_memfd. A decoy at that address tells the two apart. Even then KVM may take pages from
 * there: without a two-dimensional MMU it maps the neighbours of a page that faults ahead of time,
 * and looks for those at the user address. So programs have no memory there at all.
 */

import { EINTR } from '../kernel/include/errno.js'
import { PAGE_SIZE } from '../kernel/include/types.js'
import { MAP_SHARED, PROT_READ, PROT_WRITE } from '../kernel/include/uapi.js'
import { anonymous, type Kvm, USER_BYTES } from './kvm.js'
import type { Libc } from './libc.js'
import type { Memory } from './memory.js'
import {
  KVM_CREATE_VCPU,
  KVM_EXIT_MMIO,
  KVM_GET_SREGS,
  KVM_GET_SUPPORTED_CPUID,
  KVM_GET_VCPU_MMAP_SIZE,
  KVM_RUN,
  KVM_RUN_EXIT_REASON,
  KVM_RUN_IMMEDIATE_EXIT,
  KVM_RUN_MMIO,
  KVM_SET_CPUID2,
  KVM_SET_REGS,
  KVM_SET_SREGS,
  NR,
} from './numbers.js'

const PAGE = Number(PAGE_SIZE)

/** Where things are in the guest's first 2 MiB, which it sees at the same virtual addresses. */
const CODE_BYTES = 8 * PAGE
const PML4 = PAGE
const PDPT = 2 * PAGE
const PD = 3 * PAGE
const CODE = 4 * PAGE
const TELL = 0x180000n
const LOWEST = 0x10000n
const HIGHEST = 0x100000n

/** A slot number that programs do not use. */
const CODE_SLOT = 1000

/** A value that shows that it was the memory at the user address. */
export const DECOY = 0xd0

/** incb (%rbx); mov (%rbx), %al; mov %al, (%rdx); jmp back */
const INSTRUCTIONS = [0xfe, 0x03, 0x8a, 0x03, 0x88, 0x02, 0xeb, 0xf8]
/** Where the load is among them. */
const LOAD = 2

/** Present, writable, user; and a page of 2 MiB. */
const TABLE = 7n
const LARGE = 0x87n

const CR0_PE_ET_WP_PG = 0x80010011n
const CR4_PAE = 0x20n
const EFER_SCE_LME_LMA_NX = 0xd01n

/** Offsets in struct kvm_sregs: segments of 24 bytes from cs to ss; control registers. */
const SEGMENT_BYTES = 24
const SEGMENTS = 6
const SREGS = { cr0: 224, cr3: 240, cr4: 248, efer: 264, bytes: 312 } as const

/** Places in struct kvm_regs, in words of 8 bytes. */
const REGS = { rbx: 1, rdx: 3, rip: 16, rflags: 17, words: 18 } as const

/** How often a run goes back into the kernel to finish what an exit left half done. */
const MOST_RETRIES = 8

/** Whether a guest here can touch this guest physical address. */
export function isGuestAddress(gpa: bigint): boolean {
  return gpa >= LOWEST && gpa < HIGHEST
}

export class Guest {
  /** The descriptor of the vCPU; whoever made the guest closes it. */
  readonly files: readonly number[]
  /** Address and length of its struct kvm_run; whoever made the guest unmaps it. */
  readonly map: readonly [address: bigint, len: bigint]
  readonly #libc: Libc
  readonly #memory: Memory
  readonly #vcpu: number
  readonly #exit = new Uint8Array(64)
  readonly #regs = new BigUint64Array(REGS.words)

  constructor(kvm: Kvm, memory: Memory, vm: number) {
    const { libc } = kvm
    this.#libc = libc
    this.#memory = memory
    const code = codeMemory(libc, memory)
    const region = { slot: CODE_SLOT, flags: 0, gpa: 0n, size: BigInt(CODE_BYTES) }
    check('slot', kvm.setUserMemoryRegion2(vm, { ...region, fd: 0, offset: 0n, userAddress: code }))
    this.#vcpu = check('vCPU', libc.call(NR.ioctl, vm, KVM_CREATE_VCPU, 0))
    this.files = [this.#vcpu]
    const len = libc.call(NR.ioctl, kvm.device, KVM_GET_VCPU_MMAP_SIZE, 0)
    const prot = PROT_READ | PROT_WRITE
    const run = libc.wide(NR.mmap, 0, len, prot, MAP_SHARED, this.#vcpu, 0)
    check('kvm_run', run < 0n ? Number(run) : 0)
    this.map = [run, BigInt(len)]
    copyCpuid(libc, kvm.device, this.#vcpu)
    enterLongMode(libc, this.#vcpu)
  }

  /** Increment the byte at a guest physical address, or only load it; see `Syscalls.guest`. */
  run(gpa: bigint, how: 'run' | 'peek' = 'run'): number | string {
    this.begin(gpa, how === 'run' ? 0 : LOAD)
    return this.end(this.#enter())
  }

  /** Set the vCPU to the beginning of its code, or behind it. */
  begin(gpa: bigint, into = 0): void {
    this.#regs.fill(0n)
    this.#regs[REGS.rbx] = gpa
    this.#regs[REGS.rdx] = TELL
    this.#regs[REGS.rip] = BigInt(CODE + into)
    this.#regs[REGS.rflags] = 2n
    const at = this.#libc.address(this.#regs)
    check('registers', this.#libc.call(NR.ioctl, this.#vcpu, KVM_SET_REGS, at))
  }

  /** KVM_RUN on a thread of its own: 0, or -1 for any error. */
  enterLater(): Promise<number> {
    return this.#libc.later(NR.ioctl, this.#vcpu, KVM_RUN, 0)
  }

  /** What the guest said, from the result of KVM_RUN and the exit. */
  end(result: number): number | string {
    this.#memory.copyOut(this.map[0], this.#exit)
    const exit = new DataView(this.#exit.buffer)
    const reason = exit.getUint32(KVM_RUN_EXIT_REASON, true)
    if (result < 0) return result
    if (reason !== KVM_EXIT_MMIO) return `exit-${reason}`
    const told = exit.getBigUint64(KVM_RUN_MMIO, true) === TELL
    const byte = exit.getUint8(KVM_RUN_MMIO + 8)
    this.#finish()
    return told ? byte : 'mmio'
  }

  #enter(): number {
    for (;;) {
      const result = this.#libc.call(NR.ioctl, this.#vcpu, KVM_RUN, 0)
      if (result !== -EINTR) return result
    }
  }

  /** Let KVM finish the instruction that an exit interrupted, without running the guest. */
  #finish(): void {
    const immediateExit = this.map[0] + BigInt(KVM_RUN_IMMEDIATE_EXIT)
    this.#memory.store(immediateExit, 1)
    for (let i = 0; i < MOST_RETRIES; i++) {
      if (this.#libc.call(NR.ioctl, this.#vcpu, KVM_RUN, 0) === -EINTR) break
    }
    this.#memory.store(immediateExit, 0)
  }
}

function check(what: string, result: number): number {
  if (result < 0) throw new Error(`no guest: ${what}: errno ${-result}`)
  return result
}

/** Memory of which every byte is the decoy. */
export function decoyMemory(libc: Libc, memory: Memory): bigint {
  const decoy = anonymous(libc, USER_BYTES)
  const page = new Uint8Array(PAGE).fill(DECOY)
  for (let at = 0; at < USER_BYTES; at += PAGE) memory.copyIn(decoy + BigInt(at), page)
  return decoy
}

let code: bigint | undefined

/** Page tables that map the first 2 MiB to themselves, and the instructions. */
function codeMemory(libc: Libc, memory: Memory): bigint {
  if (code !== undefined) return code
  code = anonymous(libc, CODE_BYTES)
  const bytes = new DataView(new ArrayBuffer(CODE_BYTES))
  bytes.setBigUint64(PML4, BigInt(PDPT) | TABLE, true)
  bytes.setBigUint64(PDPT, BigInt(PD) | TABLE, true)
  bytes.setBigUint64(PD, LARGE, true)
  new Uint8Array(bytes.buffer).set(INSTRUCTIONS, CODE)
  memory.copyIn(code, new Uint8Array(bytes.buffer))
  return code
}

/** The guest may ask for what this host has. */
function copyCpuid(libc: Libc, device: number, vcpu: number): void {
  const most = 256
  const cpuid = new Uint32Array(2 + most * 10)
  cpuid[0] = most
  const at = libc.address(cpuid)
  check('CPUID', libc.call(NR.ioctl, device, KVM_GET_SUPPORTED_CPUID, at))
  check('CPUID', libc.call(NR.ioctl, vcpu, KVM_SET_CPUID2, at))
}

/** 64-bit user mode: long mode on, every segment of privilege level 3, the code's a 64-bit one. */
function enterLongMode(libc: Libc, vcpu: number): void {
  const sregs = new DataView(new ArrayBuffer(SREGS.bytes))
  const at = libc.address(new Uint8Array(sregs.buffer))
  check('registers', libc.call(NR.ioctl, vcpu, KVM_GET_SREGS, at))
  for (let i = 0; i < SEGMENTS; i++) {
    const isCode = i === 0
    const segment = i * SEGMENT_BYTES
    sregs.setBigUint64(segment, 0n, true)
    sregs.setUint32(segment + 8, 0xffffffff, true)
    sregs.setUint16(segment + 12, isCode ? 0x33 : 0x2b, true)
    // type, present, dpl, db, s, l, g, avl, unusable
    const bits = isCode ? [11, 1, 3, 0, 1, 1, 1, 0, 0] : [3, 1, 3, 1, 1, 0, 1, 0, 0]
    new Uint8Array(sregs.buffer).set(bits, segment + 14)
  }
  sregs.setBigUint64(SREGS.cr0, CR0_PE_ET_WP_PG, true)
  sregs.setBigUint64(SREGS.cr3, BigInt(PML4), true)
  sregs.setBigUint64(SREGS.cr4, CR4_PAE, true)
  sregs.setBigUint64(SREGS.efer, EFER_SCE_LME_LMA_NX, true)
  check('registers', libc.call(NR.ioctl, vcpu, KVM_SET_SREGS, at))
}

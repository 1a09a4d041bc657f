/**
 * What a VMM and a guest do for memory that is private, in words that every host has: make such a
 * VM, end its launch, take a page into use, give it away and take it back. Here they are those of a
 * machine that protects nothing; each host has its own.
 */

import { fput } from '../kernel/fs/file_table.js'
import { ENOTTY } from '../kernel/include/errno.js'
import { PAGE_SIZE } from '../kernel/include/types.js'
import { KVM_X86_SW_PROTECTED_VM } from '../kernel/include/uapi.js'
import { sysKvmCreateVm } from '../kernel/virt/kvm/kvm_main.js'
import { kvmFget } from '../kernel/virt/kvm/vm_file.js'
import { fn, type Kernel } from '../machine/fn.js'
import { isErr, ptrErr } from '../machine/struct.js'
import { vmmConvert } from './vmm.js'

/** A VM of the kind whose memory the host protects, ready to be given memory. A descriptor. */
export const confidentialVm = fn(function* confidential_vm(): Kernel<number> {
  return yield* sysKvmCreateVm(KVM_X86_SW_PROTECTED_VM)
})

/**
 * What a host has that protects guests, and this one has not: -EBADF, what else `vm` is, -ENOTTY.
 */
export const notOnThisHost = fn(function* not_on_this_host(vm: number): Kernel<number> {
  const file = yield* kvmFget(vm)
  if (isErr(file)) return ptrErr(file)
  yield* fput(file)
  return -ENOTTY
})

/**
 * What a guest's memory begins with: `size` bytes at a guest address from an address of the process,
 * as pages of a type that the host may have. 0 or an error; here nobody can.
 */
export const launchUpdate = fn(function* launch_update(
  vm: number,
  _gpa: bigint,
  _size: bigint,
  _uaddr: bigint,
  _type: number,
): Kernel<number> {
  return yield* notOnThisHost(vm)
})

/** The VM has what it begins with; from now on it can run. 0 or an error. */
export const launch = fn(function* launch(_vm: number): Kernel<number> {
  return 0
})

/** A number of 64 bits that a guest is told. */
export type GuestWord = number & { readonly __wide: 'guest-word' }

/**
 * The guest asks, by a page that it shares with the hypervisor, for what a buffer lists: what it is
 * told, or an error; here no guest has such a page.
 */
export const guestPsc = fn(function* guest_psc(
  vm: number,
  _ghcb: bigint,
  _scratch: bigint,
  _length: bigint,
  _answered: number,
): Kernel<GuestWord> {
  return (yield* notOnThisHost(vm)) as GuestWord
})

/**
 * The guest asks for pages to be private (PRIVATE) or shared (0) by such a page. 0 or an error; here
 * no guest has one.
 */
export const guestConvertPages = fn(function* guest_convert_pages(
  vm: number,
  _ghcb: bigint,
  _gpa: bigint,
  _size: bigint,
  _attributes: number,
): Kernel<number> {
  return yield* notOnThisHost(vm)
})

/**
 * The guest has a vCPU, the task's own if `target` is negative, go on from a state that it keeps in a
 * private page, at an address in bytes. 0 or an error; here a vCPU's state is none of guest memory.
 */
export const guestApCreate = fn(function* guest_ap_create(
  vm: number,
  _gpa: bigint,
  _target: number,
): Kernel<number> {
  return yield* notOnThisHost(vm)
})

/** The guest has a vCPU run no more. 0 or an error; here it is no matter of the hypervisor's. */
export const guestApDestroy = fn(function* guest_ap_destroy(
  vm: number,
  _target: number,
): Kernel<number> {
  return yield* notOnThisHost(vm)
})

/** The guest takes a private page into use, at an address in bytes. 0: it may be accessed. */
export const guestAccept = fn(function* guest_accept(_vm: number, _gpa: bigint): Kernel<number> {
  return 0
})

/**
 * The guest asks for a page to be private (PRIVATE) or shared (0): the hypercall leaves KVM_RUN, and
 * the VMM does as asked. 0 or the error of the VMM's request.
 */
export const guestConvert = fn(function* guest_convert(
  vm: number,
  gpa: bigint,
  attributes: number,
): Kernel<number> {
  return yield* vmmConvert(vm, gpa, PAGE_SIZE, attributes)
})

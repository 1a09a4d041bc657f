/**
 * A TD's vCPU. It enters the guest and is there until it leaves again: in between are its accesses,
 * by what its TLB has or the S-EPT says. A private page is accepted before it is used; what the guest
 * touches before that, Linux has the module report to the host, and then it is the end of the TD.
 */
import {
  guestAccess,
  noteWrite,
  tlbPlace,
  translate,
  vcpuRun,
} from '../../kernel/arch/x86/kvm/guest.js'
import { kvmMmuPageFault } from '../../kernel/arch/x86/kvm/mmu.js'
import { kvmTdpMmuMap } from '../../kernel/arch/x86/kvm/tdp_mmu.js'
import { fput } from '../../kernel/fs/file_table.js'
import { EHWPOISON, EINVAL, EIO } from '../../kernel/include/errno.js'
import {
  KVM_EXIT_SHUTDOWN,
  KVM_REQ_MCE_SHUTDOWN,
  type Kvm,
  type KvmPageFault,
  type KvmVcpu,
  TLB_ENTRIES,
} from '../../kernel/include/kvm.js'
import type { Folio } from '../../kernel/include/mm.js'
import { bytesToPgoff, type Gfn, PAGE_SIZE, type Pfn } from '../../kernel/include/types.js'
import { KVM_MEMORY_ATTRIBUTE_PRIVATE } from '../../kernel/include/uapi.js'
import { pfnToFolio } from '../../kernel/mm/page_alloc.js'
import { kvmTdpMmuMapUnlessAllowed } from '../../kernel/v6_18/arch/x86/kvm/tdp_mmu.js'
import { attrPrivate } from '../../kernel/virt/kvm/memory_attributes.js'
import { createVcpu, sysKvmCreateVcpu } from '../../kernel/virt/kvm/vcpu_file.js'
import { kvmFget, kvmOf } from '../../kernel/virt/kvm/vm_file.js'
import { type Blob, byteAt, byteWithKey, keyAt, keyedByte, withBytes } from '../../machine/blob.js'
import { alsoReads, alsoWrites, read, rmw, until, write } from '../../machine/effects.js'
import { mark, tracepoint } from '../../machine/fault.js'
import { fn, type Kernel, original } from '../../machine/fn.js'
import { isErr, ptrErr } from '../../machine/struct.js'
import { vmmConvert } from '../../user/vmm.js'
import { isTd, setPrivateSpte, tdOf, tdxOf } from './kvm.js'
import { tdxLockAllState, tdxUnlockAllState } from './launch.js'
import {
  acceptBegin,
  acceptCommit,
  checkedGfn,
  isPending,
  keyOf,
  septPage,
  type Td,
  tdExit,
  tdhVpEnter,
} from './module.js'
import { EPT_VIOLATION, OP_STATES, TDX_PAGE_ALREADY_ACCEPTED, TDX_SUCCESS } from './sept.js'
import { tdVcpuInit } from './vm.js'

/** What `vcpu_run` is given instead of a byte to have a page accepted. */
const ACCEPT = -2

/** By how the access was made; where there is none, as in a prefault, by the attribute. */
export const tdxFaultIsPrivate = fn(function kvm_mmu_fault_is_private(
  vcpu: KvmVcpu,
  gfn: Gfn,
): boolean {
  const kvm = vcpu.kvm!
  const kind = isTd(kvm) ? tdxOf(kvm).exitKind.get(vcpu.id) : 0
  return kind === 0 ? attrPrivate(kvm, gfn) : kind === 1
})

const plainMap = original(kvmTdpMmuMap)

/** A leaf of the TD's own table, or of the one that is shared with the host. */
export const tdxMap = fn(function* kvm_tdp_mmu_map(
  kvm: Kvm,
  fault: KvmPageFault,
  folio: Folio,
  isPrivate: boolean,
  fromFile: boolean,
): Kernel<void> {
  if (isTd(kvm) && isPrivate) yield* setPrivateSpte(kvm, fault, folio)
  else yield* plainMap(kvm, fault, folio, isPrivate, fromFile)
})

/** The same over what 6.18 makes of it. */
export const tdxMap618 = fn(function* kvm_tdp_mmu_map(
  kvm: Kvm,
  fault: KvmPageFault,
  folio: Folio,
  isPrivate: boolean,
  fromFile: boolean,
): Kernel<void> {
  if (isTd(kvm) && isPrivate) yield* setPrivateSpte(kvm, fault, folio)
  else yield* kvmTdpMmuMapUnlessAllowed(kvm, fault, folio, isPrivate, fromFile)
})

function dropTlb(vcpu: KvmVcpu): void {
  for (let e = 0; e < TLB_ENTRIES; e++) {
    vcpu.tlbValid.set(e, 0)
    vcpu.tlbWritable.set(e, 0)
    vcpu.tlbGfn.set(e, 0)
    vcpu.tlbPfn.set(e, 0)
  }
}

/** The page of a private access: by the TLB, or by a walk that fills it. */
function privatePage(vcpu: KvmVcpu, td: Td, gfn: Gfn): Folio | null {
  for (let e = 0; e < TLB_ENTRIES; e++) {
    if (vcpu.tlbValid.get(e) !== 0 && vcpu.tlbGfn.get(e) === gfn) {
      return pfnToFolio(vcpu.tlbPfn.get(e) as Pfn)
    }
  }
  const folio = septPage(td, gfn)
  if (folio === null) return null
  const e = tlbPlace(vcpu, gfn)
  vcpu.tlbValid.set(e, 1)
  vcpu.tlbWritable.set(e, 1)
  vcpu.tlbGfn.set(e, gfn)
  vcpu.tlbPfn.set(e, folio.pfn)
  return folio
}

/**
 * The access itself, under the TD's key. A line that somebody else has written is a machine check.
 */
function privateAccess(
  vcpu: KvmVcpu,
  gfn: Gfn,
  folio: Folio,
  offset: number,
  byte: number,
): number {
  const key = keyOf(tdOf(vcpu.kvm!), folio.pfn)
  alsoReads(folio, 'hwpoison')
  if (folio.hwpoison) return -EHWPOISON
  alsoWrites(folio, 'data')
  if (keyAt(folio.data as Blob, offset) !== key) {
    tracepoint('tdx_guest_poison', gfn, folio)
    mark('td-integrity-lost')
    return -EHWPOISON
  }
  if (byte < 0) return byteWithKey(folio.data as Blob, offset, key)
  folio.data = withBytes(folio.data as Blob, offset, 1, keyedByte(byte, key))
  noteWrite(vcpu, gfn, folio)
  return 0
}

function sharedAccess(vcpu: KvmVcpu, gfn: Gfn, folio: Folio, offset: number, byte: number): number {
  alsoReads(folio, 'hwpoison')
  if (folio.hwpoison) return -EHWPOISON
  if (byte >= 0) {
    alsoWrites(folio, 'data')
    folio.data = withBytes(folio.data as Blob, offset, 1, byte)
    noteWrite(vcpu, gfn, folio)
    return 0
  }
  alsoReads(folio, 'data')
  tracepoint('kvm_guest_read', gfn, folio, offset)
  return byteAt(folio.data as Blob, offset)
}

/** Why the vCPU leaves the guest without a result. */
const TO_KVM = -1
const UNACCEPTED = -2

/** What the guest's instruction does in one step: a result, or why it leaves. */
function instruction(
  vcpu: KvmVcpu,
  gfn: Gfn,
  offset: number,
  byte: number,
  shared: boolean,
): number {
  const td = tdOf(vcpu.kvm!)
  for (const field of ['tlbValid', 'tlbWritable', 'tlbGfn', 'tlbPfn'] as const)
    alsoWrites(vcpu, field)
  if (!shared) {
    const folio = privatePage(vcpu, td, gfn)
    if (folio !== null) return answer(privateAccess(vcpu, gfn, folio, offset, byte))
    return isPending(td, gfn) ? UNACCEPTED : TO_KVM
  }
  const folio = translate(vcpu, gfn, byte >= 0)
  return folio === null ? TO_KVM : answer(sharedAccess(vcpu, gfn, folio, offset, byte))
}

/** Errors of an access are kept apart from reasons to leave. */
const ERRORS = -100
function answer(result: number): number {
  return result < 0 ? ERRORS + result : result
}

/** TDG.MEM.PAGE.ACCEPT: 0, a code, or TO_KVM. A lock that is taken is tried again. */
export const tdAccept = fn(function* tdg_mem_page_accept(td: Td, gfn: Gfn): Kernel<number> {
  yield rmw(td, 'state')
  const code = acceptBegin(td, gfn)
  if (code === EPT_VIOLATION) return TO_KVM
  if (code === TDX_PAGE_ALREADY_ACCEPTED) return code
  if (code !== TDX_SUCCESS) return AGAIN
  yield rmw(td, 'state')
  acceptCommit(td, gfn)
  return 0
})
const AGAIN = -3

const plainRun = original(vcpuRun)

/**
 * Run the TD until one instruction is done: the byte, 0 or a code of ACCEPT; errors as of any guest,
 * -EIO also for what the guest has not accepted, and -EINVAL before the TD is finalised. A vCPU that
 * is barred waits outside.
 *
 * Models: 6.17 arch/x86/kvm/vmx/tdx.c tdx_vcpu_pre_run, tdx_vcpu_run and tdx_handle_ept_violation.
 * Simplifies: a fault on private memory that has to be tried again goes through the guest each time,
 * where Linux tries again at once; 7.0 gives that up for a slot that is being deleted, 6.17 does not,
 * and the deletion waits for as long as no signal comes. Compared: 7.0 source.
 */
export const tdxVcpuRun = fn(function* vcpu_run(
  vcpu: KvmVcpu,
  gpa: bigint,
  byte: number,
): Kernel<number> {
  const kvm = vcpu.kvm!
  if (!isTd(kvm)) return yield* plainRun(vcpu, gpa, byte)
  const td = tdOf(kvm)
  const gfn = bytesToPgoff(gpa) as number as Gfn
  const offset = Number(gpa % PAGE_SIZE)
  checkedGfn(gfn)
  for (;;) {
    yield* enterGate(kvm)
    alsoWrites(vcpu, 'requests')
    alsoReads(kvm, 'vmDead')
    if (kvm.vmDead) return -EIO
    if (vcpu.requests & KVM_REQ_MCE_SHUTDOWN) {
      vcpu.requests &= ~KVM_REQ_MCE_SHUTDOWN
      vcpu.exitReason = KVM_EXIT_SHUTDOWN
      return -EIO
    }
    alsoWrites(vcpu, 'rootObsolete')
    vcpu.rootObsolete = false
    if (tdhVpEnter(td, vcpu.id) !== TDX_SUCCESS) return -EINVAL
    tracepoint('tdx_enter', kvm)
    if (td.staleTlb.get(vcpu.id) !== 0) {
      alsoWrites(vcpu, 'tlbValid')
      dropTlb(vcpu)
      td.staleTlb.set(vcpu.id, 0)
    }
    let shared = false
    let result = TO_KVM
    if (byte === ACCEPT) result = yield* tdAccept(td, gfn)
    else {
      yield rmw(td, 'state')
      alsoReads(tdxOf(kvm), 'sharedGfns')
      shared = tdxOf(kvm).sharedGfns.get(gfn) !== 0
      result = instruction(vcpu, gfn, offset, byte, shared)
    }
    tdExit(td, vcpu.id)
    alsoWrites(tdxOf(kvm), 'kicked')
    tdxOf(kvm).kicked.set(vcpu.id, 0)
    if (result >= 0) return result
    if (result <= ERRORS) return result - ERRORS
    if (result === UNACCEPTED) return yield* unaccepted(vcpu)
    if (result === TO_KVM) {
      tdxOf(kvm).exitKind.set(vcpu.id, shared ? 2 : 1)
      const error = yield* kvmMmuPageFault(vcpu, gfn, byte >= 0 || !shared)
      tdxOf(kvm).exitKind.set(vcpu.id, 0)
      if (error !== 0) return error
    }
  }
})

/** The last moment before the guest: a vCPU that is barred does not enter. */
export const enterGate = fn(function* tdx_vcpu_run_gate(kvm: Kvm): Kernel<void> {
  yield until(tdxOf(kvm), 'barred', 0)
  alsoWrites(tdOf(kvm), 'state')
})

/**
 * The guest touched what it has not accepted.
 *
 * Models: 6.17 vmx/tdx.c tdx_handle_ept_violation: kvm_vm_dead(). A tree of 2026 leaves with
 * KVM_EXIT_SHUTDOWN instead, and the VM lives. Compared: 7.0 and 7.1 source.
 */
export const unaccepted = fn(function* tdx_unaccepted(vcpu: KvmVcpu): Kernel<number> {
  yield write(vcpu.kvm, 'vmDead')
  vcpu.kvm!.vmDead = true
  mark('touched-before-accept')
  return -EIO
})

/** The guest accepts a page, at an address in bytes. */
export const tdxGuestAccept = fn(function* guest_accept(vm: number, gpa: bigint): Kernel<number> {
  return yield* guestAccess(vm, gpa, ACCEPT)
})

/** The guest sets or clears the shared bit of a page in its own page table. */
export const setSharedBit = fn(function* set_memory_decrypted(
  vm: number,
  gfn: Gfn,
  shared: boolean,
): Kernel<number> {
  const file = yield* kvmFget(vm)
  if (isErr(file)) return -EINVAL
  const tdx = tdxOf(kvmOf(file))
  yield write(tdx, 'sharedGfns')
  tdx.sharedGfns.set(checkedGfn(gfn), shared ? 1 : 0)
  yield* fput(file)
  return 0
})

/**
 * MapGPA: the guest asks, the VMM sets the attribute, and what was private is removed on the way. To
 * shared: the guest's own page table first. To private: that last, behind the accept. 0, or the code
 * of the accept, or the error of the VMM's request.
 *
 * Models: 6.12 arch/x86/coco/tdx/tdx.c tdx_enc_status_change_prepare and _finish; a VMM that answers
 * KVM_HC_MAP_GPA_RANGE.
 */
export const tdxGuestConvert = fn(function* guest_convert(
  vm: number,
  gpa: bigint,
  attributes: number,
): Kernel<number> {
  const gfn = bytesToPgoff(gpa) as number as Gfn
  const toShared = attributes !== KVM_MEMORY_ATTRIBUTE_PRIVATE
  if (toShared) yield* setSharedBit(vm, gfn, true)
  const error = yield* vmmConvert(vm, gpa, PAGE_SIZE, attributes)
  if (error !== 0 || toShared) return error
  const code = yield* guestAccess(vm, gpa, ACCEPT)
  if (code !== 0) return code
  return yield* setSharedBit(vm, gfn, false)
})

const plainCreate = original(createVcpu)

/**
 * No vCPU for a TD that is finalised: -EIO.
 *
 * Models: 6.17 vmx/tdx.c tdx_vcpu_create. Compared: 7.0 source.
 */
export const tdxCreateVcpu = fn(function* kvm_vm_ioctl_create_vcpu_locked(
  kvm: Kvm,
): Kernel<number> {
  alsoReads(tdOf(kvm), 'state')
  if (isTd(kvm) && tdOf(kvm).opState !== OP_STATES.indexOf('INITIALIZED')) return -EIO
  return yield* plainCreate(kvm)
})

const plainIoctl = original(sysKvmCreateVcpu)

/**
 * KVM_TDX_INIT_VCPU: up to 6.18 without any lock of the VM's. -EINVAL if the TD was finalised
 * meanwhile.
 *
 * Models: 6.17 vmx/tdx.c tdx_vcpu_ioctl, for a vCPU of one's own.
 */
export const tdxVcpuInit = fn(function* tdx_vcpu_init(kvm: Kvm): Kernel<number> {
  yield read(tdOf(kvm), 'state')
  if (tdOf(kvm).opState !== OP_STATES.indexOf('INITIALIZED')) return -EINVAL
  return yield* tdVcpuInit(kvm)
})

const plainInit = original(tdxVcpuInit)

/** From 6.19 on. Models: 7.0 vmx/tdx.c tdx_vcpu_unlocked_ioctl. */
export const tdxVcpuInitLocked = fn(function* tdx_vcpu_init(kvm: Kvm): Kernel<number> {
  yield* tdxLockAllState(kvm)
  const error = yield* plainInit(kvm)
  tdxUnlockAllState(kvm)
  return error
})

/**
 * KVM_CREATE_VCPU and, on its descriptor, KVM_TDX_INIT_VCPU. vCPUs that no scenario creates are there
 * since the launch.
 *
 * Models: 6.17 vmx/tdx.c tdx_vcpu_init. Simplifies: no -EBUSY of 7.0, where a vCPU that is only half
 * made keeps others from their calls. Compared: 7.0 source.
 */
export const tdxKvmCreateVcpu = fn(function* kvm_vm_ioctl_create_vcpu(vm: number): Kernel<number> {
  const fd = yield* plainIoctl(vm)
  if (fd < 0) return fd
  const file = yield* kvmFget(vm)
  if (isErr(file)) return ptrErr(file)
  const kvm = kvmOf(file)
  const error = isTd(kvm) ? yield* tdxVcpuInit(kvm) : 0
  yield* fput(file)
  return error === 0 ? fd : error
})

/**
 * A protected guest and its faults. The processor translates by the hypervisor's table; what is not
 * there is the host's to provide, and the host can no more than give a page away.
 */
import { noteWrite, taskVcpu, vcpuRun } from '../../kernel/arch/x86/kvm/guest.js'
import { makeSpte } from '../../kernel/arch/x86/kvm/tdp_mmu.js'
import { fput } from '../../kernel/fs/file_table.js'
import {
  EAGAIN,
  EFAULT,
  EHWPOISON,
  EINTR,
  EINVAL,
  EIO,
  ENOENT,
  ENOMEM,
  ENXIO,
  EPERM,
} from '../../kernel/include/errno.js'
import {
  KVM_EXIT_MEMORY_FAULT,
  KVM_EXIT_MMIO,
  KVM_EXIT_SHUTDOWN,
  KVM_MEMSLOT_INVALID,
  KVM_REQ_MCE_SHUTDOWN,
  type Kvm,
  type KvmMemorySlot,
  KvmPageFault,
  type KvmVcpu,
  type Spte,
} from '../../kernel/include/kvm.js'
import type { Folio } from '../../kernel/include/mm.js'
import {
  bytesToPgoff,
  type Gfn,
  PAGE_SIZE,
  type Pfn,
  type Pgoff,
  pgoffToBytes,
} from '../../kernel/include/types.js'
import { KVM_MEM_PRIVATE, KVM_MEMORY_ATTRIBUTE_PRIVATE } from '../../kernel/include/uapi.js'
import { xaErase, xaLoad } from '../../kernel/lib/xarray.js'
import { getUserPagesUnlocked } from '../../kernel/mm/gup.js'
import { folioPut } from '../../kernel/mm/swap.js'
import { kvmReleaseFaultinPage } from '../../kernel/v6_18/arch/x86/kvm/mmu.js'
import { kvmGmemGetPfn } from '../../kernel/v6_18/virt/kvm/guest_memfd_slot.js'
import { attrPrivate } from '../../kernel/virt/kvm/memory_attributes.js'
import { searchMemslots } from '../../kernel/virt/kvm/memslots.js'
import { kvmRestrictedMemGetPfn } from '../../kernel/virt/kvm/restrictedmem.js'
import { kvmFget, kvmOf } from '../../kernel/virt/kvm/vm_file.js'
import { offStack, onStack } from '../../machine/alloc.js'
import { type Blob, byteAt, withBytes } from '../../machine/blob.js'
import { alsoReads, alsoWrites, inject, read, rmw, write } from '../../machine/effects.js'
import { mark, tracepoint, warnOn } from '../../machine/fault.js'
import { fn, type Kernel, original } from '../../machine/fn.js'
import { writeLock, writeUnlock } from '../../machine/locks.js'
import { srcuReadLock, srcuReadUnlock } from '../../machine/rcu.js'
import { isErr, ptrErr } from '../../machine/struct.js'
import { vmmConvert } from '../../user/vmm.js'
import {
  guestRelinquish,
  guestShareHost,
  guestUnshareHost,
  hostDonateGuest,
  vcpuInPoisonFault,
} from './guest-calls.js'
import { checkedGfn } from './ownership.js'
import { DONATE_GUEST } from './refusals.js'
import {
  archOf,
  guestFrame,
  hypercallRefuses,
  hypVm,
  isProtected,
  pkvmCreateHypVm,
  unpin,
} from './vm.js'

/** The page of a slot's file behind a gfn, with a reference, or an ERR_PTR. */
export const filePage = fn(function* pkvm_file_page(slot: KvmMemorySlot, gfn: Gfn): Kernel<Folio> {
  return yield* kvmRestrictedMemGetPfn(slot, gfn)
})

/** The same of guest_memfd. */
export const gmemPage = fn(function* pkvm_file_page(slot: KvmMemorySlot, gfn: Gfn): Kernel<Folio> {
  return yield* kvmGmemGetPfn(slot, gfn)
})

/** Leave KVM_RUN with the exit filled in. */
function memoryFault(vcpu: KvmVcpu, errno: number): number {
  vcpu.exitReason = KVM_EXIT_MEMORY_FAULT
  return errno
}

/**
 * The vCPU's cache has what one entry may need: 0 or -ENOMEM.
 *
 * Models: 7.1 arch/arm64/kvm/mmu.c topup_mmu_memcache, for pKVM. Simplifies: the host's cache and the
 * hypervisor's, which is filled from it by the call, are one. Compared: 7.0 source.
 */
export const topupMemcache = fn(function* topup_hyp_memcache(vcpu: KvmVcpu): Kernel<number> {
  if ((yield inject()) !== 0) return -ENOMEM
  const vm = hypVm(vcpu.kvm!)
  yield rmw(vm, 'state')
  vm.memcache.set(vcpu.id, 1)
  return 0
})

/**
 * Ask the hypervisor to give a page to the guest: 0, -EPERM or -ENOMEM.
 *
 * Models: 7.1 arch/arm64/kvm/hyp/nvhe/hyp-main.c handle___pkvm_host_donate_guest. Compared: 7.0
 * source, which has no such call.
 */
export const donateGuest = fn(function* __pkvm_host_donate_guest(
  vcpu: KvmVcpu,
  gfn: Gfn,
  pfn: Pfn,
): Kernel<number> {
  const refused = yield* hypercallRefuses(DONATE_GUEST)
  if (refused !== 0) return refused
  const vm = hypVm(vcpu.kvm!)
  yield rmw(vm, 'state')
  return hostDonateGuest(vm, vcpu.id, checkedGfn(gfn) as Gfn, pfn)
})

/**
 * Give the page to the guest, and remember that. What is mapped already is another vCPU's work,
 * -EAGAIN, or poison, -EFAULT; else what the hypervisor says. mmu_lock is held for writing.
 *
 * Models: 7.1 arch/arm64/kvm/pkvm.c pkvm_pgtable_stage2_map, for a protected VM. Derived: poison is
 * asked for first, since behind a file's page that was taken there is no mapping (pkvmUnmapForced).
 * Compared: 7.0 source, which has no such VM.
 */
export const mapGuest = fn(function* pkvm_pgtable_stage2_map(
  vcpu: KvmVcpu,
  fault: KvmPageFault,
  folio: Folio,
  fromFile: boolean,
): Kernel<number> {
  const kvm = vcpu.kvm!
  yield read(hypVm(kvm), 'state')
  if (vcpuInPoisonFault(hypVm(kvm), fault.gfn)) {
    mark('guest-found-poison')
    return -EFAULT
  }
  if (xaLoad(kvm.tdpMmu, fault.gfn) !== null) return -EAGAIN
  const error = yield* donateGuest(vcpu, fault.gfn, folio.pfn)
  if (warnOn(error !== 0, `__pkvm_host_donate_guest answers ${error}`)) return error
  mark('page-donated')
  yield rmw(kvm.tdpMmu, 'xaHead')
  makeSpte(kvm, fault, folio, fromFile, fromFile)
  return 0
})

/**
 * From a file: no pin, so the sequence is looked at again, whichever gfn it was about. It was noted
 * before the attribute was looked at. If the mapping allows to write, the page counts as written.
 *
 * Derived: 7.1 arch/arm64/kvm/mmu.c gmem_abort, for a protected VM. Compared: 7.0 source.
 */
export const gmemAbort = fn(function* gmem_abort(
  vcpu: KvmVcpu,
  fault: KvmPageFault,
): Kernel<number> {
  const kvm = vcpu.kvm!
  const folio = yield* filePage(fault.slot!, fault.gfn)
  if (isErr(folio)) return memoryFault(vcpu, ptrErr(folio))
  fault.mapWritable = true
  let error = -EAGAIN
  yield* writeLock(kvm.mmuLock)
  const stale = kvm.mmuInvalidateInProgress !== 0 || kvm.mmuInvalidateSeq !== vcpu.mmuSeq
  if (!stale) error = yield* mapGuest(vcpu, fault, folio, true)
  yield* kvmReleaseFaultinPage(folio, true, error === 0)
  writeUnlock(kvm.mmuLock)
  return error === 0 || error === -EAGAIN ? 0 : memoryFault(vcpu, error)
})

/**
 * From the process: the page is pinned, and stays so until the guest has given it back. It must be
 * swap-backed, or writeback might want to write it. -ENOMEM behind the limit of locked memory;
 * -EFAULT where the process has none, and for poison of the hypervisor's; -EINTR stands for the
 * signal of a page whose memory has failed.
 *
 * Models: 7.1 arch/arm64/kvm/mmu.c pkvm_mem_abort. Simplifies: a pin is a reference; mmap_lock may be
 * dropped while the page is faulted in; locked_vm is not counted. Compared: 7.0 source, which has
 * none.
 */
export const pkvmMemAbort = fn(function* pkvm_mem_abort(
  vcpu: KvmVcpu,
  fault: KvmPageFault,
): Kernel<number> {
  const kvm = vcpu.kvm!
  const slot = fault.slot!
  if ((yield inject()) !== 0) return -ENOMEM
  const address = pgoffToBytes((slot.userspaceAddr + (fault.gfn - slot.baseGfn)) as Pgoff)
  const folio = yield* getUserPagesUnlocked(address, true)
  if (isErr(folio)) return ptrErr(folio) === -EHWPOISON ? -EINTR : -EFAULT
  yield read(folio, 'swapbacked')
  let error = folio.swapbacked ? 0 : -EIO
  if (error === 0) {
    fault.mapWritable = true
    yield* writeLock(kvm.mmuLock)
    error = yield* mapGuest(vcpu, fault, folio, false)
    writeUnlock(kvm.mmuLock)
  }
  if (error !== 0) yield* folioPut(folio)
  return error === -EAGAIN ? 0 : error
})

/**
 * A fault of a protected guest: 0, back to the guest; else the error with which KVM_RUN returns,
 * -ENXIO standing for an exit to a device. A slot that is INVALID is none: the guest's own memory is
 * a device to it for a moment, where x86 tries again. SRCU is held.
 *
 * Models: 7.1 arch/arm64/kvm/mmu.c kvm_handle_guest_abort, for a translation fault of a load or a
 * store. Derived: that a private page is from the file, and a fault with the wrong kind of slot is an
 * exit; Linux takes each page of a protected VM from the process. Compared: 7.0 source.
 */
export const handleGuestAbort = fn(function* kvm_handle_guest_abort(
  vcpu: KvmVcpu,
  fault: KvmPageFault,
): Kernel<number> {
  const kvm = vcpu.kvm!
  yield read(kvm, 'memslots')
  fault.slot = searchMemslots(kvm.memslots!, fault.gfn)
  if (fault.slot === null || fault.slot.flags & KVM_MEMSLOT_INVALID) {
    if (fault.slot !== null) mark('memory-taken-for-a-device')
    vcpu.exitReason = KVM_EXIT_MMIO
    return -ENXIO
  }
  const room = yield* topupMemcache(vcpu)
  if (room !== 0) return room
  yield read(kvm, 'mmuInvalidateSeq')
  alsoWrites(vcpu, 'mmuSeq')
  vcpu.mmuSeq = kvm.mmuInvalidateSeq
  yield read(kvm.memAttrArray, 'xaHead')
  const isPrivate = attrPrivate(kvm, fault.gfn)
  if (!isPrivate) return yield* pkvmMemAbort(vcpu, fault)
  if (!(fault.slot.flags & KVM_MEM_PRIVATE)) return memoryFault(vcpu, -EFAULT)
  return yield* gmemAbort(vcpu, fault)
})

/** One fault of a vCPU, handled: see `handleGuestAbort`. */
export const guestAbort = fn(function* handle_trap_exceptions(
  vcpu: KvmVcpu,
  gfn: Gfn,
  toWrite: boolean,
): Kernel<number> {
  const fault = onStack(KvmPageFault)
  fault.gfn = gfn
  fault.write = toWrite
  srcuReadLock(vcpu.kvm!.srcu)
  const error = yield* handleGuestAbort(vcpu, fault)
  alsoWrites(vcpu, 'mmuSeq')
  vcpu.mmuSeq = 0
  srcuReadUnlock(vcpu.kvm!.srcu)
  offStack(fault)
  return error
})

/**
 * Before the vCPU runs for the first time: 0 or an error of KVM_RUN.
 *
 * Models: 7.1 arch/arm64/kvm/arm.c kvm_arch_vcpu_run_pid_change, as far as memory goes. Compared: 7.0
 * source.
 */
export const firstRun = fn(function* kvm_arch_vcpu_run_pid_change(vcpu: KvmVcpu): Kernel<number> {
  const arch = archOf(vcpu.kvm!)
  yield read(arch, 'ranOnce')
  if (arch.ranOnce.get(vcpu.id) !== 0) return 0
  const error = yield* pkvmCreateHypVm(vcpu.kvm!)
  if (error !== 0) return error
  yield write(arch, 'ranOnce')
  arch.ranOnce.set(vcpu.id, 1)
  return 0
})

/** The access itself, on a frame that the guest has. */
function access(vcpu: KvmVcpu, gfn: Gfn, folio: Folio, offset: number, byte: number): number {
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

const plainRun = original(vcpuRun)

/**
 * Run a protected guest until one access is done: the byte or 0; errors as of any guest.
 *
 * Models: 7.1 arch/arm64/kvm/arm.c kvm_arch_vcpu_ioctl_run, as far as memory goes. Compared: 7.0
 * source.
 */
export const pkvmVcpuRun = fn(function* vcpu_run(
  vcpu: KvmVcpu,
  gpa: bigint,
  byte: number,
): Kernel<number> {
  const kvm = vcpu.kvm!
  if (!isProtected(kvm)) return yield* plainRun(vcpu, gpa, byte)
  const gfn = bytesToPgoff(gpa) as number as Gfn
  const offset = Number(gpa % PAGE_SIZE)
  checkedGfn(gfn)
  const first = yield* firstRun(vcpu)
  if (first !== 0) return first
  for (;;) {
    // The processor's own step: translate by the hypervisor's table, and access.
    yield rmw(hypVm(kvm), 'state')
    alsoWrites(vcpu, 'requests')
    alsoReads(kvm, 'vmDead')
    if (kvm.vmDead) return -EIO
    if (vcpu.requests & KVM_REQ_MCE_SHUTDOWN) {
      vcpu.requests &= ~KVM_REQ_MCE_SHUTDOWN
      vcpu.exitReason = KVM_EXIT_SHUTDOWN
      return -EIO
    }
    const folio = guestFrame(hypVm(kvm), gfn)
    if (folio !== null) return access(vcpu, gfn, folio, offset, byte)
    const error = yield* guestAbort(vcpu, gfn, byte >= 0)
    if (error !== 0) return error
  }
})

/** Hypercalls of a guest about one of its pages. */
const SHARE = 0
const UNSHARE = 1
const RELINQUISH = 2

/**
 * The hypervisor's answer to a hypercall that a vCPU makes. A page to be shared that is not there
 * yet is a fault that the guest has not made: the host brings the page, and the vCPU calls again.
 *
 * Models: 7.1 arch/arm64/kvm/hyp/nvhe/pkvm.c pkvm_memshare_call, __pkvm_memshare_page_req and
 * pkvm_memunshare_call. Compared: 7.0 source, which knows no such call.
 */
export const hypercall = fn(function* kvm_handle_pvm_hvc64(
  vcpu: KvmVcpu,
  gfn: Gfn,
  call: number,
): Kernel<number> {
  const vm = hypVm(vcpu.kvm!)
  const first = yield* firstRun(vcpu)
  if (first !== 0) return first
  for (;;) {
    yield rmw(vm, 'state')
    if (call === UNSHARE) return guestUnshareHost(vm, gfn)
    if (call === RELINQUISH) return guestRelinquish(vm, gfn)
    const error = guestShareHost(vm, gfn)
    if (error !== -ENOENT) return error
    const fault = yield* guestAbort(vcpu, gfn, true)
    if (fault !== 0) return fault
  }
})

/**
 * What the guest has given away for good the host forgets, and unpins.
 *
 * Derived: from notes on Android's kernel; no Linux up to 7.1 has it.
 */
export const forgetMapping = fn(function* pkvm_host_forget_mapping(
  kvm: Kvm,
  gfn: Gfn,
): Kernel<void> {
  yield* writeLock(kvm.mmuLock)
  const spte = xaLoad(kvm.tdpMmu, gfn) as Spte | null
  if (spte !== null) {
    yield rmw(kvm.tdpMmu, 'xaHead')
    xaErase(kvm.tdpMmu, gfn)
    if (!spte.fromFile) yield* unpin(spte)
    offStack(spte)
  }
  writeUnlock(kvm.mmuLock)
})

/**
 * The guest's kernel asks for one of its pages: 0 or -EPERM, whatever the hypervisor's error is; or
 * an error of KVM_RUN, if the host could not bring the page.
 *
 * Models: 7.1 drivers/virt/coco/pkvm-guest/arm-pkvm-guest.c arm_smccc_do_one_page. Compared: 7.0
 * source.
 */
export const smcccDoOnePage = fn(function* arm_smccc_do_one_page(
  vmFd: number,
  gfn: Gfn,
  call: number,
): Kernel<number> {
  const file = yield* kvmFget(vmFd)
  if (isErr(file)) return ptrErr(file)
  const kvm = kvmOf(file)
  const vcpu = yield* taskVcpu(kvm)
  const error = yield* hypercall(vcpu, gfn, call)
  if (error === 0 && call === RELINQUISH) yield* forgetMapping(kvm, gfn)
  yield* fput(file)
  const ofHypervisor = error === -ENOENT || error === -EHWPOISON
  return ofHypervisor ? -EPERM : error
})

/**
 * The guest gives a page away or takes it back, with two memories: what is private comes from the
 * file, what is shared from the process. Either way the page it has is given back for good first;
 * then the VMM changes the attribute, and the guest lets the host at the other page, which the host
 * brings for that. 0, or an error of the guest's or of the VMM's request.
 *
 * Derived: with one memory, as in 7.1, SHARE and UNSHARE would be all.
 */
export const pkvmGuestConvert = fn(function* guest_convert(
  vm: number,
  gpa: bigint,
  attributes: number,
): Kernel<number> {
  const gfn = bytesToPgoff(gpa) as number as Gfn
  if (vm < 0) return -EINVAL
  const toShared = attributes !== KVM_MEMORY_ATTRIBUTE_PRIVATE
  if (!toShared) {
    const error = yield* smcccDoOnePage(vm, gfn, UNSHARE)
    if (error !== 0) return error
  }
  const given = yield* smcccDoOnePage(vm, gfn, RELINQUISH)
  if (given !== 0) return given
  const error = yield* vmmConvert(vm, gpa, PAGE_SIZE, attributes)
  if (error !== 0 || !toShared) return error
  return yield* smcccDoOnePage(vm, gfn, SHARE)
})

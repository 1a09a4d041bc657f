/**
 * A protected guest and its faults. The processor translates by the hypervisor's table; what is not
 * there is the host's to provide, and the host can no more than give a page away.
 */
import { guestAccess, noteWrite, vcpuRun } from '../../kernel/arch/x86/kvm/guest.js'
import { makeSpte } from '../../kernel/arch/x86/kvm/tdp_mmu.js'
import { fput } from '../../kernel/fs/file_table.js'
import { EFAULT, EHWPOISON, EINVAL, EIO, ENOMEM, ENXIO } from '../../kernel/include/errno.js'
import {
  KVM_EXIT_MEMORY_FAULT,
  KVM_EXIT_MMIO,
  KVM_EXIT_SHUTDOWN,
  KVM_MEMSLOT_INVALID,
  KVM_REQ_MCE_SHUTDOWN,
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
  type Pgoff,
  pgoffToBytes,
} from '../../kernel/include/types.js'
import { KVM_MEM_PRIVATE, KVM_MEMORY_ATTRIBUTE_PRIVATE } from '../../kernel/include/uapi.js'
import { xaErase, xaLoad } from '../../kernel/lib/xarray.js'
import { getUserPagesUnlocked } from '../../kernel/mm/gup.js'
import { folioPut } from '../../kernel/mm/swap.js'
import { kvmGmemGetPfn } from '../../kernel/v6_18/virt/kvm/guest_memfd_slot.js'
import { attrPrivate, sysKvmSetMemoryAttributes } from '../../kernel/virt/kvm/memory_attributes.js'
import { searchMemslots } from '../../kernel/virt/kvm/memslots.js'
import { kvmRestrictedMemGetPfn } from '../../kernel/virt/kvm/restrictedmem.js'
import { kvmFget, kvmOf } from '../../kernel/virt/kvm/vm_file.js'
import { offStack, onStack } from '../../machine/alloc.js'
import { type Blob, byteAt, withBytes } from '../../machine/blob.js'
import { alsoReads, alsoWrites, inject, read, rmw } from '../../machine/effects.js'
import { mark, tracepoint, warnOn } from '../../machine/fault.js'
import { fn, type Kernel, original } from '../../machine/fn.js'
import { writeLock, writeUnlock } from '../../machine/locks.js'
import { srcuReadLock, srcuReadUnlock } from '../../machine/rcu.js'
import { isErr, ptrErr } from '../../machine/struct.js'
import {
  checkedGfn,
  guestRelinquish,
  guestShareHost,
  guestUnshareHost,
  hostDonateGuest,
  POISONED,
} from './ownership.js'
import { guestFrame, handleOf, hypVm, isProtected, unpin } from './vm.js'

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
 * Give the page to the guest, and remember that. What is there already is another vCPU's work, or
 * poison. 0, or -EFAULT for poison, or what the hypervisor says. mmu_lock is held for writing.
 *
 * Models: 7.1 (notes) arch/arm64/kvm/pkvm.c pkvm_pgtable_stage2_map, for a protected VM.
 */
export const mapGuest = fn(function* pkvm_host_map_guest(
  vcpu: KvmVcpu,
  fault: KvmPageFault,
  folio: Folio,
  fromFile: boolean,
): Kernel<number> {
  const kvm = vcpu.kvm!
  const vm = hypVm(kvm)
  yield rmw(vm, 'state')
  if (vm.state.get(checkedGfn(fault.gfn)) === POISONED) {
    mark('guest-found-poison')
    return -EFAULT
  }
  if (xaLoad(kvm.tdpMmu, fault.gfn) !== null) return 0
  const error = hostDonateGuest(vm, handleOf(kvm), fault.gfn, folio.pfn)
  if (warnOn(error !== 0, `__pkvm_host_donate_guest answers ${error}`)) return error
  mark('page-donated')
  alsoWrites(kvm.tdpMmu, 'xaHead')
  makeSpte(kvm, fault, folio, fromFile, fromFile)
  return 0
})

/**
 * From a file: no pin, so the sequence is looked at again, whichever gfn it was about. It was noted
 * before the attribute was looked at.
 *
 * Derived: 6.18 arch/arm64/kvm/mmu.c gmem_abort, for a protected VM.
 */
export const gmemAbort = fn(function* gmem_abort(
  vcpu: KvmVcpu,
  fault: KvmPageFault,
): Kernel<number> {
  const kvm = vcpu.kvm!
  const folio = yield* filePage(fault.slot!, fault.gfn)
  if (isErr(folio)) return memoryFault(vcpu, ptrErr(folio))
  fault.mapWritable = true
  let error = 0
  yield* writeLock(kvm.mmuLock)
  const stale = kvm.mmuInvalidateInProgress !== 0 || kvm.mmuInvalidateSeq !== vcpu.mmuSeq
  if (!stale) error = yield* mapGuest(vcpu, fault, folio, true)
  writeUnlock(kvm.mmuLock)
  yield* folioPut(folio)
  return error === 0 ? 0 : memoryFault(vcpu, error)
})

/**
 * From the process: the page is pinned, and stays so until the guest has given it back. It must be
 * swap-backed, or writeback might want to write it.
 *
 * Models: 7.1 arch/arm64/kvm/mmu.c pkvm_mem_abort. From notes on 7.3-rc4, not from the source.
 * Simplifies: a pin is a reference; locked_vm is not accounted.
 */
export const pkvmMemAbort = fn(function* pkvm_mem_abort(
  vcpu: KvmVcpu,
  fault: KvmPageFault,
): Kernel<number> {
  const kvm = vcpu.kvm!
  const slot = fault.slot!
  const address = pgoffToBytes((slot.userspaceAddr + (fault.gfn - slot.baseGfn)) as Pgoff)
  const folio = yield* getUserPagesUnlocked(address, true)
  if (isErr(folio)) return -EFAULT
  yield read(folio, 'swapbacked')
  let error = folio.swapbacked ? 0 : -EIO
  let kept = false
  if (error === 0) {
    fault.mapWritable = true
    yield* writeLock(kvm.mmuLock)
    const known = xaLoad(kvm.tdpMmu, fault.gfn) !== null
    error = yield* mapGuest(vcpu, fault, folio, false)
    kept = error === 0 && !known
    writeUnlock(kvm.mmuLock)
  }
  if (!kept) yield* folioPut(folio)
  return error
})

/**
 * A fault of a protected guest: 0, back to the guest; else the error with which KVM_RUN returns,
 * -ENXIO standing for an exit to a device. SRCU is held.
 *
 * Models: 7.1 (notes) arch/arm64/kvm/mmu.c kvm_handle_guest_abort, as far as it goes. Simplifies: the cache
 * from which the hypervisor takes pages for its tables is filled to the one that it may need.
 */
export const handleGuestAbort = fn(function* kvm_handle_guest_abort(
  vcpu: KvmVcpu,
  fault: KvmPageFault,
): Kernel<number> {
  const kvm = vcpu.kvm!
  yield read(kvm, 'memslots')
  fault.slot = searchMemslots(kvm.memslots!, fault.gfn)
  if (fault.slot === null) {
    vcpu.exitReason = KVM_EXIT_MMIO
    return -ENXIO
  }
  if (fault.slot.flags & KVM_MEMSLOT_INVALID) return 0
  if ((yield inject()) !== 0) return -ENOMEM
  yield rmw(hypVm(kvm), 'memcache')
  hypVm(kvm).memcache = 1
  yield read(kvm, 'mmuInvalidateSeq')
  alsoWrites(vcpu, 'mmuSeq')
  vcpu.mmuSeq = kvm.mmuInvalidateSeq
  yield read(kvm.memAttrArray, 'xaHead')
  const isPrivate = attrPrivate(kvm, fault.gfn)
  if (!isPrivate) return yield* pkvmMemAbort(vcpu, fault)
  if (!(fault.slot.flags & KVM_MEM_PRIVATE)) return memoryFault(vcpu, -EFAULT)
  return yield* gmemAbort(vcpu, fault)
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
 * Models: 6.18 (notes) arch/arm64/kvm/arm.c kvm_arch_vcpu_ioctl_run, as far as faults go.
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
    const fault = onStack(KvmPageFault)
    fault.gfn = gfn
    fault.write = byte >= 0
    srcuReadLock(kvm.srcu)
    const error = yield* handleGuestAbort(vcpu, fault)
    alsoWrites(vcpu, 'mmuSeq')
    vcpu.mmuSeq = 0
    srcuReadUnlock(kvm.srcu)
    offStack(fault)
    if (error !== 0) return error
  }
})

/** Hypercalls of a guest about one of its pages. */
const SHARE = 0
const UNSHARE = 1
const RELINQUISH = 2

/**
 * A hypercall of the guest: 0 or the hypervisor's error. What the guest gives away for good the host
 * forgets, and unpins.
 *
 * Models: 7.1 (notes) arch/arm64/kvm/hyp/nvhe/pkvm.c pkvm_memshare_call and its counterpart; RELINQUISH is
 * Android's.
 */
export const hypercall = fn(function* handle_pvm_hvc64(
  vm: number,
  gfn: Gfn,
  call: number,
): Kernel<number> {
  const file = yield* kvmFget(vm)
  if (isErr(file)) return ptrErr(file)
  const kvm = kvmOf(file)
  yield rmw(hypVm(kvm), 'state')
  let error = 0
  if (call === SHARE) error = guestShareHost(hypVm(kvm), gfn)
  else if (call === UNSHARE) error = guestUnshareHost(hypVm(kvm), gfn)
  else error = guestRelinquish(hypVm(kvm), gfn)
  if (error === 0 && call === RELINQUISH) {
    yield* writeLock(kvm.mmuLock)
    const spte = xaLoad(kvm.tdpMmu, gfn) as Spte | null
    if (spte !== null) {
      xaErase(kvm.tdpMmu, gfn)
      if (!spte.fromFile) yield* unpin(spte)
      offStack(spte)
    }
    writeUnlock(kvm.mmuLock)
  }
  yield* fput(file)
  return error
})

/**
 * The guest gives a page away or takes it back, with two memories: what is private comes from the
 * file, what is shared from the process. Either way the page it has is given back for good first;
 * then the VMM changes the attribute, the guest touches the other page, and a shared one it lets the
 * host at. 0, or an error of the hypervisor's or of the VMM's request.
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
    const error = yield* hypercall(vm, gfn, UNSHARE)
    if (error !== 0) return error
  }
  const given = yield* hypercall(vm, gfn, RELINQUISH)
  if (given !== 0) return given
  const error = yield* sysKvmSetMemoryAttributes(vm, gpa, PAGE_SIZE, BigInt(attributes), 0n)
  if (error !== 0 || !toShared) return error
  const touched = yield* guestAccess(vm, gpa, -1)
  if (touched < 0) return touched
  return yield* hypercall(vm, gfn, SHARE)
})

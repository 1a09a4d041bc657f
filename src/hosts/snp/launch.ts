/**
 * The launch of a guest with SNP, as of 6.11: a context page and an ASID, what its memory begins
 * with, and the end, from which on it can run. All requests of a VMM are made under kvm->lock.
 *
 * Left out: policies and measurements.
 */
import { fput } from '../../kernel/fs/file_table.js'
import { EEXIST, EINVAL, EIO, ENOTTY } from '../../kernel/include/errno.js'
import type { Kvm } from '../../kernel/include/kvm.js'
import { Folio } from '../../kernel/include/mm.js'
import { bytesToPgoff, type Gfn, isPageAligned, PAGE_SIZE } from '../../kernel/include/types.js'
import { KVM_MEM_GUEST_MEMFD, KVM_X86_SNP_VM } from '../../kernel/include/uapi.js'
import {
  copyPageFromUser,
  copyPageToUser,
  kvmGmemPopulate,
} from '../../kernel/v6_18/virt/kvm/populate.js'
import { sysKvmCreateVm } from '../../kernel/virt/kvm/kvm_main.js'
import { searchMemslots } from '../../kernel/virt/kvm/memslots.js'
import { kvmFget, kvmOf } from '../../kernel/virt/kvm/vm_file.js'
import { write } from '../../machine/effects.js'
import { mark, warnOn } from '../../machine/fault.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { mutexLock, mutexUnlock } from '../../machine/locks.js'
import { errPtr, isErr, ptrErr } from '../../machine/struct.js'
import {
  INVALID_PARAM,
  isLaunchType,
  PAGE_TYPE_CPUID,
  PAGE_TYPE_VMSA,
  PAGE_TYPE_ZERO,
  SEV_OK,
  SNP_ACTIVATE,
  SNP_GCTX_CREATE,
  SNP_LAUNCH_FINISH,
  SNP_LAUNCH_START,
  SNP_LAUNCH_UPDATE,
} from './firmware.js'
import { snpLaunchUpdateVmsa } from './launch-vmsa.js'
import { sevCmdStatus, sevDoCmd, snpAllocFirmwarePage, snpFreeFirmwarePage } from './psp.js'
import { rmpMakePrivate, snpLookupAssigned } from './sev.js'
import { isSnpGuest, sevInfo, snpDecommissionContext, snpPageReclaim } from './vm.js'

/** Models: 6.17 arch/x86/kvm/svm/sev.c snp_context_create. Compared: 7.0 source. */
export const snpContextCreate = fn(function* snp_context_create(): Kernel<Folio> {
  const page = yield* snpAllocFirmwarePage()
  if (isErr(page)) return page
  const error = yield* sevDoCmd(SNP_GCTX_CREATE, page, page, 0)
  if (error === 0) return page
  yield* snpFreeFirmwarePage(page)
  return errPtr(Folio, error)
})

/**
 * KVM_SEV_SNP_LAUNCH_START: -EINVAL if that was done, -ENOTTY without a context, -EIO if firmware
 * refuses; then there is no context either.
 *
 * Models: 6.17 arch/x86/kvm/svm/sev.c snp_launch_start and snp_bind_asid. Compared: 7.0 source.
 */
export const snpLaunchStart = fn(function* snp_launch_start(kvm: Kvm): Kernel<number> {
  const info = sevInfo(kvm)
  if (info.context !== null) return -EINVAL
  const page = yield* snpContextCreate()
  if (isErr(page)) return -ENOTTY
  info.context = page
  let error = yield* sevDoCmd(SNP_LAUNCH_START, page, page, 0)
  if (error === 0) error = yield* sevDoCmd(SNP_ACTIVATE, page, page, info.asid)
  if (error !== 0) yield* snpDecommissionContext(info)
  return error
})

/**
 * One page of what the guest begins with: it gets its content as the host's, then it becomes the
 * guest's, immutable, and firmware encrypts it where it lies. -EEXIST if somebody has it already,
 * -EFAULT, or -EIO if firmware refuses; the page is taken back then.
 *
 * Models: 6.17 arch/x86/kvm/svm/sev.c sev_gmem_post_populate. Simplifies: order 0, with which
 * nothing that came before is ever taken back. Compared: 7.0 source.
 */
export const sevGmemPostPopulate = fn(function* sev_gmem_post_populate(
  kvm: Kvm,
  gfn: Gfn,
  folio: Folio,
  src: bigint,
  type: number,
): Kernel<number> {
  if (warnOn(type !== PAGE_TYPE_ZERO && src === 0n, 'SEV: no source for a page of a launch')) {
    return -EINVAL
  }
  const info = sevInfo(kvm)
  if (yield* snpLookupAssigned(folio)) return -EEXIST
  if (src !== 0n) {
    const error = yield* copyPageFromUser(folio, src)
    if (error !== 0) return error
  }
  const ret = yield* rmpMakePrivate(folio, gfn, info.asid, true)
  if (ret !== 0) return ret
  const status = yield* sevCmdStatus(SNP_LAUNCH_UPDATE, info.context!, folio, type)
  if (status !== SEV_OK) {
    const reclaimed = yield* snpPageReclaim(kvm, folio)
    if (reclaimed === 0 && isCpuidRefused(type, status)) yield* copyPageToUser(src, folio)
    return -EIO
  }
  mark('page-launched')
  return 0
})

/** Firmware has found a CPUID page wrong: what would be right it has left there, to be read. */
export function isCpuidRefused(type: number, status: number): boolean {
  return type === PAGE_TYPE_CPUID && status === INVALID_PARAM
}

/**
 * KVM_SEV_SNP_LAUNCH_UPDATE, of `size` bytes. -EINVAL before LAUNCH_START, for a size that is not
 * of pages, a type that there is not, and where no slot has a file of private memory; -EIO if not
 * even the first page was done, whatever the reason. 0 else: how many were done is told in the
 * request.
 *
 * Models: 6.17 arch/x86/kvm/svm/sev.c snp_launch_update. Simplifies: what is left of the request is
 * not written back.
 */
export const snpLaunchUpdate = fn(function* snp_launch_update(
  kvm: Kvm,
  gpa: bigint,
  size: bigint,
  uaddr: bigint,
  type: number,
): Kernel<number> {
  if (sevInfo(kvm).context === null) return -EINVAL
  if (!isPageAligned(size) || type === PAGE_TYPE_VMSA || !isLaunchType(type)) return -EINVAL
  yield* mutexLock(kvm.slotsLock)
  const first = bytesToPgoff(gpa) as number as Gfn
  const memslot = searchMemslots(kvm.memslots!, first)
  let ret = -EINVAL
  if (memslot !== null && memslot.flags & KVM_MEM_GUEST_MEMFD) {
    const src = type === PAGE_TYPE_ZERO ? 0n : uaddr
    const count = yield* kvmGmemPopulate(kvm, first, src, Number(size / PAGE_SIZE), type)
    ret = count < 0 ? -EIO : 0
  }
  mutexUnlock(kvm.slotsLock)
  return ret
})

/**
 * KVM_SEV_SNP_LAUNCH_FINISH: -EINVAL before LAUNCH_START, -EIO if firmware refuses, as it does when
 * that was done. From then on pages may be mapped ahead of the guest.
 *
 * Models: 6.17 arch/x86/kvm/svm/sev.c snp_launch_finish. Compared: 7.0 source.
 */
export const snpLaunchFinish = fn(function* snp_launch_finish(kvm: Kvm): Kernel<number> {
  const info = sevInfo(kvm)
  if (info.context === null) return -EINVAL
  let ret = yield* snpLaunchUpdateVmsa(kvm)
  if (ret === 0) ret = yield* sevDoCmd(SNP_LAUNCH_FINISH, info.context, info.context, 0)
  if (ret !== 0) return ret
  yield write(info, 'launched')
  info.launched = true
  return 0
})

/** KVM_MEMORY_ENCRYPT_OP by what it is asked for. */
const START = 0
const UPDATE = 1
const FINISH = 2

/**
 * KVM_MEMORY_ENCRYPT_OP of a VM without SNP is -ENOTTY, but of an update -EINVAL.
 *
 * Models: 6.17 arch/x86/kvm/svm/sev.c sev_mem_enc_ioctl. Compared: 7.0 source.
 */
export const memoryEncryptOp = fn(function* kvm_memory_encrypt_op(
  vm: number,
  op: number,
  gpa: bigint,
  size: bigint,
  uaddr: bigint,
  type: number,
): Kernel<number> {
  const file = yield* kvmFget(vm)
  if (isErr(file)) return ptrErr(file)
  const kvm = kvmOf(file)
  yield* mutexLock(kvm.lock)
  let ret = op === UPDATE ? -EINVAL : -ENOTTY
  if (isSnpGuest(kvm)) {
    if (op === START) ret = yield* snpLaunchStart(kvm)
    else if (op === UPDATE) ret = yield* snpLaunchUpdate(kvm, gpa, size, uaddr, type)
    else ret = yield* snpLaunchFinish(kvm)
  }
  mutexUnlock(kvm.lock)
  yield* fput(file)
  return ret
})

/** KVM_ENABLE_CAP of KVM_CAP_EXIT_HYPERCALL, for KVM_HC_MAP_GPA_RANGE. */
export const exitOnMapGpaRange = fn(function* kvm_vm_ioctl_enable_cap(vm: number): Kernel<void> {
  const file = yield* kvmFget(vm)
  if (isErr(file)) return
  const info = sevInfo(kvmOf(file))
  yield write(info, 'exitOnMapGpaRange')
  info.exitOnMapGpaRange = true
  yield* fput(file)
})

/** What a VMM does for a confidential VM before it has memory. A descriptor or an error. */
export const snpConfidentialVm = fn(function* confidential_vm(): Kernel<number> {
  const vm = yield* sysKvmCreateVm(KVM_X86_SNP_VM)
  if (vm < 0) return vm
  yield* exitOnMapGpaRange(vm)
  const error = yield* memoryEncryptOp(vm, START, 0n, 0n, 0n, 0)
  return error < 0 ? error : vm
})

/** KVM_SEV_SNP_LAUNCH_UPDATE. */
export const snpLaunchUpdateOp = fn(function* launch_update(
  vm: number,
  gpa: bigint,
  size: bigint,
  uaddr: bigint,
  type: number,
): Kernel<number> {
  return yield* memoryEncryptOp(vm, UPDATE, gpa, size, uaddr, type)
})

/** KVM_SEV_SNP_LAUNCH_FINISH. */
export const snpLaunch = fn(function* launch(vm: number): Kernel<number> {
  return yield* memoryEncryptOp(vm, FINISH, 0n, 0n, 0n, 0)
})

/**
 * A guest with SNP that gives pages away and takes them back. To shared: it takes validation back,
 * asks the hypervisor, and clears the C bit; to private it sets the C bit, asks, and validates. It
 * asks for one page by the GHCB MSR, for many by the buffer of its GHCB, in which the hypervisor
 * notes how far it has come. A scenario may send any buffer: then it is a guest that disobeys.
 */
import { guestAccess, guestRead, taskVcpu } from '../../kernel/arch/x86/kvm/guest.js'
import { fput } from '../../kernel/fs/file_table.js'
import { EINVAL, EIO, ENOTTY } from '../../kernel/include/errno.js'
import { KVM_EXIT_HYPERCALL, type KvmVcpu } from '../../kernel/include/kvm.js'
import {
  bytesToPgoff,
  type Gfn,
  PAGE_SIZE,
  type Pgoff,
  pgoffToBytes,
} from '../../kernel/include/types.js'
import { KVM_MEMORY_ATTRIBUTE_PRIVATE } from '../../kernel/include/uapi.js'
import { kvmFget, kvmOf } from '../../kernel/virt/kvm/vm_file.js'
import { write } from '../../machine/effects.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { srcuReadLock, srcuReadUnlock } from '../../machine/rcu.js'
import { isErr, ptrErr } from '../../machine/struct.js'
import { currentTaskNumber } from '../../machine/task.js'
import type { GuestWord } from '../../user/confidential.js'
import {
  forgetRequest,
  ghcbOf,
  kvmVcpuMap,
  SHARED_BUFFER,
  setupVmgexitScratch,
  sevEsUnmapGhcb,
} from './ghcb.js'
import {
  checked,
  exitInfo,
  RESCIND,
  RESCIND_REGION,
  STORE_WORD,
  VALIDATE,
  VALIDATE_REGION,
  vcpuEnterGuest,
} from './guest.js'
import { FAIL_SIZEMISMATCH } from './instructions.js'
import {
  pscRequest,
  snpBeginPscMsr,
  snpCompletePscMsr,
  snpPsc,
  TO_USER,
  VMGEXIT_PSC_OP_PRIVATE,
  VMGEXIT_PSC_OP_SHARED,
  vmmMapGpaRange,
} from './psc.js'
import { REGION } from './rmp.js'
import { isSnpGuest, sevInfo } from './vm.js'

function gpaOf(gfn: number): bigint {
  return pgoffToBytes(gfn as Pgoff)
}

/** The guest sets or clears the C bit of a page, and flushes its own TLB. */
export const setSharedBit = fn(function* set_memory_encrypted(
  vm: number,
  gfn: Gfn,
  shared: boolean,
): Kernel<number> {
  const file = yield* kvmFget(vm)
  if (isErr(file)) return -EINVAL
  const info = sevInfo(kvmOf(file))
  yield write(info, 'sharedGfns')
  info.sharedGfns.set(checked(gfn), shared ? 1 : 0)
  yield* fput(file)
  return 0
})

/** VMGEXIT with GHCB_MSR_PSC_REQ, user space's part included: 0, or the error of KVM_RUN. */
export const vmgexitPscMsr = fn(function* sev_handle_vmgexit_msr_protocol(
  vm: number,
  vcpu: KvmVcpu,
  request: bigint,
): Kernel<number> {
  const refused = yield* vcpuEnterGuest(vcpu)
  if (refused !== 0) return refused
  if (snpBeginPscMsr(vcpu, request) === TO_USER) {
    yield* vmmMapGpaRange(vm, vcpu)
    snpCompletePscMsr(vcpu)
  }
  return 0
})

/**
 * The guest asks for one page by the MSR: 0; -EIO if the hypervisor says no, at which Linux gives up;
 * or the error of KVM_RUN.
 */
export const askByMsr = fn(function* page_state_change(
  vm: number,
  gfn: Gfn,
  operation: number,
): Kernel<number> {
  const file = yield* kvmFget(vm)
  if (isErr(file)) return ptrErr(file)
  const vcpu = yield* taskVcpu(kvmOf(file))
  let ret = yield* vmgexitPscMsr(vm, vcpu, pscRequest(gfn, operation))
  if (ret === 0 && ghcbOf(vcpu).exitInfo2 !== 0) ret = -EIO
  forgetRequest(ghcbOf(vcpu))
  yield* fput(file)
  return ret
})

/**
 * One page, by the MSR. 0, or a code of PVALIDATE; -EIO if the hypervisor says no, at which Linux
 * gives up.
 *
 * Models: 6.12 arch/x86/coco/sev/core.c early_set_pages_state, one page, between the two halves of
 * arch/x86/mm/mem_encrypt_amd.c. Compared: 6.17 source.
 */
export const snpGuestConvert = fn(function* guest_convert(
  vm: number,
  gpa: bigint,
  attributes: number,
): Kernel<number> {
  const gfn = bytesToPgoff(gpa) as number as Gfn
  const toShared = attributes !== KVM_MEMORY_ATTRIBUTE_PRIVATE
  if (toShared) {
    const code = yield* guestAccess(vm, gpa, RESCIND)
    if (code !== 0) return code
  } else yield* setSharedBit(vm, gfn, false)
  const operation = toShared ? VMGEXIT_PSC_OP_SHARED : VMGEXIT_PSC_OP_PRIVATE
  const error = yield* askByMsr(vm, gfn, operation)
  if (error !== 0) return error
  if (toShared) return yield* setSharedBit(vm, gfn, true)
  return yield* guestAccess(vm, gpa, VALIDATE)
})

/**
 * SVM_VMGEXIT_PSC with the buffer at `scratch`, of which the guest says that it has `length` bytes,
 * as it lies in memory now: 0, or the error of KVM_RUN; KVM_EXIT_HYPERCALL if user space does not
 * come back from that. What the guest hears is in the vCPU's answer. If KVM can't map the GHCB, it
 * hears nothing, and finds there what it had put there.
 *
 * Models: 6.17 arch/x86/kvm/svm/sev.c sev_handle_vmgexit. Compared: 7.0 and 7.1 source.
 */
export const vmgexitPsc = fn(function* sev_handle_vmgexit(
  vm: number,
  vcpu: KvmVcpu,
  ghcb: bigint,
  scratch: bigint,
  length: bigint,
  answered: boolean,
): Kernel<number> {
  const kvm = vcpu.kvm!
  const refused = yield* vcpuEnterGuest(vcpu)
  if (refused !== 0) return refused
  const g = ghcbOf(vcpu)
  g.exitInfo1 = 0
  g.exitInfo2 = Number(length) as GuestWord
  const gfn = bytesToPgoff(ghcb) as number as Gfn
  srcuReadLock(kvm.srcu)
  const folio = yield* kvmVcpuMap(vcpu, gfn)
  let ret = 1
  if (!isErr(folio)) {
    g.ghcb = folio
    g.exitInfo2 = 0 as GuestWord
    ret = yield* setupVmgexitScratch(vcpu, gfn, scratch, length)
  }
  srcuReadUnlock(kvm.srcu)
  if (ret === 0 && (yield* snpPsc(vm, vcpu, answered)) === TO_USER) return KVM_EXIT_HYPERCALL
  yield* sevEsUnmapGhcb(vcpu)
  return Math.min(ret, 0)
})

/**
 * The guest sends the buffer at `scratch`. What it finds in SW_EXITINFO2; of a malformed input, with
 * SW_EXITINFO1 as the upper word. Errors as of KVM_RUN; -ENOTTY for another guest. KVM_EXIT_HYPERCALL
 * if user space does not answer, and never runs the vCPU again.
 */
export const snpGuestPsc = fn(function* guest_psc(
  vm: number,
  ghcb: bigint,
  scratch: bigint,
  length: bigint,
  answered: number,
): Kernel<GuestWord> {
  const file = yield* kvmFget(vm)
  if (isErr(file)) return ptrErr(file) as GuestWord
  const vcpu = yield* taskVcpu(kvmOf(file))
  let ret = -ENOTTY
  if (isSnpGuest(vcpu.kvm!))
    ret = yield* vmgexitPsc(vm, vcpu, ghcb, scratch, length, answered !== 0)
  yield* fput(file)
  if (ret !== 0) return ret as GuestWord
  const g = ghcbOf(vcpu)
  const said = (g.exitInfo1 * 2 ** 32 + g.exitInfo2) as GuestWord
  forgetRequest(g)
  return said
})

/** The guest stores 8 bytes. */
export const storeWord = fn(function* guest_store(
  vm: number,
  gpa: bigint,
  word: bigint,
): Kernel<number> {
  const info = exitInfo(currentTaskNumber())
  info.low = Number(BigInt.asIntN(32, word))
  info.high = Number(BigInt.asIntN(32, word >> 32n))
  return yield* guestAccess(vm, gpa, STORE_WORD)
})

/** How many pages the entry has that begins at a page: a whole region, or one. */
function entryPages(gfn: number, behind: number): number {
  return gfn % REGION === 0 && gfn + REGION <= behind ? REGION : 1
}

/**
 * PVALIDATE of all pages, a region at a time where it can be: 0, or the code of the first that fails.
 *
 * Models: 6.12 arch/x86/coco/sev/core.c pval_pages. Compared: 6.17 source.
 */
export const validatePages = fn(function* pval_pages(
  vm: number,
  first: number,
  behind: number,
  want: boolean,
): Kernel<number> {
  let gfn = first
  let code = 0
  while (gfn < behind && code === 0) {
    let pages = entryPages(gfn, behind)
    if (pages > 1)
      code = yield* guestAccess(vm, gpaOf(gfn), want ? VALIDATE_REGION : RESCIND_REGION)
    if (pages === 1 || code === FAIL_SIZEMISMATCH) {
      pages = 1
      code = yield* guestAccess(vm, gpaOf(gfn), want ? VALIDATE : RESCIND)
    }
    gfn += pages
  }
  return code
})

/**
 * The entries for [first, behind) are put into the shared buffer of the GHCB: the last one's index.
 */
export const fillBuffer = fn(function* snp_psc_desc(
  vm: number,
  ghcb: bigint,
  first: number,
  behind: number,
  operation: number,
): Kernel<number> {
  const buffer = ghcb + BigInt(SHARED_BUFFER)
  let gfn = first
  let n = 0
  while (gfn < behind) {
    const pages = entryPages(gfn, behind)
    const entry = (BigInt(gfn) << 12n) | (BigInt(operation) << 52n)
    yield* storeWord(vm, buffer + 8n + BigInt(8 * n), pages > 1 ? entry | (1n << 56n) : entry)
    gfn += pages
    n += 1
  }
  yield* storeWord(vm, buffer, BigInt(n - 1) << 16n)
  return n - 1
})

/**
 * Send the buffer until all of its entries are done: 0; -EIO if the hypervisor says no, or goes
 * backwards; or the error of KVM_RUN.
 *
 * Models: 6.12 arch/x86/coco/sev/core.c vmgexit_psc. Compared: 6.17 source.
 */
export const sendBuffer = fn(function* vmgexit_psc(
  vm: number,
  ghcb: bigint,
  last: number,
): Kernel<number> {
  const buffer = ghcb + BigInt(SHARED_BUFFER)
  let current = 0
  while (current <= last) {
    const said = yield* snpGuestPsc(vm, ghcb, buffer, 0n, 1)
    if (said !== 0) return said < 0 ? said : -EIO
    const next = yield* guestRead(vm, buffer)
    const end = yield* guestRead(vm, buffer + 2n)
    if (next < current || end > last) return -EIO
    current = next
  }
  return 0
})

export const setSharedBits = fn(function* set_pages_encrypted(
  vm: number,
  first: number,
  behind: number,
  shared: boolean,
): Kernel<void> {
  let gfn = first
  while (gfn < behind) {
    yield* setSharedBit(vm, gfn as Gfn, shared)
    gfn += 1
  }
})

/**
 * Many pages, by the buffer of a GHCB that the guest has given away before. 0, or a code of
 * PVALIDATE; -EIO if the hypervisor says no, at which Linux gives up.
 *
 * Models: 6.12 arch/x86/coco/sev/core.c __set_pages_state, between the two halves of
 * arch/x86/mm/mem_encrypt_amd.c. Compared: 6.17 source.
 */
export const snpGuestConvertPages = fn(function* guest_convert_pages(
  vm: number,
  ghcb: bigint,
  gpa: bigint,
  size: bigint,
  attributes: number,
): Kernel<number> {
  const first = bytesToPgoff(gpa) as number
  const behind = first + Number(size / PAGE_SIZE)
  const toShared = attributes !== KVM_MEMORY_ATTRIBUTE_PRIVATE
  if (toShared) {
    const code = yield* validatePages(vm, first, behind, false)
    if (code !== 0) return code
  } else yield* setSharedBits(vm, first, behind, false)
  const operation = toShared ? VMGEXIT_PSC_OP_SHARED : VMGEXIT_PSC_OP_PRIVATE
  const last = yield* fillBuffer(vm, ghcb, first, behind, operation)
  const error = yield* sendBuffer(vm, ghcb, last)
  if (error !== 0) return error
  if (!toShared) return yield* validatePages(vm, first, behind, true)
  yield* setSharedBits(vm, first, behind, true)
  return 0
})

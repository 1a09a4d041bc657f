/**
 * A guest with SNP, and the processor that runs it. The guest's own page table says with the C bit
 * what is private; each access is checked against the reverse map table in the step that makes it,
 * and what is private is written and read under the guest's key.
 *
 * The guest validates a page before it uses it. A scenario may leave that out: then it is a guest
 * that disobeys. How it gives pages away is in `guest-psc.ts`.
 */
import { guestAccess, noteWrite, translate, vcpuRun } from '../../kernel/arch/x86/kvm/guest.js'
import { kvmMmuPageFault } from '../../kernel/arch/x86/kvm/mmu.js'
import { EINTR, EINVAL, EIO } from '../../kernel/include/errno.js'
import {
  KVM_EXIT_SHUTDOWN,
  KVM_REQ_MCE_SHUTDOWN,
  KVM_REQ_UPDATE_PROTECTED_GUEST_STATE,
  KVM_REQ_VMSA_PAGE_RELOAD,
  type KvmVcpu,
} from '../../kernel/include/kvm.js'
import type { Folio } from '../../kernel/include/mm.js'
import { bytesToPgoff, type Gfn, PAGE_SIZE } from '../../kernel/include/types.js'
import { attrPrivate } from '../../kernel/virt/kvm/memory_attributes.js'
import { type Blob, byteWithKey, keyAt, keyedByte, withBytes } from '../../machine/blob.js'
import { alsoReads, alsoWrites, rmw } from '../../machine/effects.js'
import { LimitError, mark, tracepoint } from '../../machine/fault.js'
import { fn, type Kernel, original } from '../../machine/fn.js'
import { ACCESS_OK, ACCESS_VC, checkGuestAccess } from './access.js'
import { keyOf } from './firmware.js'
import { ghcbOf } from './ghcb.js'
import { sevHandleRmpFault } from './gmem.js'
import {
  NESTED_FAULT,
  NESTED_FAULT_SIZE,
  pvalidate,
  rmpadjust,
  VC_NOT_VALIDATED,
} from './instructions.js'
import { effectiveEntry } from './rmp.js'
import {
  ExitInfo,
  GUEST_FRAMES,
  HALTED,
  isSnpGuest,
  type KvmSevInfo,
  sevEs,
  sevInfo,
} from './vm.js'
import { ADJUST, sevSnpInitProtectedGuestState, vmrunAllowed } from './vmsa.js'

/**
 * What the guest's instruction does, by the number that `vcpu_run` is given for a byte: -1 loads one,
 * -4 is RMPADJUST (`vmsa.ts`).
 */
export const VALIDATE = -2
export const RESCIND = -3
/** The same for the region that begins at the page. */
export const VALIDATE_REGION = -5
export const RESCIND_REGION = -6
/** Store the 8 bytes of the task's `stored`. */
export const STORE_WORD = -7

export function exitInfo(task: number): ExitInfo {
  return ExitInfo.at(ExitInfo.base + task * ExitInfo.words) as ExitInfo
}

/** By the exit's error code; where there is none, as in a prefault, by the attribute. */
export const snpFaultIsPrivate = fn(function kvm_mmu_fault_is_private(
  vcpu: KvmVcpu,
  gfn: Gfn,
): boolean {
  const kvm = vcpu.kvm!
  if (!isSnpGuest(kvm)) return attrPrivate(kvm, gfn)
  const { kind } = exitInfo(vcpu.id)
  return kind === 0 ? attrPrivate(kvm, gfn) : kind === 1
})

/** Has the guest's page table the C bit for this frame? */
function isEncrypted(info: KvmSevInfo, gfn: Gfn): boolean {
  alsoReads(info, 'sharedGfns')
  return info.sharedGfns.get(checked(gfn)) === 0
}

export function checked(gfn: Gfn): number {
  if (gfn < GUEST_FRAMES) return gfn
  throw new LimitError(`a guest with SNP has its C bits for gfns below ${GUEST_FRAMES}`)
}

function stores(byte: number): boolean {
  return byte >= 0 || byte === STORE_WORD
}

/** STORE_WORD, which the table allows. */
function storeWord(vcpu: KvmVcpu, gfn: Gfn, folio: Folio, offset: number, key: number): number {
  const { low, high } = exitInfo(vcpu.id)
  alsoWrites(folio, 'data')
  let data = folio.data as Blob
  for (let i = 0; i < 8; i++) {
    const byte = ((i < 4 ? low : high) >>> (8 * (i % 4))) & 0xff
    data = withBytes(data, offset + i, 1, keyedByte(byte, key))
  }
  folio.data = data
  noteWrite(vcpu, gfn, folio)
  return 0
}

/** The access itself, which the table allows. */
function accessUnderKey(
  vcpu: KvmVcpu,
  gfn: Gfn,
  folio: Folio,
  offset: number,
  byte: number,
  key: number,
): number {
  if (byte === STORE_WORD) return storeWord(vcpu, gfn, folio, offset, key)
  if (byte >= 0) {
    alsoWrites(folio, 'data')
    folio.data = withBytes(folio.data as Blob, offset, 1, keyedByte(byte, key))
    noteWrite(vcpu, gfn, folio)
    return 0
  }
  alsoReads(folio, 'data')
  const stored = keyAt(folio.data as Blob, offset)
  if (key === 0) tracepoint('kvm_guest_read', gfn, folio, offset)
  else tracepoint('snp_guest_read', gfn, folio, key, stored)
  return byteWithKey(folio.data as Blob, offset, key)
}

/** The guest must ask the hypervisor first: leave to KVM, and come back. */
const TO_KVM = -1
const TO_KVM_RMP = -2

/** One instruction on a frame that is mapped: its result, or why the guest leaves. */
function instruction(vcpu: KvmVcpu, gfn: Gfn, folio: Folio, offset: number, byte: number): number {
  const info = sevInfo(vcpu.kvm!)
  const encrypted = isEncrypted(info, gfn)
  const { pfn } = folio
  alsoReads(effectiveEntry(pfn), 'assigned')
  alsoReads(effectiveEntry(pfn), 'validated')
  if (byte < -1 && byte !== STORE_WORD) {
    const large = byte === VALIDATE_REGION || byte === RESCIND_REGION
    const page = { asid: info.asid, gfn, vmpl: 0, large }
    const want = byte === VALIDATE || byte === VALIDATE_REGION
    const code = byte === ADJUST ? rmpadjust(pfn, page, 1, 1, true) : pvalidate(pfn, page, want)
    return code === NESTED_FAULT || code === NESTED_FAULT_SIZE ? TO_KVM_RMP : code
  }
  const verdict = checkGuestAccess(pfn, {
    asid: info.asid,
    gfn,
    encrypted,
    write: stores(byte),
    vmpl: 0,
    largeMapping: false,
  })
  if (verdict === ACCESS_VC) {
    mark('vc-not-validated')
    return VC_NOT_VALIDATED
  }
  if (verdict !== ACCESS_OK) {
    mark('npf-rmp')
    return TO_KVM_RMP
  }
  const key = encrypted ? keyOf(info.asid, pfn) : 0
  return accessUnderKey(vcpu, gfn, folio, offset, byte, key)
}

/**
 * KVM_REQ_VMSA_PAGE_RELOAD, which nobody makes before 7.3: the vCPU's save area is looked up again.
 */
export const reloadVmsa = fn(function* sev_snp_reload_vmsa(_vcpu: KvmVcpu): Kernel<void> {})

/** Requests that are met before the vCPU enters the guest. */
const ABOUT_SAVE_AREAS = KVM_REQ_VMSA_PAGE_RELOAD | KVM_REQ_UPDATE_PROTECTED_GUEST_STATE

/**
 * All that KVM does before it enters the guest: 0, and the processor's own step has begun; or the
 * error of KVM_RUN, as `vcpu_run` has it.
 *
 * Models: 6.17 arch/x86/kvm/x86.c vcpu_enter_guest, of its requests those that are made here.
 * Compared: 7.0 source.
 */
export const vcpuEnterGuest = fn(function* vcpu_enter_guest(vcpu: KvmVcpu): Kernel<number> {
  if (ghcbOf(vcpu).ghcb !== null) throw new LimitError('a vCPU whose VMM has not answered it')
  for (;;) {
    // Who makes a request kicks the vCPU, so it does not enter, or sleep, with one pending.
    yield rmw(vcpu, 'tlbValid')
    alsoWrites(vcpu, 'requests')
    const requests = vcpu.requests & ABOUT_SAVE_AREAS
    if (requests === 0) return refusedEntry(vcpu)
    vcpu.requests &= ~ABOUT_SAVE_AREAS
    if (requests & KVM_REQ_VMSA_PAGE_RELOAD) yield* reloadVmsa(vcpu)
    if (requests & KVM_REQ_UPDATE_PROTECTED_GUEST_STATE) yield* sevSnpInitProtectedGuestState(vcpu)
  }
})

/** 0, or why nobody enters the guest. Part of the processor's step. */
function refusedEntry(vcpu: KvmVcpu): number {
  const es = sevEs(vcpu)
  if (es.vmsaPfn === HALTED) return -EINTR
  if (es.vmsa !== null && !es.guestStateProtected) return -EINVAL
  // KVM_REQ_MMU_FREE_OBSOLETE_ROOTS: nobody enters the guest with a root that was thrown away.
  alsoWrites(vcpu, 'rootObsolete')
  vcpu.rootObsolete = false
  alsoReads(vcpu.kvm!, 'vmDead')
  if (vcpu.kvm!.vmDead) return -EIO
  alsoReads(sevInfo(vcpu.kvm!), 'launched')
  if (!sevInfo(vcpu.kvm!).launched) return -EINVAL
  if (vcpu.requests & KVM_REQ_MCE_SHUTDOWN) {
    vcpu.requests &= ~KVM_REQ_MCE_SHUTDOWN
    vcpu.exitReason = KVM_EXIT_SHUTDOWN
    return -EIO
  }
  return vmrunAllowed(vcpu) ? 0 : -EINVAL
}

const plainRun = original(vcpuRun)

/**
 * Run the guest until one instruction is done: the byte, 0, a code of PVALIDATE, or
 * VC_NOT_VALIDATED for a #VC; errors as of any guest, and -EINVAL before the launch is finished,
 * which stands for KVM_EXIT_FAIL_ENTRY: the processor does not enter a guest whose VMSA firmware
 * has not encrypted, nor one whose VMSA is none of the guest's. -EINTR stands for the signal that
 * ends the wait of a vCPU that has none.
 *
 * Models: 6.17 arch/x86/kvm/svm/svm.c npf_interception, as far as faults go. Compared: 7.0 source.
 */
export const snpVcpuRun = fn(function* vcpu_run(
  vcpu: KvmVcpu,
  gpa: bigint,
  byte: number,
): Kernel<number> {
  if (!isSnpGuest(vcpu.kvm!)) return yield* plainRun(vcpu, gpa, byte)
  const gfn = bytesToPgoff(gpa) as number as Gfn
  const offset = Number(gpa % PAGE_SIZE)
  for (;;) {
    const refused = yield* vcpuEnterGuest(vcpu)
    if (refused !== 0) return refused
    // The processor's own step: translate, check, access.
    alsoWrites(vcpu, 'tlbWritable')
    alsoWrites(vcpu, 'tlbGfn')
    alsoWrites(vcpu, 'tlbPfn')
    const folio = translate(vcpu, gfn, stores(byte))
    let result = TO_KVM
    if (folio !== null) result = instruction(vcpu, gfn, folio, offset, byte)
    if (result >= 0) return result
    const rmpFault = result === TO_KVM_RMP
    exitInfo(vcpu.id).kind = isEncrypted(sevInfo(vcpu.kvm!), gfn) ? 1 : 2
    const error = yield* kvmMmuPageFault(vcpu, gfn, stores(byte))
    exitInfo(vcpu.id).kind = 0
    if (error !== 0) return error
    if (rmpFault) yield* sevHandleRmpFault(vcpu, gfn)
  }
})

/** PVALIDATE of one page by the guest, at a guest physical address in bytes. */
export const snpGuestAccept = fn(function* guest_accept(vm: number, gpa: bigint): Kernel<number> {
  return yield* guestAccess(vm, gpa, VALIDATE)
})

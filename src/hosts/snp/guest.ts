/**
 * A guest with SNP, and the processor that runs it. The guest's own page table says with the C bit
 * what is private; each access is checked against the reverse map table in the step that makes it,
 * and what is private is written and read under the guest's key.
 *
 * The guest validates a page before it uses it and takes that back before it gives the page away. A
 * scenario may leave either out: then it is a guest that disobeys.
 */
import { guestAccess, noteWrite, translate, vcpuRun } from '../../kernel/arch/x86/kvm/guest.js'
import { kvmMmuPageFault } from '../../kernel/arch/x86/kvm/mmu.js'
import { fput } from '../../kernel/fs/file_table.js'
import { EINTR, EINVAL, EIO } from '../../kernel/include/errno.js'
import { KVM_EXIT_SHUTDOWN, KVM_REQ_MCE_SHUTDOWN, type KvmVcpu } from '../../kernel/include/kvm.js'
import type { Folio } from '../../kernel/include/mm.js'
import { bytesToPgoff, type Gfn, PAGE_SIZE } from '../../kernel/include/types.js'
import { KVM_MEMORY_ATTRIBUTE_PRIVATE } from '../../kernel/include/uapi.js'
import { attrPrivate } from '../../kernel/virt/kvm/memory_attributes.js'
import { kvmFget, kvmOf } from '../../kernel/virt/kvm/vm_file.js'
import { type Blob, byteWithKey, keyAt, keyedByte, withBytes } from '../../machine/blob.js'
import { alsoReads, alsoWrites, rmw, write } from '../../machine/effects.js'
import { LimitError, mark, tracepoint } from '../../machine/fault.js'
import { fn, type Kernel, original } from '../../machine/fn.js'
import { isErr } from '../../machine/struct.js'
import { vmmConvert } from '../../user/vmm.js'
import { ACCESS_OK, ACCESS_VC, checkGuestAccess } from './access.js'
import { keyOf } from './firmware.js'
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

/** What the guest's instruction does, by the number that `vcpu_run` is given for a byte. */
const _READ = -1
const VALIDATE = -2
const RESCIND = -3

function exitInfo(vcpu: KvmVcpu): ExitInfo {
  return ExitInfo.at(ExitInfo.base + vcpu.id * ExitInfo.words) as ExitInfo
}

/** By the exit's error code; where there is none, as in a prefault, by the attribute. */
export const snpFaultIsPrivate = fn(function kvm_mmu_fault_is_private(
  vcpu: KvmVcpu,
  gfn: Gfn,
): boolean {
  const kvm = vcpu.kvm!
  if (!isSnpGuest(kvm)) return attrPrivate(kvm, gfn)
  const { kind } = exitInfo(vcpu)
  return kind === 0 ? attrPrivate(kvm, gfn) : kind === 1
})

/** Has the guest's page table the C bit for this frame? */
function isEncrypted(info: KvmSevInfo, gfn: Gfn): boolean {
  alsoReads(info, 'sharedGfns')
  return info.sharedGfns.get(checked(gfn)) === 0
}

function checked(gfn: Gfn): number {
  if (gfn < GUEST_FRAMES) return gfn
  throw new LimitError(`a guest with SNP has its C bits for gfns below ${GUEST_FRAMES}`)
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
  if (byte === VALIDATE || byte === RESCIND || byte === ADJUST) {
    const page = { asid: info.asid, gfn, vmpl: 0, large: false }
    const code =
      byte === ADJUST ? rmpadjust(pfn, page, 1, 1, true) : pvalidate(pfn, page, byte === VALIDATE)
    return code === NESTED_FAULT || code === NESTED_FAULT_SIZE ? TO_KVM_RMP : code
  }
  const verdict = checkGuestAccess(pfn, {
    asid: info.asid,
    gfn,
    encrypted,
    write: byte >= 0,
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

const plainRun = original(vcpuRun)

/**
 * Run the guest until one instruction is done: the byte, 0, a code of PVALIDATE, or VC_NOT_VALIDATED
 * for a #VC; errors as of any guest, and -EINVAL before the launch is finished, which stands for
 * KVM_EXIT_FAIL_ENTRY: the processor does not enter a guest whose VMSA firmware has not encrypted, nor
 * one whose VMSA is none of the guest's. -EINTR stands for the signal that ends the wait of a vCPU
 * that has none.
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
    // KVM_REQ_UPDATE_PROTECTED_GUEST_STATE, which nobody but the vCPU itself makes here.
    if (sevEs(vcpu).waitingForReset) yield* sevSnpInitProtectedGuestState(vcpu)
    if (sevEs(vcpu).vmsaPfn === HALTED) return -EINTR
    // The processor's own step: translate, check, access.
    yield rmw(vcpu, 'tlbValid')
    // KVM_REQ_MMU_FREE_OBSOLETE_ROOTS: nobody enters the guest with a root that was thrown away.
    alsoWrites(vcpu, 'rootObsolete')
    vcpu.rootObsolete = false
    alsoWrites(vcpu, 'tlbWritable')
    alsoWrites(vcpu, 'tlbGfn')
    alsoWrites(vcpu, 'tlbPfn')
    alsoWrites(vcpu, 'requests')
    alsoReads(vcpu.kvm!, 'vmDead')
    if (vcpu.kvm!.vmDead) return -EIO
    alsoReads(sevInfo(vcpu.kvm!), 'launched')
    if (!sevInfo(vcpu.kvm!).launched) return -EINVAL
    if (vcpu.requests & KVM_REQ_MCE_SHUTDOWN) {
      vcpu.requests &= ~KVM_REQ_MCE_SHUTDOWN
      vcpu.exitReason = KVM_EXIT_SHUTDOWN
      return -EIO
    }
    if (!vmrunAllowed(vcpu)) return -EINVAL
    const folio = translate(vcpu, gfn, byte >= 0)
    let result = TO_KVM
    if (folio !== null) result = instruction(vcpu, gfn, folio, offset, byte)
    if (result >= 0) return result
    const rmpFault = result === TO_KVM_RMP
    exitInfo(vcpu).kind = isEncrypted(sevInfo(vcpu.kvm!), gfn) ? 1 : 2
    const error = yield* kvmMmuPageFault(vcpu, gfn, byte >= 0)
    exitInfo(vcpu).kind = 0
    if (error !== 0) return error
    if (rmpFault) yield* sevHandleRmpFault(vcpu, gfn)
  }
})

/** PVALIDATE of one page by the guest, at a guest physical address in bytes. */
export const snpGuestAccept = fn(function* guest_accept(vm: number, gpa: bigint): Kernel<number> {
  return yield* guestAccess(vm, gpa, VALIDATE)
})

/** The guest sets or clears the C bit of a page, and flushes its own TLB. */
const setSharedBit = fn(function* set_memory_encrypted(
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

/**
 * The guest gives a page away or takes it back: it asks the hypervisor for a page state change,
 * which leaves KVM_RUN, and the VMM sets the attribute before the guest goes on. To shared:
 * validation is taken back first, the C bit last. To private: the C bit first, validation last. 0,
 * or a code of PVALIDATE, or the error of the VMM's request.
 *
 * Models: 6.12 arch/x86/coco/sev/core.c snp_set_memory_shared and snp_set_memory_private, with
 * arch/x86/kvm/svm/sev.c snp_begin_psc; a VMM that answers KVM_HC_MAP_GPA_RANGE.
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
  const error = yield* vmmConvert(vm, gpa, attributes)
  if (error !== 0) return error
  if (toShared) return yield* setSharedBit(vm, gfn, true)
  return yield* guestAccess(vm, gpa, VALIDATE)
})

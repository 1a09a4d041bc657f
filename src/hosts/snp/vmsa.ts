/**
 * Save areas. A vCPU begins with one that KVM has allocated. A guest with SNP may have a vCPU go on
 * with a page of its own instead, which it has marked so by RMPADJUST; the processor loads from it
 * and stores to it by its physical address. KVM looks the page up, puts the reference at once and
 * keeps the address, and nobody tells it when the page goes. Later versions are told
 * (`vmsa-reload.ts`).
 *
 * Left out: AP_CREATE_ON_INIT. A vCPU may ask for itself here, which in a guest another one does.
 */

import { guestAccess, taskVcpu } from '../../kernel/arch/x86/kvm/guest.js'
import { fput } from '../../kernel/fs/file_table.js'
import { EINVAL } from '../../kernel/include/errno.js'
import {
  KVM_REQ_UPDATE_PROTECTED_GUEST_STATE,
  type Kvm,
  type KvmMemorySlot,
  type KvmVcpu,
} from '../../kernel/include/kvm.js'
import type { Folio } from '../../kernel/include/mm.js'
import { bytesToPgoff, type Gfn, type Pfn } from '../../kernel/include/types.js'
import { KVM_MEM_PRIVATE } from '../../kernel/include/uapi.js'
import { kvmReleaseFaultinPage } from '../../kernel/v6_18/arch/x86/kvm/mmu.js'
import { kvmGmemGetPfn } from '../../kernel/v6_18/virt/kvm/guest_memfd_slot.js'
import { searchMemslots } from '../../kernel/virt/kvm/memslots.js'
import { kvmRestrictedMemGetPfn } from '../../kernel/virt/kvm/restrictedmem.js'
import { kvmFget, kvmOf } from '../../kernel/virt/kvm/vm_file.js'
import { alsoReads, read, write } from '../../machine/effects.js'
import { mark, tracepoint } from '../../machine/fault.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { mutexLock, mutexUnlock } from '../../machine/locks.js'
import { srcuReadLock, srcuReadUnlock } from '../../machine/rcu.js'
import { isErr, ptrErr } from '../../machine/struct.js'
import { saveAreaFits } from './access.js'
import { REGION, rmpEntry } from './rmp.js'
import { HALTED, INVALID_VMSA, isSnpGuest, sevEs, sevInfo } from './vm.js'

/** What the guest's instruction does, beside PVALIDATE: RMPADJUST of a page to a save area. */
export const ADJUST = -4

/** The page of a slot's file behind a gfn, with a reference, or an ERR_PTR. */
export const vmsaPage = fn(function* sev_vmsa_page(slot: KvmMemorySlot, gfn: Gfn): Kernel<Folio> {
  return yield* kvmGmemGetPfn(slot, gfn)
})

/** The same of restrictedmem. */
export const vmsaPage2023 = fn(function* sev_vmsa_page(
  slot: KvmMemorySlot,
  gfn: Gfn,
): Kernel<Folio> {
  return yield* kvmRestrictedMemGetPfn(slot, gfn)
})

/** What the vCPU goes on with. snp_vmsa_mutex is held. */
export const nextSaveArea = fn(function* next_save_area(vcpu: KvmVcpu): Kernel<void> {
  const kvm = vcpu.kvm!
  const es = sevEs(vcpu)
  es.waitingForReset = false
  es.vmsaPfn = HALTED
  es.asid = sevInfo(kvm).asid
  const gfn = (es.vmsaGfn - 1) as Gfn
  es.vmsaGfn = 0
  yield read(kvm, 'memslots')
  const slot = gfn < 0 ? null : searchMemslots(kvm.memslots!, gfn)
  if (slot === null || (slot.flags & KVM_MEM_PRIVATE) === 0) return
  const folio = yield* vmsaPage(slot, gfn)
  if (isErr(folio)) return
  es.vmsaPfn = folio.pfn + 1
  mark('save-area-of-the-guest')
  yield* kvmReleaseFaultinPage(folio, true, false)
})

/**
 * Before the vCPU enters the guest again: it has no save area until the page that was asked for is
 * found, and then that one. SRCU is held, as by all of KVM_RUN.
 *
 * Models: 6.17 arch/x86/kvm/svm/sev.c sev_snp_init_protected_guest_state. Compared: 7.0 source.
 */
export const sevSnpInitProtectedGuestState = fn(function* sev_snp_init_protected_guest_state(
  vcpu: KvmVcpu,
): Kernel<void> {
  const kvm = vcpu.kvm!
  const es = sevEs(vcpu)
  srcuReadLock(kvm.srcu)
  yield* mutexLock(es.vmsaMutex)
  // Asked again with the mutex: the first look was without it.
  if (es.waitingForReset) yield* nextSaveArea(vcpu)
  mutexUnlock(es.vmsaMutex)
  srcuReadUnlock(kvm.srcu)
})

/** kvm_make_request_and_kick(): a vCPU in the guest leaves it, one that is halted wakes up. */
export const makeRequestAndKick = fn(function* kvm_make_request_and_kick(
  vcpu: KvmVcpu,
  request: number,
): Kernel<void> {
  yield write(vcpu, 'requests')
  vcpu.requests |= request
})

/**
 * SVM_VMGEXIT_AP_CREATE, or with no gfn SVM_VMGEXIT_AP_DESTROY, of the vCPU with this id: 0, or
 * -EINVAL, which the guest sees as an input that is no good. A page that begins a region is refused:
 * with a large entry the processor could fault on it for nothing.
 *
 * Models: 6.17 arch/x86/kvm/svm/sev.c sev_snp_ap_creation. Compared: 7.0 source.
 */
export const sevSnpApCreation = fn(function* sev_snp_ap_creation(
  kvm: Kvm,
  target: number,
  gfn: Gfn,
): Kernel<number> {
  yield read(kvm, 'vcpus')
  const vcpu = target >= 0 && target < kvm.vcpus.length ? kvm.vcpus.get(target) : null
  if (vcpu === null) return -EINVAL
  const es = sevEs(vcpu)
  yield* mutexLock(es.vmsaMutex)
  const ret = gfn >= 0 && gfn % REGION === 0 ? -EINVAL : 0
  if (ret === 0) {
    es.vmsaGfn = gfn + 1
    es.waitingForReset = true
    yield* makeRequestAndKick(vcpu, KVM_REQ_UPDATE_PROTECTED_GUEST_STATE)
  }
  mutexUnlock(es.vmsaMutex)
  return ret
})

/**
 * KVM looks whether the vCPU has a save area, and VMRUN at it, if it is the guest's: may the
 * processor enter?
 */
export function vmrunAllowed(vcpu: KvmVcpu): boolean {
  const { vmsaPfn, asid } = sevEs(vcpu)
  if (vmsaPfn === 0) return true
  if (vmsaPfn === INVALID_VMSA) return false
  const pfn = (vmsaPfn - 1) as Pfn
  for (const field of ['assigned', 'validated'] as const) alsoReads(rmpEntry(pfn), field)
  tracepoint('snp_vmrun', pfn, asid)
  if (saveAreaFits(pfn, asid)) return true
  mark('vmrun-refused')
  return false
}

/** The task's vCPU has KVM create the save area of a vCPU, its own if `target` is negative. */
export const askForSaveArea = fn(function* vmgexit_ap_create(
  vm: number,
  target: number,
  gfn: Gfn,
): Kernel<number> {
  const file = yield* kvmFget(vm)
  if (isErr(file)) return ptrErr(file)
  const vcpu = yield* taskVcpu(kvmOf(file))
  let error = -EINVAL
  if (isSnpGuest(vcpu.kvm!)) {
    error = yield* sevSnpApCreation(vcpu.kvm!, target < 0 ? vcpu.id : target, gfn)
  }
  yield* fput(file)
  return error
})

/**
 * The guest makes a private page the save area of a vCPU, and has the hypervisor take it: 0, a code
 * of RMPADJUST, or -EINVAL.
 *
 * Models: 6.12 arch/x86/coco/sev/core.c snp_set_vmsa and wakeup_cpu_via_vmgexit.
 */
export const snpGuestApCreate = fn(function* guest_ap_create(
  vm: number,
  gpa: bigint,
  target: number,
): Kernel<number> {
  const code = yield* guestAccess(vm, gpa, ADJUST)
  if (code !== 0) return code
  return yield* askForSaveArea(vm, target, bytesToPgoff(gpa) as number as Gfn)
})

/** The guest has a vCPU no longer run: 0 or -EINVAL. */
export const snpGuestApDestroy = fn(function* guest_ap_destroy(
  vm: number,
  target: number,
): Kernel<number> {
  return yield* askForSaveArea(vm, target, -1 as Gfn)
})

/**
 * A VM with SNP: what KVM keeps of it, and its beginning and its end, as of 6.11. Its launch is in
 * `launch.ts`.
 *
 * Left out: attestation, and the two pages that KVM keeps for it.
 */
import type { kvmX86VmDestroy } from '../../kernel/arch/x86/kvm/x86_ops.js'
import { EIO } from '../../kernel/include/errno.js'
import { Kvm, type KvmVcpu } from '../../kernel/include/kvm.js'
import type { Folio } from '../../kernel/include/mm.js'
import {
  KVM_X86_DEFAULT_VM,
  KVM_X86_SNP_VM,
  KVM_X86_SW_PROTECTED_VM,
} from '../../kernel/include/uapi.js'
import { folioPut } from '../../kernel/mm/swap.js'
import { kvmBugOn } from '../../kernel/virt/kvm/dead.js'
import { write } from '../../machine/effects.js'
import { warnOn } from '../../machine/fault.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { type Mutex, mutexInit } from '../../machine/locks.js'
import {
  constructAt,
  embed,
  flag,
  num,
  numberIn,
  type Obj,
  ptr,
  type Struct,
  struct,
  type Vec,
  vanishAt,
  vec,
} from '../../machine/struct.js'
import { MAX_TASKS } from '../../machine/task.js'
import { sevAsidFree, sevAsidNew, sevAsidsInit } from './asid.js'
import { SNP_DECOMMISSION, SNP_PAGE_RECLAIM } from './firmware.js'
import { ghcbInit, sevFreeVcpu } from './ghcb.js'
import { snpLeakedInit, snpLeakPages } from './leaked.js'
import { sevDeviceInit, sevDoCmd, snpFreeFirmwarePage } from './psp.js'
import { rmpMakeShared, sevPowerOn } from './sev.js'

/** struct kvm_sev_info. */
export interface KvmSevInfo extends Obj {
  /** 0 of a VM without SNP. Constant while the VM lives. */
  asid: number
  /** The page that firmware keeps the guest's context in. Guard: kvm->lock. */
  context: Folio | null
  /** kvm->arch.pre_fault_allowed: the launch is finished. Set for good; read without a lock. */
  launched: boolean
  /**
   * User space has asked for KVM_EXIT_HYPERCALL of KVM_HC_MAP_GPA_RANGE. Set for good, without a
   * lock.
   */
  exitOnMapGpaRange: boolean
  /** By gfn: the guest's own page table has the C bit clear. Guard: the guest's. */
  sharedGfns: Vec
}

/** Guest frames whose C bit is kept. */
export const GUEST_FRAMES = 16

export const KvmSevInfo: Struct<KvmSevInfo> = struct<KvmSevInfo>(
  'KvmSevInfo',
  {
    asid: num(),
    context: ptr('Folio'),
    launched: flag(),
    exitOnMapGpaRange: flag(),
    sharedGfns: vec(GUEST_FRAMES),
  },
  { capacity: Kvm.capacity },
)

/** An exit under way, by task: what the processor told KVM of the access. */
export interface ExitInfo extends Obj {
  /** 0 for none; else 1 for an access with the C bit, 2 for one without. */
  kind: number
  /** The 8 bytes that the guest is about to store. */
  low: number
  high: number
}

export const ExitInfo: Struct<ExitInfo> = struct<ExitInfo>(
  'ExitInfo',
  { kind: num(), low: num(), high: num() },
  { capacity: MAX_TASKS },
)

/** struct vcpu_sev_es_state, by task. */
export interface VcpuSevEs extends Obj {
  /** snp_vmsa_mutex. */
  vmsaMutex: Mutex
  /** snp_vmsa_gpa, of 7.3 snp_pending_vmsa_gpa, as a gfn, + 1; 0: none. Guard: vmsaMutex. */
  vmsaGfn: number
  /**
   * The save area that KVM has allocated for a vCPU which a scenario makes; of others there is
   * none.
   */
  vmsa: Folio | null
  /** guest_state_protected: firmware has encrypted it. Guard: kvm->lock. */
  guestStateProtected: boolean
  /** snp_ap_waiting_for_reset. Guard: vmsaMutex. */
  waitingForReset: boolean
  /**
   * snp_guest_vmsa_gpa of 7.3: the page that vmsaPfn is, or will be, as a gfn, + 1; 0: none. Guard:
   * vmsaMutex, and to become some page mmu_lock for reading; read under mmu_lock for writing.
   */
  guestVmsaGfn: number
  /**
   * The VMCB's vmsa_pa, as a pfn, + 1; 0: the one that KVM has allocated; HALTED and INVALID_VMSA:
   * none. The vCPU's.
   */
  vmsaPfn: number
  /** Of the guest that has asked for it; 0: none. The vCPU's. */
  asid: number
}

/** The vCPU has no save area, and does not run. */
export const HALTED = -1
/** It has none, and is to run all the same. */
export const INVALID_VMSA = -2

export const VcpuSevEs: Struct<VcpuSevEs> = struct<VcpuSevEs>(
  'VcpuSevEs',
  {
    vmsaMutex: embed('Mutex'),
    vmsaGfn: num(),
    vmsa: ptr('Folio'),
    guestStateProtected: flag(),
    waitingForReset: flag(),
    guestVmsaGfn: num(),
    vmsaPfn: num(),
    asid: num(),
  },
  { capacity: MAX_TASKS },
)

function sevEsOf(task: number): VcpuSevEs {
  return VcpuSevEs.at(VcpuSevEs.base + task * VcpuSevEs.words) as VcpuSevEs
}

/** to_svm(vcpu)->sev_es. */
export function sevEs(vcpu: KvmVcpu): VcpuSevEs {
  return sevEsOf(vcpu.id)
}

/** to_kvm_svm(kvm)->sev_info. */
export function sevInfo(kvm: Kvm): KvmSevInfo {
  return KvmSevInfo.at(KvmSevInfo.base + numberIn(Kvm, kvm) * KvmSevInfo.words) as KvmSevInfo
}

/** sev_snp_guest(). */
export function isSnpGuest(kvm: Kvm): boolean {
  return kvm.vmType === KVM_X86_SNP_VM
}

/** The machine at power-on, and what the modules set up. */
export const snpInit = fn(function* snp_init(): Kernel<void> {
  yield* sevPowerOn()
  const exits = ExitInfo as unknown as Struct<Obj>
  for (let n = 0; n < MAX_TASKS; n++) constructAt(exits, ExitInfo.base + n * ExitInfo.words, 0)
  const areas = VcpuSevEs as unknown as Struct<Obj>
  for (let n = 0; n < MAX_TASKS; n++) {
    constructAt(areas, VcpuSevEs.base + n * VcpuSevEs.words, 0)
    mutexInit(sevEsOf(n).vmsaMutex, 'snp_vmsa_mutex')
  }
  ghcbInit()
  sevAsidsInit()
  sevDeviceInit()
  snpLeakedInit()
})

export const snpVmTypeSupported = fn(function kvm_is_vm_type_supported(type: number): boolean {
  return type === KVM_X86_DEFAULT_VM || type === KVM_X86_SW_PROTECTED_VM || type === KVM_X86_SNP_VM
})

export const snpVmTypeHasPrivateMem = fn(function kvm_arch_has_private_mem(type: number): boolean {
  return type === KVM_X86_SW_PROTECTED_VM || type === KVM_X86_SNP_VM
})

/**
 * Models: 6.17 arch/x86/kvm/svm/svm.c svm_vm_init, and sev.c snp_launch_finish. Compared: 7.0
 * source.
 */
export const snpPreFaultAllowed = fn(function kvm_pre_fault_allowed(kvm: Kvm): boolean {
  return !isSnpGuest(kvm) || sevInfo(kvm).launched
})

/**
 * Models: 6.17 arch/x86/kvm/svm/svm.c svm_vm_init, with KVM_SEV_INIT2, __sev_guest_init. Compared:
 * 7.0 source.
 */
export const sevVmInit = fn(function* sev_vm_init(kvm: Kvm): Kernel<number> {
  if (!isSnpGuest(kvm)) return 0
  const info = sevInfo(kvm)
  const asid = yield* sevAsidNew()
  if (asid < 0) return asid
  constructAt(KvmSevInfo as unknown as Struct<Obj>, info.at, 0)
  info.asid = asid
  return 0
})

/**
 * A page becomes the host's: 0, or -EIO, and then KVM gives the VM up and the page is leaked.
 *
 * Models: 6.17 arch/x86/kvm/svm/sev.c kvm_rmp_make_shared. Compared: 7.0 source.
 */
export const kvmRmpMakeShared = fn(function* kvm_rmp_make_shared(
  kvm: Kvm,
  folio: Folio,
): Kernel<number> {
  const error = yield* rmpMakeShared(folio)
  if (!kvmBugOn(kvm, error !== 0, 'SEV: an RMP entry does not become shared')) return 0
  yield* snpLeakPages(folio)
  return -EIO
})

/**
 * The same of a page that firmware has to let go first.
 *
 * Models: 6.17 arch/x86/kvm/svm/sev.c snp_page_reclaim. Compared: 7.0 source.
 */
export const snpPageReclaim = fn(function* snp_page_reclaim(
  kvm: Kvm,
  folio: Folio,
): Kernel<number> {
  const rc = yield* sevDoCmd(SNP_PAGE_RECLAIM, folio, folio, 0)
  if (!kvmBugOn(kvm, rc !== 0, `Failed to reclaim PFN ${folio.pfn}`)) {
    return yield* kvmRmpMakeShared(kvm, folio)
  }
  yield* snpLeakPages(folio)
  return -EIO
})

/**
 * Give the context back, and with it firmware's hold on the ASID. If firmware does not, both are
 * lost.
 *
 * Models: 6.17 arch/x86/kvm/svm/sev.c snp_decommission_context. Compared: 7.0 source.
 */
export const snpDecommissionContext = fn(function* snp_decommission_context(
  info: KvmSevInfo,
): Kernel<number> {
  const page = info.context
  if (page === null) return 0
  const error = yield* sevDoCmd(SNP_DECOMMISSION, page, page, 0)
  if (warnOn(error !== 0, 'Failed to release guest context')) return error
  yield* snpFreeFirmwarePage(page)
  info.context = null
  return 0
})

/**
 * The save area that KVM has allocated goes with its vCPU; one that does not become the host's is
 * lost.
 *
 * Models: 6.17 arch/x86/kvm/svm/sev.c sev_free_vcpu, but for the GHCB. Compared: 7.0 and 7.1 source.
 */
export const sevFreeVmsa = fn(function* sev_free_vmsa(kvm: Kvm, es: VcpuSevEs): Kernel<void> {
  const page = es.vmsa
  if (page === null) return
  es.vmsa = null
  es.guestStateProtected = false
  if ((yield* kvmRmpMakeShared(kvm, page)) === 0) yield* folioPut(page)
})

/** Models: 6.17 arch/x86/kvm/svm/sev.c sev_vm_destroy. Compared: 7.0 source. */
export const sevVmDestroy: typeof kvmX86VmDestroy = fn(function* sev_vm_destroy(
  kvm: Kvm,
): Kernel<void> {
  if (!isSnpGuest(kvm)) return
  const info = sevInfo(kvm)
  let n = 0
  while (n < MAX_TASKS) {
    const es = sevEsOf(n)
    if (kvm.vcpus.get(n) !== null) {
      yield* sevFreeVmsa(kvm, es)
      yield* sevFreeVcpu(n)
    }
    n += 1
    if (es.asid !== info.asid) continue
    yield write(es, 'vmsaPfn')
    es.vmsaPfn = 0
    es.guestVmsaGfn = 0
    es.asid = 0
  }
  if ((yield* snpDecommissionContext(info)) === 0) yield* sevAsidFree(info.asid)
  // It is a part of the VM.
  vanishAt(KvmSevInfo as unknown as Struct<Obj>, info.at)
})

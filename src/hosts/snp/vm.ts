/**
 * A VM with SNP: its ASID, its context page, its launch and its end, as of 6.11. Firmware is called
 * under sev_cmd_mutex, one command at a time.
 *
 * Left out: VMSAs and attestation. An ASID that was given back is free at once; Linux keeps it until
 * no other is left, and flushes the caches then.
 */
import type { kvmX86VmDestroy } from '../../kernel/arch/x86/kvm/x86_ops.js'
import { fput } from '../../kernel/fs/file_table.js'
import { EBUSY, EINVAL, EIO, ENOMEM, ENOTTY } from '../../kernel/include/errno.js'
import { Kvm } from '../../kernel/include/kvm.js'
import { Folio } from '../../kernel/include/mm.js'
import type { Gfn } from '../../kernel/include/types.js'
import {
  KVM_X86_DEFAULT_VM,
  KVM_X86_SNP_VM,
  KVM_X86_SW_PROTECTED_VM,
} from '../../kernel/include/uapi.js'
import { allocFolio } from '../../kernel/mm/page_alloc.js'
import { folioPut } from '../../kernel/mm/swap.js'
import { sysKvmCreateVm } from '../../kernel/virt/kvm/kvm_main.js'
import { kvmFget, kvmOf } from '../../kernel/virt/kvm/vm_file.js'
import { rmw } from '../../machine/effects.js'
import { warnOn } from '../../machine/fault.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { type Mutex, mutexInit, mutexLock, mutexUnlock } from '../../machine/locks.js'
import '../../machine/locks.js'
import {
  constructAt,
  embed,
  errPtr,
  isErr,
  num,
  type Obj,
  ptr,
  ptrErr,
  type Struct,
  struct,
  type Vec,
  vanishAt,
  vec,
} from '../../machine/struct.js'
import { MAX_TASKS } from '../../machine/task.js'
import {
  activate,
  decommission,
  gctxCreate,
  launchFinish,
  launchStart,
  pageReclaim,
  SEV_OK,
} from './firmware.js'
import { ASIDS, isHead, rmpEntry } from './rmp.js'
import { rmpMakePrivate, rmpMakeShared, sevPowerOn } from './sev.js'

/** struct kvm_sev_info. */
export interface KvmSevInfo extends Obj {
  /** 0 of a VM without SNP. Constant while the VM lives. */
  asid: number
  /** The page that firmware keeps the guest's context in. */
  context: Folio | null
  /** By gfn: the guest's own page table has the C bit clear. Guard: the guest's. */
  sharedGfns: Vec
}

/** Guest frames whose C bit is kept. */
export const GUEST_FRAMES = 16

export const KvmSevInfo: Struct<KvmSevInfo> = struct<KvmSevInfo>(
  'KvmSevInfo',
  { asid: num(), context: ptr('Folio'), sharedGfns: vec(GUEST_FRAMES) },
  { capacity: Kvm.capacity },
)

/** An exit under way, by task: what the processor told KVM of the access. */
export interface ExitInfo extends Obj {
  /** 0 for none; else 1 for an access with the C bit, 2 for one without. */
  kind: number
}

export const ExitInfo: Struct<ExitInfo> = struct<ExitInfo>(
  'ExitInfo',
  { kind: num() },
  { capacity: MAX_TASKS },
)

/** Globals of arch/x86/kvm/svm/sev.c. */
export interface SevState extends Obj {
  /** sev_bitmap_lock: guards `used`. */
  bitmapLock: Mutex
  /** By ASID: some VM has it. */
  used: Vec
  /** sev_cmd_mutex: one firmware command at a time. */
  cmdMutex: Mutex
}

export const SevState: Struct<SevState> = struct<SevState>(
  'SevState',
  { bitmapLock: embed('Mutex'), used: vec(ASIDS), cmdMutex: embed('Mutex') },
  { capacity: 1 },
)

export function sevState(): SevState {
  return SevState.at(SevState.base) as SevState
}

/** to_kvm_svm(kvm)->sev_info. */
export function sevInfo(kvm: Kvm): KvmSevInfo {
  const n = (kvm.at - Kvm.base) / Kvm.words
  return KvmSevInfo.at(KvmSevInfo.base + n * KvmSevInfo.words) as KvmSevInfo
}

/** sev_snp_guest(). */
export function isSnpGuest(kvm: Kvm): boolean {
  return kvm.vmType === KVM_X86_SNP_VM
}

/** The machine at power-on, and what the module sets up. */
export const snpInit = fn(function* snp_init(): Kernel<void> {
  yield* sevPowerOn()
  constructAt(SevState as unknown as Struct<Obj>, SevState.base, 0)
  const exits = ExitInfo as unknown as Struct<Obj>
  for (let n = 0; n < MAX_TASKS; n++) constructAt(exits, ExitInfo.base + n * ExitInfo.words, 0)
  mutexInit(sevState().bitmapLock, 'sev_bitmap_lock')
  mutexInit(sevState().cmdMutex, 'sev_cmd_mutex')
})

export const snpVmTypeSupported = fn(function kvm_is_vm_type_supported(type: number): boolean {
  return type === KVM_X86_DEFAULT_VM || type === KVM_X86_SW_PROTECTED_VM || type === KVM_X86_SNP_VM
})

export const snpVmTypeHasPrivateMem = fn(function kvm_arch_has_private_mem(type: number): boolean {
  return type === KVM_X86_SW_PROTECTED_VM || type === KVM_X86_SNP_VM
})

/** Models: 6.12 arch/x86/kvm/svm/sev.c sev_asid_new. 0 or -EBUSY. */
const sevAsidNew = fn(function* sev_asid_new(info: KvmSevInfo): Kernel<number> {
  const state = sevState()
  yield* mutexLock(state.bitmapLock)
  let asid = 1
  while (asid < ASIDS && state.used.get(asid) !== 0) asid++
  if (asid < ASIDS) state.used.set(asid, 1)
  mutexUnlock(state.bitmapLock)
  if (asid === ASIDS) return -EBUSY
  info.asid = asid
  return 0
})

/** Models: 6.12 arch/x86/kvm/svm/sev.c sev_asid_free. */
const sevAsidFree = fn(function* sev_asid_free(info: KvmSevInfo): Kernel<void> {
  const state = sevState()
  yield* mutexLock(state.bitmapLock)
  state.used.set(info.asid, 0)
  mutexUnlock(state.bitmapLock)
})

/** Models: 6.12 arch/x86/kvm/svm/sev.c sev_vm_init, with __sev_guest_init. */
export const sevVmInit = fn(function* sev_vm_init(kvm: Kvm): Kernel<number> {
  if (!isSnpGuest(kvm)) return 0
  const info = sevInfo(kvm)
  constructAt(KvmSevInfo as unknown as Struct<Obj>, info.at, 0)
  const error = yield* sevAsidNew(info)
  if (error !== 0) vanishAt(KvmSevInfo as unknown as Struct<Obj>, info.at)
  return error
})

/**
 * A page that is firmware's. None that begins a region: while it is firmware's no other page of the
 * region could be given to a guest.
 *
 * Models: 6.12 drivers/crypto/ccp/sev-dev.c snp_alloc_firmware_page. Simplifies: Linux takes any
 * page; one in 512 begins a region, where here it is one in four.
 */
const snpAllocFirmwarePage = fn(function* snp_alloc_firmware_page(): Kernel<Folio> {
  let page = allocFolio(false)
  if (page !== null && isHead(page.pfn)) {
    const first = page
    page = allocFolio(false)
    yield* folioPut(first)
  }
  if (page === null) return errPtr(Folio, -ENOMEM)
  const error = yield* rmpMakePrivate(page, 0 as Gfn, 0, true)
  // Models leaking it: nobody puts the reference.
  return error === 0 ? page : errPtr(Folio, error)
})

/** Models: 6.12 drivers/crypto/ccp/sev-dev.c snp_free_firmware_page, with snp_reclaim_pages. */
const snpFreeFirmwarePage = fn(function* snp_free_firmware_page(page: Folio): Kernel<void> {
  yield* mutexLock(sevState().cmdMutex)
  yield rmw(rmpEntry(page.pfn), 'assigned')
  const failed = pageReclaim(page.pfn, false) !== SEV_OK
  mutexUnlock(sevState().cmdMutex)
  if (failed || (yield* rmpMakeShared(page)) !== 0) return
  yield* folioPut(page)
})

/** Commands on a context page, by number. */
const CMD_GCTX_CREATE = 0x93
const CMD_LAUNCH_START = 0xa0
const CMD_ACTIVATE = 0x91
const CMD_LAUNCH_FINISH = 0xa2
const CMD_DECOMMISSION = 0x90

function command(cmd: number, page: Folio, asid: number): number {
  switch (cmd) {
    case CMD_GCTX_CREATE:
      return gctxCreate(page.pfn)
    case CMD_LAUNCH_START:
      return launchStart(page.pfn)
    case CMD_ACTIVATE:
      return activate(page.pfn, asid)
    case CMD_LAUNCH_FINISH:
      return launchFinish(page.pfn)
    default:
      return decommission(page.pfn)
  }
}

/**
 * One command about a guest's context: 0, or -EIO for every status that is no success.
 *
 * Models: 6.12 drivers/crypto/ccp/sev-dev.c sev_do_cmd.
 */
const sevDoCmd = fn(function* sev_do_cmd(
  cmd: number,
  info: KvmSevInfo,
  page: Folio,
): Kernel<number> {
  yield* mutexLock(sevState().cmdMutex)
  yield rmw(rmpEntry(page.pfn), 'assigned')
  const failed = command(cmd, page, info.asid) !== SEV_OK
  mutexUnlock(sevState().cmdMutex)
  return failed ? -EIO : 0
})

/** Models: 6.12 arch/x86/kvm/svm/sev.c snp_context_create. */
const snpContextCreate = fn(function* snp_context_create(info: KvmSevInfo): Kernel<Folio> {
  const page = yield* snpAllocFirmwarePage()
  if (isErr(page)) return page
  if ((yield* sevDoCmd(CMD_GCTX_CREATE, info, page)) === 0) return page
  yield* snpFreeFirmwarePage(page)
  return errPtr(Folio, -EIO)
})

/**
 * Give the context back. If firmware does not, it and the ASID are lost.
 *
 * Models: 6.12 arch/x86/kvm/svm/sev.c snp_decommission_context.
 */
const snpDecommissionContext = fn(function* snp_decommission_context(
  info: KvmSevInfo,
): Kernel<number> {
  const page = info.context
  if (page === null) return 0
  const error = yield* sevDoCmd(CMD_DECOMMISSION, info, page)
  if (warnOn(error !== 0, 'Failed to decommission guest context')) return error
  yield* snpFreeFirmwarePage(page)
  info.context = null
  return 0
})

/** Models: 6.12 arch/x86/kvm/svm/sev.c sev_vm_destroy. */
export const sevVmDestroy: typeof kvmX86VmDestroy = fn(function* sev_vm_destroy(
  kvm: Kvm,
): Kernel<void> {
  if (!isSnpGuest(kvm)) return
  const info = sevInfo(kvm)
  if ((yield* snpDecommissionContext(info)) === 0) yield* sevAsidFree(info)
  // It is a part of the VM.
  vanishAt(KvmSevInfo as unknown as Struct<Obj>, info.at)
})

/** Models: 6.12 arch/x86/kvm/svm/sev.c snp_launch_start and snp_bind_asid. */
const snpLaunchStart = fn(function* snp_launch_start(kvm: Kvm): Kernel<number> {
  const info = sevInfo(kvm)
  if (info.context !== null) return -EINVAL
  const page = yield* snpContextCreate(info)
  if (isErr(page)) return -ENOTTY
  info.context = page
  let error = yield* sevDoCmd(CMD_LAUNCH_START, info, page)
  if (error === 0) error = yield* sevDoCmd(CMD_ACTIVATE, info, page)
  if (error !== 0) yield* snpDecommissionContext(info)
  return error
})

/** The request of a VMM to begin or to end the launch: 0 or an error. */
const memoryEncryptOp = fn(function* kvm_memory_encrypt_op(
  vm: number,
  finish: boolean,
): Kernel<number> {
  const file = yield* kvmFget(vm)
  if (isErr(file)) return ptrErr(file)
  const kvm = kvmOf(file)
  let ret = -ENOTTY
  if (isSnpGuest(kvm)) {
    if (!finish) ret = yield* snpLaunchStart(kvm)
    else if (sevInfo(kvm).context === null) ret = -EINVAL
    else ret = yield* sevDoCmd(CMD_LAUNCH_FINISH, sevInfo(kvm), sevInfo(kvm).context!)
  }
  yield* fput(file)
  return ret
})

/** What a VMM does for a confidential VM before it has memory. A descriptor or an error. */
export const snpConfidentialVm = fn(function* confidential_vm(): Kernel<number> {
  const vm = yield* sysKvmCreateVm(KVM_X86_SNP_VM)
  if (vm < 0) return vm
  const error = yield* memoryEncryptOp(vm, false)
  return error < 0 ? error : vm
})

/** KVM_SEV_SNP_LAUNCH_FINISH. Simplifies: there are no VMSAs to encrypt. */
export const snpLaunch = fn(function* launch(vm: number): Kernel<number> {
  return yield* memoryEncryptOp(vm, true)
})

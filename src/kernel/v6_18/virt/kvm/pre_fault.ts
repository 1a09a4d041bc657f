/** KVM_PRE_FAULT_MEMORY: map guest memory before the guest asks for it. */
import '../../../include/kvm.js'
import { kfree, kzalloc } from '../../../../machine/alloc.js'
import { alsoReads, read, write } from '../../../../machine/effects.js'
import { warnOn } from '../../../../machine/fault.js'
import { fn, type Kernel } from '../../../../machine/fn.js'
import { srcuReadLock, srcuReadUnlock } from '../../../../machine/rcu.js'
import { i64, isErr, type Obj, ptrErr, type Struct, struct } from '../../../../machine/struct.js'
import { taskVcpu } from '../../../arch/x86/kvm/guest.js'
import { kvmPreFaultAllowed } from '../../../arch/x86/kvm/x86_ops.js'
import { fput } from '../../../fs/file_table.js'
import { EINVAL, EIO, ENOENT, EOPNOTSUPP } from '../../../include/errno.js'
import type { KvmVcpu } from '../../../include/kvm.js'
import { bytesToPgoff, type Gfn, isPageAligned, PAGE_SIZE, u64 } from '../../../include/types.js'
import { attrPrivate } from '../../../virt/kvm/memory_attributes.js'
import { kvmFget, kvmOf } from '../../../virt/kvm/vm_file.js'
import { kvmMmuDoPageFault, RET_PF_EMULATE, RET_PF_RETRY } from '../../arch/x86/kvm/mmu.js'
import { kvmArchHasPrivateMem } from '../../arch/x86/kvm/private_mem.js'

/** struct kvm_pre_fault_memory: what is left to do is written back. */
export interface KvmPreFaultMemory extends Obj {
  /** Bytes; words without a sign, kept as those with one that have the same bits. */
  gpa: bigint
  size: bigint
}

export const KvmPreFaultMemory: Struct<KvmPreFaultMemory> = struct<KvmPreFaultMemory>(
  'KvmPreFaultMemory',
  { gpa: i64(), size: i64() },
  { capacity: 16 },
)

/**
 * Map one page: 0, -ENOENT where a device would be, -EIO if KVM has given the VM up since the request
 * began, or the error of the fault.
 *
 * Models: 6.18 arch/x86/kvm/mmu/mmu.c kvm_tdp_map_page. Simplifies: no signals; that the VM is dead
 * is looked up, and no request to the vCPU. Compared: 6.17 and 7.0 source.
 */
export const kvmTdpMapPage = fn(function* kvm_tdp_map_page(
  vcpu: KvmVcpu,
  gfn: Gfn,
  isPrivate: boolean,
): Kernel<number> {
  let r = RET_PF_RETRY
  while (r === RET_PF_RETRY) {
    alsoReads(vcpu.kvm!, 'vmDead')
    if (vcpu.kvm!.vmDead) return -EIO
    r = yield* kvmMmuDoPageFault(vcpu, gfn, false, true, isPrivate)
  }
  if (r === RET_PF_EMULATE) return -ENOENT
  return r < 0 ? r : 0
})

const s64 = (n: bigint): bigint => BigInt.asIntN(64, n)

/**
 * Map a range, page by page; `range` then is what is left. 0 if a page was mapped, else why the
 * first was not. -EINVAL: flags, not page aligned, a size of 0, a range that wraps or ends at 2^64.
 * -EOPNOTSUPP: the launch of a confidential VM is not finished.
 *
 * Models: 6.18 virt/kvm/kvm_main.c kvm_vcpu_pre_fault_memory and x86's
 * kvm_arch_vcpu_pre_fault_memory. Simplifies: no signals.
 */
export const kvmVcpuPreFaultMemory = fn(function* kvm_vcpu_pre_fault_memory(
  vcpu: KvmVcpu,
  range: KvmPreFaultMemory,
  flags: bigint,
): Kernel<number> {
  if (flags !== 0n || !isPageAligned(range.gpa) || !isPageAligned(range.size)) return -EINVAL
  if (u64(range.gpa + range.size) <= u64(range.gpa)) return -EINVAL
  const kvm = vcpu.kvm!
  const fullSize = range.size
  let r = 0
  srcuReadLock(kvm.srcu)
  while (range.size !== 0n && r === 0) {
    if (!kvmPreFaultAllowed(kvm)) {
      r = -EOPNOTSUPP
      break
    }
    // kvm_mmu_reload(), once for each page: within its loop a page does not ask again.
    yield write(vcpu, 'rootObsolete')
    vcpu.rootObsolete = false
    const gfn = bytesToPgoff(u64(range.gpa)) as number as Gfn
    // Asked once: a page that changes its kind while it is tried again is an error.
    yield read(kvm.memAttrArray, 'xaHead')
    const isPrivate = kvmArchHasPrivateMem(kvm) && attrPrivate(kvm, gfn)
    r = yield* kvmTdpMapPage(vcpu, gfn, isPrivate)
    // Of a slot that is not bound, since nobody asked whether the store worked, or of a dead VM.
    warnOn(r === -EIO, 'kvm_vcpu_pre_fault_memory: -EIO')
    if (r === 0) {
      range.gpa = s64(range.gpa + PAGE_SIZE)
      range.size = s64(range.size - PAGE_SIZE)
    }
  }
  srcuReadUnlock(kvm.srcu)
  return range.size === fullSize ? r : 0
})

/** KVM_PRE_FAULT_MEMORY on the running task's vCPU. -EBADF, or -ENOTTY, if `vm` is no VM. */
export const kvmVcpuIoctlPreFault = fn(function* kvm_pre_fault_memory(
  vm: number,
  gpa: bigint,
  size: bigint,
  flags: bigint,
): Kernel<number> {
  const file = yield* kvmFget(vm)
  if (isErr(file)) return ptrErr(file)
  const vcpu = yield* taskVcpu(kvmOf(file))
  const range = kzalloc(KvmPreFaultMemory)
  range.gpa = s64(gpa)
  range.size = s64(size)
  const ret = yield* kvmVcpuPreFaultMemory(vcpu, range, flags)
  kfree(range)
  yield* fput(file)
  return ret
})

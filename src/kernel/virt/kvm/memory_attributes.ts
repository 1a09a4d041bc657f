/** Which gfns are private: KVM_SET_MEMORY_ATTRIBUTES, and the question that every fault asks. */
import { rmw, write } from '../../../machine/effects.js'
import { fn, type Kernel } from '../../../machine/fn.js'
import { mutexLock, mutexUnlock, writeLock, writeUnlock } from '../../../machine/locks.js'
import { isErr, ptrErr } from '../../../machine/struct.js'
import { hasPrivateMemory } from '../../arch/x86/kvm/private_mem.js'
import { kvmFlushRemoteTlbs, kvmTdpMmuZap } from '../../arch/x86/kvm/tdp_mmu.js'
import { kvmX86UpdateMemAttr, vmTypeHasPrivateMem } from '../../arch/x86/kvm/x86_ops.js'
import { fput } from '../../fs/file_table.js'
import { EINVAL, ENOTTY } from '../../include/errno.js'
import { KVM_FILTER_PRIVATE, KVM_FILTER_SHARED, type Kvm } from '../../include/kvm.js'
import { bytesToPgoff, type Gfn, isPageAligned, u64 } from '../../include/types.js'
import { KVM_MEMORY_ATTRIBUTE_PRIVATE } from '../../include/uapi.js'
import { xaIsValue, xaLoadEntry, xaMkValue, xaStoreEntry, xaToValue } from '../../lib/xarray.js'
import {
  kvmMmuInvalidateBegin,
  kvmMmuInvalidateEnd,
  kvmMmuInvalidateRangeAdd,
} from './invalidate.js'
import { kvmFget, kvmOf } from './vm_file.js'

/**
 * Is a gfn private?
 *
 * Models: v10 include/linux/kvm_host.h kvm_mem_is_private. Compared: 6.17 and 7.0 source.
 */
export const attrPrivate = fn(function kvm_mem_is_private(kvm: Kvm, gfn: Gfn): boolean {
  const entry = xaLoadEntry(kvm.memAttrArray, gfn)
  return xaIsValue(entry) && (xaToValue(entry) & KVM_MEMORY_ATTRIBUTE_PRIVATE) !== 0
})

/** Store a value for every gfn of [start, end), one after the other. slots_lock is held. */
export const storeAttributes = fn(function* kvm_store_mem_attributes(
  kvm: Kvm,
  start: Gfn,
  end: Gfn,
  attributes: number,
): Kernel<void> {
  let gfn = start
  while (gfn < end) {
    yield rmw(kvm.memAttrArray, 'xaHead')
    xaStoreEntry(kvm.memAttrArray, gfn, attributes === 0 ? 0 : xaMkValue(attributes))
    gfn = (gfn + 1) as Gfn
  }
})

/**
 * Change the attributes of a range; mappings of the old kind go. -EINVAL for attributes that the
 * VM's memory cannot have, any flag, a size of 0, a range that wraps or ends at 2^64, or an address
 * or size that is not page aligned; -ENOTTY on a host without private memory.
 *
 * Models: x86/upm_base_support virt/kvm/kvm_main.c kvm_vm_ioctl_set_mem_attributes. Simplifies:
 * the xarray's nodes never run out.
 */
export const sysKvmSetMemoryAttributes = fn(function* kvm_vm_ioctl_set_mem_attributes(
  vm: number,
  gpaWord: bigint,
  sizeWord: bigint,
  attributes: bigint,
  flags: bigint,
): Kernel<number> {
  const file = yield* kvmFget(vm)
  if (isErr(file)) return ptrErr(file)
  if (!hasPrivateMemory()) {
    yield* fput(file)
    return -ENOTTY
  }
  const kvm = kvmOf(file)
  const supported = vmTypeHasPrivateMem(kvm.vmType) ? BigInt(KVM_MEMORY_ATTRIBUTE_PRIVATE) : 0n
  const gpa = u64(gpaWord)
  const size = u64(sizeWord)
  let ret = -EINVAL
  const known = flags === 0n && (u64(attributes) & ~supported) === 0n
  const range = size > 0n && u64(gpa + size) >= gpa
  if (known && range && isPageAligned(gpa) && isPageAligned(size)) {
    const start = bytesToPgoff(gpa) as number as Gfn
    const end = bytesToPgoff(gpa + size) as number as Gfn
    yield* mutexLock(kvm.slotsLock)
    yield* writeLock(kvm.mmuLock)
    kvmMmuInvalidateBegin(kvm)
    kvmMmuInvalidateRangeAdd(kvm, start, end)
    writeUnlock(kvm.mmuLock)

    yield* storeAttributes(kvm, start, end, Number(attributes))

    yield* writeLock(kvm.mmuLock)
    const both = KVM_FILTER_SHARED | KVM_FILTER_PRIVATE
    if (yield* kvmTdpMmuZap(kvm, start, end, both)) yield* kvmFlushRemoteTlbs(kvm)
    yield write(kvm, 'mmuInvalidateSeq')
    kvmMmuInvalidateEnd(kvm)
    writeUnlock(kvm.mmuLock)
    yield* kvmX86UpdateMemAttr(kvm, start, end, Number(attributes))
    mutexUnlock(kvm.slotsLock)
    ret = 0
  }
  yield* fput(file)
  return ret
})

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
import {
  xaIsValue,
  xaLacksNode,
  xaLoadEntry,
  xaMkValue,
  xaStoreEntry,
  xaToValue,
} from '../../lib/xarray.js'
import { shouldFailslab } from '../../mm/failslab.js'
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

/**
 * Store a value for every gfn of [start, end), one after the other; the nodes that it takes are there
 * or come for sure. slots_lock is held.
 */
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
 * The same, until a node is missing and there is no memory for it. Returns the first gfn that has not
 * got the value, `end` if all have. To store nothing takes no node, and neither does gfn 0 alone.
 *
 * Models: v10 virt/kvm/kvm_main.c kvm_vm_ioctl_set_mem_attributes, its loop. Compared: 6.18 does not
 * run it: what calls it is replaced.
 */
export const storeWhileMemory = fn(function* kvm_store_some_mem_attributes(
  kvm: Kvm,
  start: Gfn,
  end: Gfn,
  attributes: number,
): Kernel<Gfn> {
  let gfn = start
  while (gfn < end) {
    const nodeless = attributes !== 0 && xaLacksNode(kvm.memAttrArray, gfn)
    if (nodeless && (yield* shouldFailslab())) return gfn
    yield* storeAttributes(kvm, gfn, (gfn + 1) as Gfn, attributes)
    gfn = (gfn + 1) as Gfn
  }
  return end
})

/**
 * Change the attributes of a range; mappings of the old kind go. -EINVAL for attributes that the
 * VM's memory cannot have, any flag, a size of 0, a range that wraps or ends at 2^64, or an address
 * or size that is not page aligned; -ENOTTY on a host without private memory. A store that fails
 * ends the change early, and the call returns 0 all the same.
 *
 * Models: x86/upm_base_support virt/kvm/kvm_main.c kvm_vm_ioctl_set_mem_attributes. Simplifies: how
 * far it got is not written back.
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

    const reached = yield* storeWhileMemory(kvm, start, end, Number(attributes))

    yield* writeLock(kvm.mmuLock)
    const both = KVM_FILTER_SHARED | KVM_FILTER_PRIVATE
    if (yield* kvmTdpMmuZap(kvm, start, reached, both)) yield* kvmFlushRemoteTlbs(kvm)
    yield write(kvm, 'mmuInvalidateSeq')
    kvmMmuInvalidateEnd(kvm)
    writeUnlock(kvm.mmuLock)
    yield* kvmX86UpdateMemAttr(kvm, start, reached, Number(attributes))
    mutexUnlock(kvm.slotsLock)
    ret = 0
  }
  yield* fput(file)
  return ret
})

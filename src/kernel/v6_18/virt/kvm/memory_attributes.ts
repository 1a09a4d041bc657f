/**
 * KVM_SET_MEMORY_ATTRIBUTES as of 6.18: an attribute for each gfn, whether a memslot has it or not.
 * Only where slots are is anything invalidated; in between the store, under no MMU lock, a fault
 * may see some gfns changed and others not yet.
 */
import { write } from '../../../../machine/effects.js'
import { fn, type Kernel } from '../../../../machine/fn.js'
import { mutexLock, mutexUnlock, writeLock, writeUnlock } from '../../../../machine/locks.js'
import { isErr, ptrErr } from '../../../../machine/struct.js'
import { hasPrivateMemory } from '../../../arch/x86/kvm/private_mem.js'
import { kvmFlushRemoteTlbs, kvmTdpMmuZap } from '../../../arch/x86/kvm/tdp_mmu.js'
import { fput } from '../../../fs/file_table.js'
import { EINVAL, ENOMEM, ENOTTY } from '../../../include/errno.js'
import {
  KVM_FILTER_PRIVATE,
  KVM_FILTER_SHARED,
  type Kvm,
  type KvmMemorySlot,
  MEMSLOT_PLACES,
} from '../../../include/kvm.js'
import { bytesToPgoff, type Gfn, isPageAligned, u64 } from '../../../include/types.js'
import { KVM_MEMORY_ATTRIBUTE_PRIVATE } from '../../../include/uapi.js'
import { xaFindIndex, xaIsValue, xaLacksNode, xaLoadEntry, xaToValue } from '../../../lib/xarray.js'
import { shouldFailslab } from '../../../mm/failslab.js'
import {
  kvmMmuInvalidateBegin,
  kvmMmuInvalidateEnd,
  kvmMmuInvalidateRangeAdd,
} from '../../../virt/kvm/invalidate.js'
import { storeAttributes } from '../../../virt/kvm/memory_attributes.js'
import { kvmFget, kvmOf } from '../../../virt/kvm/vm_file.js'
import { kvmSupportedMemAttributes } from '../../arch/x86/kvm/private_mem.js'

/**
 * Has the whole range these attributes?
 *
 * Models: 6.18 virt/kvm/kvm_main.c kvm_range_has_memory_attributes. slots_lock is held.
 */
function rangeHasAttributes(kvm: Kvm, start: Gfn, end: Gfn, attributes: number): boolean {
  if (attributes === 0) return xaFindIndex(kvm.memAttrArray, start, end - 1) < 0
  for (let gfn = start; gfn < end; gfn = (gfn + 1) as Gfn) {
    const entry = xaLoadEntry(kvm.memAttrArray, gfn)
    if (!xaIsValue(entry) || xaToValue(entry) !== attributes) return false
  }
  return true
}

/** Does the array of attributes lack a node for one of [start, end)? slots_lock is held. */
function lacksNode(kvm: Kvm, start: Gfn, end: Gfn): boolean {
  for (let gfn = start; gfn < end; gfn = (gfn + 1) as Gfn) {
    if (xaLacksNode(kvm.memAttrArray, gfn)) return true
  }
  return false
}

/** The slot at a place if some of [start, end) is its, else NULL. slots_lock is held. */
function slotInRange(kvm: Kvm, place: number, start: Gfn, end: Gfn): KvmMemorySlot | null {
  const slot = kvm.memslots!.slots.get(place)
  if (slot === null || start >= slot.baseGfn + slot.npages || end <= slot.baseGfn) return null
  return slot
}

/**
 * Before the store: begin with the first slot that overlaps, and zap what is mapped there.
 *
 * Models: 6.18 virt/kvm/kvm_main.c kvm_handle_gfn_range with kvm_pre_set_memory_attributes and
 * kvm_arch_pre_set_memory_attributes: of the two roots of a TD, the one that the range leaves.
 * Simplifies: leaves are 4 KiB, so there are no large mappings of neighbours to mind. Compared: 6.17
 * and 7.0 source.
 */
export const preSetAttributes = fn(function* kvm_pre_set_memory_attributes(
  kvm: Kvm,
  start: Gfn,
  end: Gfn,
  attributes: number,
): Kernel<boolean> {
  const toPrivate = (attributes & KVM_MEMORY_ATTRIBUTE_PRIVATE) !== 0
  const filter = toPrivate ? KVM_FILTER_SHARED : KVM_FILTER_PRIVATE
  let found = false
  let flush = false
  for (let n = 0; n < MEMSLOT_PLACES; n++) {
    const slot = slotInRange(kvm, n, start, end)
    if (slot === null) continue
    if (!found) {
      found = true
      yield* writeLock(kvm.mmuLock)
      kvmMmuInvalidateBegin(kvm)
    }
    const first = Math.max(start, slot.baseGfn) as Gfn
    const last = Math.min(end, slot.baseGfn + slot.npages) as Gfn
    kvmMmuInvalidateRangeAdd(kvm, first, last)
    if (yield* kvmTdpMmuZap(kvm, first, last, filter)) flush = true
  }
  if (flush) yield* kvmFlushRemoteTlbs(kvm)
  if (found) writeUnlock(kvm.mmuLock)
  return found
})

/**
 * Set the attributes of [start, end), all or, if they are so already, nothing; -ENOMEM, and none.
 *
 * Models: 6.18 virt/kvm/kvm_main.c kvm_vm_set_mem_attributes. Signals are not looked at, as
 * in Linux.
 */
export const kvmVmSetMemAttributes = fn(function* kvm_vm_set_mem_attributes(
  kvm: Kvm,
  start: Gfn,
  end: Gfn,
  attributes: number,
): Kernel<number> {
  yield* mutexLock(kvm.slotsLock)
  if (!rangeHasAttributes(kvm, start, end, attributes)) {
    // Entries are reserved before anything changes, so that the stores cannot fail. Which node it is
    // that there is no memory for makes no difference.
    if (lacksNode(kvm, start, end) && (yield* shouldFailslab())) {
      mutexUnlock(kvm.slotsLock)
      return -ENOMEM
    }
    const begun = yield* preSetAttributes(kvm, start, end, attributes)
    yield* storeAttributes(kvm, start, end, attributes)
    if (begun) {
      yield* writeLock(kvm.mmuLock)
      yield write(kvm, 'mmuInvalidateSeq')
      kvmMmuInvalidateEnd(kvm)
      writeUnlock(kvm.mmuLock)
    }
  }
  mutexUnlock(kvm.slotsLock)
  return 0
})

/**
 * KVM_SET_MEMORY_ATTRIBUTES, address and size in bytes. -EINVAL: flags, attributes that the VM does
 * not have (none, in a VM without private memory; to ask for none is no error), a size of 0, a
 * range that wraps or ends at 2^64 or is not page aligned. -ENOTTY on a host without private memory.
 *
 * Models: 6.18 virt/kvm/kvm_main.c kvm_vm_ioctl_set_mem_attributes.
 */
export const kvmVmIoctlSetMemAttributes = fn(function* kvm_vm_ioctl_set_mem_attributes(
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
  const gpa = u64(gpaWord)
  const size = u64(sizeWord)
  const supported = BigInt(kvmSupportedMemAttributes(kvm))
  const end = u64(gpa + size)
  let ret = -EINVAL
  const known = flags === 0n && (u64(attributes) & ~supported) === 0n
  if (known && size > 0n && end >= gpa && isPageAligned(gpa) && isPageAligned(size)) {
    const first = bytesToPgoff(gpa) as number as Gfn
    const behind = bytesToPgoff(end) as number as Gfn
    ret = yield* kvmVmSetMemAttributes(kvm, first, behind, Number(attributes))
  }
  yield* fput(file)
  return ret
})

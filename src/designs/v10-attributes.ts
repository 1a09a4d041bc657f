/**
 * v10's KVM_SET_MEMORY_ATTRIBUTES. The store has a lock of its own, kvm->lock, and nothing holds
 * the memslots still: what is zapped afterwards is what they contain by then.
 */
import { hasPrivateMemory } from '../kernel/arch/x86/kvm/private_mem.js'
import { kvmFlushRemoteTlbs, kvmTdpMmuZap } from '../kernel/arch/x86/kvm/tdp_mmu.js'
import { vmTypeHasPrivateMem } from '../kernel/arch/x86/kvm/x86_ops.js'
import { fput } from '../kernel/fs/file_table.js'
import { EINVAL, ENOTTY } from '../kernel/include/errno.js'
import {
  KVM_FILTER_PRIVATE,
  KVM_FILTER_SHARED,
  type Kvm,
  MEMSLOT_PLACES,
} from '../kernel/include/kvm.js'
import { bytesToPgoff, type Gfn, isPageAligned, u64 } from '../kernel/include/types.js'
import { KVM_MEMORY_ATTRIBUTE_PRIVATE } from '../kernel/include/uapi.js'
import {
  kvmMmuInvalidateBegin,
  kvmMmuInvalidateEnd,
  kvmMmuInvalidateRangeAdd,
} from '../kernel/virt/kvm/invalidate.js'
import { storeWhileMemory } from '../kernel/virt/kvm/memory_attributes.js'
import { kvmFget, kvmOf } from '../kernel/virt/kvm/vm_file.js'
import { read, write } from '../machine/effects.js'
import { fn, type Kernel } from '../machine/fn.js'
import { mutexLock, mutexUnlock, writeLock, writeUnlock } from '../machine/locks.js'
import { srcuReadLock, srcuReadUnlock } from '../machine/rcu.js'
import { isErr, ptrErr } from '../machine/struct.js'

/**
 * Zap what memslots contain of [start, end). mmu_lock is held for writing, under SRCU.
 *
 * Models: v10 virt/kvm/kvm_main.c kvm_unmap_mem_range.
 */
export const kvmUnmapMemRange = fn(function* kvm_unmap_mem_range(
  kvm: Kvm,
  start: Gfn,
  end: Gfn,
): Kernel<void> {
  yield read(kvm, 'memslots')
  const slots = kvm.memslots!
  const both = KVM_FILTER_SHARED | KVM_FILTER_PRIVATE
  let flush = false
  for (let n = 0; n < MEMSLOT_PLACES; n++) {
    const slot = slots.slots.get(n)
    if (slot === null) continue
    const first = Math.max(start, slot.baseGfn) as Gfn
    const last = Math.min(end, slot.baseGfn + slot.npages) as Gfn
    if (first < last && (yield* kvmTdpMmuZap(kvm, first, last, both))) flush = true
  }
  if (flush) yield* kvmFlushRemoteTlbs(kvm)
})

/**
 * Change the attributes of a range, then zap what the range maps. -EINVAL for attributes that the
 * VM cannot have, any flag, a size of 0, a range that wraps, or an address or size that is not page
 * aligned; -ENOTTY on a host without private memory. A store that fails ends the change early, and
 * the call returns 0 all the same.
 *
 * Models: v10 virt/kvm/kvm_main.c kvm_vm_ioctl_set_mem_attributes. Simplifies: how far it got is
 * not written back.
 */
export const v10SetMemAttributes = fn(function* kvm_vm_ioctl_set_mem_attributes(
  vm: number,
  gpaWord: bigint,
  sizeWord: bigint,
  attributes: bigint,
  flags: bigint,
): Kernel<number> {
  const file = yield* kvmFget(vm)
  if (isErr(file)) return ptrErr(file)
  const kvm = kvmOf(file)
  const isPrivate = vmTypeHasPrivateMem(kvm.vmType)
  const supported = isPrivate ? BigInt(KVM_MEMORY_ATTRIBUTE_PRIVATE) : 0n
  const gpa = u64(gpaWord)
  const size = u64(sizeWord)
  const end = u64(gpa + size)
  let ret = hasPrivateMemory() ? -EINVAL : -ENOTTY
  const known = flags === 0n && (u64(attributes) & ~supported) === 0n
  const range = size > 0n && end >= gpa && isPageAligned(gpa) && isPageAligned(size)
  if (ret === -EINVAL && known && range) {
    const first = bytesToPgoff(gpa) as number as Gfn
    const behind = bytesToPgoff(end) as number as Gfn
    if (isPrivate) {
      yield* writeLock(kvm.mmuLock)
      kvmMmuInvalidateBegin(kvm)
      kvmMmuInvalidateRangeAdd(kvm, first, behind)
      writeUnlock(kvm.mmuLock)
    }
    yield* mutexLock(kvm.lock)
    const reached = yield* storeWhileMemory(kvm, first, behind, Number(attributes))
    mutexUnlock(kvm.lock)
    if (isPrivate) {
      srcuReadLock(kvm.srcu)
      yield* writeLock(kvm.mmuLock)
      yield* kvmUnmapMemRange(kvm, first, reached)
      yield write(kvm, 'mmuInvalidateSeq')
      kvmMmuInvalidateEnd(kvm)
      writeUnlock(kvm.mmuLock)
      srcuReadUnlock(kvm.srcu)
    }
    ret = 0
  }
  yield* fput(file)
  return ret
})

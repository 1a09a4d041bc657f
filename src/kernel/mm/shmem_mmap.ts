/**
 * Files of tmpfs in the process's memory: mmap, faults, and how faults keep away from a hole while
 * it is punched. The record of the punch lies on the stack of who punches; a fault that finds it
 * waits there, without mmap_lock. It is a courtesy: a fault that looked just before still comes in.
 */
import { alsoWrites, read } from '../../machine/effects.js'
import { mark } from '../../machine/fault.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { upRead } from '../../machine/locks.js'
import { isErr, opsTable, ptrErr } from '../../machine/struct.js'
import { MAX_TASKS } from '../../machine/task.js'
import { prepareToWait, schedule } from '../../machine/wait.js'
import { EPERM } from '../include/errno.js'
import type { Inode } from '../include/fs.js'
import { SGP_CACHE, type ShmemFalloc } from '../include/mm.js'
import {
  FAULT_FLAG_ALLOW_RETRY,
  VM_FAULT_LOCKED,
  VM_FAULT_NOPAGE,
  VM_FAULT_RETRY,
  VM_MAYWRITE,
  VM_SHARED,
  VM_WRITE,
  type VmArea,
  type VmFault,
  type VmOperations,
} from '../include/mm_types.js'
import type { Pgoff } from '../include/types.js'
import { F_SEAL_FUTURE_WRITE } from '../include/uapi.js'
import { vmfError } from './memory.js'
import { shmemGetFolio } from './shmem.js'

/**
 * Let faults know of a punch of [start, next). i_rwsem is held; one step with taking it, since a
 * fault between the two is one before both.
 *
 * Models: 6.2 mm/shmem.c shmem_fallocate, where it sets i_private under i_lock.
 *
 * Compared: 6.17 and 7.0 source.
 */
export function publishPunch(inode: Inode, falloc: ShmemFalloc, start: Pgoff, next: Pgoff): void {
  falloc.punching = true
  falloc.start = start
  falloc.next = next
  alsoWrites(inode, 'iPrivate')
  inode.iPrivate = falloc
}

/**
 * The punch is over: wake the faults that wait. One step with what was done last, since a fault
 * that comes between the two is woken at once.
 *
 * Models: 6.2 mm/shmem.c shmem_fallocate, where it clears i_private under i_lock.
 *
 * Compared: 6.17 and 7.0 source.
 */
export function clearFalloc(inode: Inode, falloc: ShmemFalloc): void {
  alsoWrites(inode, 'iPrivate')
  inode.iPrivate = null
  alsoWrites(falloc.waitq, 'waiting')
  for (let t = 0; t < MAX_TASKS; t++) falloc.waitq.waiting.set(t, 0)
}

/**
 * Wait if the fault lies in a hole that is being punched: VM_FAULT_RETRY, without mmap_lock, or
 * VM_FAULT_NOPAGE if the fault may not drop it; else 0.
 *
 * Models: 6.2 mm/shmem.c shmem_fault, its first part. Simplifies: the file is not held meanwhile;
 * who tries again may drop mmap_lock once more, which FAULT_FLAG_TRIED forbids.
 */
export const shmemFallocWait = fn(function* shmem_falloc_wait(
  vmf: VmFault,
  inode: Inode,
): Kernel<number> {
  yield read(inode, 'iPrivate')
  const falloc = inode.iPrivate as ShmemFalloc | null
  if (falloc === null || !falloc.punching) return 0
  if (vmf.pgoff < falloc.start || vmf.pgoff >= falloc.next) return 0
  mark('fault-waits-for-punch')
  prepareToWait(falloc.waitq)
  // The file is pinned by the VMA until mmap_lock goes; the waitq is not touched after the wake-up.
  const waitq = falloc.waitq
  const mayDrop = (vmf.flags & FAULT_FLAG_ALLOW_RETRY) !== 0
  if (mayDrop) yield* upRead(vmf.vma!.vmMm!.mmapLock)
  yield* schedule(waitq)
  return mayDrop ? VM_FAULT_RETRY : VM_FAULT_NOPAGE
})

/**
 * The page of a fault, locked; one that is missing is allocated, one without content cleared.
 * SIGBUS behind the end of the file.
 *
 * Models: 6.2 mm/shmem.c shmem_fault.
 */
export const shmemFault = fn(function* shmem_fault(vmf: VmFault): Kernel<number> {
  const inode = vmf.vma!.vmFile!.fInode!
  const waited = yield* shmemFallocWait(vmf, inode)
  if (waited !== 0) return waited
  const folio = yield* shmemGetFolio(inode, vmf.pgoff, SGP_CACHE)
  if (isErr(folio)) return vmfError(ptrErr(folio!))
  vmf.page = folio
  return VM_FAULT_LOCKED
})

export const shmemVmOps: VmOperations = opsTable({
  name: 'shmem_vm_ops',
  fault: shmemFault,
  mapsAround: true,
})

/** The same for a file without a name, in which others see anonymous shared memory. */
export const shmemAnonVmOps: VmOperations = opsTable({
  name: 'shmem_anon_vm_ops',
  fault: shmemFault,
  mapsAround: true,
})

/**
 * F_SEAL_FUTURE_WRITE: no new mapping that is shared and writable, nor one that could become so.
 *
 * Models: 6.2 include/linux/mm.h seal_check_future_write.
 */
export const sealCheckFutureWrite = fn(function seal_check_future_write(
  seals: number,
  vma: VmArea,
): number {
  if (!(seals & F_SEAL_FUTURE_WRITE) || !(vma.vmFlags & VM_SHARED)) return 0
  if (vma.vmFlags & VM_WRITE) return -EPERM
  vma.vmFlags &= ~VM_MAYWRITE
  return 0
})

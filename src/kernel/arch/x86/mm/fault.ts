/**
 * A page fault of the process: find the VMA, let it handle the fault, and try the access again; or
 * a signal. A signal is a value here, which the access returns: see `signalOf`.
 */
import { fn, type Kernel } from '../../../../machine/fn.js'
import { downRead, upRead } from '../../../../machine/locks.js'
import {
  currentMm,
  FAULT_FLAG_ALLOW_RETRY,
  FAULT_FLAG_WRITE,
  VM_EXEC,
  VM_FAULT_ERROR,
  VM_FAULT_HWPOISON,
  VM_FAULT_OOM,
  VM_FAULT_RETRY,
  VM_FAULT_SIGBUS,
  VM_READ,
  VM_WRITE,
  type VmArea,
} from '../../../include/mm_types.js'
import {
  SIGBUS_ADRERR,
  SIGBUS_MCEERR_AR,
  SIGSEGV_ACCERR,
  SIGSEGV_MAPERR,
} from '../../../include/uapi.js'
import { handleMmFault } from '../../../mm/memory.js'
import { vmaLookup } from '../../../mm/vma.js'

/**
 * Any right but none lets a process read.
 *
 * Models: 6.2 arch/x86/mm/fault.c access_error. Simplifies: no protection keys, no enclaves, no
 * shadow stacks.
 *
 * Compared: 6.17 and 7.0 source.
 */
function accessError(vma: VmArea, write: boolean): boolean {
  if (write) return !(vma.vmFlags & VM_WRITE)
  return !(vma.vmFlags & (VM_READ | VM_EXEC | VM_WRITE))
}

/** What a failed fault is to the process. Out of memory: it tries again, if it lives. */
function faultSignal(fault: number): number {
  if (fault & VM_FAULT_OOM) return 0
  if (fault & VM_FAULT_HWPOISON) return SIGBUS_MCEERR_AR
  return fault & VM_FAULT_SIGBUS ? SIGBUS_ADRERR : SIGSEGV_MAPERR
}

/**
 * Handle a fault of the process at an address (bytes): 0, and the access is tried again, or the
 * signal.
 *
 * Models: 6.2 arch/x86/mm/fault.c do_user_addr_fault. Simplifies: the OOM killer finds somebody
 * else.
 */
export const doUserAddrFault = fn(function* do_user_addr_fault(
  address: bigint,
  write: boolean,
): Kernel<number> {
  const mm = currentMm()
  const flags = FAULT_FLAG_ALLOW_RETRY | (write ? FAULT_FLAG_WRITE : 0)
  for (;;) {
    yield* downRead(mm.mmapLock)
    const vma = vmaLookup(mm, address)
    if (vma === null || accessError(vma, write)) {
      yield* upRead(mm.mmapLock)
      return vma === null ? SIGSEGV_MAPERR : SIGSEGV_ACCERR
    }
    const fault = yield* handleMmFault(vma, address, flags)
    if (fault & VM_FAULT_RETRY) continue
    yield* upRead(mm.mmapLock)
    return fault & VM_FAULT_ERROR ? faultSignal(fault) : 0
  }
})

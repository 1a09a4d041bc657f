/**
 * guest_memfd in the memory of the process. A file says when it is made whether it can be mapped,
 * and whether what is mapped may be touched: only memory that is shared from the start may.
 */
import { fn, type Kernel } from '../../../../machine/fn.js'
import { errPtr, isErr, opsTable, ptrErr } from '../../../../machine/struct.js'
import { EACCES, EAGAIN, EINVAL, ENODEV } from '../../../include/errno.js'
import type { AddressSpace, File } from '../../../include/fs.js'
import { Folio } from '../../../include/mm.js'
import {
  VM_FAULT_LOCKED,
  VM_FAULT_RETRY,
  VM_FAULT_SIGBUS,
  VM_MAYSHARE,
  VM_SHARED,
  type VmArea,
  type VmFault,
  type VmOperations,
} from '../../../include/mm_types.js'
import { type Pgoff, pgoffToBytes } from '../../../include/types.js'
import { GUEST_MEMFD_FLAG_INIT_SHARED, GUEST_MEMFD_FLAG_MMAP } from '../../../include/uapi.js'
import { filemapGrabFolio } from '../../../mm/filemap.js'
import { vmfError } from '../../../mm/memory.js'
import { clearFolio } from '../../../mm/page_alloc.js'
import { type KvmGmem, kvmGmemOf } from '../../include/guest_memfd.js'

/**
 * Is a page for the guest alone? The file says it of all that it has.
 *
 * Models: 6.18 virt/kvm/guest_memfd.c kvm_gmem_fault_user_mapping, its test of the inode's flags.
 */
export const kvmGmemIsPrivateMem = fn(function kvm_gmem_is_private_mem(
  mapping: AddressSpace,
  _index: Pgoff,
): boolean {
  const gmem = mapping.privateData as KvmGmem | null
  return gmem !== null && (gmem.flags & GUEST_MEMFD_FLAG_INIT_SHARED) === 0
})

/**
 * The folio of a fault, locked, or an ERR_PTR: -EACCES if it is for the guest alone.
 *
 * Models: 6.18 virt/kvm/guest_memfd.c kvm_gmem_fault_user_mapping, its look-up.
 */
export const kvmGmemFaultFolio = fn(function* kvm_gmem_fault_folio(
  mapping: AddressSpace,
  index: Pgoff,
): Kernel<Folio> {
  if (kvmGmemIsPrivateMem(mapping, index)) return errPtr(Folio, -EACCES)
  return yield* filemapGrabFolio(mapping, index)
})

/**
 * The page of a fault, locked; new ones are zeroed. SIGBUS behind the end of the file, and
 * everywhere in a file that is not shared from the start. Neither invalidate_lock nor the poison is
 * looked at: core mm refuses a poisoned page.
 *
 * Models: 6.18 virt/kvm/guest_memfd.c kvm_gmem_fault_user_mapping. Simplifies: order 0.
 */
export const kvmGmemFaultUserMapping = fn(function* kvm_gmem_fault_user_mapping(
  vmf: VmFault,
): Kernel<number> {
  const file = vmf.vma!.vmFile!
  if (pgoffToBytes(vmf.pgoff) >= file.fInode!.iSize) return VM_FAULT_SIGBUS
  const folio = yield* kvmGmemFaultFolio(file.fMapping!, vmf.pgoff)
  if (isErr(folio)) return ptrErr(folio) === -EAGAIN ? VM_FAULT_RETRY : vmfError(ptrErr(folio))
  if (!folio.uptodate) {
    clearFolio(folio)
    folio.uptodate = true
  }
  vmf.page = folio
  return VM_FAULT_LOCKED
})

const kvmGmemVmOps: VmOperations = opsTable({
  name: 'kvm_gmem_vm_ops',
  fault: kvmGmemFaultUserMapping,
})

/**
 * Only shared mappings, of a file that can be mapped: -ENODEV, -EINVAL.
 *
 * Models: 6.18 virt/kvm/guest_memfd.c kvm_gmem_mmap.
 */
export const kvmGmemMmap = fn(function* kvm_gmem_mmap(file: File, vma: VmArea): Kernel<number> {
  if (!(kvmGmemOf(file).flags & GUEST_MEMFD_FLAG_MMAP)) return -ENODEV
  const shared = VM_SHARED | VM_MAYSHARE
  if ((vma.vmFlags & shared) !== shared) return -EINVAL
  vma.vmOps = kvmGmemVmOps
  return 0
})

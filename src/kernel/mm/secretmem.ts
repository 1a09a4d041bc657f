/**
 * memfd_secret(2): memory that only the process's own mappings reach. It is the kernel's precedent
 * for pages that answer -EBUSY to migration, and a mapping that get_user_pages() refuses.
 *
 * Left out: the direct map, from which the pages are taken.
 */
import { read, write } from '../../machine/effects.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { downRead, downWrite, upRead, upWrite } from '../../machine/locks.js'
import { opsTable } from '../../machine/struct.js'
import { allocFilePseudo, fdInstall, getUnusedFdFlags } from '../fs/file_table.js'
import { allocAnonInode } from '../fs/inode.js'
import { EBUSY, EEXIST, EINVAL } from '../include/errno.js'
import {
  type AddressSpace,
  type AddressSpaceOps,
  type Dentry,
  type File,
  type FileOperations,
  fsState,
  type InodeOperations,
  S_IFREG,
} from '../include/fs.js'
import type { Folio } from '../include/mm.js'
import {
  VM_FAULT_LOCKED,
  VM_FAULT_OOM,
  VM_FAULT_SIGBUS,
  VM_LOCKED,
  VM_MAYSHARE,
  VM_SHARED,
  type VmArea,
  type VmFault,
  type VmOperations,
} from '../include/mm_types.js'
import { pgoffToBytes } from '../include/types.js'
import { O_CLOEXEC, O_LARGEFILE, O_RDWR } from '../include/uapi.js'
import { addToPageCache, filemapLockFolio, folioSetLocked, folioUnlock } from './filemap.js'
import { allocFolioMayFail, clearFolio } from './page_alloc.js'
import { folioAddLru, folioPut } from './swap.js'

/** A new page of the file, zeroed, in the cache and locked; 0 if somebody was faster. */
export const secretmemNewPage = fn(function* secretmem_new_page(vmf: VmFault): Kernel<number> {
  const mapping = vmf.vma!.vmFile!.fMapping!
  const folio = yield* allocFolioMayFail(mapping.gfpMovable)
  if (folio === null) return VM_FAULT_OOM
  clearFolio(folio)
  folio.uptodate = true
  folioSetLocked(folio)
  const error = yield* addToPageCache(folio, mapping, vmf.pgoff)
  if (error !== 0) {
    yield* folioUnlock(folio)
    yield* folioPut(folio)
    // Somebody was faster: try again. vmf_error() of the other.
    return error === -EEXIST ? 0 : VM_FAULT_OOM
  }
  yield* folioAddLru(folio)
  vmf.page = folio
  return VM_FAULT_LOCKED
})

/**
 * The page of a fault, locked; a missing one is allocated. SIGBUS behind the end of the file.
 *
 * Models: 6.2 mm/secretmem.c secretmem_fault. Simplifies: the direct map.
 */
export const secretmemFault = fn(function* secretmem_fault(vmf: VmFault): Kernel<number> {
  const file = vmf.vma!.vmFile!
  const mapping = file.fMapping!
  yield read(file.fInode!, 'iSize')
  if (pgoffToBytes(vmf.pgoff) >= file.fInode!.iSize) return VM_FAULT_SIGBUS
  yield* downRead(mapping.invalidateLock)
  let ret = 0
  while (ret === 0) {
    const folio = yield* filemapLockFolio(mapping, vmf.pgoff)
    if (folio === null) ret = yield* secretmemNewPage(vmf)
    else {
      vmf.page = folio
      ret = VM_FAULT_LOCKED
    }
  }
  yield* upRead(mapping.invalidateLock)
  return ret
})

const secretmemVmOps: VmOperations = opsTable({ name: 'secretmem_vm_ops', fault: secretmemFault })

/** Models: 6.2 mm/secretmem.c vma_is_secretmem. Compared: 6.17 and 7.0 source. */
export function vmaIsSecretmem(vma: VmArea): boolean {
  return vma.vmOps === secretmemVmOps
}

/** Models: 6.2 include/linux/secretmem.h page_is_secretmem. Compared: 6.17 and 7.0 source. */
export function folioIsSecretmem(folio: Folio): boolean {
  return folio.mapping !== null && folio.mapping.aOps === secretmemAops
}

/**
 * Shared mappings only, and they are locked.
 *
 * Models: 6.2 mm/secretmem.c secretmem_mmap. Simplifies: the process may lock any amount.
 */
export const secretmemMmap = fn(function* secretmem_mmap(_file: File, vma: VmArea): Kernel<number> {
  if (!(vma.vmFlags & (VM_SHARED | VM_MAYSHARE))) return -EINVAL
  vma.vmFlags |= VM_LOCKED
  vma.vmOps = secretmemVmOps
  return 0
})

/**
 * The pages are nobody's but the mappings': they stay.
 *
 * Models: 6.2 mm/secretmem.c.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const secretmemMigrateFolio = fn(function* secretmem_migrate_folio(
  _mapping: AddressSpace | null,
  _dst: Folio,
  _src: Folio,
  _mode: number,
): Kernel<number> {
  return -EBUSY
})

/** What was in the page stays secret. Models: 6.2 mm/secretmem.c secretmem_free_folio. */
export const secretmemFreeFolio = fn(function* secretmem_free_folio(folio: Folio): Kernel<void> {
  yield write(folio, 'data')
  clearFolio(folio)
})

export const secretmemAops: AddressSpaceOps = opsTable({
  name: 'secretmem_aops',
  migrateFolio: secretmemMigrateFolio,
  freeFolio: secretmemFreeFolio,
})

/**
 * The size can be set once: -EINVAL if it is not 0.
 *
 * Models: 6.2 mm/secretmem.c secretmem_setattr. Simplifies: the owner.
 */
export const secretmemSetattr = fn(function* secretmem_setattr(
  dentry: Dentry,
  size: bigint,
  mode: number,
  _uid: number,
): Kernel<number> {
  const inode = dentry.dInode!
  const mapping = inode.iMapping!
  yield* downWrite(mapping.invalidateLock)
  let ret = 0
  if (size >= 0n && inode.iSize !== 0n) ret = -EINVAL
  else {
    yield write(inode, 'iSize')
    if (size >= 0n) inode.iSize = size
    if (mode >= 0) inode.iMode = mode
  }
  yield* upWrite(mapping.invalidateLock)
  return ret
})

const secretmemIops: InodeOperations = opsTable({
  name: 'secretmem_iops',
  setattr: secretmemSetattr,
})

const secretmemFops: FileOperations = opsTable({ name: 'secretmem_fops', mmap: secretmemMmap })

/**
 * memfd_secret(2): a descriptor; -EINVAL for flags other than O_CLOEXEC.
 *
 * Models: 6.2 mm/secretmem.c memfd_secret. Simplifies: switched on, which 6.2 needs
 * secretmem.enable at boot for; nobody counts the users, of which there are never too many.
 */
export const sysMemfdSecret = fn(function* memfd_secret(flags: number): Kernel<number> {
  if (flags & ~O_CLOEXEC) return -EINVAL
  const fd = yield* getUnusedFdFlags(flags)
  if (fd < 0) return fd
  const inode = yield* allocAnonInode(fsState().secretmem!)
  const file = allocFilePseudo(inode, secretmemFops, O_RDWR | O_LARGEFILE)
  inode.iMapping!.gfpMovable = false
  inode.iMapping!.unevictable = true
  inode.iOp = secretmemIops
  inode.iMapping!.aOps = secretmemAops
  inode.iMode |= S_IFREG
  yield* fdInstall(fd, file)
  return fd
})

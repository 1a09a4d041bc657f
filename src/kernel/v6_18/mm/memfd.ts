/** memfd of 6.18: executable or not is the creator's choice, and can be sealed. */
import { alsoReads } from '../../../machine/effects.js'
import { fn } from '../../../machine/fn.js'
import { EINVAL, EPERM } from '../../include/errno.js'
import type { File, Inode } from '../../include/fs.js'
import { VM_MAYWRITE, VM_SHARED, VM_WRITE, type VmArea } from '../../include/mm_types.js'
import {
  F_SEAL_EXEC,
  F_SEAL_FUTURE_WRITE,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  F_SEAL_WRITE,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  MFD_EXEC,
  MFD_HUGETLB,
  MFD_NOEXEC_SEAL,
  S_IXUGO,
} from '../../include/uapi.js'
import { memfdFileSeals, setMemfdFileSeals, unknownFlags } from '../../mm/memfd.js'
import { shmemFile, shmemI } from '../../mm/shmem.js'
import { vmaIsSharedMaywrite } from '../../mm/vma.js'

const ALL_FLAGS = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB | MFD_NOEXEC_SEAL | MFD_EXEC

/**
 * Models: 6.18 mm/memfd.c sanitize_flags, with vm.memfd_noexec at its default, so that a memfd is
 * executable unless it is asked not to be.
 */
export const sanitizeFlags = fn(function sanitize_flags(flags: number): number {
  if (unknownFlags(flags, ALL_FLAGS)) return -EINVAL
  if (flags & MFD_EXEC && flags & MFD_NOEXEC_SEAL) return -EINVAL
  return flags & MFD_NOEXEC_SEAL ? flags : flags | MFD_EXEC
})

/** Models: 6.18 mm/memfd.c alloc_file, its end. */
export const allocFile = fn(function alloc_file(file: File, flags: number): void {
  const seals = memfdFileSeals(file) & ~F_SEAL_SEAL
  if (flags & MFD_NOEXEC_SEAL) {
    file.fInode!.iMode &= ~S_IXUGO
    setMemfdFileSeals(file, seals | F_SEAL_EXEC)
  } else if (flags & MFD_ALLOW_SEALING) setMemfdFileSeals(file, seals)
})

/** Models: 6.18 mm/memfd.c F_ALL_SEALS. */
export const allSeals = fn(function memfd_all_seals(): number {
  const writes = F_SEAL_WRITE | F_SEAL_FUTURE_WRITE
  return F_SEAL_SEAL | F_SEAL_EXEC | F_SEAL_SHRINK | F_SEAL_GROW | writes
})

/**
 * F_SEAL_EXEC on a file that can be executed seals its content too. These seals count before
 * writable mappings are looked for, as observed on 6.18.44; 6.18.2 added them only afterwards.
 *
 * Models: 6.18 mm/memfd.c memfd_add_seals.
 */
export const impliedSeals = fn(function memfd_implied_seals(inode: Inode, seals: number): number {
  if (!(seals & F_SEAL_EXEC) || !(inode.iMode & S_IXUGO)) return seals
  return seals | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE
})

/**
 * A file sealed against writes gets no shared mapping that is writable, nor one that could become
 * so.
 *
 * Models: 6.18 mm/memfd.c memfd_check_seals_mmap and check_write_seal.
 */
export const checkSealsMmap = fn(function memfd_check_seals_mmap(
  file: File,
  vmFlags: number,
): number {
  if (shmemFile(file)) alsoReads(shmemI(file.fInode!), 'seals')
  const seals = memfdFileSeals(file)
  if (seals < 0 || !(seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))) return vmFlags
  if (!(vmFlags & VM_SHARED)) return vmFlags
  return vmFlags & VM_WRITE ? -EPERM : vmFlags & ~VM_MAYWRITE
})

/** Models: 6.18 mm/vma.h vma_is_shared_maywrite, where 6.2 asks for VM_SHARED. */
export const countsAsWriter = fn(function vma_is_shared_maywrite(vma: VmArea): boolean {
  return vmaIsSharedMaywrite(vma)
})

/** The seals were asked before: mm/shmem.c shmem_mmap of 6.18 has no test. */
export const noSealCheck = fn(function seal_check_write(_seals: number, _vma: VmArea): number {
  return 0
})

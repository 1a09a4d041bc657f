/**
 * VMAs: the list of the mm's, by address, and each mapping's list of those that map it. What the
 * mm's list says holds under mmap_lock, what the mapping's says under i_mmap_rwsem.
 */
import { kfree, kzalloc } from '../../machine/alloc.js'
import { rmw, write } from '../../machine/effects.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { downWrite, upWrite } from '../../machine/locks.js'
import { addressOf } from '../../machine/struct.js'
import { current, holdsLock } from '../../machine/task.js'
import { fput } from '../fs/file_table.js'
import { EPERM } from '../include/errno.js'
import type { AddressSpace } from '../include/fs.js'
import { type MmStruct, VM_MAYWRITE, VM_SHARED, VmArea } from '../include/mm_types.js'
import { addPages, bytesToPgoff, type Pgoff } from '../include/types.js'

/** The first VMA that ends behind an address, or NULL. mmap_lock is held. find_vma(). */
export function findVma(mm: MmStruct, address: bigint): VmArea | null {
  let vma = mm.mmap
  while (vma !== null && vma.vmEnd <= address) vma = vma.vmNext
  return vma
}

/** The first VMA that touches [start, end), or NULL. mmap_lock is held. */
export function findVmaIntersection(mm: MmStruct, start: bigint, end: bigint): VmArea | null {
  const vma = findVma(mm, start)
  return vma !== null && vma.vmStart < end ? vma : null
}

/** The VMA that contains an address, or NULL. mmap_lock is held. vma_lookup(). */
export function vmaLookup(mm: MmStruct, address: bigint): VmArea | null {
  return findVmaIntersection(mm, address, address + 1n)
}

/** linear_page_index(): where in its file, or among anonymous pages, an address of a VMA lies. */
export function linearPageIndex(vma: VmArea, address: bigint): Pgoff {
  return addPages(vma.vmPgoff, Number((address - vma.vmStart) >> 12n))
}

/** vma_address(): where a VMA maps a page offset, or -1 if it does not. */
export function vmaAddress(vma: VmArea, index: Pgoff): bigint {
  if (index < vma.vmPgoff) return -1n
  const address = vma.vmStart + (BigInt(index - vma.vmPgoff) << 12n)
  return address < vma.vmEnd ? address : -1n
}

/** Private memory: no file, or none that its faults go to. */
export function vmaIsAnonymous(vma: VmArea): boolean {
  return vma.vmOps === null
}

/** Put a VMA into its mm's list. mmap_lock is held for writing. */
export function vmaLink(mm: MmStruct, vma: VmArea): void {
  let before: VmArea | null = null
  for (let next = mm.mmap; next !== null && next.vmStart < vma.vmStart; next = next.vmNext) {
    before = next
  }
  vma.vmMm = mm
  if (before === null) {
    vma.vmNext = mm.mmap
    mm.mmap = vma
  } else {
    vma.vmNext = before.vmNext
    before.vmNext = vma
  }
}

/** Take a VMA out of its mm's list. mmap_lock is held for writing. */
export function vmaUnlink(mm: MmStruct, vma: VmArea): void {
  if (mm.mmap === vma) mm.mmap = vma.vmNext
  else {
    let before = mm.mmap!
    while (before.vmNext !== vma) before = before.vmNext!
    before.vmNext = vma.vmNext
  }
  vma.vmNext = null
}

/**
 * Does a VMA count as a writable mapping of its file? 6.2 counts every shared one of a descriptor
 * that is open for writing, since mprotect() may make it writable.
 *
 * Models: 6.2 mm/mmap.c __vma_link_file and mmap_region: VM_SHARED.
 */
export const vmaCountsAsWriter = fn(function vma_counts_as_writer(vma: VmArea): boolean {
  return (vma.vmFlags & VM_SHARED) !== 0
})

/** As later versions ask: VM_SHARED and VM_MAYWRITE. */
export function vmaIsSharedMaywrite(vma: VmArea): boolean {
  const both = VM_SHARED | VM_MAYWRITE
  return (vma.vmFlags & both) === both
}

/** Models: 6.2 include/linux/fs.h mapping_map_writable. -EPERM if writable mappings are denied. */
export const mappingMapWritable = fn(function* mapping_map_writable(
  mapping: AddressSpace,
): Kernel<number> {
  yield rmw(mapping, 'iMmapWritable')
  if (mapping.iMmapWritable < 0) return -EPERM
  mapping.iMmapWritable++
  return 0
})

/** Models: 6.2 include/linux/fs.h mapping_unmap_writable. */
export const mappingUnmapWritable = fn(function* mapping_unmap_writable(
  mapping: AddressSpace,
): Kernel<void> {
  yield rmw(mapping, 'iMmapWritable')
  mapping.iMmapWritable--
})

/**
 * Put a VMA into its mapping's list; from here on who looks for the mapping's pages finds it.
 *
 * Models: 6.2 mm/mmap.c vma_link, its part under i_mmap_lock_write.
 */
export const vmaLinkFile = fn(function* vma_link_file(vma: VmArea): Kernel<void> {
  const mapping = vma.vmFile!.fMapping!
  yield* downWrite(mapping.iMmapRwsem)
  yield write(mapping, 'iMmap')
  vma.iMmapNext = mapping.iMmap
  mapping.iMmap = vma
  yield* upWrite(mapping.iMmapRwsem)
})

/** Take a VMA out of its mapping's list. Models: 6.2 mm/mmap.c unlink_file_vma. */
export const unlinkFileVma = fn(function* unlink_file_vma(vma: VmArea): Kernel<void> {
  if (vma.vmFile === null) return
  const mapping = vma.vmFile!.fMapping!
  yield* downWrite(mapping.iMmapRwsem)
  yield write(mapping, 'iMmap')
  if (mapping.iMmap === vma) mapping.iMmap = vma.iMmapNext
  else {
    let before = mapping.iMmap!
    while (before.iMmapNext !== vma) before = before.iMmapNext!
    before.iMmapNext = vma.iMmapNext
  }
  vma.iMmapNext = null
  yield* upWrite(mapping.iMmapRwsem)
})

/**
 * A VMA that may get private pages joins those that are searched for them.
 *
 * Models: 6.2 mm/rmap.c __anon_vma_prepare. Simplifies: one anon_vma for the mm, since nobody
 * forks; joined when the VMA is made, not at its first private page.
 */
export const anonVmaLink = fn(function* anon_vma_chain_link(vma: VmArea): Kernel<void> {
  if (vma.vmFlags & VM_SHARED) return
  const mm = vma.vmMm!
  yield* downWrite(mm.anonVmaLock)
  vma.anonNext = mm.anonVmas
  mm.anonVmas = vma
  yield* upWrite(mm.anonVmaLock)
})

/** Models: 6.2 mm/rmap.c unlink_anon_vmas. */
export const unlinkAnonVmas = fn(function* unlink_anon_vmas(vma: VmArea): Kernel<void> {
  if (vma.vmFlags & VM_SHARED) return
  const mm = vma.vmMm!
  yield* downWrite(mm.anonVmaLock)
  if (mm.anonVmas === vma) mm.anonVmas = vma.anonNext
  else {
    let before = mm.anonVmas!
    while (before.anonNext !== vma) before = before.anonNext!
    before.anonNext = vma.anonNext
  }
  vma.anonNext = null
  yield* upWrite(mm.anonVmaLock)
})

/** Free a VMA and put its file. Models: 6.2 mm/mmap.c remove_vma. */
export const removeVma = fn(function* remove_vma(vma: VmArea): Kernel<void> {
  const file = vma.vmFile
  if (file !== null) {
    if (vmaCountsAsWriter(vma)) yield* mappingUnmapWritable(file.fMapping!)
    yield* fput(file)
  }
  kfree(vma)
})

/**
 * A copy of a VMA in no list, without a reference to the file. vm_area_dup(), whose caller has asked
 * whether there is memory for it.
 */
export function vmAreaDup(vma: VmArea): VmArea {
  const copy = kzalloc(VmArea)
  copy.vmMm = vma.vmMm
  copy.vmStart = vma.vmStart
  copy.vmEnd = vma.vmEnd
  copy.vmPgoff = vma.vmPgoff
  copy.vmFlags = vma.vmFlags
  copy.vmFile = vma.vmFile
  copy.vmOps = vma.vmOps
  return copy
}

/** Pages that a VMA has. */
export function vmaPages(vma: VmArea): number {
  return bytesToPgoff(vma.vmEnd - vma.vmStart)
}

/**
 * Hold every lock under which somebody may walk this mm's page table from a page, so that nobody
 * does. mmap_lock is held for writing.
 *
 * Models: 6.2 mm/mmap.c mm_take_all_locks.
 */
export const mmTakeAllLocks = fn(function* mm_take_all_locks(mm: MmStruct): Kernel<void> {
  let vma = mm.mmap
  while (vma !== null) {
    if (vma.vmFile !== null) {
      const sem = vma.vmFile!.fMapping!.iMmapRwsem
      if (!holdsLock(current(), addressOf(sem, 'writer'))) yield* downWrite(sem)
    }
    vma = vma.vmNext
  }
  yield* downWrite(mm.anonVmaLock)
})

/** Models: 6.2 mm/mmap.c mm_drop_all_locks. */
export const mmDropAllLocks = fn(function* mm_drop_all_locks(mm: MmStruct): Kernel<void> {
  yield* upWrite(mm.anonVmaLock)
  let vma = mm.mmap
  while (vma !== null) {
    if (vma.vmFile !== null) {
      const sem = vma.vmFile!.fMapping!.iMmapRwsem
      if (holdsLock(current(), addressOf(sem, 'writer'))) yield* upWrite(sem)
    }
    vma = vma.vmNext
  }
})

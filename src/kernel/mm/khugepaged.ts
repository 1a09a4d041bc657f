/**
 * Advice about transparent huge pages, as far as it is refused or accepted: no page here is huge,
 * so nothing is ever collapsed.
 */
import { fn, type Kernel } from '../../machine/fn.js'
import { EINVAL, ENOMEM } from '../include/errno.js'
import type { VmArea } from '../include/mm_types.js'
import { PAGE_SHIFT } from '../include/types.js'
import { shmemFile } from './shmem.js'
import { lruAddDrain } from './swap.js'
import { vmaIsAnonymous } from './vma.js'

/** Bytes and pages of a huge page of x86-64. */
const HPAGE_PMD_SIZE = 1n << 21n
const HPAGE_PMD_NR = HPAGE_PMD_SIZE >> PAGE_SHIFT

/**
 * Is the kernel built with CONFIG_TRANSPARENT_HUGEPAGE? Without it there is no such advice.
 *
 * Models: 6.2 mm/madvise.c madvise_behavior_valid, its condition.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const hasTransparentHugepage = fn(function has_transparent_hugepage(): boolean {
  return true
})

/**
 * Can a huge page lie at the one that contains `addr`: within the VMA, and at a place in the file
 * that is as aligned?
 *
 * Models: 6.18 include/linux/huge_mm.h thp_vma_suitable_order, for PMDs (6.2
 * transhuge_vma_suitable).
 */
function thpVmaSuitableOrder(vma: VmArea, addr: bigint): boolean {
  const shift = (vma.vmStart >> PAGE_SHIFT) - BigInt(vma.vmPgoff)
  if (!vmaIsAnonymous(vma) && shift % HPAGE_PMD_NR !== 0n) return false
  const haddr = addr - (addr % HPAGE_PMD_SIZE)
  return haddr >= vma.vmStart && haddr + HPAGE_PMD_SIZE <= vma.vmEnd
}

/**
 * May the pages of a VMA be collapsed by force? Not those of anonymous inodes, such as secretmem's
 * and guest_memfd's.
 *
 * Models: 6.18 mm/huge_memory.c __thp_vma_allowable_orders for TVA_FORCED_COLLAPSE (6.2
 * hugepage_vma_check), with file_thp_enabled as of dd085fe9a8eb (7.0, and stable): until then
 * 6.18 with CONFIG_READ_ONLY_THP_FOR_FS took anonymous inodes for files that are read only.
 * Simplifies: MADV_NOHUGEPAGE is not remembered, and shmem_enabled is not "deny"; anonymous memory
 * is refused, as where none of it is there.
 */
function collapseAllowed(vma: VmArea): boolean {
  if (!thpVmaSuitableOrder(vma, vma.vmEnd - HPAGE_PMD_SIZE)) return false
  return vma.vmFile !== null && shmemFile(vma.vmFile!)
}

/**
 * MADV_COLLAPSE, of [start, end) in one VMA, in bytes: -EINVAL where there can be no huge page;
 * else 0 if the range has room for none.
 *
 * Models: 6.18 mm/khugepaged.c madvise_collapse. Simplifies: where Linux may collapse pages it is
 * -ENOMEM, as if no huge page were free.
 */
export const madviseCollapse = fn(function* madvise_collapse(
  vma: VmArea,
  start: bigint,
  end: bigint,
): Kernel<number> {
  if (!collapseAllowed(vma)) return -EINVAL
  yield* lruAddDrain()
  const hstart = ((start + HPAGE_PMD_SIZE - 1n) / HPAGE_PMD_SIZE) * HPAGE_PMD_SIZE
  const hend = (end / HPAGE_PMD_SIZE) * HPAGE_PMD_SIZE
  if (hstart < hend) return -ENOMEM
  // Their distance is unsigned: within one huge page it is not 0.
  return hstart === hend ? 0 : -EINVAL
})

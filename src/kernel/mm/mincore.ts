/** mincore(2): which pages are there. */
import { alsoReads, read } from '../../machine/effects.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { downRead, upRead } from '../../machine/locks.js'
import { EINVAL, ENOMEM } from '../include/errno.js'
import type { AddressSpace } from '../include/fs.js'
import type { Folio } from '../include/mm.js'
import { currentMm, type VmArea } from '../include/mm_types.js'
import type { SwpEntry } from '../include/swap.js'
import { isPageAligned, type Pgoff } from '../include/types.js'
import { xaIsValue, xaLoad, xaLoadEntry, xaToValue } from '../lib/xarray.js'
import { TASK_SIZE } from './mmap.js'
import { PTE_SWAP, pteAt, pteSwpEntry } from './pgtable.js'
import { shmemMapping } from './shmem.js'
import { swapAddressSpace, swpOffset } from './swap_state.js'
import { linearPageIndex, vmaLookup } from './vma.js'

/**
 * The folio at an index of a file or of the swap cache, or NULL. Where there is a value instead, it
 * takes that for the slot of a page of shmem if this is shmem's mapping. It also asks that of the
 * swap cache, which has no host, and whose values are the shadows of what was reclaimed.
 *
 * Models: 6.2 mm/swap_state.c filemap_get_incore_folio. Simplifies: part of the caller's step, so
 * it takes no reference.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const filemapGetIncoreFolio = fn(function* filemap_get_incore_folio(
  mapping: AddressSpace,
  index: Pgoff,
): Kernel<Folio | null> {
  alsoReads(mapping.iPages, 'xaHead')
  const entry = xaLoadEntry(mapping.iPages, index)
  if (!xaIsValue(entry)) return xaLoad(mapping.iPages, index) as Folio | null
  if (!shmemMapping(mapping)) return null
  const swap = xaToValue(entry) as SwpEntry
  return xaLoad(swapAddressSpace().iPages, swpOffset(swap)) as Folio | null
})

/**
 * Is the page at an index of a file, or of the swap cache, in memory and up to date?
 *
 * Models: 6.2 mm/mincore.c mincore_page. Simplifies: part of the caller's step, so there is no
 * reference to put.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const mincorePage = fn(function* mincore_page(
  mapping: AddressSpace,
  index: Pgoff,
): Kernel<number> {
  const folio = yield* filemapGetIncoreFolio(mapping, index)
  if (folio === null) return 0
  alsoReads(folio, 'uptodate')
  return folio.uptodate ? 1 : 0
})

/**
 * Where there is no entry: what the file has. Models: 6.2 mm/mincore.c __mincore_unmapped_range.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const mincoreUnmapped = fn(function* __mincore_unmapped_range(
  vma: VmArea,
  address: bigint,
): Kernel<number> {
  if (vma.vmFile === null) return 0
  const mapping = vma.vmFile!.fMapping!
  yield read(mapping.iPages, 'xaHead')
  return yield* mincorePage(mapping, linearPageIndex(vma, address))
})

/**
 * By the entry of an address. One that says that the page is being migrated, or poisoned, counts
 * as a page. The page table lock is held for a swap entry: it is looked up in the same step.
 *
 * Models: 6.2 mm/mincore.c mincore_pte_range, for one page.
 */
export const mincorePte = fn(function* mincore_pte_range(
  vma: VmArea,
  address: bigint,
): Kernel<number> {
  const mm = vma.vmMm!
  yield read(mm.pageTable, 'xaHead')
  const pte = pteAt(mm, address)
  if (pte === 0) return yield* mincoreUnmapped(vma, address)
  if (!(pte & PTE_SWAP)) return 1
  return yield* mincorePage(swapAddressSpace(), swpOffset(pteSwpEntry(pte)))
})

/**
 * mincore(2) of one page, at an address in bytes: 1 or 0, -EINVAL for an address that is not page
 * aligned, -ENOMEM where nothing is mapped.
 *
 * Models: 6.2 mm/mincore.c mincore, for one page. Simplifies: the process owns its files.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const sysMincore = fn(function* mincore(address: bigint): Kernel<number> {
  if (!isPageAligned(address)) return -EINVAL
  if (address < 0n || address >= TASK_SIZE) return -ENOMEM
  const mm = currentMm()
  yield* downRead(mm.mmapLock)
  const vma = vmaLookup(mm, address)
  const ret = vma === null ? -ENOMEM : yield* mincorePte(vma, address)
  yield* upRead(mm.mmapLock)
  return ret
})

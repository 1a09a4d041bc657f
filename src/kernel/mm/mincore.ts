/** mincore(2): which pages are there. */
import { alsoReads, read } from '../../machine/effects.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { downRead, upRead } from '../../machine/locks.js'
import { EINVAL, ENOMEM } from '../include/errno.js'
import type { Folio } from '../include/mm.js'
import { currentMm, type VmArea } from '../include/mm_types.js'
import { isPageAligned } from '../include/types.js'
import { xaLoad } from '../lib/xarray.js'
import { TASK_SIZE } from './mmap.js'
import { pteAt } from './pgtable.js'
import { linearPageIndex, vmaLookup } from './vma.js'

/**
 * Is the page of a file in the cache and up to date, for an address that no PTE maps?
 *
 * Models: 6.2 mm/mincore.c mincore_page. Simplifies: no swap cache.
 */
const mincorePage = fn(function* mincore_page(vma: VmArea, address: bigint): Kernel<number> {
  if (vma.vmFile === null) return 0
  const mapping = vma.vmFile!.fMapping!
  yield read(mapping.iPages, 'xaHead')
  const folio = xaLoad(mapping.iPages, linearPageIndex(vma, address)) as Folio | null
  if (folio === null) return 0
  alsoReads(folio, 'uptodate')
  return folio.uptodate ? 1 : 0
})

/**
 * mincore(2) of one page, at an address in bytes: 1 or 0, -EINVAL for an address that is not page
 * aligned, -ENOMEM where nothing is mapped. An entry that says that the page is being migrated, or
 * poisoned, counts as a page.
 *
 * Models: 6.2 mm/mincore.c mincore and mincore_pte_range, for one page. Simplifies: the process
 * owns its files.
 */
export const sysMincore = fn(function* mincore(address: bigint): Kernel<number> {
  if (!isPageAligned(address)) return -EINVAL
  if (address < 0n || address >= TASK_SIZE) return -ENOMEM
  const mm = currentMm()
  yield* downRead(mm.mmapLock)
  let ret = -ENOMEM
  const vma = vmaLookup(mm, address)
  if (vma !== null) {
    yield read(mm.pageTable, 'xaHead')
    ret = pteAt(mm, address) !== 0 ? 1 : yield* mincorePage(vma, address)
  }
  yield* upRead(mm.mmapLock)
  return ret
})

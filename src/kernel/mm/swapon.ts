/** swapon(2). Without it there is no swap area, and anonymous memory stays where it is. */
import { ZERO_PAGE } from '../../machine/blob.js'
import { write } from '../../machine/effects.js'
import { LimitError } from '../../machine/fault.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { opsTable } from '../../machine/struct.js'
import { EBUSY, EINVAL } from '../include/errno.js'
import type { AddressSpaceOps } from '../include/fs.js'
import { SWAP_SLOTS_MAX, swapInfo } from '../include/swap.js'
import { bytesToPgoff } from '../include/types.js'
import { migrateFolio } from './migrate.js'
import { swapWritepage } from './page_io.js'

const swapAops: AddressSpaceOps = opsTable({
  name: 'swap_aops',
  writepage: swapWritepage,
  migrateFolio,
})

/**
 * swapon(2) of a RAM disk of so many bytes, whose first page is the area's header. 0; -EINVAL for
 * one without a slot; -EBUSY the second time.
 *
 * Models: 6.2 mm/swapfile.c swapon, with mm/swap_state.c init_swap_address_space. Simplifies: the
 * device is fresh, and made on the way; there is one of at most 64 slots, and no swapoff().
 *
 * Compared: 6.17 source.
 */
export const sysSwapon = fn(function* swapon(size: bigint): Kernel<number> {
  const pages = bytesToPgoff(size)
  if (pages < 2) return -EINVAL
  if (pages > SWAP_SLOTS_MAX) throw new LimitError(`swap has room for ${SWAP_SLOTS_MAX} pages here`)
  const si = swapInfo()
  yield write(si, 'max')
  if (si.max !== 0) return -EBUSY
  si.space.aOps = swapAops
  for (let slot = 1; slot < pages; slot++) si.data.set(slot, ZERO_PAGE)
  si.max = pages
  return 0
})

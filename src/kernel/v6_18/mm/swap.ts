/** LRU batches of 6.18: larger, and not emptied where nobody needs it. */
import { fn, type Kernel } from '../../../machine/fn.js'

/** Models: 6.18 include/linux/pagevec.h PAGEVEC_SIZE. */
export const pagevecSize31 = fn(function pagevec_size(): number {
  return 31
})

/** Models: 6.18 mm/memory.c zap_page_range_single, mm/vma.c unmap_region, mm/mmap.c exit_mmap. */
export const noDrainToUnmap = fn(function* lru_add_drain_to_unmap(): Kernel<void> {})

/** mmap() of 6.18, where it differs. */
import { fn } from '../../../machine/fn.js'

/**
 * Models: 6.18 mm/vma.c __mmap_region, its call of vms_gather_munmap_vmas.
 *
 * Compared: 6.12 source.
 */
export const mmapUnmapErrorItself = fn(function mmap_unmap_error(error: number): number {
  return error
})

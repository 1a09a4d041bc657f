/** Small allocations that fail, where a scenario lets a fault strike. */
import { inject } from '../../machine/effects.js'
import { fn, type Kernel } from '../../machine/fn.js'

/**
 * Does the allocation that is about to happen fail? Asked where a failure is an answer of its own,
 * or is forgotten.
 *
 * Models: 6.2 mm/failslab.c __should_failslab. Simplifies: not every allocation asks: those of
 * descriptors, inodes, page table and page cache nodes never fail.
 */
export const shouldFailslab = fn(function* __should_failslab(): Kernel<boolean> {
  return (yield inject()) !== 0
})

/** Small allocations that fail, where a scenario lets a fault strike. */
import { inject } from '../../machine/effects.js'
import { fn, type Kernel } from '../../machine/fn.js'

/**
 * Does the allocation that is about to happen fail? Asked where a failure is an answer of its own,
 * or is forgotten. A test has the list of those that do not ask, each with its reason.
 *
 * Models: 6.2 mm/failslab.c __should_failslab.
 */
export const shouldFailslab = fn(function* __should_failslab(): Kernel<boolean> {
  return (yield inject()) !== 0
})

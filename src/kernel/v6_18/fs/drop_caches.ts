/** drop_caches of 6.18: pages that wait in LRU batches are not spared. */
import { fn, type Kernel, original } from '../../../machine/fn.js'
import { dropCaches } from '../../fs/drop_caches.js'
import { lruAddDrainAll } from '../../mm/swap.js'

const before = original(dropCaches)

/** Models: 6.18 fs/drop_caches.c drop_caches_sysctl_handler. */
export const dropCachesDrained = fn(function* drop_caches_sysctl_handler(): Kernel<number> {
  yield* lruAddDrainAll()
  return yield* before()
})

/** The kernel's own assertions: BUG_ON, WARN_ON, and the checks of the page allocator. */

import { asTool, source } from './ground.js'
import type { Sanitizer } from './sanitizer.js'

export const assertions: Sanitizer = {
  name: 'assertions',
  invariant: 'What the kernel asserts of itself holds.',
  kinds: [
    {
      id: 'kernel-bug',
      judgement: 'assertion',
      sentence: 'A BUG_ON() of the kernel fired: the thread dies.',
      why: [asTool('BUG()')],
    },
    {
      id: 'kernel-warning',
      judgement: 'assertion',
      sentence: 'A WARN_ON() of the kernel fired.',
      why: [asTool('WARN()')],
    },
    {
      id: 'bad-page-state',
      judgement: 'assertion',
      sentence: 'A page was freed that is locked, mapped, on the LRU or in a page cache.',
      why: [source('6.2', 'mm/page_alloc.c free_page_is_bad')],
    },
    {
      id: 'unlock-by-other',
      judgement: 'assertion',
      sentence: 'A lock was released by a task that does not hold it.',
      why: [source('6.2', 'kernel/locking/lockdep.c print_unlock_imbalance_bug')],
    },
    {
      id: 'lock-held-on-return',
      judgement: 'assertion',
      sentence: 'A call returned to user space with a lock held, or in an atomic section.',
      why: [source('6.2', 'kernel/locking/lockdep.c lockdep_sys_exit')],
    },
  ],
}

/**
 * Everybody must come to an end. The search finds these: a state in which nobody can go on though
 * somebody has not ended, and a part of the state graph that no step leaves.
 */

import { asTool, recorded, source } from './ground.js'
import type { Sanitizer } from './sanitizer.js'

export const progress: Sanitizer = {
  name: 'progress',
  invariant: 'Everybody who has begun comes to an end.',
  kinds: [
    {
      id: 'deadlock',
      judgement: 'progress',
      sentence: 'Tasks wait for ever; nobody is left who could wake them.',
      why: [
        source('6.2', 'kernel/locking/lockdep.c check_deadlock'),
        recorded('6.2.1', 'E8.after'),
      ],
    },
    {
      id: 'livelock',
      judgement: 'progress',
      sentence: 'Tasks run for ever and get nowhere, whatever the schedule.',
      why: [
        source('6.2', 'include/linux/kvm_host.h mmu_invalidate_retry_hva'),
        asTool('the soft lockup detector'),
      ],
    },
  ],
}

/** Nothing may sleep while preemption is off or under RCU. */
import { NO_FACTS } from '../machine/fault.js'
import { recorded, source } from './ground.js'
import type { Sanitizer } from './sanitizer.js'

export const sleepInAtomic: Sanitizer = {
  name: 'sleep-in-atomic',
  invariant: 'Nobody sleeps while preemption is off or under RCU.',
  kinds: [
    {
      id: 'sleep-in-atomic',
      judgement: 'call',
      sentence: 'A function that may sleep was called in atomic context.',
      why: [source('6.2', 'kernel/sched/core.c __might_resched'), recorded('6.2.1', 'E10.sleep')],
    },
  ],
  mightSleep(task, where, { report }) {
    if (task.preemptCount === 0 && task.rcuDepth === 0) return
    const why = task.preemptCount > 0 ? 'under a spinlock' : 'under RCU'
    report('sleep-in-atomic', `${where}() was called ${why}`, NO_FACTS)
  },
}

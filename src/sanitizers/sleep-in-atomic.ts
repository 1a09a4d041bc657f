/** Nothing may sleep while preemption is off or under RCU (L2). */
import { NO_FACTS } from '../machine/fault.js'
import type { Sanitizer } from './sanitizer.js'

export const sleepInAtomic: Sanitizer = {
  name: 'sleep-in-atomic',
  kinds: [
    {
      id: 'sleep-in-atomic',
      judgement: 'call',
      sentence: 'A function that may sleep was called in atomic context.',
      source: 'as CONFIG_DEBUG_ATOMIC_SLEEP; kernel-runs 5, D09, D10',
    },
  ],
  mightSleep(task, where, { report }) {
    if (task.preemptCount === 0 && task.rcuDepth === 0) return
    const why = task.preemptCount > 0 ? 'under a spinlock' : 'under RCU'
    report('sleep-in-atomic', `${where}() was called ${why}`, NO_FACTS)
  },
}

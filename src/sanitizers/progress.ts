/**
 * Everybody must come to an end. The search finds these: a state in which nobody can go on though
 * somebody has not ended, and a part of the state graph that no step leaves.
 */
import type { Sanitizer } from './sanitizer.js'

export const progress: Sanitizer = {
  name: 'progress',
  kinds: [
    {
      id: 'deadlock',
      judgement: 'progress',
      sentence: 'Tasks wait for ever; nobody is left who could wake them.',
      source: 'a final state with a task that has not ended; L1, L3',
    },
    {
      id: 'livelock',
      judgement: 'progress',
      sentence: 'Tasks run for ever and get nowhere, whatever the schedule.',
      source: 'a part of the state graph without an exit; I2',
    },
  ],
}

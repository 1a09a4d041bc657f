/** The plainest judge: every interleaving, one after the other, nothing remembered. */

import { Execution, type Listener } from '../../src/cell/execution.js'
import type { Judges } from '../../src/cell/judges.js'
import { walk } from '../../src/cell/walk.js'
import { Witnesses } from '../../src/explore/listen/witnesses.js'
import type { Opinion } from './opinions.js'

/** All executions of the loaded program, or undefined if there are more than `most` steps. */
export function everyInterleaving(
  judges: Judges,
  finals: Listener,
  most: number,
): Pick<Opinion, 'findings' | 'executions'> | undefined {
  const witnesses = new Witnesses()
  const run = new Execution(judges, [witnesses, finals])
  let executions = 0
  let steps = 0
  const finished = walk(run, {
    arrived: () => {
      if (++steps > most) return 'stop'
      if (run.ready() !== 0) return 'on'
      executions++
      return 'back'
    },
  })
  const findings = new Map([...witnesses.all].map(([id, w]) => [id, w.first]))
  return finished ? { findings, executions } : undefined
}

/** The plainest judge: every interleaving, one after the other, nothing remembered. */

import { describeStuck } from '../../src/cell/deadlock.js'
import type { Judges, Observed } from '../../src/cell/judges.js'
import { undoMark, undoTo } from '../../src/machine/arena.js'
import { allEnded, alternatives, canStep, step, taskCount } from '../../src/machine/machine.js'
import type { Opinion } from './opinions.js'

/** All executions of the loaded program, or undefined if there are more than `most` steps. */
export function everyInterleaving(
  judges: Judges,
  atFinal: () => void,
  most: number,
): Pick<Opinion, 'findings' | 'executions'> | undefined {
  const findings = new Map<string, boolean>()
  let executions = 0
  let steps = 0
  const note = (observed: readonly Observed[]): void => {
    for (const { id, first } of observed) findings.set(id, first || findings.get(id) === true)
  }
  const visit = (): boolean => {
    let moved = false
    for (let task = 0; task < taskCount(); task++) {
      if (!canStep(task)) continue
      moved = true
      const ways = alternatives(task)
      for (let choice = 0; choice < ways; choice++) {
        if (++steps > most) return false
        const mark = undoMark()
        const result = step(task, choice)
        note(judges.afterStep(result))
        if (result.fault?.kind === 'undefined') executions++
        else {
          if (allEnded()) note(judges.atEnd())
          if (!visit()) return false
        }
        undoTo(mark)
      }
    }
    if (moved) return true
    executions++
    const stuck = describeStuck()
    const mark = undoMark()
    if (stuck !== undefined) note(judges.stuck('deadlock', stuck.message))
    undoTo(mark)
    atFinal()
    return true
  }
  const root = undoMark()
  const finished = visit()
  undoTo(root)
  return finished ? { findings, executions } : undefined
}

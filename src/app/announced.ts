/**
 * Does the code of a cell announce what it touches? What it forgets to announce is merged into a
 * step, and interleavings are never explored, whatever a search says. Random executions, on which
 * every access is heard, show it.
 */
import { Cell } from '../cell/cell.js'
import type { Design } from '../designs/design.js'
import { AccessJudge } from '../explore/listen/undeclared.js'
import type { Draw } from '../explore/sample/samplers.js'
import type { Scenario } from '../litmus/scenario.js'
import { announceAll } from '../machine/frames.js'
import { alternatives, canStep, step, taskCount, taskName } from '../machine/machine.js'
import type { Verdict } from './verdict.js'

/** Executions, and steps of each, after which nothing new was ever seen. */
const RUNS = 12
const STEPS = 600

/** The memmap is there since the boot; here a frame gets its number when somebody first asks for it. */
const EXEMPT: ReadonlySet<string> = new Set(['Folio.pfn'])

/** Accesses that nothing orders and nobody announces: `Folio.refcount, written by vcpu0 …`. */
export function unannounced(scenario: Scenario, design: Design, draw: Draw): string[] {
  const found = new Map<string, string>()
  announceAll(true)
  try {
    for (let run = 0; run < RUNS; run++) {
      const cell = new Cell(scenario, design)
      cell.boot('lowered')
      const judge = new AccessJudge(EXEMPT)
      runAtRandom(cell, judge, draw)
      cell.judges.detach()
      for (const u of judge.found) {
        const how = u.write ? 'written' : 'read'
        const who = `by ${taskName(u.task)}, and touched by ${taskName(u.other)}`
        const key = `${u.field} ${how}`
        if (!found.has(key)) found.set(key, `${u.field}, ${how} ${who}`)
      }
    }
  } finally {
    announceAll(false)
  }
  return [...found.values()].sort()
}

/**
 * Until the execution ends or goes wrong: what was freed too early, say, is touched in no order, and
 * that is another finding than a forgotten announcement.
 */
function runAtRandom(cell: Cell, judge: AccessJudge, draw: Draw): void {
  for (let i = 0; i < STEPS; i++) {
    const ready = Array.from({ length: taskCount() }, (_, t) => t).filter((t) => canStep(t))
    if (ready.length === 0) return
    const task = ready[draw(ready.length)] as number
    const before = judge.found.length
    judge.beforeStep(task)
    const result = step(task, draw(alternatives(task)))
    judge.detach()
    if (cell.judges.afterStep(result).length > 0 || result.fault !== undefined) {
      judge.found.length = before
      return
    }
  }
}

/** The verdict, if so much is not announced: what was found stands, what was not is open. */
export function doubted(verdict: Verdict, accesses: readonly string[]): Verdict {
  if (accesses.length === 0) return verdict
  const reason = `not announced: ${accesses.join('; ')}: interleavings may be missing`
  return {
    ...verdict,
    verdict: verdict.verdict === 'finding' ? 'finding' : 'inconclusive',
    proof: 'bounded',
    unannounced: accesses,
    asExpected: verdict.difference === 'unexpected' ? false : undefined,
    reason: verdict.reason === undefined ? reason : `${verdict.reason}; ${reason}`,
  }
}

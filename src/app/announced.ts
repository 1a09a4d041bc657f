/**
 * Does the code of a cell announce what it touches? What it forgets to announce is merged into a
 * step, and interleavings are never explored, whatever a search says. Random executions, on which
 * every access is heard, show it.
 */
import { Cell } from '../cell/cell.js'
import type { Listener, Sighting } from '../cell/execution.js'
import type { Design } from '../designs/design.js'
import { AccessJudge } from '../explore/listen/undeclared.js'
import type { Draw } from '../explore/sample/samplers.js'
import type { Scenario } from '../litmus/scenario.js'
import { announceAll } from '../machine/frames.js'
import { alternatives, taskName } from '../machine/machine.js'
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
      const judge = new AccessJudge(EXEMPT)
      let before = 0
      const wrong = runAtRandom(cell, judge, draw, () => {
        before = judge.undeclared.length
      })
      // What was freed too early, say, is touched in no order: no forgotten announcement.
      if (wrong) judge.undeclared.length = before
      cell.judges.detach()
      for (const u of judge.undeclared) {
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

/** One execution, until it ends or a step of it goes wrong; true if one has. */
export function runAtRandom(
  cell: Cell,
  judge: Listener,
  draw: Draw,
  beforeStep: () => void = () => {},
): boolean {
  let wrong = false
  const found = ({ moment }: Sighting): void => {
    if (moment === 'step') wrong = true
  }
  const run = cell.begin('lowered', [judge, { found }])
  while (!wrong && run.depth < STEPS) {
    const ready = [...new Set(run.moves().map((m) => m.task))]
    if (ready.length === 0) return false
    const task = ready[draw(ready.length)] as number
    beforeStep()
    run.take(task, draw(alternatives(task)))
  }
  return wrong
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

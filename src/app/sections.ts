/**
 * Does the code of a cell hold in one piece what Linux holds in one piece? Random executions, on
 * which every access is heard, show it.
 */
import { Cell } from '../cell/cell.js'
import type { Design } from '../designs/design.js'
import { SectionJudge } from '../explore/listen/sections.js'
import type { Draw } from '../explore/sample/samplers.js'
import type { Scenario } from '../litmus/scenario.js'
import { runAtRandom } from './announced.js'

/** What splits a section, or touches a guarded field without its lock, in `runs` executions. */
export function splitSections(
  scenario: Scenario,
  design: Design,
  draw: Draw,
  runs: number,
): string[] {
  const found = new Set<string>()
  for (let run = 0; run < runs; run++) {
    const cell = new Cell(scenario, design)
    const judge = new SectionJudge()
    runAtRandom(cell, judge, draw)
    cell.judges.detach()
    for (const text of judge.split) found.add(text)
  }
  return [...found].sort()
}

/** Steps that are repeated from memory lead where their code leads. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { builtInFiles, readScenarios } from '../../src/cli/inputs.js'
import type { Design } from '../../src/designs/design.js'
import { DESIGNS } from '../../src/designs/index.js'
import { Cell } from '../../src/explore/cell.js'
import { search } from '../../src/explore/search.js'
import { expectationFor } from '../../src/litmus/expect.js'
import type { Scenario } from '../../src/litmus/scenario.js'

/** All that a search of a cell answers. */
function answers(scenario: Scenario, design: Design, afresh: boolean, bound?: number): unknown {
  const cell = new Cell(scenario, design)
  cell.boot('lowered')
  const { states, steps, executions, witnesses } = search(cell.judges, {
    bound,
    afresh,
    keepGoing: () => true,
    atRest: (schedule) => cell.atRest(schedule),
  })
  cell.judges.detach()
  const marks = [...cell.judges.marks].sort()
  return { states, steps, executions, witnesses, outcomes: cell.outcomes, marks }
}

describe('a search that repeats steps from memory sees the same states, findings and ends', () => {
  for (const { scenario } of readScenarios(builtInFiles(), [])) {
    test(scenario.name, () => {
      for (const design of DESIGNS) {
        if (expectationFor(scenario, design.id)?.outcome === 'skip') continue
        for (const bound of [undefined, 1]) {
          const repeated = answers(scenario, design, false, bound)
          assert.deepEqual(repeated, answers(scenario, design, true, bound), design.id)
        }
      }
    })
  }
})

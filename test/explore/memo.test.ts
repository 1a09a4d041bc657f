/** Steps that are repeated from memory lead where their code leads. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { expectationFor } from '../../src/app/expect.js'
import { builtInScenarios } from '../../src/app/host/scenarios.js'
import { bootScenario } from '../../src/cell/boot.js'
import { Cell } from '../../src/cell/cell.js'
import { Judges } from '../../src/cell/judges.js'
import type { Design } from '../../src/designs/design.js'
import { DESIGNS } from '../../src/designs/index.js'
import { upmAops } from '../../src/designs/upm-aops.js'
import { search } from '../../src/explore/prove/search.js'
import type { Scenario } from '../../src/litmus/scenario.js'
import { HEADER, setAccessHook } from '../../src/machine/struct.js'
import { SANITIZERS } from '../../src/sanitizers/index.js'
import type { Sanitizer } from '../../src/sanitizers/sanitizer.js'
import { SELF_TEST_JUDGES } from '../engine/judges.js'
import { bootSample, describeSample, sampleOf } from '../engine/programs.js'

const PROGRAMS = 300

/** All that a search of a cell answers. */
function answers(scenario: Scenario, design: Design, afresh: boolean, bound?: number): unknown {
  const cell = new Cell(scenario, design)
  cell.boot('lowered')
  const { states, steps, executions, witnesses } = search(cell.judges, {
    bound,
    afresh,
    keepGoing: () => true,
    listeners: [cell.outcomes],
  })
  cell.judges.detach()
  const marks = [...cell.judges.marks].sort()
  return { states, steps, executions, witnesses, outcomes: cell.outcomes.all, marks }
}

describe('a search that repeats steps from memory sees the same states, findings and ends', () => {
  for (const { scenario } of builtInScenarios()) {
    test(scenario.name, () => {
      for (const design of DESIGNS) {
        if (expectationFor(scenario, design)?.outcome === 'skip') continue
        for (const bound of [undefined, 1]) {
          const repeated = answers(scenario, design, false, bound)
          assert.deepEqual(repeated, answers(scenario, design, true, bound), design.id)
        }
      }
    })
  }
})

test('random programs: so they do where steps are found at fault', () => {
  for (let seed = 0; seed < PROGRAMS; seed++) {
    const [repeated, fresh] = [false, true].map((afresh) => {
      const judges = new Judges(SELF_TEST_JUDGES)
      bootSample(sampleOf(seed), 'lowered', () => judges.attach())
      const found = search(judges, { bound: undefined, afresh, keepGoing: () => true })
      judges.detach()
      return [found.states, found.steps, found.executions, found.witnesses]
    })
    assert.deepEqual(repeated, fresh, describeSample(sampleOf(seed)))
  }
})

/** Of the memmap, which is as it was when the kernel booted. */
const CONSTANT = new Set([`Folio.${HEADER}`, 'Folio.pfn'])

/** The same judge, which tells of each field that it reads in a state without watching it. */
function observedReading(s: Sanitizer, tell: (field: string) => void): Sanitizer {
  const known = new Set([...(s.watches ?? []), ...CONSTANT])
  return {
    ...s,
    state(context) {
      setAccessHook((_at, _write, struct, field) => {
        if (!known.has(`${struct}.${field}`)) tell(`${s.name} reads ${struct}.${field}`)
      })
      s.state?.(context)
      setAccessHook(undefined)
    },
  }
}

test('a judge of states reads only what it watches', () => {
  const told = new Set<string>()
  const judged = SANITIZERS.filter((s) => s.ofStates).map((s) =>
    observedReading(s, (field) => told.add(field)),
  )
  assert.ok(judged.length > 0)
  const design = upmAops
  for (const { scenario } of builtInScenarios()) {
    if (expectationFor(scenario, design)?.outcome === 'skip') continue
    const judges = new Judges(judged)
    bootScenario(scenario, design, 'lowered', { booted: () => judges.attach() })
    search(judges, { bound: 1, afresh: true, keepGoing: () => true })
    judges.detach()
  }
  assert.deepEqual([...told], [])
})

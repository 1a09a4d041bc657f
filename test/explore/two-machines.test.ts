/**
 * There is one machine in a thread. A second one takes its place, and whoever still works on the
 * first is refused: it never goes on with the state, the kernel or the judges of the second.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { checkScenario } from '../../src/app/check.js'
import { crossCheck } from '../../src/app/cross.js'
import { builtInScenarios } from '../../src/app/host/scenarios.js'
import { Cell } from '../../src/cell/cell.js'
import type { Execution, Listener } from '../../src/cell/execution.js'
import type { Design } from '../../src/designs/design.js'
import { DESIGNS } from '../../src/designs/index.js'
import { search } from '../../src/explore/prove/search.js'
import { sample } from '../../src/explore/sample/sample.js'
import { RandomWalk } from '../../src/explore/sample/samplers.js'
import { exploreClasses } from '../../src/explore/stateless/dpor.js'
import type { Scenario } from '../../src/litmus/scenario.js'
import { LimitError } from '../../src/machine/fault.js'
import type { Mode } from '../../src/machine/machine.js'

function scenario(name: string): Scenario {
  return builtInScenarios().find((f) => f.scenario.name === name)!.scenario
}

function design(id: string): Design {
  return DESIGNS.find((d) => d.id === id)!
}

/** Both versions of the kernel can run it. */
const SHARED = scenario('punch/punch-vs-guest-fault')
const LONG = scenario('migration/ordinary-memory-vs-compaction')
const OLD = design('upm')
const NEW = design('gmem-6.18')

/** Boots the other version when an execution of the first is at rest. */
function intruder(mode: Mode): Listener {
  return { atRest: () => new Cell(SHARED, NEW).boot(mode) }
}

/** The states that the first moves of an execution lead to. */
function walked(run: Execution, steps: number): string[] {
  const states = [`${run.lo} ${run.hi}`]
  for (let i = 0; i < steps; i++) {
    const [move] = run.moves()
    if (move === undefined) break
    run.take(move.task, move.choice)
    states.push(`${run.lo} ${run.hi}`)
  }
  return states
}

describe('an execution of a machine that another one has replaced', () => {
  const uses: Readonly<Record<string, (run: Execution) => unknown>> = {
    take: (run) => run.take(0, 0),
    retrace: (run) => run.retrace({ task: 0, choice: 0, alternatives: 1 }),
    follow: (run) => run.follow([{ task: 0, choice: 0, alternatives: 1 }]),
    moves: (run) => run.moves(),
    allows: (run) => run.allows({ task: 0, choice: 0, alternatives: 1 }),
    back: (run) => run.back(),
    backTo: (run) => run.backTo(0),
    blame: (run) => run.blame('livelock', 'x', 0, [], false, { about: [], values: {} }),
  }
  for (const [name, use] of Object.entries(uses)) {
    test(`${name} is refused`, () => {
      const first = new Cell(SHARED, OLD).begin('lowered')
      walked(first, 3)
      const cell = new Cell(SHARED, NEW)
      cell.begin('lowered')
      assert.throws(() => use(first), LimitError)
      cell.judges.detach()
    })
  }
})

test('the second machine is judged and runs as if it were alone', () => {
  const alone = walked(new Cell(SHARED, NEW).begin('lowered'), 40)
  const old = new Cell(SHARED, OLD)
  walked(old.begin('lowered'), 3)
  const second = new Cell(SHARED, NEW)
  const run = second.begin('lowered')
  // Who owned the first machine has done with it: the second one's judges stay where they are.
  old.judges.detach()
  assert.ok(second.judges.areAttached)
  assert.deepEqual(walked(run, 40), alone)
  second.judges.detach()
})

test('an execution whose judges have left goes no further', () => {
  const cell = new Cell(SHARED, OLD)
  const run = cell.begin('lowered')
  cell.judges.detach()
  assert.throws(() => run.take(0, 0), LimitError)
})

describe('whoever explores is refused when another machine comes in between', () => {
  const doors: Readonly<Record<string, () => unknown>> = {
    search: () => {
      const cell = new Cell(SHARED, OLD)
      cell.boot('lowered')
      const listeners = [intruder('lowered')]
      return search(cell.judges, { bound: undefined, keepGoing: () => true, listeners })
    },
    stateless: () => {
      const cell = new Cell(SHARED, OLD)
      cell.boot('direct')
      return exploreClasses(cell.judges, { keepGoing: () => true, listeners: [intruder('direct')] })
    },
    sample: () => {
      const cell = new Cell(SHARED, OLD)
      cell.boot('lowered')
      return sample(cell.judges, {
        samplers: [new RandomWalk()],
        runs: 20,
        draw: (n) => n - 1,
        listeners: [intruder('lowered')],
        keepGoing: () => true,
      })
    },
    check: () =>
      checkScenario(LONG, OLD, {
        bound: undefined,
        now: () => 0,
        keepGoing: () => {
          new Cell(SHARED, NEW).boot('lowered')
          return true
        },
      }),
    'second opinion': () =>
      crossCheck(SHARED, OLD, {
        executions: 1000,
        keepGoing: () => {
          new Cell(SHARED, NEW).boot('direct')
          return true
        },
      }),
  }
  for (const [name, explore] of Object.entries(doors)) {
    test(name, () => assert.throws(explore, LimitError))
  }
})

/**
 * Kernel code as a measure of the search: states a second of cells of the matrix, beside SPIN on
 * the models that are generated from the same lowered code, and lowered code beside the generators
 * as they are written.
 */

import { askSpin } from '../src/app/host/model.js'
import { builtInScenarios } from '../src/app/host/scenarios.js'
import { bootScenario } from '../src/cell/boot.js'
import { Cell } from '../src/cell/cell.js'
import { Execution } from '../src/cell/execution.js'
import { Judges } from '../src/cell/judges.js'
import type { Move } from '../src/cell/schedule.js'
import type { Design } from '../src/designs/design.js'
import { DESIGNS } from '../src/designs/index.js'
import { search } from '../src/explore/prove/search.js'
import type { Scenario } from '../src/litmus/scenario.js'
import type { Mode } from '../src/machine/machine.js'
import { best, line, type Measured, perSecond } from './measured.js'

/** A cell that is over in a moment, and one that lasts. */
const CELLS = [
  ['punch/punch-vs-guest-fault', 'upm'],
  ['migration/ordinary-memory-vs-compaction', 'upm'],
] as const

const ROUNDS = 5
/** Searches before those that count, for V8 to learn the code. */
const WARM_UP = 5
const EXECUTIONS = 300

function cellOf([name, id]: (typeof CELLS)[number]): [Scenario, Design] {
  const file = builtInScenarios().find((f) => f.scenario.name === name)
  const design = DESIGNS.find((d) => d.id === id)
  if (file === undefined || design === undefined) throw new Error(`no ${name} on ${id}`)
  return [file.scenario, design]
}

function searched(scenario: Scenario, design: Design): Measured {
  const cell = new Cell(scenario, design)
  cell.boot('lowered')
  const start = performance.now()
  const { states } = search(cell.judges, {
    bound: undefined,
    keepGoing: () => true,
  })
  cell.judges.detach()
  return { states, seconds: (performance.now() - start) / 1000 }
}

/**
 * The search, when it sees a cell for the first time and at its best of some rounds, and SPIN on
 * the same cells; both judge every state.
 */
export function kernelCode(): string[] {
  return CELLS.flatMap((names) => {
    const [scenario, design] = cellOf(names)
    const first = searched(scenario, design)
    for (let i = 1; i < WARM_UP; i++) searched(scenario, design)
    const own = best(Array.from({ length: ROUNDS }, () => searched(scenario, design)))
    const lines = [
      `kernel code, ${names[0]} on ${names[1]}, judged`,
      line('first', first),
      line('lowered', own),
    ]
    const rival = askSpin(scenario, design)
    if (typeof rival === 'string') return [...lines, `  SPIN left out: ${rival}`]
    const ratio = perSecond(own) / perSecond(rival)
    return [
      ...lines,
      line('SPIN', rival),
      `  ${ratio.toFixed(1)} times the rate of SPIN on the model generated from it`,
    ]
  })
}

/** A generator of pseudo-random numbers that is the same in every run. */
function random(seed: number): () => number {
  let s = seed
  return () => {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0
    return s / 2 ** 32
  }
}

/** Steps a second of random executions, boots left out. */
function randomRuns(scenario: Scenario, design: Design, mode: Mode): number {
  const next = random(1)
  let steps = 0
  let seconds = 0
  for (let i = 0; i < EXECUTIONS; i++) {
    const nobody = new Judges([])
    bootScenario(scenario, design, mode, { booted: () => nobody.attach() })
    const run = new Execution(nobody)
    const start = performance.now()
    for (let n = 0; n < 2000 && !run.over; n++) {
      const moves = run.moves()
      if (moves.length === 0) break
      const move = moves[Math.floor(next() * moves.length)] as Move
      run.take(move.task, move.choice)
      steps++
    }
    seconds += (performance.now() - start) / 1000
    nobody.detach()
  }
  return steps / seconds
}

/** Code that is run, not looked up: lowered, and as it is written. */
export function loweredAndDirect(): string[] {
  const [scenario, design] = cellOf(CELLS[0])
  const direct = randomRuns(scenario, design, 'direct')
  const lowered = randomRuns(scenario, design, 'lowered')
  return [
    `${EXECUTIONS} random executions of ${CELLS[0][0]}, without judges`,
    `  direct    ${Math.round(direct)} steps/s`,
    `  lowered   ${Math.round(lowered)} steps/s, ${(lowered / direct).toFixed(2)} of direct`,
  ]
}

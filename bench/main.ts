/**
 * Measures the engine on the built-in scenarios: rate of the search, lowered code against direct
 * generators on the same schedules, memory for each state, seconds to exhaust each cell. Compare
 * ratios of one run; absolute figures depend on the machine. With `--largest` also a search of
 * more than 10^8 states.
 */

import { builtInFiles, readScenarios } from '../src/cli/inputs.js'
import type { Design } from '../src/designs/design.js'
import { DESIGNS } from '../src/designs/index.js'
import { bootScenario } from '../src/explore/boot.js'
import { Cell } from '../src/explore/cell.js'
import { checkScenario } from '../src/explore/check.js'
import { search } from '../src/explore/search.js'
import { BYTES_PER_STATE } from '../src/explore/visited.js'
import type { Scenario } from '../src/litmus/scenario.js'
import { alternatives, canStep, type Mode, step, taskCount } from '../src/machine/machine.js'
import { benchConform } from './conform.js'
import { againstSpin, largest, secondWorker } from './race-rows.js'

const out = (text: string): void => {
  process.stdout.write(`${text}\n`)
}

// Whoever reads may have had enough, as `head` has.
process.stdout.on('error', () => process.exit())

/** A generator of pseudo-random numbers that is the same in every run. */
function random(seed: number): () => number {
  let s = seed
  return () => {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0
    return s / 2 ** 32
  }
}

/** Steps of `runs` random executions, and the seconds that they took, boots left out. */
function randomRuns(
  scenario: Scenario,
  design: Design,
  mode: Mode,
  runs: number,
): [number, number] {
  const next = random(1)
  let steps = 0
  let seconds = 0
  for (let i = 0; i < runs; i++) {
    bootScenario(scenario, design, mode)
    const start = performance.now()
    for (let n = 0; n < 2000; n++) {
      const ready: number[] = []
      for (let t = 0; t < taskCount(); t++) if (canStep(t)) ready.push(t)
      if (ready.length === 0) break
      const task = ready[Math.floor(next() * ready.length)] as number
      if (step(task, Math.floor(next() * alternatives(task))).fault !== undefined) break
      steps++
    }
    seconds += (performance.now() - start) / 1000
  }
  return [steps, seconds]
}

function searchRate(
  scenario: Scenario,
  design: Design,
): { states: number; steps: number; seconds: number } {
  const cell = new Cell(scenario, design)
  cell.boot('lowered')
  const start = performance.now()
  const { states, steps } = search(cell.judges, {
    bound: undefined,
    keepGoing: () => true,
    atRest: () => [],
  })
  cell.judges.detach()
  return { states, steps, seconds: (performance.now() - start) / 1000 }
}

for (const text of againstSpin()) out(text)
for (const text of await secondWorker()) out(text)
if (process.argv.includes('--largest')) for (const text of await largest()) out(text)

const files = readScenarios(builtInFiles(), [])
const named = (name: string): Scenario =>
  files.find((f) => f.scenario.name === name)?.scenario as Scenario
const design = (id: string): Design => DESIGNS.find((d) => d.id === id) as Design

const race = named('punch/punch-vs-guest-fault')
searchRate(race, design('upm'))
const rates = Array.from({ length: 5 }, () => searchRate(race, design('upm')))
const best = rates.sort((a, b) => a.seconds - b.seconds)[0] as (typeof rates)[number]
out('search, punch/punch-vs-guest-fault on upm, lowered, judged, best of 5')
out(`  ${best.states} states, ${best.steps} steps in ${best.seconds.toFixed(3)} s`)
out(
  `  ${Math.round(best.states / best.seconds)} states/s, ${Math.round(best.steps / best.seconds)} steps/s`,
)
out(`  ${BYTES_PER_STATE.toFixed(1)} bytes for each state when the table is about to grow`)

const [directSteps, directSeconds] = randomRuns(race, design('upm'), 'direct', 300)
const [loweredSteps, loweredSeconds] = randomRuns(race, design('upm'), 'lowered', 300)
const direct = directSteps / directSeconds
const lowered = loweredSteps / loweredSeconds
out('random executions of the same, without judges')
out(`  direct  ${Math.round(direct)} steps/s`)
out(`  lowered ${Math.round(lowered)} steps/s, ${(lowered / direct).toFixed(2)} of direct`)

out('seconds to exhaust each cell of the matrix, with minimising')
let total = 0
for (const f of files) {
  const times = DESIGNS.map((d) => {
    const start = performance.now()
    checkScenario(f.scenario, d, '00000000', {
      bound: undefined,
      minimise: true,
      keepGoing: () => true,
      now: () => performance.now(),
    })
    const seconds = (performance.now() - start) / 1000
    total += seconds
    return seconds.toFixed(3)
  })
  out(`  ${f.scenario.name.padEnd(46)} ${times.join('  ')}`)
}
out(`  all ${total.toFixed(1)} s on one thread`)

for (const line of await benchConform()) out(line)

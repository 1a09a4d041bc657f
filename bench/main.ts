/**
 * Measures the engine: the search against SPIN, with a second worker, on kernel code; seconds to
 * exhaust each cell of the matrix; programs on the model and on the running kernel. Compare ratios
 * of one run; absolute figures depend on the machine. With `--largest` also a search of more than
 * 10^8 states.
 */
import { builtInFiles, readScenarios } from '../src/cli/inputs.js'
import { DESIGNS } from '../src/designs/index.js'
import { checkScenario } from '../src/explore/check.js'
import type { Scenario } from '../src/litmus/scenario.js'
import { benchConform } from './conform.js'
import { kernelCode, loweredAndDirect } from './kernel-rows.js'
import { againstSpin, largest, secondWorker } from './race-rows.js'

const out = (text: string): void => {
  process.stdout.write(`${text}\n`)
}

// Whoever reads may have had enough, as `head` has.
process.stdout.on('error', () => process.exit())

/** Seconds that each design's cell takes, smaller counterexamples included. */
function secondsToExhaust(scenario: Scenario): number[] {
  return DESIGNS.map((d) => {
    const start = performance.now()
    checkScenario(scenario, d, '00000000', {
      bound: undefined,
      minimise: true,
      keepGoing: () => true,
      now: () => performance.now(),
    })
    return (performance.now() - start) / 1000
  })
}

for (const text of againstSpin()) out(text)
for (const text of await secondWorker()) out(text)
if (process.argv.includes('--largest')) for (const text of await largest()) out(text)
for (const text of kernelCode()) out(text)
for (const text of loweredAndDirect()) out(text)

out('seconds to exhaust each cell of the matrix, with minimising')
let total = 0
for (const { scenario } of readScenarios(builtInFiles(), [])) {
  const times = secondsToExhaust(scenario)
  total += times.reduce((a, b) => a + b, 0)
  out(`  ${scenario.name.padEnd(46)} ${times.map((t) => t.toFixed(3)).join('  ')}`)
}
out(`  all ${total.toFixed(1)} s on one thread`)

for (const text of await benchConform()) out(text)

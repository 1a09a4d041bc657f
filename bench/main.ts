/**
 * Measures the engine: the search against SPIN, with a second worker, on kernel code; seconds to
 * exhaust each cell of the matrix; programs on the model and on the running kernel. Each part runs
 * in a process of its own, as commands do: what V8 has learned from one slows another down. Compare
 * ratios of one run; absolute figures depend on the machine. With `--largest` also a search of about
 * 10^9 states.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { checkScenario } from '../src/app/check.js'
import { builtInScenarios } from '../src/app/host/scenarios.js'
import { DESIGNS } from '../src/designs/index.js'
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
    checkScenario(scenario, d, {
      bound: undefined,
      keepGoing: () => true,
      now: () => performance.now(),
    })
    return (performance.now() - start) / 1000
  })
}

function matrix(): string[] {
  const rows = builtInScenarios().map(({ scenario }) => {
    return { name: scenario.name, times: secondsToExhaust(scenario) }
  })
  const total = rows.flatMap((r) => r.times).reduce((a, b) => a + b, 0)
  return [
    'seconds to exhaust each cell of the matrix, with minimising',
    ...rows.map((r) => `  ${r.name.padEnd(46)} ${r.times.map((t) => t.toFixed(3)).join('  ')}`),
    `  all ${total.toFixed(1)} s on one thread`,
  ]
}

const PARTS: Readonly<Record<string, () => string[] | Promise<string[]>>> = {
  spin: againstSpin,
  workers: secondWorker,
  largest,
  kernel: kernelCode,
  lowered: loweredAndDirect,
  matrix,
  conform: benchConform,
}

const [what] = process.argv.slice(2)
const part = PARTS[what ?? '']
if (part !== undefined) for (const text of await part()) out(text)
else {
  for (const name of Object.keys(PARTS)) {
    if (name === 'largest' && what !== '--largest') continue
    spawnSync(process.execPath, [fileURLToPath(import.meta.url), name], { stdio: 'inherit' })
  }
}

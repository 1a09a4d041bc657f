/**
 * Measures the engine: the search against SPIN, with a second worker, on kernel code; seconds to
 * exhaust each cell of the matrix; programs on the model and on the running kernel. Each part runs
 * in a process of its own, as commands do: what V8 has learned from one slows another down. Compare
 * ratios of one run; absolute figures depend on the machine. A part can be named; `largest`, a search
 * of about 10^9 states, has to be.
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

/** Takes so long that it has to be asked for. */
const LAST = 'largest'

const PARTS: Readonly<Record<string, () => string[] | Promise<string[]>>> = {
  spin: againstSpin,
  workers: secondWorker,
  largest,
  kernel: kernelCode,
  lowered: loweredAndDirect,
  matrix,
  conform: benchConform,
}

/**
 * Tables in large pages, where glibc can ask for them (2.35 and later): most of a large search is
 * waiting for memory, and half of that for page tables.
 */
const LARGE_PAGES = { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1' }

const [what, within] = process.argv.slice(2)
if (what === '--within') for (const text of (await PARTS[within ?? '']?.()) ?? []) out(text)
else if (what !== undefined && PARTS[what] === undefined) {
  process.stderr.write(`There is no part ${what}; there are ${Object.keys(PARTS).join(', ')}.\n`)
  process.exitCode = 2
} else {
  const wanted = Object.keys(PARTS).filter((n) => n === what || (what === undefined && n !== LAST))
  for (const name of wanted) {
    const args = [fileURLToPath(import.meta.url), '--within', name]
    const env = name === LAST ? { ...process.env, ...LARGE_PAGES } : process.env
    spawnSync(process.execPath, args, { stdio: 'inherit', env })
  }
}

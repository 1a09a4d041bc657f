/**
 * How fast bugs are found: `npm run mutants`. Each seeded bug, and each finding of the built-in
 * scenarios that comes first on some execution, is searched for by preemptions, none first, then
 * one, then two, until it is seen; the time includes the boot of the kernel and the set-up.
 */
import { MUTANTS } from '../mutants/index.js'
import { expectationFor } from '../src/app/expect.js'
import { builtInScenarios } from '../src/app/host/scenarios.js'
import { Cell } from '../src/cell/cell.js'
import type { Design } from '../src/designs/design.js'
import { DESIGNS } from '../src/designs/index.js'
import { search } from '../src/explore/prove/search.js'
import { readScenario, type Scenario } from '../src/litmus/scenario.js'
import { FINDING_KINDS } from '../src/sanitizers/index.js'

interface Found {
  readonly what: string
  readonly ms: number
  readonly steps: number
  readonly preemptions: number
}

const known = { designs: DESIGNS.map((d) => d.id), findings: FINDING_KINDS.map((k) => k.id) }
const files = builtInScenarios()

/** A livelock is a fact about the whole graph, so it is looked for without a bound. */
function find(what: string, scenario: Scenario, design: Design, id: string): Found | undefined {
  const start = performance.now()
  const cell = new Cell(scenario, design)
  cell.boot('lowered')
  let steps = 0
  for (let preemptions = 0; ; preemptions++) {
    const bound = id === 'livelock' ? undefined : preemptions
    const result = search(cell.judges, {
      bound,
      keepGoing: () => true,
      wanted: new Map([[id, true]]),
    })
    steps += result.steps
    if (result.witnesses.get(id)?.first) {
      cell.judges.detach()
      return { what, ms: performance.now() - start, steps, preemptions }
    }
    if (bound === undefined || !result.cut) {
      cell.judges.detach()
      return undefined
    }
  }
}

function report(title: string, wanted: number, found: readonly Found[]): void {
  const ms = found.map((f) => f.ms).sort((a, b) => a - b)
  const within = ms.filter((t) => t <= 1000).length
  const slowest = [...found].sort((a, b) => b.ms - a.ms).slice(0, 5)
  process.stdout.write(
    `${title}: ${found.length} of ${wanted} found, ${within} within 1 s, median ${(ms[ms.length >> 1] ?? 0).toFixed(1)} ms\n`,
  )
  for (const f of slowest) {
    const how = `${f.ms.toFixed(1)} ms, ${f.steps} steps, ${f.preemptions} preemptions`
    process.stdout.write(`  ${f.what}: ${how}\n`)
  }
}

function scenarioOf(text: string): Scenario {
  const named = files.find((f) => f.scenario.name === text)
  return named?.scenario ?? readScenario(text, known)
}

const mutants = MUTANTS.map((m) =>
  find(`${m.name} (${m.finding})`, scenarioOf(m.scenario), m.design, m.finding),
)
report(
  'seeded bugs',
  mutants.length,
  mutants.filter((f) => f !== undefined),
)

const exhibits = files.flatMap(({ scenario }) =>
  DESIGNS.flatMap((d) => {
    const row = expectationFor(scenario, d)
    if (row?.outcome !== 'finds') return []
    return row.findings.map((id) => ({ scenario, design: d, id }))
  }),
)
const seen = exhibits.map(({ scenario, design, id }) =>
  find(`${scenario.name} on ${design.id} (${id})`, scenario, design, id),
)
const first = seen.filter((f) => f !== undefined)
report('findings of the built-in scenarios', first.length, first)
process.stdout.write(`  ${seen.length - first.length} more only follow another finding\n`)

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { MUTANTS } from '../mutants/index.js'
import { checkScenario } from '../src/app/check.js'
import { builtInScenarios } from '../src/app/host/scenarios.js'
import { DESIGNS } from '../src/designs/index.js'
import { readScenario, type Scenario } from '../src/litmus/scenario.js'
import { FINDING_KINDS, HOST_SANITIZERS, SANITIZERS } from '../src/sanitizers/index.js'

const JUDGES = [...SANITIZERS, ...HOST_SANITIZERS]
const builtIn = builtInScenarios()
const known = { designs: DESIGNS.map((d) => d.id), findings: FINDING_KINDS.map((k) => k.id) }

function scenarioOf(text: string): Scenario {
  const named = builtIn.find((f) => f.scenario.name === text)
  // What the scenario expects of the designs that it names says nothing about a mutant.
  return { ...(named?.scenario ?? readScenario(text, known)), expect: [] }
}

describe('each seeded bug is caught by its sanitizer, and first by no other', () => {
  for (const m of MUTANTS) {
    test(`${m.name}: ${m.finding} by ${m.caughtBy}`, () => {
      const verdict = checkScenario(scenarioOf(m.scenario), m.design, {
        bound: undefined,
        asMet: true,
        keepGoing: () => true,
        now: () => 0,
      })
      assert.notEqual(verdict.verdict, 'skipped', verdict.reason)
      const kinds = JUDGES.find((s) => s.name === m.caughtBy)?.kinds.map((k) => k.id) ?? []
      const first = verdict.findings.filter((f) => f.first).map((f) => f.id)
      assert.ok(first.includes(m.finding), `found first: ${first.join(', ') || 'nothing'}`)
      for (const id of first) assert.ok(kinds.includes(id), `${id} is not of ${m.caughtBy}`)
    })
  }
})

test('every kind of finding has a seeded bug', () => {
  const covered = new Set(MUTANTS.map((m) => m.finding))
  const kinds = JUDGES.flatMap((s) => s.kinds.map((k) => k.id))
  assert.deepEqual(
    kinds.filter((id) => !covered.has(id)),
    [],
  )
})

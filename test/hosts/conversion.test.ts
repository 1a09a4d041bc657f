/** Conversion in place: what the tests of every design ask of a design that no matrix of all has. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { unannounced } from '../../src/app/announced.js'
import { expectationFor } from '../../src/app/expect.js'
import { designsNamedIn } from '../../src/app/host/designs.js'
import { builtInScenarios, hostScenarios } from '../../src/app/host/scenarios.js'
import { splitSections } from '../../src/app/sections.js'
import { NAMED_DESIGNS } from '../../src/designs/index.js'
import { drawFrom } from '../engine/programs.js'

const cells = hostScenarios().flatMap(({ scenario }) =>
  NAMED_DESIGNS.filter(
    (d) => scenario.hosts.includes('sw') && expectationFor(scenario, d)?.outcome !== 'skip',
  ).map((design) => ({ scenario, design })),
)

describe('every access that no lock orders is announced, and no section is split', () => {
  for (const { scenario, design } of cells) {
    test(`${scenario.name} on ${design.id}`, () => {
      assert.deepEqual(unannounced(scenario, design, drawFrom(7919)), [])
      assert.deepEqual(splitSections(scenario, design, drawFrom(104_729), 1), [])
    })
  }
})

test('a scenario that names such a design is checked on it too, when no design is asked for', () => {
  const named = (name: string): string[] => {
    const files = [...builtInScenarios(), ...hostScenarios()]
    const { scenario } = files.find((f) => f.scenario.name === name)!
    return designsNamedIn([scenario]).map((d) => d.id)
  }
  assert.deepEqual(named('hosts/conversion-vs-pin'), ['gmem-convert'])
  assert.deepEqual(named('punch/punch-vs-guest-fault'), [])
})

test('a design with calls of its own runs where it is named, and in no scenario about others', () => {
  const [design] = NAMED_DESIGNS
  assert.ok(design !== undefined && cells.length > 5)
  for (const { scenario } of builtInScenarios()) {
    assert.equal(expectationFor(scenario, design)?.outcome, 'skip', scenario.name)
  }
})

/**
 * Conversion in place: what the tests of every design ask of a design that no matrix of all has.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { unannounced } from '../../src/app/announced.js'
import { checkScenario } from '../../src/app/check.js'
import { expectationFor } from '../../src/app/expect.js'
import { designsNamedIn } from '../../src/app/host/designs.js'
import { builtInScenarios, hostScenarios } from '../../src/app/host/scenarios.js'
import { splitSections } from '../../src/app/sections.js'
import { defineDesign } from '../../src/designs/design.js'
import { gmemConvert } from '../../src/designs/gmem-convert.js'
import { NAMED_DESIGNS } from '../../src/designs/index.js'
import type { Folio } from '../../src/kernel/include/mm.js'
import { lruCacheDrainForFolio } from '../../src/kernel/v7_4/mm/folio.js'
import { fn, type Kernel, replace } from '../../src/machine/fn.js'
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

test('a batch that nobody drains would keep a page from becoming private', () => {
  const drainsNothing = fn(function* lru_cache_drain_for_folio(
    _folio: Folio,
    _ownRefs: number,
    drained: number,
  ): Kernel<number> {
    return drained
  })
  const by = replace(lruCacheDrainForFolio, drainsNothing)
  const own = { id: 'no-drain', summary: 'seeded', base: gmemConvert, cite: [], replaces: [by] }
  const { scenario } = cells.find((c) => c.scenario.name === 'hosts/converted-page-in-a-batch')!
  const effort = { bound: undefined, asMet: true, keepGoing: () => true, now: () => 0 }
  const { findings } = checkScenario({ ...scenario, expect: [] }, defineDesign(own), effort)
  assert.deepEqual(
    findings.map((f) => f.id),
    ['condition-violated'],
  )
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

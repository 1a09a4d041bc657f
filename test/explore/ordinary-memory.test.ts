/**
 * Ordinary guest memory on 6.2, which the MMU notifier makes safe: the built-in scenario, for which
 * the matrix has no time on every design.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkScenario } from '../../src/app/check.js'
import { builtInScenarios } from '../../src/app/host/scenarios.js'
import { upm } from '../../src/designs/upm.js'

test('compaction under a guest that maps ordinary memory is safe on 6.2, exhaustively', () => {
  const name = 'migration/ordinary-memory-vs-compaction'
  const found = builtInScenarios().find((f) => f.scenario.name === name)
  const verdict = checkScenario({ ...found!.scenario, expect: [] }, upm, {
    bound: undefined,
    asMet: true,
    keepGoing: () => true,
    now: () => 0,
  })
  assert.equal(verdict.verdict, 'clean')
  assert.equal(verdict.proof, 'exhaustive')
})

/**
 * Ordinary guest memory on 6.2, which the MMU notifier makes safe: the built-in scenario, for which
 * the matrix has no time on every design.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { builtInFiles, readScenarios } from '../../src/cli/inputs.js'
import { upm } from '../../src/designs/upm.js'
import { checkScenario } from '../../src/explore/check.js'

test('compaction under a guest that maps ordinary memory is safe on 6.2, exhaustively', () => {
  const name = 'migration/ordinary-memory-vs-compaction'
  const found = readScenarios(builtInFiles(), []).find((f) => f.scenario.name === name)
  const verdict = checkScenario({ ...found!.scenario, expect: [] }, upm, '00000000', {
    bound: undefined,
    minimise: false,
    keepGoing: () => true,
    now: () => 0,
  })
  assert.equal(verdict.verdict, 'clean')
  assert.equal(verdict.proof, 'exhaustive')
})

/**
 * Random programs on the running kernel and on the model: a bounded number, other than the CLI's.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeDifference } from '../../src/conform/describe.js'
import { differential, shrinkDifference } from '../../src/conform/differential.js'
import type { Family } from '../../src/conform/generate.js'
import { Model } from '../../src/conform/model.js'
import { isModelled, withOracle } from './host.js'

const PROGRAMS: readonly (readonly [family: Family, count: number])[] = [
  ['memfd', 2000],
  ['guest_memfd', 400],
  ['secretmem', 400],
  ['memory', 1000],
  ['guest', 60],
  ['page', 1000],
  ['guest_page', 400],
  ['guest_memory', 100],
]

for (const [family, count] of PROGRAMS) {
  test(`${family}: ${count} random programs answer as the model says`, (t) =>
    withOracle(t, family, async (oracle) => {
      if (!(await isModelled(t, oracle))) return
      const model = new Model('6.18')
      let ran = 0
      for await (const batch of differential(family, 40_000_000, count, oracle, model)) {
        ran += batch.programs.length
        const [first] = batch.differences
        if (first === undefined) continue
        const shortest = (await shrinkDifference(first, oracle, model)) ?? first
        assert.fail(describeDifference(shortest, ['kernel', 'model']).join('\n'))
      }
      assert.equal(ran, count)
    }))
}

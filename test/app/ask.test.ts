/** A stored verdict answers the same question, and no other. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Question, questionKey } from '../../src/app/ask.js'
import { isWhole } from '../../src/app/host/cache.js'
import { skipped } from '../../src/app/judge.js'
import type { Verdict } from '../../src/app/verdict.js'
import { upm } from '../../src/designs/upm.js'
import type { Scenario } from '../../src/litmus/scenario.js'

const all: Required<Question> = {
  bound: 1,
  find: true,
  exact: true,
  asMet: true,
  undeclared: true,
  sample: 10,
  seed: 2,
  cross: 5,
}

test('every property of a question makes it another one', () => {
  const keys = Object.keys(all) as (keyof Question)[]
  const without = keys.map((k) => questionKey({ ...all, [k]: undefined }))
  assert.equal(new Set([...without, questionKey(all)]).size, keys.length + 1)
})

test('how a question is spelt does not', () => {
  assert.equal(questionKey({ find: false, bound: undefined }), questionKey({}))
  assert.equal(questionKey({ bound: 1, exact: true }), questionKey({ exact: true, bound: 1 }))
})

test('what a limit cut short is not kept', () => {
  const none = skipped({ name: 'a/b' } as Scenario, upm, 'for this test')
  const whole = (v: Partial<Verdict>): boolean => isWhole({ ...none, asMet: false, ...v })
  const finding = { id: 'x', first: true } as Verdict['findings'][number]
  assert.equal(whole({}), true)
  assert.equal(whole({ stopped: true }), false)
  assert.equal(whole({ proof: 'exhaustive', findings: [finding], fewest: true }), true)
  assert.equal(whole({ proof: 'exhaustive', findings: [finding], fewest: false }), false)
  assert.equal(whole({ cross: { outcome: 'open' } as Verdict['cross'] & object }), false)
})

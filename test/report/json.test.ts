/** The JSON report is what its published schema says, for every kind of verdict. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { test } from 'node:test'
import { Ajv } from 'ajv'
import type { Question } from '../../src/app/ask.js'
import { resolveDesigns } from '../../src/app/host/designs.js'
import { check } from '../../src/app/host/run.js'
import { readScenarios } from '../../src/app/host/scenarios.js'
import { tell } from '../../src/app/story.js'
import { PLAIN_LOOK } from '../../src/report/format.js'
import { format } from '../../src/report/formats/json.js'

const ROOT = resolve(import.meta.dirname, '../../..')
const schema = JSON.parse(readFileSync(resolve(ROOT, 'docs/results.schema.json'), 'utf8'))
const valid = new Ajv({ allErrors: true }).compile(schema)

async function reportOf(names: string[], ids: string[], question: Question): Promise<unknown> {
  const designs = await resolveDesigns(ids)
  const results = await check({ scenarios: readScenarios(names), designs, question, cache: false })
  const stories = new Map(format.wants(results).map(([c, f]) => [f, tell(c, f)]))
  return JSON.parse(format.render(results, stories, PLAIN_LOOK))
}

for (const [what, question] of [
  ['an exhaustive check', {}],
  ['a bounded one', { bound: 0 }],
  ['a search for the first finding', { find: true }],
  ['a sample', { sample: 20, seed: 2 }],
  ['a second opinion', { cross: 50 }],
] as const) {
  test(`${what} is printed as the schema says`, async () => {
    // One cell with a finding, one that is skipped.
    const names = ['size/truncate-to-the-same-size']
    const json = await reportOf(names, ['v10', 'gmem-6.18'], question)
    assert.ok(valid(json), JSON.stringify(valid.errors, undefined, 2))
  })
}

test('of one scenario, findings say what is known in hindsight', async () => {
  const json = await reportOf(['size/truncate-to-the-same-size'], ['v10'], {})
  assert.ok(valid(json), JSON.stringify(valid.errors, undefined, 2))
  assert.match(JSON.stringify(json), /"hindsight":\{"pointOfNoReturn":/)
})

test('what is not of the schema is refused', async () => {
  const json = (await reportOf(['size/truncate-to-the-same-size'], ['v10'], {})) as {
    results: object[]
  }
  assert.equal(valid({ ...json, results: [{ ...json.results[0], verdict: 'good' }] }), false)
})

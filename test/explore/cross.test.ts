import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { compare, crossCheck } from '../../src/app/cross.js'
import { builtInScenarios } from '../../src/app/host/scenarios.js'
import type { Design } from '../../src/designs/design.js'
import { DESIGNS } from '../../src/designs/index.js'
import type { Scenario } from '../../src/litmus/scenario.js'

const files = builtInScenarios()
const scenario = (name: string): Scenario =>
  files.find((f) => f.scenario.name === name)?.scenario as Scenario
const design = (id: string): Design => DESIGNS.find((d) => d.id === id) as Design

const ask = (name: string, id: string, executions: number) =>
  crossCheck(scenario(name), design(id), { executions, keepGoing: () => true })

describe('a second, stateless search over the generators says the same as the first', () => {
  for (const [name, id] of [
    ['memslot/unbind-during-punch', 'v10'],
    ['memslot/bind-during-punch', 'v10'],
    ['reclaim/drop-caches-vs-guest-data', 'upm'],
    ['memory-failure/close-vs-failure-elsewhere', 'upm-aops-repaired'],
  ] as const) {
    test(`${name} on ${id}`, () => {
      const c = ask(name, id, 5000)
      assert.equal(c.outcome, 'agrees', c.why)
      assert.ok(c.executions >= 1)
      assert.equal(c.findings[0], c.findings[1])
    })
  }
})

test('a second search that is cut off says so, and still contradicts nothing', () => {
  const c = ask('migration/guest-touch-vs-compaction', 'upm', 20)
  assert.equal(c.outcome, 'open')
  assert.ok(c.finalStates[1] <= c.finalStates[0])
})

test('two searches that say different things differ', () => {
  const one = { finished: true, states: 9, findings: new Set(['a']), finals: new Set(['1', '2']) }
  const rest = { executions: 3, blocked: 0, findings: new Set(['a']) }
  const two = { ...rest, unfinished: undefined, finals: new Set(['1', '2']) }
  assert.equal(compare(one, two).outcome, 'agrees')
  assert.equal(compare(one, { ...two, finals: new Set(['1']) }).outcome, 'differs')
  assert.equal(compare(one, { ...two, findings: new Set() }).outcome, 'differs')
  assert.equal(compare(one, { ...two, findings: new Set(['a+']) }).outcome, 'differs')
  const open = { ...two, unfinished: 'stopped', finals: new Set(['1']) }
  assert.equal(compare(one, open).outcome, 'open')
  assert.equal(compare(one, { ...open, finals: new Set(['3']) }).outcome, 'differs')
})

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { checkScenario } from '../../src/app/check.js'
import { compare, crossCheck, marked, secondOpinion } from '../../src/app/cross.js'
import { builtInScenarios } from '../../src/app/host/scenarios.js'
import type { Design } from '../../src/designs/design.js'
import { DESIGNS } from '../../src/designs/index.js'
import { FinalStates } from '../../src/explore/listen/finals.js'
import { readScenario, type Scenario } from '../../src/litmus/scenario.js'

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

describe('the search that proves is an opinion as good as one made for the comparison', () => {
  const limits = { executions: 200, keepGoing: () => true }
  for (const id of ['v10', 'upm-aops', 'gmem-6.18']) {
    test(id, () => {
      let compared = 0
      for (const { scenario } of files.filter((f) => !f.scenario.name.startsWith('hosts/'))) {
        const finals = new FinalStates({ most: 100 })
        const effort = { keepGoing: () => true, now: () => 0, listeners: [finals] }
        const { states, proof, findings } = checkScenario(scenario, design(id), effort)
        if (proof === undefined || states > 100) continue
        assert.ok(finals.whole)
        const one = { states, finished: true, findings: marked(findings), finals: finals.keys }
        const asked = crossCheck(scenario, design(id), limits)
        assert.deepEqual(secondOpinion(one, scenario, design(id), limits), asked)
        const none = { ...one, finals: new Set<string>() }
        if (asked.outcome === 'agrees' && finals.keys.size > 0) {
          assert.equal(secondOpinion(none, scenario, design(id), limits).outcome, 'differs')
        }
        compared++
      }
      assert.ok(compared >= 5)
    })
  }
})

test('an execution of more steps than there are states is given up: it goes round in circles', () => {
  const c = ask('hotplug/offline-a-block-of-restricted-pages', 'upm-aops', 5000)
  assert.equal(c.outcome, 'open')
  assert.equal(c.why, `an execution of more than ${c.states} steps`)
})

/** t1 waits, in memory_failure(), for one of two page locks; only what it has announced says which. */
const TWO_WAITS = `
litmus engine/which-page-lock-is-waited-for
"States that differ in what a task waits for only."

setup
  mf = memfd_create()
  ftruncate(mf, 2P)
  at = mmap(mf, PROT_READ|PROT_WRITE, MAP_SHARED, 2P)
  store(at, 0, 1)
  drain_lru()

task t0
  store(at, 0, 2)

task t1
  compact()
  memory_failure(mf, page=0)
`

describe('states that differ in what a task waits for are different states', () => {
  for (const id of ['v10', 'upm', 'upm-pin']) {
    test(id, () => {
      const waits = readScenario(TWO_WAITS, { designs: [], findings: [] })
      const c = crossCheck(waits, design(id), { executions: 5000, keepGoing: () => true })
      assert.equal(c.outcome, 'agrees', c.why)
      const effort = { bound: undefined, asMet: true, keepGoing: () => true, now: () => 0 }
      const { findings } = checkScenario(waits, design(id), effort)
      assert.ok(findings.some((f) => f.id === 'deadlock'))
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

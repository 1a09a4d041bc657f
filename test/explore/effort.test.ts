/** How far to look: limits, whole states, snapshots, the search for the first finding. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { bootRace, raceJudge, raceOutcome } from '../../bench/race.js'
import { type CellSnapshot, checkScenario, type Effort } from '../../src/app/check.js'
import { builtInScenarios } from '../../src/app/host/scenarios.js'
import type { Verdict } from '../../src/app/verdict.js'
import { Judges } from '../../src/cell/judges.js'
import type { Design } from '../../src/designs/design.js'
import { DESIGNS } from '../../src/designs/index.js'
import {
  type SearchOptions,
  type SearchResult,
  type Snapshot,
  search,
} from '../../src/explore/prove/search.js'
import type { Scenario } from '../../src/litmus/scenario.js'

const files = builtInScenarios()
const all: Effort = { bound: undefined, asMet: true, keepGoing: () => true, now: () => 0 }

function scenario(name: string): Scenario {
  return files.find((f) => f.scenario.name === name)?.scenario as Scenario
}

function design(id: string): Design {
  return DESIGNS.find((d) => d.id === id) as Design
}

function check(name: string, id: string, effort: Partial<Effort>): Verdict {
  return checkScenario(scenario(name), design(id), { ...all, ...effort })
}

const SIZE = { vcpus: 1, punches: 1, migrations: 1, rounds: 1 }

function race(options: Partial<SearchOptions>): { result: SearchResult; outcomes: Set<string> } {
  bootRace(SIZE)
  const judges = new Judges([raceJudge])
  judges.attach()
  const outcomes = new Set<string>()
  const result = search(judges, {
    bound: undefined,
    keepGoing: () => true,
    listeners: [{ atFinal: () => outcomes.add(raceOutcome()) }],
    ...options,
  })
  judges.detach()
  return { result, outcomes }
}

describe('whole states and fingerprints', () => {
  test('count the same states, outcomes and findings on every small cell of a design', () => {
    let compared = 0
    for (const { scenario } of files) {
      for (const d of [design('upm'), design('upm-aops')]) {
        const seen = checkScenario(scenario, d, { ...all, keepGoing: () => false })
        if (seen.states === 0 || seen.states > 500) continue
        const exact = checkScenario(scenario, d, { ...all, exact: true })
        for (const key of ['states', 'executions', 'findings', 'outcomes'] as const) {
          assert.deepEqual(exact[key], seen[key], `${scenario.name} on ${d.id}: ${key}`)
        }
        assert.equal(exact.omissions, 0)
        compared++
      }
    }
    assert.ok(compared > 10)
  })

  test('count the same on a race', () => {
    const seen = race({})
    const exact = race({ exact: true })
    assert.equal(exact.result.states, seen.result.states)
    assert.equal(exact.result.steps, seen.result.steps)
    assert.deepEqual(exact.outcomes, seen.outcomes)
    assert.ok(seen.result.omissions > 0 && seen.result.omissions < 1e-9)
  })
})

describe('a search that is stopped in the middle', () => {
  test('goes on from its snapshot as if nothing had been', () => {
    const straight = race({})
    let snapshot: Snapshot | undefined
    const first = race({
      keepGoing: (_states, _depth, probe) => {
        snapshot = structuredClone(probe.snapshot?.())
        return false
      },
    })
    assert.equal(first.result.finished, false)
    assert.ok(snapshot !== undefined && first.result.states < straight.result.states)
    const second = race({ resume: snapshot })
    assert.equal(second.result.states, straight.result.states)
    assert.equal(second.result.steps, straight.result.steps)
    assert.equal(second.result.executions, straight.result.executions)
    assert.deepEqual(new Set([...first.outcomes, ...second.outcomes]), straight.outcomes)
  })

  test('says the same when it is stopped again and again, at any depth', () => {
    const [name, id] = ['punch/punch-vs-guest-fault', 'upm'] as const
    const straight = check(name, id, {})
    let snapshot: CellSnapshot | undefined
    let stops = 0
    let deepest = 0
    const once = (): Verdict =>
      check(name, id, {
        asMet: true,
        resume: snapshot,
        keepGoing: (_states, depth, probe) => {
          snapshot = structuredClone(probe.snapshot?.())
          deepest = Math.max(deepest, depth)
          return false
        },
      })
    let verdict = once()
    for (; verdict.stopped; stops++) verdict = once()
    assert.ok(stops > 3 && deepest > 64, `${stops} stops, depth ${deepest}`)
    for (const key of ['verdict', 'states', 'executions', 'outcomes', 'findings'] as const) {
      assert.deepEqual(verdict[key], straight[key], key)
    }
  })

  test('by the memory that it may take says so', () => {
    const { result } = race({ memory: 8 * 4096 })
    assert.equal(result.finished, false)
    assert.equal(result.outOfMemory, true)
    assert.ok(result.states < 4200)
  })
})

describe('the search for the first finding', () => {
  test('ends at it, with the fewest preemptions', () => {
    const verdict = check('migration/guest-touch-vs-compaction', 'upm', { find: true })
    assert.equal(verdict.findings[0]?.id, 'stale-secondary-mapping')
    assert.equal(verdict.findings[0]?.preemptions, 0)
    assert.equal(verdict.proof, 'bounded')
    assert.equal(verdict.bound, 0)
  })

  test('tries executions without unusual choices first', () => {
    const verdict = check('faults/allocation-fails-once', 'upm-aops', { find: true })
    assert.deepEqual(verdict.findings, [])
    assert.ok(verdict.proof === 'exhaustive' || (verdict.surprises ?? 0) > 0)
  })
})

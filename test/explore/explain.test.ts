/** What is told of a finding: in few blocks, where it was lost, in the smallest scenario. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { checkScenario } from '../../src/app/check.js'
import { builtInScenarios } from '../../src/app/host/scenarios.js'
import { gathered } from '../../src/app/judge.js'
import { knownNames } from '../../src/app/known.js'
import type { Finding } from '../../src/app/verdict.js'
import { Cell } from '../../src/cell/cell.js'
import type { Move } from '../../src/cell/schedule.js'
import type { Design } from '../../src/designs/design.js'
import { DESIGNS } from '../../src/designs/index.js'
import { Witnesses } from '../../src/explore/listen/witnesses.js'
import { Dependence } from '../../src/explore/stateless/independence.js'
import { causesOf } from '../../src/explore/tell/causes.js'
import { blocksOf } from '../../src/explore/tell/gather.js'
import { LOOK_BACK, lookBack } from '../../src/explore/tell/hindsight.js'
import { reduceScenario } from '../../src/explore/tell/reduce.js'
import { replayScenario } from '../../src/explore/tell/replay.js'
import { readScenario, type Scenario } from '../../src/litmus/scenario.js'
import { FINDING_KINDS } from '../../src/sanitizers/index.js'
import { type Draw, drawFrom } from '../engine/programs.js'

const files = builtInScenarios()
const fileOf = (name: string) => files.find((f) => f.scenario.name === name)!
const designOf = (id: string): Design => DESIGNS.find((d) => d.id === id) as Design

function findingsOf(scenario: Scenario, design: Design): readonly Finding[] {
  const effort = { bound: undefined, keepGoing: () => true, now: () => 0 }
  return checkScenario(scenario, design, effort).findings
}

const upm = designOf('upm')

describe('an execution told in few blocks shows the same finding', () => {
  for (const { scenario } of files) {
    test(scenario.name, () => {
      for (const f of findingsOf(scenario, upm)) {
        if (f.id === 'livelock' || !f.first) continue
        const told = gathered(scenario, upm, [f])[0]!
        const { schedule } = told
        assert.ok(blocksOf(schedule) <= Math.min(12, blocksOf(f.schedule)), f.title)
        assert.ok(told.preemptions <= f.preemptions)
        const { trace, divergence } = replayScenario(scenario, upm, schedule, 'direct')
        assert.equal(divergence, undefined)
        const shown = trace.steps.at(-1)?.findings.map((x) => x.id) ?? []
        if (trace.stuck.length > 0) shown.push('deadlock')
        assert.ok(shown.includes(f.id), `${f.id} in ${shown.join()}`)
      }
    })
  }
})

test('what happens before what is as a comparison of every two steps says', () => {
  const dependence = new Dependence()
  let compared = 0
  for (const name of ['memslot/unbind-during-punch', 'migration/guest-touch-vs-compaction']) {
    const { scenario } = fileOf(name)
    for (const { schedule } of findingsOf(scenario, designOf('v10'))) {
      const cell = new Cell(scenario, designOf('v10'))
      cell.boot('lowered')
      const steps = causesOf(cell.judges, schedule)!
      const clocks: number[][] = []
      for (const [i, { move, footprint, number, clock }] of steps.entries()) {
        const own = clock.map(() => 0)
        for (const [j, s] of steps.slice(0, i).entries()) {
          const same = s.move.task === move.task
          if (!same && !dependence.dependent(footprint, s.footprint)) continue
          for (const t of own.keys()) own[t] = Math.max(own[t]!, clocks[j]![t]!)
        }
        own[move.task] = number
        clocks.push([...own])
        if (move.task >= scenario.main.tasks.length) break
        assert.deepEqual([...clock], [...own], `step ${i + 1}`)
        compared++
      }
    }
  }
  assert.ok(compared > 50)
})

/** A scenario of one task of so many calls, after which a condition does not hold. */
function longScenario(calls: number): Scenario {
  const lines = Array.from({ length: calls }, () => '  pwrite(fd, 0, 1, 1)')
  const setUp = 'setup\n  fd = memfd_create()\n  ftruncate(fd, 1P)'
  return readScenario(
    `litmus test/long\n"?"\n${setUp}\ntask t\n${lines.join('\n')}\n  r0 = fsync(fd)\nalways t:r0 == 7\n`,
    knownNames(),
  )
}

test('an execution of thousands of steps is told, and not when there is no time', () => {
  const scenario = longScenario(260)
  const effort = { asMet: true, keepGoing: () => true, now: () => 0 }
  const [found] = checkScenario(scenario, upm, effort).findings
  const { schedule, id } = gathered(scenario, upm, [found!])[0]!
  assert.equal(id, 'condition-violated')
  assert.ok(schedule.length > 3000, `${schedule.length} steps`)
  const back = (goes: boolean) =>
    lookBack(scenario, upm, schedule, id, { ...LOOK_BACK, keepGoing: () => goes })
  assert.deepEqual(back(true), { pointOfNoReturn: 0, prevention: undefined })
  assert.equal(back(false), undefined)
})

/** Run a schedule, then at random to an end; was the finding seen? */
function endsIn(cell: Cell, id: string, schedule: readonly Move[], draw: Draw): boolean {
  const witnesses = new Witnesses()
  const run = cell.begin('lowered', [witnesses])
  run.follow(schedule)
  let task = -1
  for (let n = 0; n < 3000 && run.ready() !== 0; n++) {
    const moves = run.moves()
    // Mostly the same task, since a way out may be that another one comes late.
    const own = moves.filter((m) => m.task === task)
    const among = own.length === 0 || draw(12) === 0 ? moves : own
    const move = among[draw(among.length)] as Move
    task = move.task
    run.take(task, move.choice)
  }
  cell.judges.detach()
  return witnesses.all.has(id)
}

describe('behind the point of no return every execution shows the finding, before it not all', () => {
  for (const [name, id] of [
    ['memory-failure/failure-vs-first-touch', 'poison-not-reported'],
    ['memory-failure/failure-vs-first-touch', 'null-dereference'],
    ['migration/guest-touch-vs-compaction', 'stale-secondary-mapping'],
    ['size/truncate-to-the-same-size', 'secondary-use-after-free'],
  ] as const) {
    test(`${id} in ${name}`, () => {
      const { scenario } = fileOf(name)
      const finding = gathered(scenario, upm, findingsOf(scenario, upm)).find((f) => f.id === id)!
      const { schedule } = finding
      const lost = lookBack(scenario, upm, schedule, id, LOOK_BACK)?.pointOfNoReturn as number
      const cell = new Cell(scenario, upm)
      const draw = drawFrom(11)
      for (let i = 0; i < 40; i++) assert.ok(endsIn(cell, id, schedule.slice(0, lost), draw))
      if (lost === 0) return
      const before = Array.from({ length: 400 }, () => 0)
      const escaped = before.some(() => !endsIn(cell, id, schedule.slice(0, lost - 1), draw))
      assert.ok(escaped, `after ${lost - 1} steps nothing escaped`)
    })
  }
})

test('what would have prevented a race is named, and nothing is for what needs no race', () => {
  const told = (name: string, design: string, id: string) => {
    const { scenario } = fileOf(name)
    const d = designOf(design)
    const f = gathered(scenario, d, findingsOf(scenario, d)).find((x) => x.id === id)!
    return lookBack(scenario, d, f.schedule, id, LOOK_BACK)?.prevention
  }
  assert.match(
    told('memslot/unbind-during-punch', 'v10', 'stuck-invalidation') ?? '',
    /^one lock around both vmm's fallocate.* and vmm2's unbind/,
  )
  assert.equal(told('size/truncate-to-the-same-size', 'upm', 'secondary-use-after-free'), undefined)
})

test('a reduced scenario shows the finding, and loses it with any line less', () => {
  const { text } = fileOf('migration/guest-touch-vs-compaction')
  const known = { designs: DESIGNS.map((d) => d.id), findings: FINDING_KINDS.map((k) => k.id) }
  const id = 'stale-secondary-mapping'
  const reduce = (source: string) =>
    reduceScenario(source, upm, id, known, { keepGoing: () => true })
  const smaller = reduce(text) as string
  assert.doesNotMatch(smaller, /guest_read/)
  assert.match(smaller, /migrate\(fd, page=0\)/)
  assert.equal(reduce(smaller), undefined)
  const clean = reduceScenario(text, upm, 'refcount-leak', known, { keepGoing: () => true })
  assert.equal(clean, undefined)
})

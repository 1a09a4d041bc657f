/** Each sampler against what is known of it, on programs small enough to calculate. Seeded. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { builtInScenarios } from '../../src/app/host/scenarios.js'
import { sampleScenario } from '../../src/app/sampled.js'
import { Judges } from '../../src/cell/judges.js'
import { DESIGNS } from '../../src/designs/index.js'
import { type SampleResult, sample } from '../../src/explore/sample/sample.js'
import {
  PartialOrder,
  Pct,
  RandomWalk,
  type Sampler,
  SelectivelyUniform,
} from '../../src/explore/sample/samplers.js'
import { effectAddr } from '../../src/machine/effects.js'
import type { FnTag } from '../../src/machine/fn.js'
import { announceAll } from '../../src/machine/frames.js'
import { boot, load } from '../../src/machine/machine.js'
import { addressOf, constructAt, type Obj, type Struct } from '../../src/machine/struct.js'
import { drawFrom } from '../engine/programs.js'
import { BENCH_LOCKS, Bench, setA, setB, setUpBench } from '../engine/repertoire.js'
import { retryUntilFault, Shared, spinForFlag } from './loops.js'

const RUNS = 4000

/** A call of set_a or set_b: a step that starts it, if it is the first, and one access. */
const call = (letter: string) => ({
  fn: letter === 'a' ? setA : setB,
  args: [{ value: 1 }],
  text: letter,
})

interface Step {
  readonly task: number
  readonly word: number
}

/** The executions that a sampler picks of tasks whose calls are given by letters. */
function executions(sampler: Sampler, ...tasks: readonly string[]): Step[][] {
  const runs: Step[][] = []
  announceAll(true)
  boot('lowered', setUpBench, BENCH_LOCKS)
  const judges = new Judges([])
  judges.attach()
  load({
    faults: 0,
    tasks: tasks.map((t, n) => ({ name: `t${n}`, operations: [...t].map(call) })),
  })
  const spy: Sampler = {
    name: sampler.name,
    guarantee: sampler.guarantee,
    begin: (shape, draw) => {
      runs.push([])
      sampler.begin(shape, draw)
    },
    pick: (ready, draw) => sampler.pick(ready, draw),
    stepped: (task, announced, draw) => {
      runs.at(-1)?.push({ task, word: effectAddr(announced) })
      sampler.stepped(task, announced, draw)
    },
  }
  const options = { samplers: [spy], runs: RUNS, draw: drawFrom(7) }
  sample(judges, { ...options, keepGoing: () => true })
  judges.detach()
  announceAll(false)
  return runs
}

/** So many of `RUNS` are expected to come out, within four standard deviations. */
function assertChance(count: number, chance: number): void {
  const sigma = Math.sqrt(RUNS * chance * (1 - chance))
  assert.ok(
    Math.abs(count - RUNS * chance) < 4 * sigma,
    `${count} of ${RUNS}, expected ${Math.round(RUNS * chance)}`,
  )
}

test('a random walk takes each task that can step with the same chance', () => {
  const runs = executions(new RandomWalk(), 'a', 'a', 'a')
  for (const t of [0, 1, 2]) {
    assertChance(runs.filter((r) => r[0]?.task === t).length, 1 / 3)
  }
  // Two steps of one task first: 1/3 and then 1/3 again.
  assertChance(runs.filter((r) => r[0]?.task === 1 && r[1]?.task === 1).length, 1 / 9)
})

test('pct finds a bug of depth 2 with the chance that is proved where no step chooses', () => {
  // 12 steps and 2 steps; the bug is that t1 runs between the sixth and the seventh.
  const runs = executions(new Pct(2), 'bbbbbbbbbbb', 'a')
  const hits = runs.filter((r) => r.findIndex((s) => s.task === 1) === 6).length
  assertChance(hits, 1 / (2 * 14))
  // Depth 1 has no change point, so this order never comes up.
  const none = executions(new Pct(1), 'bbbbbbbbbbb', 'a')
  assert.equal(none.filter((r) => r.findIndex((s) => s.task === 1) === 6).length, 0)
})

test('partial order sampling is not drawn away by independent steps', () => {
  // All of eight steps come before t1 if each has a higher priority than its first.
  const runs = executions(new PartialOrder(), 'bbbbbbb', 'a')
  assertChance(runs.filter((r) => r.findIndex((s) => s.task === 1) === 8).length, 1 / 9)
})

test('a selectively uniform walk makes every order of the selected accesses equally likely', () => {
  const word = addressOf(Bench.at(Bench.base) as Bench, 'a')
  const counts = new Map<string, number>()
  for (const run of executions(new SelectivelyUniform(), 'abbabba', 'aaa')) {
    const order = run.filter((s) => s.word === word).map((s) => s.task)
    counts.set(order.join(''), (counts.get(order.join('')) ?? 0) + 1)
  }
  assert.equal(counts.size, 20)
  const expected = RUNS / 20
  const chi = [...counts.values()].reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0)
  // 19 degrees of freedom: more than this has a chance of 0.0005.
  assert.ok(chi < 45.9, `chi squared ${chi.toFixed(1)}`)
})

test('executions that are cut off as too long are counted', () => {
  const cell = (f: FnTag, faults: number): SampleResult => {
    announceAll(true)
    boot('lowered', () => constructAt(Shared as unknown as Struct<Obj>, Shared.base, 0))
    const judges = new Judges([])
    judges.attach()
    load({ faults, tasks: [{ name: 't', operations: [{ fn: f, args: [], text: f.cName }] }] })
    const options = { samplers: [new RandomWalk(), new Pct(2)], runs: 4, draw: drawFrom(7) }
    const result = sample(judges, { ...options, keepGoing: () => true })
    judges.detach()
    announceAll(false)
    return result
  }
  const counts = (r: SampleResult) => r.samplers.map((s) => s.cut)
  assert.deepEqual(counts(cell(spinForFlag, 0)), [2, 2])
  assert.deepEqual(counts(cell(retryUntilFault, 1)), [0, 0])
})

test('a sampled verdict says so, finds what is common, and is the same for the same seed', () => {
  const { scenario } = builtInScenarios().find(
    (f) => f.scenario.name === 'migration/guest-touch-vs-compaction',
  )!
  const upm = DESIGNS.find((d) => d.id === 'upm')!
  const ask = (seed: number) =>
    sampleScenario(scenario, upm, {
      runs: 60,
      draw: drawFrom(seed),
      keepGoing: () => true,
      now: () => 0,
    })
  const one = ask(3)
  assert.equal(one.proof, 'sampled')
  assert.equal(one.executions, 60)
  assert.ok(one.findings.some((f) => f.id === 'stale-secondary-mapping' && f.first))
  assert.deepEqual(ask(3), one)
})

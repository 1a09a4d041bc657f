/** The second back end of the lowering, judged by SPIN: the same states, findings and ends. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { bootRace } from '../../bench/race.js'
import { compareWhole, crossCheck } from '../../src/app/cross.js'
import { askSpin } from '../../src/app/host/model.js'
import { readScenarios } from '../../src/app/host/scenarios.js'
import { NoVerdict } from '../../src/app/host/spin.js'
import { DESIGNS } from '../../src/designs/index.js'
import { designNamed } from '../../src/hosts/index.js'
import type { FnTag } from '../../src/machine/fn.js'
import { boot, load, type Operation } from '../../src/machine/machine.js'
import type { Model } from '../../src/promela/model.js'
import { bootSample, describeSample, drawFrom, sampleOf } from '../engine/programs.js'
import { bits, bytes, closures, control, division, order } from './arithmetic.js'
import { modelOfAll, type Subject, subjectOf, withoutSpin, withVerifier } from './programs.js'
import { beyondC } from './refused.js'

const skip = withoutSpin()
const PROGRAMS = 200
/** Enough for each mutant to be caught. */
const FEW = 60

const sample = (seed: number): Subject =>
  subjectOf((attach) => bootSample(sampleOf(seed), 'lowered', attach))

test('random programs: SPIN says of each what the stateful search says', { skip }, () => {
  const subjects = Array.from({ length: PROGRAMS }, (_, seed) => sample(seed))
  const model = modelOfAll(subjects)
  assert.deepEqual(model.gaps, [])
  withVerifier(model, (verifier) => {
    for (const [seed, { opinion }] of subjects.entries()) {
      const { outcome, why } = compareWhole(opinion, verifier.run(seed))
      assert.equal(outcome, 'agrees', `${why}\n${describeSample(sampleOf(seed))}`)
    }
  })
})

/** Slips of an exporter: what is written, what stands there instead. */
const SLIPS: readonly (readonly [what: string, from: RegExp, to: string])[] = [
  [
    'a lock that is held can be taken',
    /case E_LOCK: return rd\(at\) == 0;/,
    'case E_LOCK: return 1;',
  ],
  [
    'a writer does not see readers',
    /return rd\(at\) == 0 && rd\(at \+ 1\) == 0;/,
    'return rd(at) == 0;',
  ],
  ['a wait is over at once', /case E_UNTIL: return rd\(at\) == arg;/, 'case E_UNTIL: return 1;'],
  ['what was found before is no part of the state', /if \(first\) set\(bit,/, 'if (0) set(bit,'],
  ['freed memory can be used', /if \(header == of\) return;/, 'return;'],
  [
    'a frame that is left keeps what it held',
    /i < functions\[f\]\.words; i\+\+\) poke/,
    'i < 0; i++) poke',
  ],
  ['a fault strikes as often as it likes', /get\(variables\(\), Variables_faultsLeft\) > 0/, '1'],
  [
    'a task goes on behind a step with no defined outcome',
    /int is_undefined = /,
    'int is_undefined = 0 && ',
  ],
]

describe('a slip in the exported model is seen', { skip }, () => {
  for (const [what, from, to] of SLIPS) {
    test(what, () => {
      const subjects = Array.from({ length: FEW }, (_, seed) => sample(seed))
      const model = modelOfAll(subjects)
      const wrong = model.c.replace(from, to)
      assert.notEqual(wrong, model.c, 'the text has changed')
      assert.ok(isSeen({ ...model, c: wrong }, subjects))
    })
  }
})

function isSeen(model: Model, subjects: readonly Subject[]): boolean {
  return withVerifier(model, (verifier) =>
    subjects.some(({ opinion }, i) => {
      try {
        return compareWhole(opinion, verifier.run(i)).outcome === 'differs'
      } catch (error) {
        // The model itself notices that this can't be.
        if (error instanceof NoVerdict) return true
        throw error
      }
    }),
  )
}

test('C computes what JavaScript computes', { skip }, () => {
  const draw = drawFrom(7)
  const number = (): number =>
    [0, 1, -1, 2 ** 31 - 1, -(2 ** 31), draw(64), -draw(64), draw(1e6)][draw(8)]!
  const small = (): number => draw(1000) - 500
  const big = (): bigint => BigInt(draw(1e6)) ** BigInt(1 + draw(3)) * (draw(2) === 0 ? 1n : -1n)
  const functions: readonly (readonly [FnTag, () => unknown])[] = [
    [bits, number],
    [division, small],
    [bytes, big],
    [closures, small],
    [control, small],
    [order, small],
  ]
  const operations = Array.from({ length: 60 }, (_, i): Operation => {
    const [fn, value] = functions[i % functions.length] as (typeof functions)[number]
    const args = [{ value: value() }, { value: value() }]
    return { fn, args, variable: i, text: `${fn.cName}(${args.map((a) => a.value).join()})` }
  })
  // One at a time, so that a difference says where it is.
  const subjects = operations.map((o) =>
    subjectOf((attach) => {
      boot('lowered', () => {})
      attach()
      load({ tasks: [{ name: 'only', operations: [o] }], faults: 0 })
    }),
  )
  const model = modelOfAll(subjects)
  assert.deepEqual(model.gaps, [])
  withVerifier(model, (verifier) => {
    for (const [i, { opinion }] of subjects.entries()) {
      const { why } = compareWhole(opinion, verifier.run(i))
      assert.equal(why, undefined, operations[i]?.text)
    }
  })
})

test('the race of the benchmark', { skip }, () => {
  const size = { vcpus: 1, punches: 1, migrations: 1, rounds: 2 }
  const subject = subjectOf((attach) => {
    bootRace(size)
    attach()
  })
  const { states, why } = withVerifier(modelOfAll([subject]), (v) =>
    compareWhole(subject.opinion, v.run()),
  )
  assert.equal(why, undefined)
  assert.ok(states > 10_000, `${states} states`)
})

test('what C cannot say is refused with its place, and a search that gets there has no verdict', {
  skip,
}, () => {
  const subject = subjectOf((attach) => {
    boot('lowered', () => {})
    attach()
    load({
      tasks: [
        { name: 'only', operations: [{ fn: beyondC, args: [{ value: 3 }], text: 'beyond' }] },
      ],
      faults: 0,
    })
  })
  const model = modelOfAll([subject])
  assert.equal(model.gaps.length, 1)
  assert.equal(model.gaps[0]?.name, 'beyond_c')
  assert.match(model.gaps[0]?.place ?? '', /^test\/promela\/refused\.ts:\d+$/)
  assert.throws(
    () => withVerifier(model, (v) => v.run()),
    (e: Error) =>
      e instanceof NoVerdict && /beyond_c cannot be expressed: a call of join/.test(e.message),
  )
})

describe('cells of the kernel', { skip }, () => {
  for (const [name, id] of [
    ['memslot/unbind-during-punch', 'v10'],
    ['memory-failure/mapped-restricted-page', 'upm-aops'],
  ] as const) {
    test(`${name} on ${id}`, () => {
      const [file] = readScenarios([name])
      const design = DESIGNS.find((d) => d.id === id)!
      const limits = { executions: 1, keepGoing: () => true }
      const { model } = crossCheck(file!.scenario, design, limits, askSpin)
      assert.equal(model?.outcome, 'agrees', model?.why)
    })
  }

  test('on a host have no opinion of SPIN, but the place that C cannot say', () => {
    const [file] = readScenarios(['hosts/punched-page-used-by-the-kernel'])
    const said = askSpin(file!.scenario, designNamed('gmem-6.18@tdx-6.19')!)
    assert.match(String(said), /cannot be expressed: .* \(src\/[\w./-]+:\d+\)$/)
  })
})

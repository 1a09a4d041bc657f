import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Dependence, RULES, SEARCH_RULES } from '../../src/explore/stateless/independence.js'
import { disagreement, naive, type Opinion, stateful, stateless } from './opinions.js'
import { describeSample, sampleOf } from './programs.js'

/** Programs that were once judged wrongly. */
const KNOWN = [4161, 7278]

/** Enough for this many programs to be judged in seconds; `npm run self-test` does thousands. */
const PROGRAMS = 250
const MOST_EXECUTIONS = 1500
const MOST_STEPS = 5000

const ALL = new Dependence()

test('random programs: every interleaving, the stateful and the stateless search agree', () => {
  let compared = 0
  for (const seed of [...KNOWN, ...Array(PROGRAMS).keys()]) {
    const sample = sampleOf(seed)
    const first = stateful(sample)
    const others = [stateless(sample, ALL, MOST_EXECUTIONS), naive(sample, MOST_STEPS)]
    for (const other of others.filter((o): o is Opinion => o !== undefined)) {
      assert.equal(disagreement(first, other), undefined, describeSample(sample))
      compared++
    }
  }
  assert.ok(compared > PROGRAMS, `${compared} comparisons`)
})

describe('each rule of dependence is needed: without it, a program is judged wrongly', () => {
  for (const rule of [...RULES.map((r) => r.name), ...SEARCH_RULES]) {
    test(rule, () => {
      const without = new Dependence(rule)
      for (const seed of [...KNOWN, ...Array(PROGRAMS).keys()]) {
        if (isMissed(seed, without)) return
      }
      assert.fail(`${PROGRAMS} programs are judged as with it`)
    })
  }
})

function isMissed(seed: number, without: Dependence): boolean {
  const sample = sampleOf(seed)
  try {
    const second = stateless(sample, without, MOST_EXECUTIONS)
    return second !== undefined && disagreement(stateful(sample), second) !== undefined
  } catch {
    // The search itself notices that an order is not possible.
    return true
  }
}

test('the self-test meets every kind of end', () => {
  const seen = new Set<string>()
  for (let seed = 0; seed < PROGRAMS; seed++) {
    for (const id of stateful(sampleOf(seed)).findings.keys()) seen.add(id)
  }
  for (const id of [
    'deadlock',
    'use-after-free',
    'null-dereference',
    'lock-inversion',
    'both-set',
  ]) {
    assert.ok(seen.has(id), id)
  }
})

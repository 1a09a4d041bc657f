/** A table that is laid over several buffers is one table. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RecentStates } from '../../src/explore/states/recent.js'
import { CONTROL, SharedStates, tableOf } from '../../src/explore/states/shared.js'
import { drawFrom } from '../engine/programs.js'

const BYTES = 1 << 15
const STATES = 3000

test('what was met lately is known as itself only, until something else has its place', () => {
  const recent = new RecentStates()
  const draw = drawFrom(5)
  const word = (): number => (draw(1 << 16) << 16) | draw(1 << 16)
  const states = Array.from({ length: STATES }, () => [word(), word()] as const)
  assert.ok(!recent.has(0, 0))
  for (const [lo, hi] of states) {
    assert.ok(!recent.has(lo, hi))
    recent.add(lo, hi)
    assert.ok(recent.has(lo, hi) && !recent.has(lo, ~hi) && !recent.has(~lo, hi))
  }
  const still = states.filter(([lo, hi]) => recent.has(lo, hi)).length
  assert.ok(still > STATES * 0.9 && still < STATES, `${still} of ${STATES}`)
})

test('what one worker puts into any buffer of a table, the other one finds there', () => {
  const control = new SharedArrayBuffer(CONTROL.WORDS * 4)
  const table = tableOf(BYTES, BYTES / 4)
  assert.equal(table.length, 4)
  const [one, other] = [0, 1].map((worker) => new SharedStates({ worker, control, table })) as [
    SharedStates,
    SharedStates,
  ]
  const draw = drawFrom(3)
  const word = (): number => (draw(1 << 16) << 16) | draw(1 << 16)
  const states = Array.from({ length: STATES }, () => [word() & ~1, word() & ~3] as const)
  for (const [lo, hi] of states) {
    assert.equal(other.has(lo, hi), false)
    assert.equal(one.insert(lo, hi), true)
    one.open.push(lo, hi)
    assert.equal(one.insert(lo, hi), false, 'it has it open itself')
    assert.equal(other.insert(lo, hi), true, 'the other goes there too')
    one.open.popTo(0)
    one.leave(lo, hi, 1)
    assert.equal(one.insert(lo, hi), false, 'it has left it')
    one.finishLeft()
    assert.equal(other.insert(lo, hi), false)
    other.finish(lo, hi, 1)
  }
  for (const [lo, hi] of states) assert.ok(one.has(lo, hi) && other.has(lo, hi))
  assert.deepEqual([one.size, other.size], [STATES, 0])
  assert.deepEqual([one.executions, other.executions], [STATES, 0], 'who is first counts the ends')
  const slots = table.map((b) => new Int32Array(b).filter((w, i) => i % 2 === 0 && w !== 0).length)
  assert.equal(
    slots.reduce((a, b) => a + b, 0),
    STATES,
  )
  assert.ok(slots.every((n) => n > 0))
})

/** A table that is laid over several buffers is one table. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ARRIVED, CONTROL, SharedStates, tableOf } from '../../src/explore/states/shared.js'
import { drawFrom } from '../engine/programs.js'

const BYTES = 1 << 15
const STATES = 3000

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
  const slots = new Set<number>()
  for (const [lo, hi] of states) {
    assert.equal(other.has(lo, hi), false)
    assert.equal(one.insert(lo, hi), ARRIVED.NEW)
    slots.add(one.slot)
    assert.equal(other.insert(lo, hi), ARRIVED.OPEN)
    assert.equal(other.slot, one.slot)
    one.leave(1, one.slot)
    assert.equal(other.insert(lo, hi), ARRIVED.CLOSED)
  }
  for (const [lo, hi] of states) assert.ok(one.has(lo, hi) && other.has(lo, hi))
  assert.equal(slots.size, STATES)
  assert.ok([...slots].every((s) => s < BYTES / 8))
  for (const quarter of [0, 1, 2, 3]) {
    assert.ok([...slots].some((s) => Math.floor(s / (BYTES / 32)) === quarter))
  }
})

import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import fc from 'fast-check'
import {
  fingerprintHi,
  fingerprintLo,
  mem,
  poke,
  resetArena,
  undoMark,
  undoTo,
  valueAt,
  writtenSince,
} from '../../src/machine/arena.js'

beforeEach(resetArena)

const writes = fc.array(fc.tuple(fc.integer({ min: 64, max: 80 }), fc.integer()), { maxLength: 40 })

test('the fingerprint depends on the words and not on how they came to be', () => {
  fc.assert(
    fc.property(writes, writes, (first, second) => {
      resetArena()
      for (const [at, value] of [...first, ...second]) poke(at, value)
      const reached = [fingerprintLo(), fingerprintHi()]
      const words = Array.from(mem.subarray(64, 81))
      resetArena()
      words.forEach((value, i) => {
        poke(64 + i, value)
      })
      assert.deepEqual([fingerprintLo(), fingerprintHi()], reached)
    }),
  )
})

test('undo brings back every word and the fingerprint', () => {
  fc.assert(
    fc.property(writes, writes, (first, second) => {
      resetArena()
      for (const [at, value] of first) poke(at, value)
      const words = Array.from(mem.subarray(64, 81))
      const before = [fingerprintLo(), fingerprintHi()]
      const mark = undoMark()
      for (const [at, value] of second) poke(at, value)
      undoTo(mark)
      assert.deepEqual(Array.from(mem.subarray(64, 81)), words)
      assert.deepEqual([fingerprintLo(), fingerprintHi()], before)
    }),
  )
})

test('the log tells which words were written and what they held', () => {
  poke(70, 1)
  const mark = undoMark()
  poke(70, 2)
  poke(70, 3)
  poke(71, 4)
  assert.deepEqual(writtenSince(mark), [70, 71])
  assert.equal(valueAt(mark, 70), 1)
})

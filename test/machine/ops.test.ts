/** Tables of operations, in a file of its own: one that is not whole stays registered. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fn } from '../../src/machine/fn.js'
import { opsTable, placeOpsTables } from '../../src/machine/ops.js'

const there = fn(function there(): number {
  return 0
})

test('a table whose functions are there is placed', () => {
  opsTable({ name: 'whole_ops', there })
  assert.doesNotThrow(placeOpsTables)
})

test('a table that was made before one of its functions is refused when a machine boots', () => {
  const late = undefined as typeof there | undefined
  opsTable({ name: 'early_ops', there, mmap: late })
  assert.throws(placeOpsTables, /early_ops was made before its mmap/)
})

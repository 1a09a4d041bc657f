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

test('two tables of one name are told apart by their places, or refused', () => {
  opsTable({ name: 'same_ops', there }, 'one.ts:1')
  opsTable({ name: 'same_ops', there }, 'other.ts:1')
  assert.doesNotThrow(placeOpsTables)
  for (let i = 0; i < 2; i++) opsTable({ name: 'same_ops', there }, 'same.ts:1')
  assert.throws(placeOpsTables, /same_ops same.ts:1 is declared twice/)
})

test('a table that was made before one of its functions is refused when a machine boots', () => {
  const late = undefined as typeof there | undefined
  opsTable({ name: 'early_ops', there, mmap: late })
  assert.throws(placeOpsTables, /early_ops was made before its mmap/)
})

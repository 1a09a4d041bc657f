import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Alone } from '../../src/machine/alone.js'
import { LimitError } from '../../src/machine/fault.js'
import { fn, type Kernel } from '../../src/machine/fn.js'
import { boot } from '../../src/machine/machine.js'

const seven = fn(function* seven(): Kernel<number> {
  return 7
})

test('of two models in one thread the older one is refused, never answered by the younger', () => {
  boot('lowered', () => {})
  const first = new Alone(seven)
  assert.equal(first.call(seven), 7)
  boot('lowered', () => {})
  const second = new Alone(seven)
  assert.throws(() => first.call(seven), LimitError)
  assert.throws(() => first.rewind(), LimitError)
  assert.equal(second.call(seven), 7)
})

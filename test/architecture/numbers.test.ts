/** Numbers of Linux's interface have one place each. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as uapi from '../../src/kernel/include/uapi.js'
import * as live from '../../src/live/numbers.js'

test('what the model knows, the live side takes from there', () => {
  assert.deepEqual(
    Object.keys(live).filter((name) => Object.hasOwn(uapi, name)),
    [],
  )
})

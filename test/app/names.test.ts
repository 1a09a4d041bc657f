/** What scenarios are called, wherever they lie. */
import assert from 'node:assert/strict'
import { posix, win32 } from 'node:path'
import { test } from 'node:test'
import { filesOf, nameFrom, nameOf, packagedFiles } from '../../src/app/host/files.js'

test('a name has slashes, whatever the system has between folders', () => {
  const windows = nameFrom('C:\\kit\\litmus', 'C:\\kit\\litmus\\punch\\retry.litmus', win32)
  const other = nameFrom('/kit/litmus', '/kit/litmus/punch/retry.litmus', posix)
  assert.equal(windows, 'punch/retry.litmus')
  assert.equal(other, windows)
})

test('each built-in scenario is found by its name', () => {
  for (const file of packagedFiles()) assert.deepEqual(filesOf(nameOf(file)), [file])
})

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import { test } from 'node:test'

const DIST = resolve(import.meta.dirname, '../..')

/** In a process of its own: what V8 takes depends on its flags, which are those of a process. */
const WOULD_TAKE = `
const { readFileSync, readdirSync } = require('node:fs')
const { cachedDataVersionTag, setFlagsFromString } = require('node:v8')
const { Script } = require('node:vm')
const [budget] = process.argv.slice(1)
if (budget !== undefined) setFlagsFromString(budget)
const text = readFileSync('src/core.script.js', 'latin1')
const kept = readdirSync('compiled').filter((n) => n.endsWith('-' + cachedDataVersionTag()))
for (const name of kept) {
  const cachedData = readFileSync('compiled/' + name)
  console.log(new Script(text, { cachedData }).cachedDataRejected ? 'refused' : 'taken')
}
`

function wouldTake(...flags: readonly string[]): string {
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', WOULD_TAKE, '--', ...flags], {
    cwd: DIST,
    encoding: 'utf8',
  })
  assert.equal(stderr, '')
  return stdout
}

test('V8 takes what the build had it compile: with its flags, and with those of a command', () => {
  assert.equal(wouldTake(), 'taken\n')
  assert.equal(wouldTake('--interrupt-budget=500000'), 'taken\n')
})

test('with other flags there is nothing to take, and V8 compiles', () => {
  assert.equal(wouldTake('--interrupt-budget=500001'), '')
})

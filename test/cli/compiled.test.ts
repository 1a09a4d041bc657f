import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import { test } from 'node:test'

const DIST = resolve(import.meta.dirname, '../..')

/** In a process of its own: what V8 takes depends on its flags, which are those of a process. */
const WOULD_TAKE = `
import { readdirSync, readFileSync } from 'node:fs'
import { cachedDataVersionTag, setFlagsFromString } from 'node:v8'
import { Script } from 'node:vm'
const [as] = process.argv.slice(1)
if (as === 'a command') (await import('./src/cli/optimise.js')).optimiseLate()
if (as === 'others') setFlagsFromString('--stack-size=900')
const text = readFileSync('src/core.script.js', 'latin1')
const kept = readdirSync('compiled').filter((n) => n.endsWith('-' + cachedDataVersionTag()))
for (const name of kept) {
  const cachedData = readFileSync('compiled/' + name)
  console.log(new Script(text, { cachedData }).cachedDataRejected ? 'refused' : 'taken')
}
`

function wouldTake(as: 'nobody' | 'a command' | 'others'): string {
  const args = ['--input-type=module', '-e', WOULD_TAKE, '--', as]
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: DIST, encoding: 'utf8' })
  assert.equal(stderr, '')
  return stdout
}

test('V8 takes what the build had it compile: with its flags, and with those of a command', () => {
  assert.equal(wouldTake('nobody'), 'taken\n')
  assert.equal(wouldTake('a command'), 'taken\n')
})

test('with other flags there is nothing to take, and V8 compiles', () => {
  assert.equal(wouldTake('others'), '')
})

/** A little of everything that `npm run fuzz` tries, from seeds that never change. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { FUZZERS } from './fuzzers.js'
import { watch } from './patience.js'
import { scenarioOf } from './scenarios.js'
import { shrunk } from './shrink.js'
import { differences, type Plain } from './ways.js'

async function tried(name: string, seed: number, count: number): Promise<void> {
  const told: string[] = []
  const tell = (text: string): void => void told.push(text)
  const limits = { seed, count, goesOn: () => true, tell, commands: false }
  const { failed } = await FUZZERS.get(name)!.run(limits)
  assert.equal(failed, 0, told.join('\n'))
}

test('every way of searching says the same of random scenarios', () => tried('scenarios', 1, 2))
test('a check that is killed and goes on comes to the same verdict', () => tried('kill', 5, 1))

describe('broken input is refused with a message, or judged', () => {
  for (const [name, count] of [
    ['litmus', 150],
    ['tokens', 30],
    ['transcripts', 60],
    ['checkpoints', 20],
    ['mails', 60],
  ] as const) {
    test(name, () => tried(name, 1, count))
  }
})

test('a difference in anything that two ways say is seen', () => {
  const one: Plain = {
    by: 'plain',
    states: 2,
    executions: 1,
    steps: 3,
    findings: new Map([
      ['deadlock', true],
      ['livelock', true],
    ]),
    outcomes: new Set(['a']),
    finals: new Set(['f']),
    witnesses: new Map(),
  }
  assert.deepEqual(differences(one, one), [])
  const seen = (other: object): number => differences(one, { ...one, ...other }).length
  assert.equal(seen({ states: 1 }), 1)
  assert.equal(seen({ findings: new Map([['deadlock', false]]) }), 2)
  assert.equal(seen({ findings: new Map([['deadlock', true]]), loopless: true }), 0)
  assert.equal(seen({ outcomes: new Set(), finals: new Set() }), 2)
  assert.equal(seen({ outcomes: new Set(), finals: new Set(), part: true }), 0)
  assert.equal(seen({ outcomes: new Set(['b']), part: true }), 1)
})

test('a command hangs that uses the CPU without end, or stands still, and no other', async () => {
  const ended = async (code: string, patience: number): Promise<string> => {
    const child = spawn(process.execPath, ['-e', code])
    const forget = watch(child.pid as number, patience, () => child.kill('SIGKILL'), 50)
    const [, signal] = (await once(child, 'close')) as [number | null, string | null]
    forget()
    return signal ?? 'by itself'
  }
  assert.equal(await ended('for (;;) {}', 0.3), 'SIGKILL')
  assert.equal(await ended('setTimeout(() => {}, 60_000)', 0.3), 'SIGKILL')
  assert.equal(await ended('', 60), 'by itself')
})

test('what fails is told with nothing in it that could be left out', async () => {
  const { text } = scenarioOf(3)
  const small = await shrunk(text, (t) => /task t1\n[\s\S]*r0/.test(t))
  assert.equal(small, 'task t1\nr0')
})

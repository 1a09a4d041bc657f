/** Several workers on one table say what one search says, of cells with loops too. */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { readText } from '../../src/app/host/files.js'
import { packagedFile } from '../../src/app/host/package.js'
import { CONTROL, carry, SharedStates, tableOf } from '../../src/explore/states/shared.js'
import { pairOf } from '../fuzz/cells.js'
import { Team } from '../fuzz/team.js'
import { differences, type Plain, plain } from '../fuzz/ways.js'

/** Retry loops that end, and loops that nobody leaves. */
const CELLS = [
  ['lifetime/prefault-on-a-default-vm', 'gmem-6.18'],
  ['memory-failure/punch-vs-failure', 'gmem-6.18'],
  ['memslot/unbalanced-end-then-touch', 'v10'],
  ['hotplug/offline-holds-up-memory-failure', 'gmem-6.18'],
  ['punch/punch-vs-guest-fault', 'upm'],
] as const
/** Threads never meet in the same place twice. */
const TIMES = 4

describe('several workers', () => {
  const team = new Team(3)
  after(() => team.end())

  for (const [name, design] of CELLS) {
    test(`${name} on ${design}`, async () => {
      const text = readText(packagedFile(`litmus/${name}.litmus`))
      const one = plain(pairOf(text, design), Number.POSITIVE_INFINITY) as Plain
      for (let i = 0; i < TIMES; i++) {
        const other = await team.ask({ seed: 0, text, design }, 2 + (i % 2))
        assert.deepEqual(differences(one, other), [])
      }
    })
  }
})

test('a larger table begins with the states that are finished, and with no others', () => {
  const control = new SharedArrayBuffer(CONTROL.WORDS * 4)
  const table = tableOf(1 << 12)
  const states = new SharedStates({ worker: 0, control, table })
  const numbers = Array.from({ length: 100 }, (_, n) => n)
  const fingerprint = (n: number): [number, number] => [Math.imul(n, 0x9e3779b1) & ~1, n << 4]
  for (const n of numbers) states.insert(...fingerprint(n))
  for (const n of numbers) if (n % 3 === 0) states.finish(...fingerprint(n), 0)
  const larger = tableOf(1 << 14)
  const carried = [0, 1, 2].map((part) => carry({ from: table, to: larger, part, parts: 3 }))
  assert.equal(
    carried.reduce((a, b) => a + b),
    34,
  )
  const others = new SharedStates({ worker: 1, control, table: larger })
  for (const n of numbers) assert.equal(others.has(...fingerprint(n)), n % 3 === 0)
})

/**
 * The page about fidelity: of everything that 6.18 runs, or a host, it says what that was compared
 * with.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'node:test'

const ROOT = resolve(import.meta.dirname, '../../..')

interface Entry {
  readonly file: string
  readonly name: string
  readonly of618: string
  readonly calibrated: string
}

function entries(): Entry[] {
  let file = ''
  return readFileSync(join(ROOT, 'docs/fidelity.md'), 'utf8')
    .split('\n')
    .flatMap((line): Entry[] => {
      if (line.startsWith('## ')) file = line.slice(3)
      const cells = line.split(/(?<!\\)\|/).map((c) => c.trim())
      const name = cells[1] ?? ''
      if (!name.startsWith('`')) return []
      return [{ file, name: name.slice(1, -1), of618: cells[4] ?? '', calibrated: cells[5] ?? '' }]
    })
}

const SOURCE =
  /^(?:source|(?:\d+\.\d+(?:\.\d+)?(?: and \d+\.\d+)? source|live \d+\.\d+\.\d+)(?:, live \d+\.\d+\.\d+)?)$/
const RECORDINGS = /^recordings \([\w, ]+\)$/
const NOT = [
  'not in 6.18',
  'replaced by 6.18',
  '6.18 does not run it',
  '6.18 does not run it: what calls it is replaced',
]

/** What is Android's, or what no kernel has: a protected guest with memory from a file. */
const OPEN_OF_PKVM = ['forgetMapping', 'guestRelinquish', 'pkvmGuestConvert', 'pkvmUnmapForced']

/** Of a host: the version beside which it was read, and what that has otherwise. */
const OF_A_HOST = /^(?:\d+\.\d+(?:\.\d+)?(?: and \d+\.\d+)? source(?:, .+)?|\*\*not compared\*\*)$/

test('every function says with what of 6.18 it was compared, or why with nothing', () => {
  const wrong = entries().filter(({ file, of618 }) => {
    if (file.startsWith('src/hosts/')) return !OF_A_HOST.test(of618)
    if (NOT.includes(of618)) return false
    return !of618.split('; ').every((part) => SOURCE.test(part) || RECORDINGS.test(part))
  })
  assert.deepEqual(wrong, [])
})

test("what Linux does on pKVM was read beside two versions, but for Android's", () => {
  const own = entries().filter((e) => e.file.startsWith('src/hosts/pkvm/'))
  assert.ok(own.length > 40)
  const open = own.filter((e) => e.of618 === '**not compared**').map((e) => e.name)
  assert.deepEqual(open.sort(), OPEN_OF_PKVM)
})

test('what was written for 6.18 was read beside it', () => {
  const own = entries().filter((e) => e.file.startsWith('src/kernel/v6_18/'))
  assert.ok(own.length > 50)
  assert.deepEqual(
    own.filter((e) => NOT.includes(e.of618)),
    [],
  )
})

test('of what was calibrated the page says so, where it has the function', () => {
  const file = JSON.parse(readFileSync(join(ROOT, 'docs/calibrated.json'), 'utf8'))
  const names = new Set(Object.values(file).flatMap((of) => Object.keys(of as object)))
  const wrong = entries().filter((e) => names.has(e.name) !== (e.calibrated !== ''))
  assert.ok(names.size > 40)
  assert.deepEqual(wrong, [])
})

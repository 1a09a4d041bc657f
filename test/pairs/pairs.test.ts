/**
 * Every two calls beside each other: that the list of findings is one, and a part of what
 * `npm run pairs` explores.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { checkScenario } from '../../src/app/check.js'
import { DESIGNS } from '../../src/designs/index.js'
import { ALL_CASES, caseText, scenarioOf } from './family.js'
import { type Entry, linesOf, NOT_REVIEWED, parseReviewed } from './reviewed.js'
import { SETUPS } from './setups.js'

const LIST = join(resolve(import.meta.dirname, '../../..'), 'test/pairs/findings.txt')
const { sections } = parseReviewed(readFileSync(LIST, 'utf8'))
const reviewed = sections.flatMap((s) => s.entries)

test('every finding of the list has a reason, and only one', () => {
  for (const s of sections) {
    assert.notEqual(s.title, NOT_REVIEWED)
    assert.ok(s.reason.length > 0 && s.entries.length > 0, s.title)
  }
  const keys = reviewed.map((e) => JSON.stringify(e))
  assert.equal(new Set(keys).size, keys.length)
})

test('the list speaks of calls, set-ups and designs that there are', () => {
  const there = new Set(ALL_CASES.map((c) => `${c.setup.name} ${caseText(c)}`))
  for (const e of reviewed) {
    assert.ok(there.has(`${e.setup} ${e.calls}`), `${e.setup} ${e.calls}`)
    assert.ok(DESIGNS.some((d) => d.id === e.design))
    assert.equal(SETUPS.find((s) => s.name === e.setup)?.without?.[e.design], undefined)
  }
})

/** Prime to the number of designs, so that each gets its part. */
const EVERY = 29

const effort = { bound: undefined, asMet: true, keepGoing: () => true, now: () => 0 }

test(`each ${EVERY}th cell finds what the list says`, () => {
  const cells = ALL_CASES.flatMap((c) => DESIGNS.map((design) => ({ c, design })))
  const found: Entry[] = []
  const expected: Entry[] = []
  for (let i = 0; i < cells.length; i += EVERY) {
    const { c, design } = cells[i]!
    if (c.setup.without?.[design.id] !== undefined) continue
    const listed = (calls: string): Entry[] =>
      reviewed.filter(
        (e) => e.setup === c.setup.name && e.calls === calls && e.design === design.id,
      )
    const alone = c.actors.length === 1 ? [] : c.actors.flatMap(listed).map((e) => e.finding)
    const { findings } = checkScenario(scenarioOf(c).scenario, design, effort)
    for (const { id, first } of findings) {
      if (!first || alone.includes(id)) continue
      const { name: setup } = c.setup
      found.push({ finding: id, setup, calls: caseText(c), design: design.id })
    }
    expected.push(...listed(caseText(c)))
  }
  assert.deepEqual(linesOf(found).sort(), linesOf(expected).sort())
  assert.ok(expected.length > 5)
})

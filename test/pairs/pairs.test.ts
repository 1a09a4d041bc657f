/**
 * Every two calls beside each other: that the list of findings is one, and a part of what
 * `npm run pairs` explores.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { checkScenario } from '../../src/app/check.js'
import { DESIGNS } from '../../src/designs/index.js'
import { ALL_CASES, caseText, scenarioOf } from './family.js'
import { type Entry, linesOf, NOT_REVIEWED, parseReviewed, renderReviewed } from './reviewed.js'
import { SETUPS } from './setups.js'

const ROOT = resolve(import.meta.dirname, '../../..')
const LIST = join(ROOT, 'test/pairs/findings.txt')
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

/** Versions whose sources and kernels speak for a design. */
const SPEAK_FOR: Readonly<Record<string, RegExp>> = {
  v10: /^(6\.2(\.1)?|v10)$/,
  upm: /^(6\.2(\.1)?|upm)$/,
  'gmem-6.18': /^(6\.1[78]|6\.18\.2|7\.0)$/,
}
const speaksFor = (design: string): RegExp =>
  SPEAK_FOR[design.startsWith('upm') ? 'upm' : design] as RegExp

/** Every word that the model's sources have, comments too: they cite what they were read beside. */
const cited = new Set(
  ['kernel', 'designs'].flatMap((folder) => {
    const path = join(ROOT, 'src', folder)
    const files = readdirSync(path, { recursive: true, encoding: 'utf8' })
    return files
      .filter((f) => f.endsWith('.ts'))
      .flatMap((f) => readFileSync(join(path, f), 'utf8').match(/\w+/g) ?? [])
  }),
)

/** Runs and experiments of the recordings, behind the version of their kernel. */
const RUNS = new Set(
  [
    ['6.2.1', 'linux-6.2.1-restrictedmem', 'x'],
    ['6.18.2', 'linux-6.18.2-guest_memfd', 'run'],
  ].flatMap(([version, file, field]) =>
    readFileSync(join(ROOT, `transcripts/kernel-runs/${file}.jsonl`), 'utf8')
      .trim()
      .split('\n')
      .map((l) => `${version} ${JSON.parse(l)[field as string]}`),
  ),
)

test('every reason rests on a source, a recording or a kernel of each design that it is for', () => {
  for (const { title, grounds, entries } of sections) {
    for (const { design } of entries) {
      const speaks = grounds.some((g) => speaksFor(design).test(g.version))
      assert.ok(speaks, `${title}: nothing that ${design} is known by`)
    }
    for (const g of grounds) {
      const concerned = entries.some((e) => speaksFor(e.design).test(g.version))
      assert.ok(concerned, `${title}: ${g.version} has nothing to do with its findings`)
      if (g.kind === 'recorded') assert.ok(RUNS.has(`${g.version} ${g.run}`), `${title}: ${g.run}`)
      if (g.kind !== 'source') continue
      assert.match(g.file, /^[\w/-]+\.c$/, title)
      assert.ok(g.functions.length > 0, title)
      for (const f of g.functions) assert.ok(cited.has(f), `${title}: the model does not cite ${f}`)
    }
  }
})

test('the list is read and written alike', () => {
  const text = readFileSync(LIST, 'utf8')
  const { head } = parseReviewed(text)
  assert.equal(renderReviewed(head, sections), text)
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

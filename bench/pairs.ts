/**
 * Every two calls beside each other, in several set-ups, on every design: `npm run pairs`. What is
 * found must be what was reviewed (`test/pairs/findings.txt`), no more and no less, and all that the
 * kernel touches must be announced. Arguments name
 * set-ups, if not all are wanted. With UPDATE_GOLDEN what is new goes to the end of the list, where
 * a reason is still to be given.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { builtInDesigns } from '../src/app/host/designs.js'
import { check } from '../src/app/host/run.js'
import type { CellResult } from '../src/app/results.js'
import { ALL_CASES, scenarioOf } from '../test/pairs/family.js'
import {
  entriesFound,
  linesOf,
  parseReviewed,
  renderReviewed,
  revised,
  without,
} from '../test/pairs/reviewed.js'
import { SETUPS } from '../test/pairs/setups.js'

const LIST = join(resolve(import.meta.dirname, '../..'), 'test/pairs/findings.txt')

/** Of the visited states of a cell; the largest needs less. */
const MOST_BYTES = 64 * 2 ** 20

const say = (text: string): void => {
  process.stdout.write(`${text}\n`)
}

const wanted = process.argv.slice(2)
const unknown = wanted.filter((w) => !SETUPS.some((s) => s.name === w))
if (unknown.length > 0) {
  throw new Error(
    `no set-up: ${unknown.join(', ')}; there are ${SETUPS.map((s) => s.name).join(', ')}`,
  )
}
const setups = SETUPS.filter((s) => wanted.length === 0 || wanted.includes(s.name))
const cases = ALL_CASES.filter((c) => setups.includes(c.setup))
const begun = performance.now()
const seconds = (): string => `${((performance.now() - begun) / 1000).toFixed(0)} s`

const cells: CellResult[] = []
for (const setup of setups) {
  const designs = builtInDesigns().filter((d) => setup.without?.[d.id] === undefined)
  let told = performance.now()
  const { cells: judged } = await check({
    scenarios: cases.filter((c) => c.setup === setup).map(scenarioOf),
    designs,
    question: { asMet: true, undeclared: true },
    limits: { bytes: MOST_BYTES },
    onProgress: ({ done, total }) => {
      if (performance.now() < told + 10_000) return
      told = performance.now()
      say(`  ${setup.name}: ${done} of ${total} cells, ${seconds()}`)
    },
  })
  cells.push(...judged)
  const states = judged.reduce((sum, c) => sum + c.verdict.states, 0)
  const skipped = judged.filter((c) => c.verdict.proof === undefined).length
  say(
    `${setup.name}: ${judged.length} cells, ${states} states, ${skipped} without a set-up, ${seconds()}`,
  )
}

const open = cells.filter(
  ({ verdict }) => verdict.proof !== undefined && verdict.proof !== 'exhaustive',
)
for (const { verdict } of open) {
  const why = verdict.unannounced?.join('; ') ?? 'not explored to its end'
  say(`${verdict.scenario} on ${verdict.design}: ${why}`)
}

const names = setups.map((s) => s.name)
const { head, sections } = parseReviewed(readFileSync(LIST, 'utf8'))
const all = sections.flatMap((s) => s.entries)
const elsewhere = all.filter((e) => !names.includes(e.setup))
const found = entriesFound(cases, cells)
const fresh = without(found, all)
const gone = without(all, [...elsewhere, ...found])
const pairs = cases.filter((c) => c.actors.length === 2).length
say(
  `${pairs} pairs, ${cells.length} cells, ${found.length} findings, ${sections.length} reasons, ${seconds()}`,
)
if (fresh.length > 0) say(['new:', ...linesOf(fresh)].join('\n'))
if (gone.length > 0) say(['not found any more:', ...linesOf(gone)].join('\n'))
if (process.env.UPDATE_GOLDEN !== undefined) {
  writeFileSync(LIST, renderReviewed(head, revised(sections, [...elsewhere, ...found])))
}
process.exitCode = fresh.length + gone.length + open.length > 0 ? 1 : 0

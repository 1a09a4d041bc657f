import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { checkScenario } from '../../src/app/check.js'
import { builtInDesigns } from '../../src/app/host/designs.js'
import { builtInScenarios } from '../../src/app/host/scenarios.js'
import type { CellResult, Results } from '../../src/app/results.js'
import { type Story, tell } from '../../src/app/story.js'
import type { Finding, Verdict } from '../../src/app/verdict.js'
import { DESIGNS } from '../../src/designs/index.js'
import { renderColumns, renderList } from '../../src/report/columns.js'
import { PLAIN_LOOK } from '../../src/report/format.js'
import { formatNamed, formatNames } from '../../src/report/host/formats.js'
import { cellWord, coverage, renderMatrix } from '../../src/report/matrix.js'
import { renderSplat } from '../../src/report/splat.js'
import { renderVerdict } from '../../src/report/verdict.js'

const files = builtInScenarios()
const designs = builtInDesigns()

function checked(scenario: string, id: string): CellResult {
  const file = files.find((f) => f.scenario.name === scenario)!
  const design = designs.find((d) => d.id === id)!
  const effort = { keepGoing: () => true, now: () => 0 }
  const verdict = checkScenario(file.scenario, design.design, effort)
  return { file, design, verdict, hash: '00000000' }
}

const cell = checked('memory-failure/close-vs-failure-elsewhere', 'upm-aops-repaired')
const { verdict } = cell
const finding = verdict.findings[0]!
const { trace } = tell(cell, finding)

function resultsOf(...cells: CellResult[]): Results {
  return { version: '1.2.3', cells, asked: cells.length, interrupted: false, seconds: 1 }
}

const stories: ReadonlyMap<Finding, Story> = new Map([[finding, tell(cell, finding)]])

const fits = (text: string): void => {
  for (const line of text.split('\n')) assert.ok(line.length < 80, `${line.length}: ${line}`)
}

describe('what is printed fits 80 columns', () => {
  test('the matrix, with every name whole', () => {
    const names = files.map((f) => f.scenario.name)
    const text = renderMatrix(
      names,
      DESIGNS.map((d) => d.id),
      [verdict],
    )
    fits(text)
    // One that is too long is folded behind a dash.
    const unfolded = text.replace(/-\n +/g, '-')
    for (const name of names) {
      const [, last = ''] = name.split('/')
      assert.ok(unfolded.includes(`${last} `) || unfolded.includes(`${last}\n`), name)
    }
  })
  test('a verdict, also of many designs and in a narrow terminal', () => {
    fits(renderVerdict(cell))
    const ids = DESIGNS.map((d) => d.id)
    for (const line of renderVerdict(cell, { ...PLAIN_LOOK, width: 60 }, ids).split('\n')) {
      assert.ok(line.length <= 60, line)
    }
  })
  test('a replay as columns, as a list and as a splat', () => {
    fits(renderColumns(trace))
    fits(renderList(trace))
    fits(renderSplat(trace))
  })
})

describe('a finding', () => {
  test('ends its columns, with what went before in kernel functions', () => {
    const text = renderColumns(trace)
    assert.match(text, /\*\*\* use-after-free/)
    assert.match(text, /restrictedmem_release/)
    assert.match(text, /of \d+ steps shown, 1 preemption;/)
  })

  test('reads like a kernel report: what, where, who allocated and who freed', () => {
    const text = renderSplat(trace)
    assert.match(text, /^=+\nBUG: use-after-free in restrictedmem_error_walk/)
    assert.match(text, /Comm: mce/)
    assert.match(text, /Freed by task closer at step \d+:\n(?: .*\n)*? restrictedmem_release/)
  })
})

describe('a cell', () => {
  const v = (change: Partial<Verdict>): Verdict => ({
    ...verdict,
    findings: [],
    asExpected: true,
    ...change,
  })
  test('says what was found and how surely', () => {
    assert.equal(cellWord(v({ verdict: 'clean' })), 'clean')
    assert.equal(cellWord(v({ verdict: 'skipped' })), '-')
    assert.equal(cellWord(v({ verdict: 'vacuous', asExpected: false })), 'vacuous!')
    assert.equal(cellWord(v({ verdict: 'inconclusive', proof: 'bounded' })), 'open')
    assert.equal(cellWord({ ...verdict, proof: 'bounded' }), 'UAF?')
    assert.equal(cellWord(verdict), 'UAF')
    const two = [finding, { ...finding, id: 'deadlock' }]
    assert.equal(cellWord(v({ verdict: 'finding', findings: two })), 'UAF+1')
  })
})

test('the line that sums up has no good word for what is not good', () => {
  const as = (change: Partial<Verdict>): string =>
    coverage(resultsOf(cell, { ...cell, verdict: { ...verdict, ...change } }))
  assert.match(as({}), /2 cells, all exhaustive, all as expected/)
  assert.match(as({ asExpected: false }), /1 not as expected/)
  assert.match(as({ asExpected: undefined, expects: false }), /1 with findings, nothing being/)
  assert.match(as({ proof: 'bounded', asExpected: undefined }), /1 of them exhaustive, 1 inconcl/)
  const sampled = { ...verdict, proof: 'sampled', states: 0, executions: 20 } as const
  const sample = { ...cell, verdict: sampled }
  assert.match(coverage(resultsOf(sample, sample)), /2 cells, all sampled, .*: 40 runs in/)
  const none = { ...verdict, verdict: 'skipped', proof: undefined } as const
  assert.match(coverage(resultsOf({ ...cell, verdict: none })), /nothing was checked/)
  assert.match(
    as({ verdict: 'failed', proof: undefined }),
    /^1 of 2 cells with a set-up that failed/,
  )
})

describe('for programs', () => {
  const render = async (name: string, results: Results): Promise<string> =>
    (await formatNamed(name)).render(results, stories, PLAIN_LOOK)

  test('every format takes every kind of verdict', async () => {
    const kinds: Partial<Verdict>[] = [
      {},
      { asExpected: false, reason: 'not expected: <this> & "that"' },
      { verdict: 'clean', findings: [] },
      { verdict: 'inconclusive', proof: 'bounded', findings: [], asExpected: undefined },
      { verdict: 'vacuous', findings: [], asExpected: false, difference: 'vacuous' },
      { verdict: 'skipped', proof: undefined, findings: [], outcomes: [] },
      { verdict: 'failed', proof: undefined, findings: [], outcomes: [], reason: 'it never ends' },
    ]
    const cells = kinds.map((k) => ({ ...cell, verdict: { ...verdict, ...k } }))
    for (const name of formatNames()) {
      for (const c of cells) assert.ok((await render(name, resultsOf(c))).length > 0, name)
      assert.ok((await render(name, resultsOf(...cells))).length > 0, name)
    }
  })

  test('KTAP has a plan and a line for each cell; ok is only what is proved and expected', async () => {
    const as = (change: Partial<Verdict>): CellResult => ({
      ...cell,
      verdict: { ...verdict, ...change },
    })
    const text = await render(
      'ktap',
      resultsOf(
        as({}),
        as({ asExpected: false, reason: 'why' }),
        as({ verdict: 'inconclusive', proof: 'bounded', findings: [], asExpected: undefined }),
        as({ expects: false, asExpected: undefined }),
        as({ verdict: 'skipped', proof: undefined, reason: 'it is # 1' }),
      ),
    )
    const name = 'memory-failure/close-vs-failure-elsewhere upm-aops-repaired'
    const lines = text.split('\n')
    assert.deepEqual(lines.slice(0, 2), ['KTAP version 1', '1..5'])
    assert.deepEqual(
      lines.slice(2).filter((l) => !l.startsWith('#')),
      [
        `ok 1 ${name}`,
        `not ok 2 ${name}`,
        `not ok 3 ${name}`,
        `not ok 4 ${name}`,
        `ok 5 ${name} # SKIP it is 1`,
      ],
    )
  })

  test('a mail fits into 72 columns and has the scenario and the token', async () => {
    const text = await render('mail', resultsOf(cell))
    for (const line of text.split('\n')) assert.ok(line.length <= 72, line)
    assert.match(text, /task closer/)
    assert.match(text, /npx restrictedmem replay/)
    assert.match(text, /rm2\.close-vs-failure-elsewhere\.upm-aops-repaired\./)
  })
})

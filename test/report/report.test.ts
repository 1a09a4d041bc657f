import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { builtInFiles, readScenarios } from '../../src/cli/inputs.js'
import { DESIGNS } from '../../src/designs/index.js'
import { checkScenario } from '../../src/explore/check.js'
import { replayScenario } from '../../src/explore/tell/replay.js'
import { decodeToken } from '../../src/explore/token.js'
import type { Verdict } from '../../src/explore/verdict.js'
import { renderColumns, renderList } from '../../src/report/columns.js'
import { renderJson, renderKtap, SCHEMA } from '../../src/report/machine-readable.js'
import { cellWord, renderMatrix } from '../../src/report/matrix.js'
import { renderSplat } from '../../src/report/splat.js'
import { renderVerdict } from '../../src/report/verdict.js'

const files = readScenarios(builtInFiles(), [])
const { scenario } = files.find(
  (f) => f.scenario.name === 'memory-failure/close-vs-failure-elsewhere',
)!
const design = DESIGNS.find((d) => d.id === 'upm-aops-repaired')!
const verdict = checkScenario(scenario, design, '00000000', {
  bound: undefined,
  minimise: true,
  keepGoing: () => true,
  now: () => 0,
})
const finding = verdict.findings[0]!
const { trace } = replayScenario(scenario, design, decodeToken(finding.token).schedule, 'lowered')

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
    for (const name of names)
      assert.ok(
        text.includes(`${name.split('/')[1]} `) || text.includes(`${name.split('/')[1]}\n`),
        name,
      )
  })
  test('a verdict', () => fits(renderVerdict(verdict)))
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
    assert.equal(cellWord(v({ verdict: 'clean', proof: 'bounded' })), 'clean?')
    assert.equal(cellWord(v({ verdict: 'skipped' })), '-')
    assert.equal(cellWord(v({ verdict: 'vacuous', asExpected: false })), 'vacuous!')
    assert.equal(cellWord(v({ verdict: 'inconclusive' })), 'open?')
    assert.equal(cellWord(verdict), 'UAF')
    const two = [finding, { ...finding, id: 'deadlock' }]
    assert.equal(cellWord(v({ verdict: 'finding', findings: two })), 'UAF+1')
  })
})

describe('for programs', () => {
  test('JSON has the keys of the contract', () => {
    const json = JSON.parse(renderJson([verdict], '1.2.3'))
    assert.equal(json.schema, SCHEMA)
    assert.deepEqual(json.tool, { name: 'restrictedmem', version: '1.2.3' })
    const [r] = json.results
    for (const key of [
      'scenario',
      'design',
      'verdict',
      'proof',
      'states',
      'executions',
      'ms',
      'findings',
      'outcomes',
      'asExpected',
    ]) {
      assert.ok(key in r, key)
    }
    for (const key of ['id', 'title', 'task', 'function', 'steps', 'preemptions', 'token']) {
      assert.ok(key in r.findings[0], key)
    }
  })

  test('KTAP has a plan and a line for each cell', () => {
    const lines = renderKtap([verdict, { ...verdict, asExpected: false, reason: 'why' }]).split(
      '\n',
    )
    assert.deepEqual(lines.slice(0, 2), ['KTAP version 1', '1..2'])
    assert.match(lines[2]!, /^ok 1 memory-failure\/close-vs-failure-elsewhere upm-aops-repaired$/)
    assert.ok(lines.some((l) => l.startsWith('not ok 2 ')))
  })
})

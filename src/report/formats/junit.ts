/** JUnit XML, which most build servers read: a suite for each scenario, a case for each design. */

import type { CellResult } from '../../app/results.js'
import { type Standing, standingOf } from '../../app/standing.js'
import { cellTitle } from '../../app/verdict.js'
import type { Format } from '../format.js'

export const format: Format = {
  doc: 'JUnit XML, for build servers',
  wants: () => [],
  render: ({ cells }) => {
    const suites = [...new Set(cells.map((c) => c.file))]
    return [
      '<?xml version="1.0" encoding="UTF-8"?>',
      '<testsuites>',
      ...suites.flatMap((file) => suite(cells.filter((c) => c.file === file))),
      '</testsuites>',
    ].join('\n')
  },
}

/** Text for an attribute or an element: XML has no place for control characters. */
function xml(text: string): string {
  const named: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
  }
  return text.replace(/\p{Cc}/gu, ' ').replace(/[&<>"]/g, (c) => named[c] as string)
}

function suite(cells: readonly CellResult[]): string[] {
  const count = (...of: readonly Standing[]): number =>
    cells.filter((c) => of.includes(standingOf(c.verdict))).length
  const name = xml(cells[0]?.file.scenario.name ?? '')
  const failures = `failures="${count('unexpected', 'finding')}" errors="${count('open', 'failed')}"`
  const tests = `tests="${cells.length}" ${failures} skipped="${count('skipped')}"`
  return [`  <testsuite name="${name}" ${tests}>`, ...cells.flatMap(testCase), '  </testsuite>']
}

function testCase({ file, verdict: v }: CellResult): string[] {
  const [area = ''] = file.scenario.name.split('/')
  const seconds = (v.ms / 1000).toFixed(3)
  const head = `    <testcase classname="${xml(area)}" name="${xml(cellTitle(v))}" time="${seconds}"`
  const inside = insideOf(v.verdict, standingOf(v), v.reason ?? v.verdict)
  const found = v.findings.map(
    (f) => `      <system-out>${xml(`${f.id}: ${f.title}`)}</system-out>`,
  )
  if (inside === undefined && found.length === 0) return [`${head}/>`]
  return [`${head}>`, ...(inside === undefined ? [] : [inside]), ...found, '    </testcase>']
}

function insideOf(word: string, standing: Standing, reason: string): string | undefined {
  const message = `message="${xml(reason)}"`
  if (standing === 'skipped') return `      <skipped ${message}/>`
  if (standing === 'open' || standing === 'failed') {
    return `      <error type="${standing === 'open' ? 'inconclusive' : 'set-up'}" ${message}/>`
  }
  if (standing === 'expected') return undefined
  return `      <failure type="${word}" ${message}/>`
}

/** KTAP, as the kernel's own tests print it: a line for each cell. */

import { isGood } from '../../app/standing.js'
import type { Verdict } from '../../app/verdict.js'
import type { Format } from '../format.js'

export const format: Format = {
  doc: "KTAP, the kernel's test protocol: ok is what was explored to its end and is as expected",
  wants: () => [],
  render: ({ cells }) =>
    [
      'KTAP version 1',
      `1..${cells.length}`,
      ...cells.flatMap((c, i) => lines(c.verdict, i + 1)),
    ].join('\n'),
}

/** A `#` begins a directive, and a line break ends the line. */
function plain(text: string): string {
  return text.replace(/[#\s]+/g, ' ')
}

function lines(v: Verdict, number: number): string[] {
  const skip = v.verdict === 'skipped' ? ` # SKIP ${plain(v.reason ?? '')}` : ''
  const found = v.findings.map((f) => f.id).join(', ')
  const proof = v.proof === undefined ? '' : ` (${v.proof}, ${v.states} states)`
  const good = v.verdict === 'skipped' || isGood(v)
  return [
    `${good ? 'ok' : 'not ok'} ${number} ${v.scenario} ${v.design}${skip}`,
    `# ${v.verdict}${found === '' ? '' : `: ${found}`}${proof}`,
    ...(v.reason === undefined || v.verdict === 'skipped' ? [] : [`# ${plain(v.reason)}`]),
  ]
}

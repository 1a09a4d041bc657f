/** For a mail to a list: what was found, the shortest execution, and how to run it again. */
import type { CellResult } from '../../app/results.js'
import { standingOf } from '../../app/standing.js'
import type { Story } from '../../app/story.js'
import { cellTitle, type Finding } from '../../app/verdict.js'
import { renderColumns } from '../columns.js'
import type { Format, Look } from '../format.js'
import { LETTER_WIDTH, PLAIN, wrap } from '../paint.js'
import { quoted } from '../quote.js'
import { replayLines } from '../suggest.js'
import { proofLine } from '../verdict.js'

/** What a mail is about: what is not as it should be; else, all that was found. */
function subjects(cells: readonly CellResult[]): readonly CellResult[] {
  const found = cells.filter((c) => c.verdict.findings.length > 0)
  const wrong = found.filter((c) => standingOf(c.verdict) !== 'expected')
  return wrong.length > 0 ? wrong : found
}

export const format: Format = {
  doc: 'text for a mail: findings with their executions, in 72 columns',
  wants: ({ cells }) =>
    subjects(cells).flatMap((c) => c.verdict.findings.slice(0, 1).map((f) => [c, f] as const)),
  render: ({ cells }, stories, look) => {
    const told = subjects(cells).flatMap((c) => {
      const [finding] = c.verdict.findings
      return finding === undefined ? [] : [letter(c, finding, stories.get(finding), look)]
    })
    if (told.length > 0) return told.join(`\n\n${'-'.repeat(LETTER_WIDTH)}\n\n`)
    return cells
      .flatMap(({ verdict: v }) => [`${cellTitle(v)}: ${v.verdict}`, proofLine(v)])
      .map((line) => wrap(line, LETTER_WIDTH, ''))
      .join('\n')
  },
}

function letter(
  cell: CellResult,
  finding: Finding,
  story: Story | undefined,
  { command }: Look,
): string {
  const { file, design, verdict } = cell
  const others = verdict.findings.slice(1).map((f) => f.id)
  return [
    wrap(`${design.id}: ${finding.id} in ${finding.function}()`, LETTER_WIDTH, ''),
    '',
    wrap(file.scenario.question, LETTER_WIDTH, ''),
    '',
    wrap(`${finding.title}.`, LETTER_WIDTH, ''),
    ...(others.length === 0 ? [] : [wrap(`Also: ${others.join(', ')}.`, LETTER_WIDTH, '')]),
    '',
    'The scenario:',
    '',
    quoted(file.text),
    '',
    ...(story === undefined
      ? []
      : [renderColumns(story.trace, { paint: PLAIN, width: LETTER_WIDTH }, story.hindsight), '']),
    wrap(`Explored: ${proofLine(verdict)}.`, LETTER_WIDTH, ''),
    '',
    'To see it again:',
    '',
    replayLines(cell, finding, command, '  ', LETTER_WIDTH),
  ].join('\n')
}

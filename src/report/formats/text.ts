/** For people: of one scenario everything, with the execution that shows the finding; else a matrix. */
import type { CellResult, Results } from '../../app/results.js'
import { standingOf } from '../../app/standing.js'
import { renderColumns } from '../columns.js'
import { type Format, type Look, ofOneScenario, type Stories } from '../format.js'
import { coverage, crossSummary, renderMatrix } from '../matrix.js'
import { replayLines, shellWord } from '../suggest.js'
import { renderVerdict } from '../verdict.js'

export const format: Format = {
  doc: 'text for people (the default)',
  wants: (results) => ofOneScenario(results, (all) => all.slice(0, 1)),
  render: (results, stories, look) => {
    if (results.cells.length === 0) return coverage(results)
    const files = new Set(results.cells.map((c) => c.file))
    return files.size === 1 ? inFull(results, stories, look) : inShort(results, look)
  },
}

/** One scenario: a line that sums up, if there are several verdicts, then each of them. */
function inFull(results: Results, stories: Stories, look: Look): string {
  const groups = look.named ? results.cells.map((c) => [c]) : groupsOf(results.cells)
  const told = groups.map((cells) => withStory(cells, stories, look))
  const head = results.cells.length > 1 ? [coverage(results)] : []
  return [...head, ...told].join('\n\n')
}

/** Cells of which the same is to be said: all but the effort, and how it was found. */
function groupsOf(cells: readonly CellResult[]): CellResult[][] {
  const groups = new Map<string, CellResult[]>()
  for (const c of cells) {
    const { verdict, proof, asExpected, reason, findings, outcomes } = c.verdict
    const found = findings.map((f) => [f.id, f.title, f.first])
    const values = outcomes.map((o) => JSON.stringify(o.values)).sort()
    const key = JSON.stringify([verdict, proof, asExpected, reason, found, values])
    groups.set(key, [...(groups.get(key) ?? []), c])
  }
  return [...groups.values()]
}

/** A verdict, and the execution that shows its first finding, as columns. */
function withStory(cells: readonly CellResult[], stories: Stories, look: Look): string {
  const [cell] = cells as [CellResult]
  const designs = cells.map((c) => c.design.id)
  const text = renderVerdict(cell, look, designs)
  const [finding] = cell.verdict.findings
  const story = finding && stories.get(finding)
  if (finding === undefined || story === undefined) return text
  const { trace, hindsight } = story
  return [text, '', renderColumns(trace, look, hindsight)].join('\n')
}

/** A matrix for each host; the machine without one is a host like others. */
function matrices(cells: readonly CellResult[], look: Look): string[] {
  const hosts = [...new Set(cells.map((c) => c.design.design.host?.id))]
  return hosts.map((host, i) => {
    const verdicts = cells.filter((c) => c.design.design.host?.id === host).map((c) => c.verdict)
    const matrix = renderMatrix(
      [...new Set(verdicts.map((v) => v.scenario))],
      [...new Set(verdicts.map((v) => v.design))],
      verdicts,
      look,
    )
    return i === 0 ? matrix : `\n${matrix}`
  })
}

/** Many scenarios: the matrix, how much it is worth, and whatever is not as it should be. */
function inShort(results: Results, look: Look): string {
  const { cells } = results
  const verdicts = cells.map((c) => c.verdict)
  const unexpected = cells.filter((c) => ['unexpected', 'finding'].includes(standingOf(c.verdict)))
  return [
    ...matrices(cells, look),
    `\n${coverage(results)}`,
    ...(verdicts.some((v) => v.cross !== undefined) ? [crossSummary(verdicts)] : []),
    ...unexpected.map((c) => `\n${renderVerdict(c, look)}`),
    ...(look.named ? [] : suggestions(cells, look)),
  ].join('\n')
}

/** What to do next, with a token that works. */
function suggestions(cells: readonly CellResult[], { paint, command }: Look): string[] {
  const shown = cells.find((c) => c.verdict.findings.length > 0)
  const finding = shown?.verdict.findings[0]
  if (shown === undefined || finding === undefined) return []
  const { name } = shown.file.scenario
  const wrong = shellWord(command.packaged('examples/wrong.ts'))
  return [
    '',
    paint.bold('Next'),
    `  ${command.program} check ${name}`,
    `  ${command.program} check -d ${wrong} migration/guest-touch-vs-compaction`,
    replayLines(shown, finding, command, '  '),
  ]
}

/** For programs: one object, as `docs/results.schema.json` describes it. */
import type { CellResult } from '../../app/results.js'
import { type Story, tokenOf } from '../../app/story.js'
import type { Finding } from '../../app/verdict.js'
import { type Format, ofOneScenario, type Stories } from '../format.js'
import { warningsOf } from '../warnings.js'

export const SCHEMA = 'restrictedmem-results-2'

export const format: Format = {
  doc: 'one JSON object for programs; docs/results.schema.json describes it',
  wants: (results) => ofOneScenario(results, (all) => all.filter((f) => f.first)),
  render: (results, stories) =>
    JSON.stringify(
      {
        schema: SCHEMA,
        tool: { name: 'restrictedmem', version: results.version },
        interrupted: results.interrupted,
        results: results.cells.map((c) => resultOf(c, stories)),
      },
      undefined,
      2,
    ),
}

function resultOf(cell: CellResult, stories: Stories): object {
  const { findings, outcomes, ms, ...facts } = cell.verdict
  return {
    ...facts,
    ms: Math.round(ms),
    findings: findings.map((f) => findingOf(cell, f, stories.get(f))),
    outcomes: outcomes.map((o) => ({ values: o.values, token: tokenOf(cell, o.schedule) })),
    warnings: warningsOf(cell),
  }
}

function findingOf(cell: CellResult, finding: Finding, story: Story | undefined): object {
  const { schedule, ...facts } = finding
  return { ...facts, token: tokenOf(cell, schedule), hindsight: story?.hindsight }
}

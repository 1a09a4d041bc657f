/** SARIF 2.1.0, which code hosting shows beside the files: a result for each finding. */
import type { CellResult } from '../../app/results.js'
import { standingOf } from '../../app/standing.js'
import { tokenOf } from '../../app/story.js'
import type { Finding } from '../../app/verdict.js'
import { FINDING_KINDS } from '../../sanitizers/index.js'
import type { Format } from '../format.js'

export const format: Format = {
  doc: 'SARIF 2.1.0, for tools that show findings beside code',
  wants: () => [],
  render: ({ cells, version }) => {
    const found = cells.flatMap((c) => c.verdict.findings.map((f) => [c, f] as const))
    const ids = [...new Set(found.map(([, f]) => f.id))].sort()
    const driver = { name: 'restrictedmem', version, rules: ids.map(ruleOf) }
    const results = found.map(([c, f]) => resultOf(c, f, ids))
    const log = {
      $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
      version: '2.1.0',
      runs: [{ tool: { driver }, results }],
    }
    return JSON.stringify(log, undefined, 2)
  },
}

function ruleOf(id: string): object {
  const kind = FINDING_KINDS.find((k) => k.id === id)
  return { id, shortDescription: { text: kind?.sentence ?? id } }
}

/** A finding that the scenario expects is a note: it is there, and known. */
function resultOf(cell: CellResult, finding: Finding, ids: readonly string[]): object {
  const { file, design, verdict } = cell
  const expected = standingOf(verdict) === 'expected' || !finding.first
  const where = `${finding.task} in ${finding.function}`
  const text = `${finding.title} (${file.scenario.name} on ${design.id}, ${where})`
  const uri = file.path.replaceAll('\\', '/')
  return {
    ruleId: finding.id,
    ruleIndex: ids.indexOf(finding.id),
    level: expected ? 'note' : 'error',
    message: { text },
    locations: [{ physicalLocation: { artifactLocation: { uri }, region: { startLine: 1 } } }],
    partialFingerprints: { 'token/1': tokenOf(cell, finding.schedule) },
  }
}

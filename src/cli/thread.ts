/** `thread`: the table of what the mailing list argued about, from cells that are checked now. */
import { resolveDesigns } from '../app/host/designs.js'
import { check } from '../app/host/run.js'
import { readScenarios } from '../app/host/scenarios.js'
import type { CellResult, LoadedDesign } from '../app/results.js'
import { replayLines } from '../report/suggest.js'
import { renderThread, threadCells } from '../report/thread.js'
import { exitCodeOf } from './exit-codes.js'
import { lookFor, out, ProgressLine, say } from './terminal.js'

/** Check all cells of the table and print it; with `tokens` also how to replay each finding. */
export async function thread(tokens: boolean): Promise<number> {
  const cells = threadCells()
  const designs = await resolveDesigns([...new Set(cells.map((c) => c.design))])
  const results: CellResult[] = []
  const progress = new ProgressLine()
  // Scenarios by the designs that they are wanted on, so that nothing else is checked.
  for (const [key, names] of groups(cells)) {
    const wanted = designs.filter((d) => key.split(' ').includes(d.id))
    results.push(...(await checked(names, wanted, progress)))
  }
  progress.clear()
  const find = (scenario: string, design: string): CellResult | undefined =>
    results.find((r) => r.verdict.scenario === scenario && r.verdict.design === design)
  out(renderThread((c) => find(c.scenario, c.design)?.verdict))
  if (tokens) {
    const { command } = lookFor(process.stdout, true)
    for (const r of results) {
      const [finding] = r.verdict.findings
      if (finding === undefined) continue
      out(`\n${r.verdict.scenario} on ${r.verdict.design}: ${finding.id}`)
      out(replayLines(r, finding, command, '  '))
    }
  }
  return exitCodeOf(results.map((r) => r.verdict))
}

/** Names of scenarios by the designs, in one text, that they are wanted on. */
function groups(cells: ReturnType<typeof threadCells>): ReadonlyMap<string, readonly string[]> {
  const byKey = new Map<string, string[]>()
  for (const scenario of new Set(cells.map((c) => c.scenario))) {
    const key = cells
      .filter((c) => c.scenario === scenario)
      .map((c) => c.design)
      .sort()
      .join(' ')
    byKey.set(key, [...(byKey.get(key) ?? []), scenario])
  }
  return byKey
}

async function checked(
  names: readonly string[],
  designs: readonly LoadedDesign[],
  progress: ProgressLine,
): Promise<readonly CellResult[]> {
  const ids = designs.map((d) => d.id)
  const results = await check({
    scenarios: readScenarios(names, ids),
    designs,
    onProgress: (p) => progress.update(p),
    onNotice: say,
  })
  return results.cells
}

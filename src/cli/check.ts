/** `check` and the matrix: from names to verdicts to text. */
import { availableParallelism } from 'node:os'
import type { Design } from '../designs/design.js'
import { DESIGNS } from '../designs/index.js'
import { LOOK_BACK, lookBack } from '../explore/hindsight.js'
import { replayScenario } from '../explore/replay.js'
import { decodeToken } from '../explore/token.js'
import type { Verdict } from '../explore/verdict.js'
import { renderColumns } from '../report/columns.js'
import { renderJson, renderKtap } from '../report/machine-readable.js'
import { coverage, crossSummary, renderMatrix } from '../report/matrix.js'
import type { Paint } from '../report/paint.js'
import { tokenLines } from '../report/paint.js'
import { renderVerdict } from '../report/verdict.js'
import { EXIT, exitCodeOf } from './exit-codes.js'
import {
  builtInFiles,
  codeVersion,
  loadDesign,
  readScenarios,
  resolveDesign,
  type ScenarioFile,
} from './inputs.js'
import { runJobs } from './pool.js'
import { interruption, ProgressLine, paintFor } from './terminal.js'
import type { Job } from './worker.js'

export interface CheckOptions {
  readonly design: readonly string[]
  readonly bound: number | undefined
  readonly timeLimit: number | undefined
  readonly workers: number | undefined
  /** Random executions of each cell instead of a search, and the seed. */
  readonly sample: number | undefined
  readonly seed: number
  /** Executions for a second opinion on each cell. */
  readonly cross: number | undefined
  readonly format: 'text' | 'json' | 'ktap'
}

/** Check scenarios on designs and print the result; returns the exit code. */
export async function check(paths: readonly string[], options: CheckOptions): Promise<number> {
  const designs =
    options.design.length > 0
      ? await Promise.all(options.design.map(resolveDesign))
      : DESIGNS.map((d) => ({ id: d.id, module: undefined }))
  const isMatrix = paths.length === 0
  const files = readScenarios(
    isMatrix ? builtInFiles() : paths,
    designs.map((d) => d.id),
  )
  const jobs: Job[] = files.flatMap((f) =>
    designs.map((design) => ({
      number: 0,
      text: f.text,
      design,
      bound: options.bound,
      cross: options.cross,
      sample: options.sample,
      seed: options.seed,
      timeLimitMs: options.timeLimit === undefined ? undefined : options.timeLimit * 1000,
    })),
  )
  const numbered = jobs.map((j, number) => ({ ...j, number }))
  const progress = new ProgressLine()
  const start = performance.now()
  const { promise, release } = interruption()
  const threads = options.workers ?? Math.min(2, availableParallelism())
  const run = await runJobs(numbered, threads, (p) => progress.update(p), promise)
  release()
  progress.clear()
  const seconds = (performance.now() - start) / 1000
  const loaded = await Promise.all(designs.map(loadDesign))
  print(files, loaded, run.verdicts, options, isMatrix, seconds)
  if (!run.interrupted) return exitCodeOf(run.verdicts)
  const open = jobs.length - run.verdicts.filter((v) => !v.stopped).length
  process.stderr.write(`interrupted: ${open} of ${jobs.length} cells were not finished\n`)
  return EXIT.INTERRUPTED
}

function print(
  files: readonly ScenarioFile[],
  designs: readonly Design[],
  verdicts: readonly Verdict[],
  options: CheckOptions,
  isMatrix: boolean,
  seconds: number,
): void {
  const paint = paintFor(process.stdout)
  const out = (text: string): void => {
    process.stdout.write(`${text}\n`)
  }
  if (options.format === 'json') {
    const [only, ...others] = files
    const told =
      only === undefined || others.length > 0
        ? verdicts
        : verdicts.map((v) => withHindsight(v, only, designs))
    out(renderJson(told, codeVersion().version))
  } else if (options.format === 'ktap') out(renderKtap(verdicts))
  else if (files.length === 1)
    out(verdicts.map((v) => withStory(v, files, designs, paint)).join('\n\n'))
  else {
    const names = files.map((f) => f.scenario.name)
    out(
      renderMatrix(
        names,
        designs.map((d) => d.id),
        verdicts,
        paint,
      ),
    )
    out(`\n${coverage(verdicts, seconds)}`)
    if (options.cross !== undefined) out(crossSummary(verdicts))
    for (const v of verdicts) if (v.asExpected === false) out(`\n${renderVerdict(v, paint)}`)
    if (isMatrix) out(suggestions(verdicts, paint))
  }
}

/** A verdict whose findings, those that come first, say what is known in hindsight. */
function withHindsight(v: Verdict, file: ScenarioFile, designs: readonly Design[]): Verdict {
  const design = designs.find((d) => d.id === v.design)
  if (design === undefined) return v
  const findings = v.findings.map((f) => {
    if (!f.first) return f
    const { schedule } = decodeToken(f.token)
    return { ...f, hindsight: lookBack(file.scenario, design, schedule, f.id, LOOK_BACK) }
  })
  return { ...v, findings }
}

/** A verdict, and the execution that shows its first finding, as columns. */
function withStory(
  v: Verdict,
  files: readonly ScenarioFile[],
  designs: readonly Design[],
  paint: Paint,
): string {
  const text = renderVerdict(v, paint)
  const [finding] = v.findings
  const file = files.find((f) => f.scenario.name === v.scenario)
  const design = designs.find((d) => d.id === v.design)
  if (finding === undefined || file === undefined || design === undefined) return text
  const { schedule } = decodeToken(finding.token)
  const { trace } = replayScenario(file.scenario, design, schedule, 'lowered')
  const hindsight = lookBack(file.scenario, design, schedule, finding.id, LOOK_BACK)
  return `${text}\n\n${renderColumns(trace, paint, hindsight)}`
}

/** What to do next, with a token that works. */
function suggestions(verdicts: readonly Verdict[], paint: Paint): string {
  const shown =
    verdicts.find((v) => v.scenario === 'migration/guest-touch-vs-compaction' && v.findings[0]) ??
    verdicts.find((v) => v.findings[0])
  const lines = [
    '',
    paint.bold('Next'),
    '  npx restrictedmem check migration/guest-touch-vs-compaction',
    '  npx restrictedmem check -d examples/wrong.ts migration/guest-touch-vs-compaction',
  ]
  const token = shown?.findings[0]?.token
  if (token !== undefined) lines.push('  npx restrictedmem replay \\', tokenLines(token, '    '))
  return lines.join('\n')
}

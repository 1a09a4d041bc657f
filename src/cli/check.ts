/** `check` and the matrix: from names to verdicts to text. */
import { availableParallelism } from 'node:os'
import type { Design } from '../designs/design.js'
import { DESIGNS } from '../designs/index.js'
import { LOOK_BACK, lookBack } from '../explore/tell/hindsight.js'
import { replayScenario } from '../explore/tell/replay.js'
import { decodeToken } from '../explore/token.js'
import type { Verdict } from '../explore/verdict.js'
import { renderColumns } from '../report/columns.js'
import { renderJson, renderKtap } from '../report/machine-readable.js'
import { coverage, crossSummary, renderMatrix } from '../report/matrix.js'
import type { Paint } from '../report/paint.js'
import { tokenLines } from '../report/paint.js'
import { renderVerdict } from '../report/verdict.js'
import { recall, remember } from './cache.js'
import { EXIT, exitCodeOf } from './exit-codes.js'
import {
  builtInFiles,
  codeVersion,
  loadDesign,
  readScenarios,
  resolveDesign,
  type ScenarioFile,
  UserError,
} from './inputs.js'
import { type Progress, runJobs } from './pool.js'
import { interruption, ProgressLine, paintFor } from './terminal.js'
import { runTogether } from './together.js'
import type { Job, JobEffort } from './worker.js'

export interface CheckOptions {
  readonly design: readonly string[]
  readonly effort: JobEffort
  readonly workers: number | undefined
  /** File for the model of the only cell. */
  readonly promela: string | undefined
  /** Use verdicts of earlier runs, and keep those of this one. */
  readonly cache: boolean
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
  const cells = files.flatMap((f) => designs.map((design) => ({ text: f.text, design })))
  const { effort } = options
  if (effort.checkpoint !== undefined && cells.length !== 1) {
    const count = `this check has ${cells.length} cells`
    throw new UserError(`--checkpoint is for one scenario on one design; ${count}`)
  }
  if (options.promela !== undefined) {
    const [file, ...others] = files
    const [ref] = designs
    if (file === undefined || ref === undefined || others.length + designs.length > 1) {
      throw new UserError(`--promela is for one scenario on one design; ${cells.length} are named`)
    }
    // Only now: making models needs the whole of TypeScript.
    const { writeModel } = await import('./promela.js')
    for (const gap of writeModel(file.scenario, await loadDesign(ref), options.promela)) {
      process.stderr.write(`not in the model: ${gap}\n`)
    }
  }
  const jobs: Job[] = cells.map((c, number) => ({ number, ...c, effort }))
  const known = new Map<number, Verdict>()
  if (options.cache) {
    for (const j of jobs) {
      const verdict = recall(j)
      if (verdict !== undefined) known.set(j.number, verdict)
    }
  }
  const open = jobs.filter((j) => !known.has(j.number))
  const progress = new ProgressLine()
  const start = performance.now()
  const { promise, release } = interruption()
  const threads = options.workers ?? Math.min(2, availableParallelism())
  const [only] = open
  const together = open.length === 1 && isForSeveral(effort) && (options.workers ?? 1) > 1
  const onProgress = (p: Progress): void => progress.update(p)
  const run =
    together && only !== undefined
      ? await runTogether(only, threads, onProgress, promise)
      : await runJobs(open, threads, onProgress, promise)
  release()
  progress.clear()
  const seconds = (performance.now() - start) / 1000
  run.verdicts.forEach((v, i) => {
    if (v === undefined) return
    const job = open[i] as Job
    known.set(job.number, v)
    if (options.cache) remember(job, v)
  })
  const loaded = await Promise.all(designs.map(loadDesign))
  const verdicts = jobs.flatMap((j) => known.get(j.number) ?? [])
  print(files, loaded, verdicts, options, isMatrix, seconds)
  if (!run.interrupted) return exitCodeOf(verdicts)
  const unfinished = jobs.length - verdicts.filter((v) => !v.stopped).length
  process.stderr.write(`interrupted: ${unfinished} of ${jobs.length} cells were not finished\n`)
  return EXIT.INTERRUPTED
}

/** Only an exhaustive search by fingerprints can be shared, and it has no checkpoints then. */
function isForSeveral({ bound, find, exact, checkpoint, sample }: JobEffort): boolean {
  const plain = bound === undefined && !find && !exact
  return plain && checkpoint === undefined && sample === undefined
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
    if (options.effort.cross !== undefined) out(crossSummary(verdicts))
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

/** Check scenarios on designs: from what is named to verdicts, printing nothing. */
import { availableParallelism } from 'node:os'
import { isExhaustive, type Limits, type Question } from '../ask.js'
import { UserError } from '../error.js'
import { knownNames } from '../known.js'
import type { CellResult, LoadedDesign, Progress, Results, ScenarioFile } from '../results.js'
import type { Verdict } from '../verdict.js'
import { recall, remember } from './cache.js'
import { claim } from './claim.js'
import { tokenHash } from './designs.js'
import type { Job, Listener, Run } from './job.js'
import { usualBytes } from './memory.js'
import { assertSameCode, CODE } from './package.js'
import { runJobs } from './pool.js'
import { runTogether } from './together.js'

/** Worker threads that a run may have: more would only wait for one another. */
export const MOST_WORKERS = 64

export interface CheckRequest {
  readonly scenarios: readonly ScenarioFile[]
  readonly designs: readonly LoadedDesign[]
  readonly question?: Question
  /** For each cell. */
  readonly limits?: Limits
  /** Worker threads; several may share the only cell. */
  readonly workers?: number | undefined
  /** Use verdicts of earlier runs, and keep those of this one. True if left out. */
  readonly cache?: boolean
  /** Of the only cell: file from which to go on, if it exists, and to which to save. */
  readonly checkpoint?: string | undefined
  /** Which cells, by number in the order of scenarios, then designs; all if left out. */
  readonly only?: ((cell: number) => boolean) | undefined
  /** Who answers, if not worker threads of this process. */
  readonly answer?: Answer | undefined
  readonly onProgress?: (p: Progress) => void
  readonly onNotice?: (text: string) => void
  /** Stops all searches; what was seen until then is returned. */
  readonly signal?: AbortSignal
}

/** Verdicts on jobs, in their order. */
export type Answer = (jobs: readonly Job[], listener: Listener) => Promise<Run>

/** Check every scenario on every design. @throws UserError */
export async function check(request: CheckRequest): Promise<Results> {
  const start = performance.now()
  const { question = {}, checkpoint, cache = true, workers, only = () => true, answer } = request
  const all = jobsOf(request)
  const jobs = all.filter((j) => only(j.number))
  if (workers !== undefined && !(workers >= 1 && workers <= MOST_WORKERS)) {
    throw new UserError(`there can be 1 to ${MOST_WORKERS} workers, not ${workers}`)
  }
  const useCache = cache && checkpoint === undefined
  const verdicts: (Verdict | undefined)[] = all.map(() => undefined)
  if (useCache) for (const j of jobs) verdicts[j.number] = recall(j)
  const open = jobs.filter((j) => verdicts[j.number] === undefined)
  const threads = workers ?? Math.min(2, availableParallelism())
  const plain = isExhaustive(question) && question.exact !== true && checkpoint === undefined
  const single = open.length === 1 && plain ? open[0] : undefined
  const release = checkpoint === undefined ? undefined : claim(checkpoint)
  const here: Answer = (open, listener) => {
    if (single !== undefined && workers !== undefined && threads > 1) {
      return runTogether(bounded(single, 1), threads, listener)
    }
    const jobs = open.map((j) => bounded(j, threads))
    return runJobs(jobs, { threads, here: workers === undefined }, listener)
  }
  let run: Run
  try {
    run = await (answer ?? here)(open, listenerOf(request))
  } finally {
    release?.()
  }
  assertSameCode()
  keep(open, run, verdicts, useCache)
  return {
    version: CODE.version,
    cells: cellsOf(request, verdicts),
    asked: jobs.length,
    interrupted: run.interrupted,
    seconds: (performance.now() - start) / 1000,
  }
}

/** A job that takes no more memory than the machine has, with so many of them at a time. */
function bounded(job: Job, threads: number): Job {
  const bytes = job.limits.bytes ?? usualBytes(threads)
  return { ...job, limits: { ...job.limits, bytes } }
}

function listenerOf({ onProgress, onNotice, signal }: CheckRequest): Listener {
  return {
    onProgress: onProgress ?? (() => {}),
    onNotice: onNotice ?? (() => {}),
    signal: signal ?? new AbortController().signal,
  }
}

function jobsOf(request: CheckRequest): Job[] {
  const { scenarios, designs, question = {}, limits = {}, checkpoint } = request
  const known = knownNames(designs.map((d) => d.id))
  const jobs = scenarios.flatMap((f) =>
    designs.map(({ id, module, identity }): Omit<Job, 'number'> => {
      const design = { id, module, identity }
      return { text: f.text, known, design, question, limits, checkpoint }
    }),
  )
  if (checkpoint !== undefined && jobs.length !== 1) {
    throw new UserError(
      `a checkpoint is for one scenario on one design; this check has ${jobs.length} cells`,
    )
  }
  return jobs.map((j, number) => ({ number, ...j }))
}

/** Put the verdicts of a run where they belong. */
function keep(
  open: readonly Job[],
  run: Run,
  verdicts: (Verdict | undefined)[],
  useCache: boolean,
): void {
  for (const [i, verdict] of run.verdicts.entries()) {
    const job = open[i]
    if (verdict === undefined || job === undefined) continue
    verdicts[job.number] = verdict
    if (useCache) remember(job, verdict)
  }
}

function cellsOf(
  { scenarios, designs }: CheckRequest,
  verdicts: readonly (Verdict | undefined)[],
): CellResult[] {
  const cells = scenarios.flatMap((file) => designs.map((design) => ({ file, design })))
  return cells.flatMap((cell, i) => {
    const verdict = verdicts[i]
    if (verdict === undefined) return []
    return [{ ...cell, verdict, hash: tokenHash(cell.file.text, cell.design) }]
  })
}

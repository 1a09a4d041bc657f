/** A worker thread: checks one cell after the other. */
import { parentPort, workerData } from 'node:worker_threads'
import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import type { Design } from '../designs/design.js'
import { type CellSnapshot, checkScenario, type Effort, gathered } from '../explore/check.js'
import { type AskModel, crossCheck } from '../explore/cross.js'
import { sampleScenario } from '../explore/sampled.js'
import { concludeShares, exploreShare, type ShareResult } from '../explore/shares.js'
import type { Share } from '../explore/states/shared.js'
import { hash32 } from '../explore/token.js'
import type { Verdict } from '../explore/verdict.js'
import { readScenario, type Scenario } from '../litmus/scenario.js'
import { FINDING_KINDS } from '../sanitizers/index.js'
import { dropCheckpoint, readCheckpoint, saveCheckpoint } from './checkpoint.js'
import { type DesignRef, loadDesign, tokenHash, UserError } from './inputs.js'

export interface Job {
  readonly number: number
  readonly text: string
  readonly design: DesignRef
  readonly effort: JobEffort
  /** The worker is one of several for this job. */
  readonly share?: Share
  /** What all of them have seen; this worker is to put it together. */
  readonly shares?: readonly (ShareResult | undefined)[]
  /** When the job was begun, by `Date.now()`. */
  readonly begun?: number
}

/** What is asked of a job, in data that can be sent to a worker. */
export interface JobEffort {
  /** Most preemptions, undefined for all. */
  readonly bound: number | undefined
  /** Look for the first finding only. */
  readonly find: boolean
  /** Compare whole states. */
  readonly exact: boolean
  /** Limits; undefined for none. */
  readonly timeLimitMs: number | undefined
  readonly memoryBytes: number | undefined
  /** File from which to go on, if it exists, and to which to save. */
  readonly checkpoint: string | undefined
  /** Run so many random executions, of this seed, instead of a search. */
  readonly sample: number | undefined
  readonly seed: number
  /** Executions that a second search may take; undefined for no second search. */
  readonly cross: number | undefined
}

export type Message =
  | {
      readonly kind: 'progress'
      readonly job: number
      readonly states: number
      readonly depth: number
      readonly bytes: number
    }
  | { readonly kind: 'verdict'; readonly job: number; readonly verdict: Verdict }
  | { readonly kind: 'share'; readonly job: number; readonly share: ShareResult | undefined }
  /** What several workers have seen can't be put together. */
  | { readonly kind: 'alone'; readonly job: number }
  | { readonly kind: 'bug'; readonly job: number; readonly text: string }
  /** A mistake of the user's that only the worker could see. */
  | { readonly kind: 'mistake'; readonly job: number; readonly text: string }

/** Not 0 when the main thread wants to hear what there is. */
const stop = workerData as Int32Array

const loaded = new Map<string, Design>()

/** Each design's module is loaded once: it declares kernel functions. */
async function designOf(ref: DesignRef): Promise<Design> {
  const known = loaded.get(ref.id) ?? (await loadDesign(ref))
  loaded.set(ref.id, known)
  return known
}

/** The scenario read last: the cells of one scenario follow one another. */
let latest: { text: string; scenario: Scenario } | undefined

/** The main thread has checked the names in it; here every name that the text has is known. */
function scenarioOf(text: string): Scenario {
  if (latest?.text !== text) {
    const designs = text.match(/[\w.-]+/g) ?? []
    const findings = FINDING_KINDS.map((k) => k.id)
    latest = { text, scenario: readScenario(text, { designs, findings }) }
  }
  return latest.scenario
}

async function run(job: Job): Promise<Message> {
  const design = await designOf(job.design)
  const scenario = scenarioOf(job.text)
  const hash = tokenHash(job.text, job.design)
  const { timeLimitMs, checkpoint, sample } = job.effort
  const start = performance.now()
  const mayGoOn = (): boolean => {
    if (Atomics.load(stop, 0) !== 0) return false
    return timeLimitMs === undefined || performance.now() - start < timeLimitMs
  }
  const { number } = job
  const say = (verdict: Verdict): Message => ({ kind: 'verdict', job: number, verdict })
  if (sample !== undefined) return say(sampled(scenario, design, job, sample, mayGoOn))
  const saver = checkpoint === undefined ? undefined : new Saver(checkpoint, hash)
  const effort = effortOf(job, saver, mayGoOn)
  if (job.share !== undefined) {
    return { kind: 'share', job: number, share: exploreShare(scenario, design, effort, job.share) }
  }
  const begun = start - (Date.now() - (job.begun ?? Date.now()))
  const checked =
    job.shares === undefined
      ? checkScenario(scenario, design, hash, effort)
      : concludeShares(scenario, design, hash, effort, job.shares, begun)
  if (checked === undefined) return { kind: 'alone', job: number }
  if (!checked.stopped) saver?.drop()
  return say(await explained(scenario, design, checked, job, mayGoOn, start))
}

/** With its findings told in few blocks; those that only follow another one stay as they are. */
function briefly(scenario: Scenario, design: Design, verdict: Verdict): Verdict {
  const findings = verdict.findings.map((f) => (f.first ? gathered(scenario, design, f) : f))
  return { ...verdict, findings }
}

/** With findings in their shortest form, and what other searches say, if they are asked. */
async function explained(
  scenario: Scenario,
  design: Design,
  checked: Verdict,
  job: Job,
  keepGoing: () => boolean,
  start: number,
): Promise<Verdict> {
  const { cross, timeLimitMs } = job.effort
  const verdict = briefly(scenario, design, checked)
  if (cross === undefined || verdict.verdict === 'skipped') return verdict
  // Only now: making models needs the whole of TypeScript.
  const { askSpin } = await import('./promela.js')
  const askModel: AskModel = (s, d) => {
    const left = timeLimitMs === undefined ? undefined : timeLimitMs - (performance.now() - start)
    return askSpin(s, d, left)
  }
  const limits = { executions: cross, keepGoing }
  return { ...verdict, cross: crossCheck(scenario, design, limits, askModel) }
}

function effortOf(job: Job, saver: Saver | undefined, mayGoOn: () => boolean): Effort {
  const { bound, find, exact, memoryBytes } = job.effort
  return {
    bound,
    minimise: bound === undefined && !find,
    find,
    exact,
    memory: memoryBytes,
    resume: saver?.resume(),
    now: () => performance.now(),
    keepGoing: (states, depth, { bytes, snapshot }) => {
      send({ kind: 'progress', job: job.number, states, depth, bytes })
      const goOn = mayGoOn()
      if (snapshot !== undefined) saver?.save(snapshot, !goOn)
      return goOn
    },
  }
}

function sampled(
  scenario: Scenario,
  design: Design,
  job: Job,
  runs: number,
  keepGoing: () => boolean,
): Verdict {
  const { seed } = job.effort
  // Of its own for each cell, whichever others are asked for.
  const random = xoroshiro128plus(seed ^ hash32(`${scenario.name} ${design.id}`))
  const verdict = sampleScenario(scenario, design, tokenHash(job.text, job.design), {
    runs,
    draw: (n) => uniformInt(random, 0, n - 1),
    keepGoing,
    now: () => performance.now(),
  })
  return { ...briefly(scenario, design, verdict), seed }
}

/** Saves now and then, so rarely that it costs little of the time. */
class Saver {
  readonly #path: string
  readonly #belongsTo: string
  #next = performance.now() + FIRST_SAVE

  constructor(path: string, belongsTo: string) {
    this.#path = path
    this.#belongsTo = belongsTo
  }

  resume(): CellSnapshot | undefined {
    return readCheckpoint(this.#path, this.#belongsTo)
  }

  save(snapshot: () => CellSnapshot, now: boolean): void {
    const start = performance.now()
    if (!now && start < this.#next) return
    saveCheckpoint(this.#path, this.#belongsTo, snapshot())
    const cost = performance.now() - start
    this.#next = start + Math.max(LEAST_INTERVAL, 20 * cost)
  }

  drop(): void {
    dropCheckpoint(this.#path)
  }
}

/** In milliseconds. */
const FIRST_SAVE = 2000
const LEAST_INTERVAL = 10_000

function send(message: Message): void {
  parentPort?.postMessage(message)
}

parentPort?.on('message', (job: Job) => {
  run(job).then(send, (error: Error) => {
    if (error instanceof UserError) send({ kind: 'mistake', job: job.number, text: error.message })
    else send({ kind: 'bug', job: job.number, text: error.stack ?? error.message })
  })
})

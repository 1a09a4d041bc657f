/** A worker thread: checks one cell after the other. */
import { parentPort, workerData } from 'node:worker_threads'
import type { Design } from '../designs/design.js'
import { DESIGNS } from '../designs/index.js'
import { type CellSnapshot, checkScenario, type Effort } from '../explore/check.js'
import type { Share } from '../explore/shared.js'
import { concludeShares, exploreShare, type ShareResult } from '../explore/shares.js'
import type { Verdict } from '../explore/verdict.js'
import { readScenario } from '../litmus/scenario.js'
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

async function run(job: Job): Promise<Message> {
  const design = await designOf(job.design)
  const known = {
    designs: [...DESIGNS.map((d) => d.id), design.id],
    findings: FINDING_KINDS.map((k) => k.id),
  }
  const scenario = readScenario(job.text, withoutRows(known, job.text))
  const hash = tokenHash(job.text, job.design)
  const { checkpoint } = job.effort
  const saver = checkpoint === undefined ? undefined : new Saver(checkpoint, hash)
  const effort = effortOf(job, saver)
  const { number } = job
  if (job.share !== undefined) {
    return { kind: 'share', job: number, share: exploreShare(scenario, design, effort, job.share) }
  }
  if (job.shares !== undefined) {
    const start = performance.now() - (Date.now() - (job.begun ?? Date.now()))
    const verdict = concludeShares(scenario, design, hash, effort, job.shares, start)
    if (verdict === undefined) return { kind: 'alone', job: number }
    return { kind: 'verdict', job: number, verdict }
  }
  const verdict = checkScenario(scenario, design, hash, effort)
  if (!verdict.stopped) saver?.drop()
  return { kind: 'verdict', job: number, verdict }
}

function effortOf(job: Job, saver: Saver | undefined): Effort {
  const { bound, find, exact, timeLimitMs, memoryBytes } = job.effort
  const start = performance.now()
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
      const isLate = timeLimitMs !== undefined && performance.now() - start >= timeLimitMs
      const goOn = Atomics.load(stop, 0) === 0 && !isLate
      if (snapshot !== undefined) saver?.save(snapshot, !goOn)
      return goOn
    },
  }
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

/** The main thread has checked the names; here every name that the text has is known. */
function withoutRows<K extends { designs: string[] }>(known: K, text: string): K {
  const names = text.match(/[\w.-]+/g) ?? []
  return { ...known, designs: [...known.designs, ...names] }
}

function send(message: Message): void {
  parentPort?.postMessage(message)
}

parentPort?.on('message', (job: Job) => {
  run(job).then(send, (error: Error) => {
    if (error instanceof UserError) send({ kind: 'mistake', job: job.number, text: error.message })
    else send({ kind: 'bug', job: job.number, text: error.stack ?? error.message })
  })
})

/** A worker thread: checks one cell after the other. */
import { parentPort, workerData } from 'node:worker_threads'
import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import type { Design } from '../designs/design.js'
import { DESIGNS } from '../designs/index.js'
import { checkScenario } from '../explore/check.js'
import { crossCheck } from '../explore/cross.js'
import { gather } from '../explore/gather.js'
import { sampleScenario } from '../explore/sample/check.js'
import { hash32 } from '../explore/token.js'
import type { Verdict } from '../explore/verdict.js'
import { readScenario, type Scenario } from '../litmus/scenario.js'
import { FINDING_KINDS } from '../sanitizers/index.js'
import { type DesignRef, loadDesign, tokenHash } from './inputs.js'

export interface Job {
  readonly number: number
  readonly text: string
  readonly design: DesignRef
  readonly bound: number | undefined
  readonly timeLimitMs: number | undefined
  /** Run so many random executions instead of a search. */
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
    }
  | { readonly kind: 'verdict'; readonly job: number; readonly verdict: Verdict }
  | { readonly kind: 'bug'; readonly job: number; readonly text: string }

/** Not 0 when the main thread wants to hear what there is. */
const stop = workerData as Int32Array

const loaded = new Map<string, Design>()

/** Each design's module is loaded once: it declares kernel functions. */
async function designOf(ref: DesignRef): Promise<Design> {
  const known = loaded.get(ref.id) ?? (await loadDesign(ref))
  loaded.set(ref.id, known)
  return known
}

async function run(job: Job): Promise<Verdict> {
  const design = await designOf(job.design)
  const known = {
    designs: [...DESIGNS.map((d) => d.id), design.id],
    findings: FINDING_KINDS.map((k) => k.id),
  }
  const scenario = readScenario(job.text, withoutRows(known, job.text))
  const start = performance.now()
  const mayGoOn = (): boolean => {
    if (Atomics.load(stop, 0) !== 0) return false
    return job.timeLimitMs === undefined || performance.now() - start < job.timeLimitMs
  }
  if (job.sample !== undefined) return sampled(scenario, design, job, mayGoOn)
  const checked = checkScenario(scenario, design, tokenHash(job.text, job.design), {
    bound: job.bound,
    minimise: job.bound === undefined,
    now: () => performance.now(),
    keepGoing: (states, depth) => {
      send({ kind: 'progress', job: job.number, states, depth })
      return mayGoOn()
    },
  })
  const findings = checked.findings.map((f) => (f.first ? gather(scenario, design, f) : f))
  const verdict = { ...checked, findings }
  if (job.cross === undefined || verdict.verdict === 'skipped') return verdict
  const limits = { executions: job.cross, keepGoing: mayGoOn }
  return { ...verdict, cross: crossCheck(scenario, design, limits) }
}

function sampled(scenario: Scenario, design: Design, job: Job, keepGoing: () => boolean): Verdict {
  // Of its own for each cell, whichever others are asked for.
  const random = xoroshiro128plus(job.seed ^ hash32(`${scenario.name} ${design.id}`))
  const verdict = sampleScenario(scenario, design, tokenHash(job.text, job.design), {
    runs: job.sample ?? 0,
    draw: (n) => uniformInt(random, 0, n - 1),
    keepGoing,
    now: () => performance.now(),
  })
  return { ...verdict, seed: job.seed }
}

/** The main thread has checked the names; here every name that the text has is known. */
function withoutRows<K extends { designs: string[] }>(known: K, text: string): K {
  const names = text.match(/[\w.-]+/g) ?? []
  return { ...known, designs: [...known.designs, ...names] }
}

function send(message: Message): void {
  parentPort?.postMessage(message)
}

parentPort?.on('message', (job: Job) => {
  run(job).then(
    (verdict) => send({ kind: 'verdict', job: job.number, verdict }),
    (error: Error) => send({ kind: 'bug', job: job.number, text: error.stack ?? error.message }),
  )
})

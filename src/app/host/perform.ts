/** Doing a job: one cell checked, wherever that is. */
import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import { SetupFailure } from '../../cell/boot.js'
import type { Design } from '../../designs/design.js'
import { FinalStates } from '../../explore/listen/finals.js'
import type { Draw } from '../../explore/sample/samplers.js'
import { carry } from '../../explore/states/shared.js'
import { readScenario, type Scenario } from '../../litmus/scenario.js'
import { LimitError } from '../../machine/fault.js'
import { doubted, unannounced } from '../announced.js'
import { type CellSnapshot, checkScenario, type Effort } from '../check.js'
import { type AskModel, crossCheck, marked, type One, secondOpinion } from '../cross.js'
import { UserError } from '../error.js'
import { gathered } from '../judge.js'
import { notRepeated } from '../repeatable.js'
import { sampleScenario } from '../sampled.js'
import { concludeShares, exploreShare } from '../shares.js'
import { hash32 } from '../token-text.js'
import { cellTitle, type Verdict } from '../verdict.js'
import { dropCheckpoint, readCheckpoint, saveCheckpoint } from './checkpoint.js'
import { loadDesign } from './designs.js'
import { type Job, jobHash, type Message, type Slice } from './job.js'
import { MOST_BYTES, packSnapshot, type Travelling, unpackSnapshot } from './travel.js'

/** The scenario read last: the cells of one scenario follow one another. */
let latest: { text: string; scenario: Scenario } | undefined

function scenarioOf({ text, known }: Job): Scenario {
  if (latest?.text !== text) latest = { text, scenario: readScenario(text, known) }
  return latest.scenario
}

/** On cells of so many states a second opinion costs next to nothing (docs/decisions/0015-latency.md). */
const SECONDED = { states: 100, executions: 200 } as const

/** Noting a final state costs as much as some steps; a cell of few states has few of them. */
const NOTED_FINALS = 20

/** Who gave the job. */
export interface Client {
  send(message: Message): void
  /** Does the client want to hear what there is? */
  stopped(): boolean
}

/** A job with what it names, and the clock that runs for it. */
interface Task {
  readonly job: Job
  readonly client: Client
  readonly scenario: Scenario
  readonly design: Design
  readonly start: number
  /** Milliseconds of slices before this one; none if what they have seen can't be read. */
  spent: number
  /** Milliseconds that are left. */
  left(): number
  mayGoOn(): boolean
}

async function taskOf(job: Job, client: Client): Promise<Task> {
  const { milliseconds = Number.POSITIVE_INFINITY } = job.limits
  const start = performance.now()
  const task: Task = {
    job,
    client,
    scenario: scenarioOf(job),
    design: await loadDesign(job.design),
    start,
    spent: job.slice?.spent ?? 0,
    left: () => milliseconds - task.spent - (performance.now() - start),
    mayGoOn: () => !client.stopped() && task.left() > 0,
  }
  return task
}

/** Do a job; the last word on it. */
export async function perform(job: Job, client: Client): Promise<Message> {
  const { number } = job
  if (job.carry !== undefined) return { kind: 'carried', job: number, states: carry(job.carry) }
  const task = await taskOf(job, client)
  const { scenario, design } = task
  if (job.design.module !== undefined) mustRepeat(task)
  if (job.question.sample !== undefined) {
    const verdict = sampled(task, job.question.sample)
    return { kind: 'verdict', job: number, verdict, final: true }
  }
  const saver = job.checkpoint === undefined ? undefined : new Saver(job.checkpoint, task)
  const slicer = job.slice === undefined ? undefined : new Slicer(job.slice, task)
  const finals = new FinalStates({ most: NOTED_FINALS })
  const effort = effortOf(task, slicer ?? saver, finals)
  if (job.share !== undefined) {
    return { kind: 'share', job: number, share: exploreShare(scenario, design, effort, job.share) }
  }
  const begun = task.start - (Date.now() - (job.begun ?? Date.now()))
  const checked =
    job.explored === undefined
      ? checkScenario(scenario, design, effort)
      : concludeShares(scenario, design, effort, job.explored, begun)
  if (slicer?.handedOn !== undefined) {
    return { kind: 'slice', job: number, snapshot: slicer.handedOn, states: checked.states }
  }
  // What a limit has kept from being told with the fewest preemptions can be gone on with.
  if (!checked.stopped && checked.fewest !== false) saver?.drop()
  const afresh = job.explored === undefined && effort.resume === undefined
  const verdict = await explained(task, announced(task, checked), afresh ? finals : undefined)
  const whole = { ...verdict, ms: task.spent + verdict.ms }
  return { kind: 'verdict', job: number, verdict: whole, final: true }
}

/** @throws UserError if what a design of the user's does can't be repeated */
function mustRepeat(task: Task): void {
  const { scenario, design } = task
  let where: string | undefined
  try {
    where = notRepeated(scenario, design, drawFor(task, 1))
  } catch (error) {
    // The check will say so.
    if (!(error instanceof SetupFailure)) throw error
  }
  if (where === undefined) return
  throw new UserError(
    `${design.id}: ${where} did something else when it was done again: what a step does may depend on nothing but the state, and a design keeps its state in structs`,
  )
}

/** Numbers at random, the same for the same cell, whichever others are asked for. */
function drawFor({ scenario, design }: Task, seed: number): Draw {
  const random = xoroshiro128plus(seed ^ hash32(`${scenario.name} ${design.id}`))
  return (n) => uniformInt(random, 0, n - 1)
}

/** Judged by whether the code announces what it touches; a design of the user's always is. */
function announced(task: Task, verdict: Verdict): Verdict {
  const { scenario, design, job } = task
  const wanted = job.design.module !== undefined || job.question.undeclared === true
  if (!wanted || verdict.proof === undefined) return verdict
  return doubted(verdict, unannounced(scenario, design, drawFor(task, 1)))
}

/** With what other searches say, if they are asked. `finals`: the search has led to. */
async function explained(task: Task, verdict: Verdict, finals?: FinalStates): Promise<Verdict> {
  const { scenario, design, job, client, mayGoOn } = task
  const { cross } = job.question
  if (verdict.proof === undefined) return verdict
  if (cross === undefined) return seconded(task, verdict, finals)
  // Who interrupts a second search has the verdict of the first.
  client.send({ kind: 'verdict', job: job.number, verdict, final: false })
  // Only now: making models needs the whole of TypeScript.
  const { askSpin } = await import('./model.js')
  const askModel: AskModel = (s, d) => askSpin(s, d, task.left())
  const limits = { executions: cross, keepGoing: mayGoOn }
  return { ...verdict, cross: crossCheck(scenario, design, limits, askModel) }
}

/**
 * Of a cell with few states, with what a stateless search says against the verdict. Searches that
 * agree say nothing.
 */
function seconded(task: Task, verdict: Verdict, finals: FinalStates | undefined): Verdict {
  if (verdict.proof !== 'exhaustive' || verdict.states > SECONDED.states) return verdict
  const { scenario, design, mayGoOn } = task
  const limits = { executions: SECONDED.executions, keepGoing: mayGoOn }
  const first = finals?.whole === true ? firstOpinion(verdict, finals) : undefined
  const cross =
    first === undefined
      ? crossCheck(scenario, design, limits)
      : secondOpinion(first, scenario, design, limits)
  return cross.outcome === 'differs' ? { ...verdict, cross } : verdict
}

/** What the search has said that led to a verdict. */
function firstOpinion({ states, findings }: Verdict, finals: FinalStates): One {
  return { states, finished: true, findings: marked(findings), finals: finals.keys }
}

/** Where a search goes on from, and where it leaves what it has seen. */
interface Keeper {
  resume(): CellSnapshot | undefined
  /** `last` if the search is to stop; false if it is to stop now. */
  save(snapshot: () => CellSnapshot, last: boolean): boolean
}

function effortOf(
  { job, client, mayGoOn }: Task,
  keeper: Keeper | undefined,
  finals: FinalStates,
): Effort {
  return {
    ...job.question,
    gather: true,
    listeners: [finals],
    memory: job.limits.bytes,
    resume: keeper?.resume(),
    now: () => performance.now(),
    keepGoing: (states, depth, { bytes, snapshot }) => {
      client.send({ kind: 'progress', job: job.number, states, depth, bytes })
      const goOn = mayGoOn()
      if (snapshot === undefined || keeper === undefined) return goOn
      return keeper.save(snapshot, !goOn) && goOn
    },
  }
}

function sampled(task: Task, runs: number): Verdict {
  const { scenario, design, job, client, mayGoOn } = task
  const { seed = 1 } = job.question
  const verdict = sampleScenario(scenario, design, {
    runs,
    draw: drawFor(task, seed),
    keepGoing: () => {
      client.send({ kind: 'progress', job: job.number, states: 0, depth: 0, bytes: 0 })
      return mayGoOn()
    },
    now: () => performance.now(),
  })
  return { ...verdict, findings: gathered(scenario, design, verdict.findings), seed }
}

/**
 * Saves now and then, so rarely that it costs little of the time. A save that fails is told, and the
 * search goes on.
 */
class Saver implements Keeper {
  readonly #path: string
  readonly #job: Job
  readonly #client: Client
  #next = performance.now() + FIRST_SAVE
  /** What was told last: once is enough. */
  #said = ''

  constructor(path: string, { job, client }: Task) {
    this.#path = path
    this.#job = job
    this.#client = client
  }

  resume(): CellSnapshot | undefined {
    return readCheckpoint(this.#path, jobHash(this.#job))
  }

  save(snapshot: () => CellSnapshot, last: boolean): boolean {
    const start = performance.now()
    if (!last && start < this.#next) return true
    try {
      saveCheckpoint(this.#path, jobHash(this.#job), snapshot())
    } catch (error) {
      this.#say(`the checkpoint can't be saved: ${(error as Error).message}`)
    }
    const cost = performance.now() - start
    this.#next = start + Math.max(LEAST_INTERVAL, 20 * cost)
    return true
  }

  drop(): void {
    try {
      dropCheckpoint(this.#path)
    } catch (error) {
      this.#say(`the checkpoint can't be deleted: ${(error as Error).message}`)
    }
  }

  #say(what: string): void {
    const text = `${this.#path}: ${what}`
    if (text !== this.#said) this.#client.send({ kind: 'notice', job: this.#job.number, text })
    this.#said = text
  }
}

/**
 * Ends a search when its slice is over, with what the next slice needs. What can't be handed on is
 * gone on with to its end. So is what was refused and begun again: two machines that can't read each
 * other's snapshots would else never come to it.
 */
class Slicer implements Keeper {
  readonly #slice: Slice
  readonly #task: Task
  #until = Number.POSITIVE_INFINITY
  handedOn: Travelling | undefined

  constructor(slice: Slice, task: Task) {
    this.#slice = slice
    this.#task = task
  }

  resume(): CellSnapshot | undefined {
    const { milliseconds, from } = this.#slice
    const { job } = this.#task
    try {
      const snapshot = from && unpackSnapshot(jobHash(job), from)
      this.#until = performance.now() + milliseconds
      return snapshot
    } catch (error) {
      if (!(error instanceof UserError)) throw error
      this.#task.spent = 0
      this.#say(`its snapshot is refused: ${error.message}; it begins again, in one piece`)
      return undefined
    }
  }

  save(snapshot: () => CellSnapshot, last: boolean): boolean {
    if (last || performance.now() < this.#until) return true
    this.handedOn = packSnapshot(jobHash(this.#task.job), snapshot())
    if (this.handedOn !== undefined) return false
    this.#until = Number.POSITIVE_INFINITY
    const most = MOST_BYTES / 2 ** 20
    this.#say(`its snapshot has more than the ${most} MiB that travel; this worker does all of it`)
    return true
  }

  #say(what: string): void {
    const { job, client, scenario, design } = this.#task
    const title = cellTitle({ scenario: scenario.name, design: design.id })
    const text = `${title}: ${what}`
    client.send({ kind: 'notice', job: job.number, text })
  }
}

/** In milliseconds. */
const FIRST_SAVE = 2000
const LEAST_INTERVAL = 10_000

/** What the user asked for and can't have; undefined if it is our mistake. */
export function mistakeIn(error: Error, { design }: Job): string | undefined {
  if (error instanceof UserError) return error.message
  if (error instanceof LimitError) {
    return `on ${design.id} the scenario needs more than the model has: ${error.message}`
  }
  // What its code calls may have been given nonsense, too.
  if (design.module === undefined || !/\bdata:text\/javascript/.test(error.stack ?? '')) return
  return `the code of ${design.id} fails: ${error.message}`
}

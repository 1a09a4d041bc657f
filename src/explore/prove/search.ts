/**
 * Stateful depth-first search over lowered kernel code. Every state is visited once (or, with a
 * bound on preemptions, once for each running task and each smaller number of preemptions); the
 * undo log takes the machine back, so a step costs the same in any depth.
 *
 * Without a bound the search is exhaustive. It then also knows the strongly connected parts of
 * the state graph, and looks in each for a loop in which nobody gets anywhere (`cycles.ts`).
 */
import { Execution } from '../../cell/execution.js'
import type { Judges } from '../../cell/judges.js'
import { Levels } from '../../cell/levels.js'
import { alternatives, daemonTasks } from '../../machine/machine.js'
import { Memo } from '../../machine/memo.js'
import { Witnesses } from '../listen/witnesses.js'
import { KnownStates } from '../states/known.js'
import { ARRIVED, type SharedStates } from '../states/shared.js'
import {
  type Probe,
  type SearchOptions,
  type SearchResult,
  type Snapshot,
  SnapshotError,
} from './contract.js'
import { Components, type Cycles, SharedCycles } from './cycles.js'
import { Deeds } from './deeds.js'
import { firstOf, lastOf } from './turns.js'

export * from './contract.js'

const STEPS_BETWEEN_QUESTIONS = 10_000

/** Of a state on the path: tasks with steps that have not been tried, and the next one's choice. */
const LEVEL = { UNTRIED: 0, NEXT_CHOICE: 1, WORDS: 2 } as const

class Search {
  readonly #options: SearchOptions
  readonly #bound: number
  readonly #surprisesBound: number
  readonly #judges: Judges
  readonly #memo: Memo | undefined
  readonly #witnesses = new Witnesses()
  readonly #run: Execution
  readonly #levels = new Levels(LEVEL.WORDS)
  readonly #known: KnownStates
  readonly #shared: SharedStates | undefined
  readonly #deeds: Deeds | undefined
  /** Loops are judged on the whole graph: with a bound they are not. */
  readonly #cycles: Cycles | undefined
  /** Tasks are tried in the other order: workers should not meet before they must. */
  readonly #backwards: boolean
  #steps = 0
  readonly #askEvery: number
  #askAt: number
  #executions = 0
  #cut = false
  #interrupted = false
  /** The move that comes next. */
  #task = -1
  #choice = 0

  constructor(judges: Judges, options: SearchOptions) {
    const { bound, share, listeners = [] } = options
    this.#options = options
    this.#bound = bound ?? -1
    this.#surprisesBound = options.surprises ?? Number.POSITIVE_INFINITY
    this.#askEvery = options.askEvery ?? STEPS_BETWEEN_QUESTIONS
    this.#askAt = this.#askEvery
    this.#judges = judges
    this.#memo = options.afresh === true || options.exact === true ? undefined : new Memo()
    this.#run = new Execution(judges, [this.#witnesses, ...listeners], this.#memo)
    this.#known = new KnownStates(options)
    this.#shared = this.#known.shared
    const foresees = this.#memo !== undefined && this.#bound < 0
    this.#deeds = foresees ? new Deeds(this.#memo as Memo, this.#known, judges) : undefined
    if (this.#shared !== undefined) this.#cycles = new SharedCycles(this.#known, this.#shared)
    else if (this.#bound < 0) this.#cycles = new Components(this.#run, this.#known)
    this.#backwards = share !== undefined && share.worker % 2 === 1
  }

  run(): SearchResult {
    if (this.#options.resume === undefined) this.#begin()
    else this.#resume(this.#options.resume)
    while (this.#levels.depth > 0 && !this.#interrupted) {
      // Asked between two steps: a snapshot has to be one of whole levels.
      if ((this.#steps >= this.#askAt || this.#known.full) && !this.#ask()) break
      if (this.#witnesses.suffice(this.#options)) {
        this.#cut = true
        break
      }
      if (this.#nextMove()) this.#take()
      else this.#leave()
    }
    this.#run.backTo(0)
    const cycles = this.#cycles
    return {
      states: this.#known.size,
      steps: this.#steps,
      executions: this.#executions,
      finished: !this.#interrupted,
      outOfMemory: this.#outOfMemory,
      cut: this.#cut,
      witnesses: this.#witnesses.all,
      omissions: this.#known.omissions,
      bytes: this.#bytes,
      unclosed: cycles instanceof SharedCycles ? cycles.unclosed() : [],
    }
  }

  #begin(): void {
    const isNew = this.#arrive()
    // Another worker may have been faster; both begin there, and share what comes behind.
    if (isNew || this.#shared !== undefined) this.#enter()
  }

  /** Walk to where the snapshot was taken. What is found on the way has been noted already. */
  #resume(from: Snapshot): void {
    const run = this.#run
    const [lo, hi] = from.fingerprint
    const taken = run.follow(from.schedule)
    if (taken < from.schedule.length || run.lo !== lo || run.hi !== hi) {
      throw new SnapshotError('the steps of the snapshot lead to another state')
    }
    this.#levels.load(from.untried)
    this.#known.load(from.visited, from.states)
    if (this.#cycles instanceof Components) this.#cycles.load(from.components)
    this.#witnesses.load(from.witnesses)
    this.#steps = from.steps
    this.#askAt = from.steps + this.#askEvery
    this.#executions = from.executions
  }

  #snapshot(components: Components): Snapshot {
    return {
      ...this.#known.save(),
      schedule: this.#run.schedule(),
      fingerprint: [this.#run.lo, this.#run.hi],
      untried: this.#levels.save(),
      components: components.save(),
      witnesses: new Map(this.#witnesses.all),
      steps: this.#steps,
      executions: this.#executions,
    }
  }

  get #bytes(): number {
    const stacks = this.#run.bytes + this.#levels.bytes + (this.#cycles?.bytes ?? 0)
    return this.#known.bytes + stacks + (this.#memo?.bytes ?? 0)
  }

  /** Of a search whose memory is not that of one table alone, all counts. */
  get #outOfMemory(): boolean {
    if (this.#shared !== undefined || this.#known.isPlain) return this.#known.full
    return this.#bytes > (this.#options.memory ?? Number.POSITIVE_INFINITY)
  }

  /** May the search go on? */
  #ask(): boolean {
    this.#askAt += this.#askEvery
    const { depth } = this.#run
    const states = this.#known.size
    this.#shared?.sweep()
    const cycles = this.#cycles
    const canResume = this.#known.isPlain && cycles instanceof Components
    const snapshot = canResume ? (): Snapshot => this.#snapshot(cycles) : undefined
    const probe: Probe = { states, depth, bytes: this.#bytes, snapshot }
    const goOn = this.#options.keepGoing(states, depth, probe)
    this.#interrupted = !goOn || this.#outOfMemory || this.#shared?.stopped === true
    return !this.#interrupted
  }

  /**
   * Go on to the next untried move of the topmost state, the running task first, so that bound 0
   * is cheap. False if there is none.
   */
  #nextMove(): boolean {
    const levels = this.#levels
    for (let untried = levels.get(LEVEL.UNTRIED); untried !== 0; ) {
      const task = this.#backwards ? lastOf(untried) : firstOf(untried, this.#run.running)
      const choice = levels.get(LEVEL.NEXT_CHOICE)
      const beyond = this.#isBeyond(task, choice)
      const last = beyond || choice + 1 === alternatives(task)
      if (last) untried &= ~(1 << task)
      levels.set(LEVEL.UNTRIED, untried)
      levels.set(LEVEL.NEXT_CHOICE, last ? 0 : choice + 1)
      if (beyond) {
        this.#cut = true
        continue
      }
      this.#task = task
      this.#choice = choice
      return true
    }
    return false
  }

  /** Does a move use up more than the bounds allow? */
  #isBeyond(task: number, choice: number): boolean {
    if (this.#bound < 0) return false
    const run = this.#run
    if (run.preemptions >= this.#bound && run.preempts(task)) return true
    return choice > 0 && run.surprises >= this.#surprisesBound
  }

  #take(): void {
    this.#steps++
    const run = this.#run
    const deed = this.#deed()
    if (deed !== 0 && this.#leadsToKnown(deed)) return
    run.take(this.#task, this.#choice, deed)
    if (run.over) {
      this.#executions++
      this.#cycles?.end()
    } else if (this.#arrive()) {
      this.#enter()
      return
    }
    run.back()
  }

  /** What the next move does, if that is known; or 0. */
  #deed(): number {
    if (this.#memo === undefined) return 0
    const known = this.#choice === 0 ? this.#deeds?.known(this.#run.depth, this.#task) : 0
    return known || this.#memo.recall(this.#task, this.#choice)
  }

  /** Does a deed lead to a known state, and need no judge see it? Then nothing has to be done. */
  #leadsToKnown(deed: number): boolean {
    const memo = this.#memo as Memo
    if ((memo.dirty(deed) & this.#judges.ofSteps) !== 0) return false
    const run = this.#run
    const lo = run.lo ^ memo.changeLo(deed)
    const hi = run.hi ^ memo.changeHi(deed)
    if (this.#bound < 0) {
      if (!this.#known.has(lo, hi, 0, 0)) return false
    } else {
      const salt = saltOf(this.#task, run.surprises + (this.#choice > 0 ? 1 : 0))
      const preemptions = run.preemptions + (run.preempts(this.#task) ? 1 : 0)
      if (!this.#known.has(lo, hi, salt, preemptions)) return false
    }
    this.#meetAgain(lo, hi)
    return true
  }

  /** Is the present state new (with so few preemptions)? */
  #arrive(): boolean {
    const run = this.#run
    const arrived = this.#known.insert(
      run.mark,
      saltOf(run.running, run.surprises),
      run.preemptions,
    )
    if (arrived === ARRIVED.NEW) return true
    if (this.#levels.depth > 0) this.#meet(arrived)
    return false
  }

  /** A step of the topmost state leads to the state with this fingerprint, which is known. */
  #meetAgain(lo: number, hi: number): void {
    this.#known.lo = lo
    this.#known.hi = hi
    this.#meet(this.#shared?.insert(lo, hi) ?? ARRIVED.CLOSED)
  }

  #meet(arrived: number): void {
    if (this.#cycles?.meet(arrived) === false) this.#interrupted = true
  }

  #enter(): void {
    this.#cycles?.enter()
    this.#levels.push()
    this.#levels.set(LEVEL.NEXT_CHOICE, 0)
    const ready = this.#run.ready()
    this.#levels.set(LEVEL.UNTRIED, this.#unforeseen(ready))
    if ((ready & ~daemonTasks()) !== 0) return
    this.#executions++
    this.#cycles?.end()
  }

  /**
   * Take the steps of these tasks that are known to lead to known states; returns the tasks that
   * are left. The table is asked about all of them at once: it lies in memory that is far away,
   * and the answers arrive together.
   */
  #unforeseen(ready: number): number {
    const deeds = this.#deeds
    if (deeds === undefined) return ready
    let left = ready
    for (let rest = deeds.foresee(ready, this.#run); rest !== 0; rest &= rest - 1) {
      const task = firstOf(rest, -1)
      const lo = deeds.endLo(task)
      const hi = deeds.endHi(task)
      if (!this.#known.has(lo, hi, 0, 0)) continue
      this.#steps++
      this.#meetAgain(lo, hi)
      left &= ~(1 << task)
    }
    return left
  }

  #leave(): void {
    this.#cycles?.leave()
    this.#levels.pop()
    if (this.#levels.depth > 0) this.#run.back()
  }
}

/** A bounded search tells states apart by who ran last, and by what has surprised it. */
function saltOf(running: number, surprises: number): number {
  return running + 1 + (surprises << 5)
}

/** Search from the machine's present state; the machine is in that state again afterwards. */
export function search(judges: Judges, options: SearchOptions): SearchResult {
  return new Search(judges, options).run()
}

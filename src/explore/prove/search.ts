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
import { LEVEL } from '../../cell/path.js'
import { alternatives, daemonTasks } from '../../machine/machine.js'
import { Memo } from '../../machine/memo.js'
import { Witnesses } from '../listen/witnesses.js'
import { KnownStates } from '../states/known.js'
import { divided } from '../states/room.js'
import type { SharedStates } from '../states/shared.js'
import { Bounds, saltOf } from './bounds.js'
import {
  type Probe,
  type SearchOptions,
  type SearchResult,
  type Snapshot,
  SnapshotError,
} from './contract.js'
import { Components } from './cycles.js'
import { Foresight } from './foresight.js'
import { KEPT, KEPT_WORDS, SAVED_WORDS } from './kept.js'
import { firstOf, lastOf, someOf } from './turns.js'

export * from './contract.js'

const STEPS_BETWEEN_QUESTIONS = 10_000

class Search {
  readonly #options: SearchOptions
  readonly #bounds: Bounds
  readonly #judges: Judges
  readonly #memo: Memo | undefined
  readonly #witnesses = new Witnesses()
  readonly #run: Execution
  readonly #known: KnownStates
  readonly #shared: SharedStates | undefined
  readonly #foresight: Foresight | undefined
  /** Loops are judged on the whole graph: with a bound they are not. */
  readonly #cycles: Components | undefined
  /** Of several workers, each tries tasks in an order of its own: they seldom go together. */
  readonly #worker: number
  #steps = 0
  readonly #askEvery: number
  #askAt: number
  #executions = 0
  #cut = false
  #interrupted = false
  /** All that was wanted has been found. */
  #sufficed = false
  /** The move that comes next. */
  #task = -1
  #choice = 0

  constructor(judges: Judges, options: SearchOptions) {
    const { bound, share, listeners = [], memo = new Memo() } = options
    this.#options = options
    this.#bounds = new Bounds(bound, options.surprises)
    this.#askEvery = options.askEvery ?? STEPS_BETWEEN_QUESTIONS
    this.#askAt = this.#askEvery
    this.#judges = judges
    this.#memo = options.afresh === true || options.exact === true ? undefined : memo
    const heard = [this.#witnesses, { found: () => this.#look() }, ...listeners]
    this.#run = new Execution(judges, heard, this.#memo, KEPT_WORDS)
    const room = divided(options.memory)
    this.#memo?.limit(room.learned)
    judges.limit(room.learned)
    this.#known = new KnownStates({ ...options, memory: room.states })
    this.#shared = this.#known.shared
    if (this.#memo !== undefined && this.#bounds.none) {
      this.#foresight = new Foresight(this.#memo, this.#known, judges)
    }
    if (this.#bounds.none) this.#cycles = new Components(this.#run, this.#known, options.afresh)
    this.#worker = share?.worker ?? 0
  }

  run(): SearchResult {
    if (this.#options.resume === undefined) this.#begin()
    else this.#resume(this.#options.resume)
    while (!this.#interrupted && !this.#sufficed) {
      // Asked between two steps: a snapshot has to be one of whole levels.
      if ((this.#steps >= this.#askAt || this.#known.full) && !this.#ask()) break
      if (this.#nextMove()) this.#take()
      else if (!this.#leave()) break
    }
    this.#run.backTo(0)
    if (!this.#interrupted && !this.#sufficed) this.#shared?.end()
    return {
      states: this.#known.size,
      steps: this.#steps,
      executions: this.#shared === undefined ? this.#executions : this.#shared.executions,
      finished: !this.#interrupted,
      outOfMemory: this.#outOfMemory,
      cut: this.#cut || this.#sufficed,
      witnesses: this.#witnesses.all,
      omissions: this.#known.omissions,
      bytes: this.#bytes,
    }
  }

  #look(): void {
    this.#sufficed = this.#witnesses.suffice(this.#options)
  }

  #begin(): void {
    this.#arrive()
    this.#enter()
  }

  /** Walk to where the snapshot was taken. What is found on the way has been noted already. */
  #resume(from: Snapshot): void {
    const run = this.#run
    const [lo, hi] = from.fingerprint
    const taken = run.follow(from.schedule)
    if (taken < from.schedule.length || run.lo !== lo || run.hi !== hi) {
      throw new SnapshotError('the steps of the snapshot lead to another state')
    }
    run.path.loadOwn(from.kept)
    this.#known.load(from.visited, from.states)
    this.#cycles?.load(from.open)
    this.#witnesses.load(from.witnesses)
    this.#look()
    this.#steps = from.steps
    this.#askAt = from.steps + this.#askEvery
    this.#executions = from.executions
  }

  #snapshot(components: Components): Snapshot {
    return {
      ...this.#known.save(),
      schedule: this.#run.schedule(),
      fingerprint: [this.#run.lo, this.#run.hi],
      kept: this.#run.path.saveOwn(SAVED_WORDS),
      open: components.save(),
      witnesses: new Map(this.#witnesses.all),
      steps: this.#steps,
      executions: this.#executions,
    }
  }

  get #bytes(): number {
    const stacks = this.#run.path.bytes + (this.#cycles?.bytes ?? 0)
    return this.#known.bytes + stacks + (this.#memo?.bytes ?? 0) + this.#judges.bytes
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
    const cycles = this.#cycles
    const canResume = this.#known.isPlain && cycles !== undefined
    const snapshot = canResume ? (): Snapshot => this.#snapshot(cycles) : undefined
    const probe: Probe = { states, depth, bytes: this.#bytes, snapshot }
    const goOn = this.#options.keepGoing(states, depth, probe)
    this.#interrupted = !goOn || this.#outOfMemory || this.#shared?.done === true
    return !this.#interrupted
  }

  /**
   * Go on to the next untried move of the topmost state, the running task first, so that bound 0
   * is cheap. False if there is none.
   */
  #nextMove(): boolean {
    const { path } = this.#run
    for (let untried = path.get(KEPT.UNTRIED); untried !== 0; ) {
      const task = this.#turn(untried)
      const choice = path.get(KEPT.NEXT_CHOICE)
      const beyond = this.#bounds.cutOff(this.#run, task, choice)
      const last = beyond || choice + 1 === alternatives(task)
      if (last) untried &= ~(1 << task)
      path.set(KEPT.UNTRIED, untried)
      path.set(KEPT.NEXT_CHOICE, last ? 0 : choice + 1)
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

  #turn(untried: number): number {
    const { path } = this.#run
    if (this.#worker === 0) return firstOf(untried, path.get(LEVEL.TASK))
    if (this.#worker === 1) return lastOf(untried)
    return someOf(untried, path.get(LEVEL.LO), this.#worker)
  }

  #take(): void {
    this.#steps++
    const run = this.#run
    const deed = this.#deed()
    if (deed !== 0 && this.#leadsToKnown(deed)) {
      this.#cycles?.meet(this.#task)
      return
    }
    run.take(this.#task, this.#choice, deed)
    if (run.over) {
      this.#executions++
      run.back()
      this.#cycles?.end()
      return
    }
    if (this.#arrive()) this.#enter()
    else {
      run.back()
      this.#cycles?.meet(this.#task)
    }
  }

  /** What the next move does, if that is known; or 0. */
  #deed(): number {
    if (this.#memo === undefined) return 0
    const foresees = this.#foresight !== undefined && this.#choice === 0
    const known = foresees ? this.#run.path.get(KEPT.DEEDS + this.#task) : 0
    return known || this.#memo.recall(this.#task, this.#choice)
  }

  /** Does a deed lead to a known state, and need no judge see it? Then nothing has to be done. */
  #leadsToKnown(deed: number): boolean {
    const memo = this.#memo as Memo
    if ((memo.dirty(deed) & this.#judges.ofSteps) !== 0) return false
    const run = this.#run
    const known = this.#known
    const lo = run.lo ^ memo.changeLo(deed)
    const hi = run.hi ^ memo.changeHi(deed)
    let salt = 0
    let preemptions = 0
    if (!this.#bounds.none) {
      salt = saltOf(this.#task, run.surprises + (this.#choice > 0 ? 1 : 0))
      preemptions = run.preemptions + (run.preempts(this.#task) ? 1 : 0)
    }
    if (!known.has(lo, hi, salt, preemptions)) return false
    known.lo = lo
    known.hi = hi
    return true
  }

  /** Is the present state new (with so few preemptions)? */
  #arrive(): boolean {
    const run = this.#run
    const salt = saltOf(run.running, run.surprises)
    return this.#known.insert(run.mark, salt, run.preemptions)
  }

  /** A step of the topmost state leads to the state in `known`, which was there before. */
  readonly #meetForeseen = (task: number): void => {
    this.#steps++
    this.#cycles?.meet(task)
  }

  #enter(): void {
    const run = this.#run
    this.#cycles?.enter()
    const ready = run.ready()
    run.path.set(KEPT.NEXT_CHOICE, 0)
    const foreseen = this.#foresight?.foresee(run, ready, this.#meetForeseen) ?? 0
    run.path.set(KEPT.UNTRIED, ready & ~foreseen)
    if ((ready & ~daemonTasks()) !== 0) return
    this.#executions++
    this.#cycles?.end()
  }

  /** All steps of the topmost state have been tried; false if it is the initial one. */
  #leave(): boolean {
    this.#cycles?.leave()
    if (this.#run.depth === 0) return false
    this.#run.back()
    return true
  }
}

/** Search from the machine's present state; the machine is in that state again afterwards. */
export function search(judges: Judges, options: SearchOptions): SearchResult {
  return new Search(judges, options).run()
}

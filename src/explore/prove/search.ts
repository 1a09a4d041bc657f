/**
 * Stateful depth-first search over lowered kernel code. Every state is visited once (or, with a
 * bound on preemptions, once for each running task and each smaller number of preemptions); the
 * undo log takes the machine back, so a step costs the same in any depth.
 *
 * Without a bound the search is exhaustive. It then also knows the strongly connected parts of
 * the state graph, and looks in each for a loop in which nobody gets anywhere (`fairness.ts`).
 */

import { EXIT_PHASE } from '../../cell/boot.js'
import { describeStuck } from '../../cell/deadlock.js'
import type { Judges, Observed } from '../../cell/judges.js'
import type { Move } from '../../cell/schedule.js'
import { fingerprintHi, fingerprintLo, rewind, undoMark, undoTo } from '../../machine/arena.js'
import { faultingFunction, functionName, standsIn } from '../../machine/frames.js'
import {
  allEnded,
  alternatives,
  daemonTasks,
  endedBelow,
  phaseOf,
  readyTasks,
  step,
  taskCount,
  taskName,
} from '../../machine/machine.js'
import { Memo } from '../../machine/memo.js'
import { hasStarted } from '../../machine/task.js'
import { Witnesses } from '../listen/witnesses.js'
import { KnownStates } from '../states/known.js'
import { OpenStates } from '../states/open.js'
import { ARRIVED, type SharedStates } from '../states/shared.js'
import {
  type Probe,
  type SearchOptions,
  type SearchResult,
  type Snapshot,
  SnapshotError,
} from './contract.js'
import { Deeds } from './deeds.js'
import { fairLoop } from './fairness.js'
import { FLAG, LEVEL, LevelStack } from './stack.js'
import { firstOf, lastOf } from './turns.js'

export * from './contract.js'

const STEPS_BETWEEN_QUESTIONS = 10_000

class Search {
  readonly #judges: Judges
  readonly #options: SearchOptions
  readonly #bound: number
  readonly #surprisesBound: number
  readonly #known: KnownStates
  readonly #shared: SharedStates | undefined
  readonly #memo: Memo | undefined
  readonly #deeds: Deeds | undefined
  /** Tasks are tried in the other order: workers should not meet before they must. */
  readonly #backwards: boolean
  #cyclic = false
  readonly #stack = new LevelStack()
  readonly #open = new OpenStates()
  readonly #witnesses = new Witnesses()
  #steps = 0
  #askAt = STEPS_BETWEEN_QUESTIONS
  #executions = 0
  #cut = false
  #interrupted = false
  /** The step under way. */
  #task = -1
  #choice = 0
  #ways = 1
  #preemptions = 0
  #surprises = 0
  /** Steps behind the topmost level that belong to a finding. */
  #after: readonly Move[] = []

  constructor(judges: Judges, options: SearchOptions) {
    this.#judges = judges
    this.#options = options
    this.#bound = options.bound ?? -1
    this.#surprisesBound = options.surprises ?? Number.POSITIVE_INFINITY
    this.#known = new KnownStates(options)
    this.#shared = this.#known.shared
    this.#memo = options.afresh === true || options.exact === true ? undefined : new Memo()
    const foresees = this.#memo !== undefined && this.#bound < 0
    this.#deeds = foresees ? new Deeds(this.#memo as Memo, this.#known, judges) : undefined
    const { share } = options
    this.#backwards = share !== undefined && share.worker % 2 === 1
  }

  run(): SearchResult {
    if (this.#options.resume === undefined) this.#begin()
    else this.#resume(this.#options.resume)
    while (this.#stack.depth > 0 && !this.#interrupted) {
      // Asked between two steps: a snapshot has to be one of whole levels.
      if ((this.#steps >= this.#askAt || this.#known.full) && !this.#ask()) break
      if (this.#witnesses.suffice(this.#options)) {
        this.#cut = true
        break
      }
      if (this.#nextMove()) this.#take()
      else this.#leave()
    }
    if (this.#stack.depth > 0) undoTo(this.#stack.words[LEVEL.MARK] as number)
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
      unclosed: this.#cyclic ? undefined : (this.#shared?.unclosed() ?? []),
    }
  }

  #begin(): void {
    const mark = undoMark()
    if (this.#arrive(-1, mark)) this.#enter(mark, -1)
    // Another worker was faster; both begin there, and share what comes behind.
    else if (this.#shared !== undefined) this.#enter(mark, -1)
  }

  /** Walk to where the snapshot was taken. What is found on the way has been noted already. */
  #resume(from: Snapshot): void {
    const stack = this.#stack
    stack.load(from.stack)
    const marks = [undoMark()]
    for (const { task, choice } of stack.schedule()) {
      marks.push(undoMark())
      this.#judges.afterStep(step(task, choice))
      if (endedBelow(EXIT_PHASE)) this.#judgeRest()
    }
    stack.setMarks(marks)
    if (fingerprintLo() !== stack.get(LEVEL.LO) || fingerprintHi() !== stack.get(LEVEL.HI)) {
      throw new SnapshotError('the steps of the snapshot lead to another state')
    }
    this.#known.load(from.visited, from.states)
    this.#open.load(from.open)
    this.#witnesses.load(from.witnesses)
    this.#steps = from.steps
    this.#askAt = from.steps + STEPS_BETWEEN_QUESTIONS
    this.#executions = from.executions
  }

  #snapshot(): Snapshot {
    return {
      ...this.#known.save(),
      stack: this.#stack.save(),
      open: this.#open.save(),
      witnesses: new Map(this.#witnesses.all),
      steps: this.#steps,
      executions: this.#executions,
    }
  }

  get #bytes(): number {
    const memo = this.#memo?.bytes ?? 0
    return this.#known.bytes + this.#stack.bytes + this.#open.bytes + memo
  }

  /** Of a search whose memory is not that of one table alone, all counts. */
  get #outOfMemory(): boolean {
    if (this.#shared !== undefined || this.#known.isPlain) return this.#known.full
    return this.#bytes > (this.#options.memory ?? Number.POSITIVE_INFINITY)
  }

  /** May the search go on? */
  #ask(): boolean {
    this.#askAt += STEPS_BETWEEN_QUESTIONS
    const depth = this.#stack.depth
    const states = this.#known.size
    this.#shared?.sweep()
    const snapshot = this.#known.isPlain ? (): Snapshot => this.#snapshot() : undefined
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
    const stack = this.#stack
    const running = stack.get(LEVEL.RUNNING)
    const couldGoOn = (stack.get(LEVEL.FLAGS) & FLAG.GOES_ON) !== 0
    for (let untried = stack.get(LEVEL.UNTRIED); untried !== 0; ) {
      const task = this.#backwards ? lastOf(untried) : firstOf(untried, running)
      const ways = alternatives(task)
      const choice = stack.get(LEVEL.NEXT_CHOICE)
      const preempts = couldGoOn && task !== running
      const beyond = this.#isBeyond(preempts, choice)
      const last = beyond || choice + 1 === ways
      if (last) untried &= ~(1 << task)
      stack.set(LEVEL.UNTRIED, untried)
      stack.set(LEVEL.NEXT_CHOICE, last ? 0 : choice + 1)
      if (beyond) {
        this.#cut = true
        continue
      }
      this.#task = task
      this.#choice = choice
      this.#ways = ways
      this.#preemptions = stack.get(LEVEL.PREEMPTIONS) + (preempts ? 1 : 0)
      this.#surprises = stack.get(LEVEL.SURPRISES) + (choice > 0 ? 1 : 0)
      return true
    }
    return false
  }

  /** Does a move use up more than the bounds allow? */
  #isBeyond(preempts: boolean, choice: number): boolean {
    if (this.#bound < 0) return false
    const { PREEMPTIONS, SURPRISES } = LEVEL
    if (preempts && this.#stack.get(PREEMPTIONS) >= this.#bound) return true
    return choice > 0 && this.#stack.get(SURPRISES) >= this.#surprisesBound
  }

  #take(): void {
    this.#steps++
    const memo = this.#memo
    const deed = memo === undefined ? 0 : this.#deed(memo)
    if (memo === undefined || deed === 0) this.#execute()
    else this.#repeat(memo, deed)
  }

  /** The deed of the step under way, or 0. */
  #deed(memo: Memo): number {
    const choice = this.#choice
    const known = choice === 0 ? this.#deeds?.known(this.#stack.depth, this.#task) : 0
    return known || memo.recall(this.#task, choice)
  }

  /** Run the code of the step. */
  #execute(): void {
    const task = this.#task
    const at = standsIn(task)
    const mark = undoMark()
    if (this.#deeds !== undefined) this.#deeds.led = 0
    this.#memo?.listen(task, this.#choice)
    const result = step(task, this.#choice)
    const inputs = this.#memo?.heard()
    const observed = this.#judges.afterStep(result)
    if (observed.length > 0) {
      this.#note(observed, result.fault === undefined ? functionName(at) : faultingFunction())
    } else if (inputs !== undefined) this.#memo?.keep(inputs, mark, result.dirty)
    if (result.fault?.kind === 'undefined') {
      this.#executions++
      this.#flag(FLAG.EXITS)
      this.#back(mark)
      return
    }
    this.#arriveFrom(task, mark)
  }

  /** The step did something like this before, so it is known where it leads to. */
  #repeat(memo: Memo, deed: number): void {
    const lo = this.#stack.get(LEVEL.LO) ^ memo.changeLo(deed)
    const hi = this.#stack.get(LEVEL.HI) ^ memo.changeHi(deed)
    const mustJudge = (memo.dirty(deed) & this.#judges.ofSteps) !== 0
    const salt = this.#salt(this.#task)
    if (!mustJudge && this.#known.has(lo, hi, salt, this.#preemptions)) {
      this.#meetAgain(lo, hi)
      return
    }
    const at = standsIn(this.#task)
    const mark = undoMark()
    if (this.#deeds !== undefined) this.#deeds.led = deed
    memo.perform(deed, lo, hi)
    const observed = this.#judges.afterRepeat(memo.dirty(deed))
    if (observed.length > 0) this.#note(observed, functionName(at))
    this.#arriveFrom(this.#task, mark)
  }

  #arriveFrom(task: number, mark: number): void {
    if (endedBelow(EXIT_PHASE)) this.#judgeRest()
    if (this.#arrive(task, mark)) this.#enter(mark, task)
    else this.#back(mark)
  }

  /** Take the step back: the machine is in the state of the topmost level again. */
  #back(mark: number): void {
    rewind(mark, this.#stack.get(LEVEL.LO), this.#stack.get(LEVEL.HI))
  }

  #flag(bits: number): void {
    this.#stack.set(LEVEL.FLAGS, this.#stack.get(LEVEL.FLAGS) | bits)
  }

  /** States in which the scenario's tasks have ended, and states in which everything has. */
  #judgeRest(): void {
    const exit = taskCount() - 1
    if (phaseOf(exit) === EXIT_PHASE && !hasStarted(exit)) {
      this.#note(this.#options.atRest(this.#schedule), 'user mode')
    } else if (allEnded()) {
      this.#note(this.#judges.atEnd(), 'do_exit')
    }
  }

  /** Is the present state new (with so few preemptions)? If it is open, note the cycle. */
  #arrive(running: number, mark: number): boolean {
    const found = this.#known.insert(mark, this.#salt(running), this.#preemptions)
    if (found === ARRIVED.NEW) return true
    this.#meet(found)
    return false
  }

  /** A bounded search tells states apart by who ran last, and by what has surprised it. */
  #salt(running: number): number {
    return running + 1 + (this.#surprises << 5)
  }

  /** A step of the topmost state leads to the state with this fingerprint, which is known. */
  #meetAgain(lo: number, hi: number): void {
    this.#known.lo = lo
    this.#known.hi = hi
    this.#meet(this.#shared?.insert(lo, hi) ?? ARRIVED.CLOSED)
  }

  /** A step leads to the state that was asked about last, which is known. */
  #meet(found: number): void {
    if (this.#bound >= 0) return
    if (this.#shared !== undefined && found === ARRIVED.CLOSED) return
    const place = this.#open.placeOf(this.#known.lo, this.#known.hi)
    if (this.#shared !== undefined) this.#meetOpen(this.#shared, place >= 0)
    else if (place < 0) this.#flag(FLAG.EXITS)
    else {
      this.#flag(FLAG.CYCLE)
      if (place < this.#stack.get(LEVEL.LOW)) this.#stack.set(LEVEL.LOW, place)
    }
  }

  /** Some worker is still busy with the state: this one, or another. */
  #meetOpen(shared: SharedStates, mine: boolean): void {
    if (mine) {
      // A cycle, for certain: loops are judged on the whole graph, by one worker.
      this.#cyclic = true
      shared.stop()
      this.#interrupted = true
    } else if (this.#stack.depth > 0) shared.waitFor(this.#stack.depth)
  }

  #enter(mark: number, running: number): void {
    const stack = this.#stack
    const place = this.#bound < 0 ? this.#open.push(this.#known.lo, this.#known.hi) : 0
    stack.push()
    stack.set(LEVEL.MARK, mark)
    stack.set(LEVEL.LO, fingerprintLo())
    stack.set(LEVEL.HI, fingerprintHi())
    stack.set(LEVEL.TASK, this.#task)
    stack.set(LEVEL.CHOICE, this.#choice)
    stack.set(LEVEL.WAYS, this.#ways)
    stack.set(LEVEL.RUNNING, running)
    stack.set(LEVEL.PREEMPTIONS, this.#preemptions)
    stack.set(LEVEL.SURPRISES, this.#surprises)
    stack.set(LEVEL.NEXT_CHOICE, 0)
    stack.set(LEVEL.PLACE, place)
    stack.set(LEVEL.LOW, place)
    if (this.#shared !== undefined) stack.set(LEVEL.SLOT, this.#shared.slot)
    const ready = readyTasks()
    const runners = ready & ~daemonTasks()
    const goesOn = running >= 0 && ((runners >> running) & 1) !== 0
    stack.set(LEVEL.FLAGS, goesOn ? FLAG.GOES_ON : 0)
    this.#task = -1
    stack.set(LEVEL.UNTRIED, this.#unforeseen(ready))
    if (runners === 0) this.#judgeStuck()
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
    for (let rest = deeds.foresee(ready, this.#stack); rest !== 0; rest &= rest - 1) {
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

  /** A state in which nobody can go on is an end of an execution, good or bad. */
  #judgeStuck(): void {
    this.#executions++
    this.#flag(FLAG.EXITS)
    this.#options.atFinal?.()
    const stuck = describeStuck()
    if (stuck === undefined) return
    const before = undoMark()
    const observed = this.#judges.stuck('deadlock', stuck.message)
    this.#noteOf(observed, stuck.task, functionName(standsIn(stuck.task)))
    undoTo(before)
  }

  #leave(): void {
    const stack = this.#stack
    if (this.#shared !== undefined) {
      this.#open.popTo(stack.get(LEVEL.PLACE))
      this.#shared.leave(stack.depth, stack.get(LEVEL.SLOT))
    } else if (this.#bound < 0) this.#closeComponent()
    const mark = stack.get(LEVEL.MARK)
    stack.pop()
    if (stack.depth > 0) this.#back(mark)
    else undoTo(mark)
  }

  /** Tarjan: a component is complete when its root is left. */
  #closeComponent(): void {
    const stack = this.#stack
    const low = stack.get(LEVEL.LOW)
    const flags = stack.get(LEVEL.FLAGS)
    const isRoot = low === stack.get(LEVEL.PLACE)
    if (isRoot) {
      if ((flags & FLAG.CYCLE) !== 0 && !allEnded()) this.#judgeLoops(low, flags)
      this.#open.popTo(low)
    }
    if (stack.depth === 1) return
    stack.pop()
    if (isRoot) this.#flag(FLAG.EXITS)
    else {
      this.#flag(flags & (FLAG.EXITS | FLAG.CYCLE))
      if (low < stack.get(LEVEL.LOW)) stack.set(LEVEL.LOW, low)
    }
    stack.push()
  }

  /** The machine stands in the root of a component with a cycle in it. */
  #judgeLoops(low: number, flags: number): void {
    const loop = fairLoop(this.#judges, (mark) => {
      this.#known.identify(mark)
      const place = this.#open.placeOf(this.#known.lo, this.#known.hi)
      return place < low ? -1 : place
    })
    if (loop === undefined) return
    this.#task = -1
    this.#preemptions = this.#stack.get(LEVEL.PREEMPTIONS)
    const runner = (loop.round[0] as Move).task
    const message = `${taskName(runner)} runs for ever and gets nowhere: the last ${loop.round.length} steps repeat`
    const closed = (flags & FLAG.EXITS) === 0
    const observed = closed
      ? this.#judges.stuck('livelock', message)
      : this.#judges.bySearch('livelock', message)
    this.#after = [...loop.approach, ...loop.round]
    this.#noteOf(observed, runner, functionName(standsIn(runner)))
    this.#after = []
  }

  /** The moves from the initial state to the top of the stack, and the step under way. */
  readonly #schedule = (): Move[] => {
    const moves = [...this.#stack.schedule(), ...this.#after]
    if (this.#task < 0) return moves
    return [...moves, { task: this.#task, choice: this.#choice, alternatives: this.#ways }]
  }

  #note(observed: readonly Observed[], where: string): void {
    this.#noteOf(observed, this.#task, where)
  }

  #noteOf(observed: readonly Observed[], task: number, where: string): void {
    this.#witnesses.note(observed, () => ({
      schedule: this.#schedule(),
      preemptions: this.#preemptions,
      task: taskName(task),
      function: where,
    }))
  }
}

/** Search from the machine's present state; the machine is in that state again afterwards. */
export function search(judges: Judges, options: SearchOptions): SearchResult {
  return new Search(judges, options).run()
}

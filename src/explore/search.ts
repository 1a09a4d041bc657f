/**
 * Stateful depth-first search over lowered kernel code. Every state is visited once (or, with a
 * bound on preemptions, once for each running task and each smaller number of preemptions); the
 * undo log takes the machine back, so a step costs the same in any depth.
 *
 * Without a bound the search is exhaustive. It then also knows the strongly connected parts of
 * the state graph: one that no step leaves and in which somebody still runs is a livelock.
 */
import { fingerprintHi, fingerprintLo, rewind, undoMark, undoTo } from '../machine/arena.js'
import { faultingFunction, functionName, standsIn } from '../machine/frames.js'
import {
  allEnded,
  alternatives,
  canStep,
  endedBelow,
  isDaemon,
  phaseOf,
  step,
  taskCount,
  taskName,
} from '../machine/machine.js'
import { hasStarted } from '../machine/task.js'
import { EXIT_PHASE } from './boot.js'
import { OpenStates } from './components.js'
import { describeStuck } from './deadlock.js'
import type { Judges, Observed } from './judges.js'
import { FLAG, LEVEL, LevelStack } from './stack.js'
import { BoundedTable, VisitedTable } from './visited.js'

/** One scheduling decision: which task, and which alternative if its step had several. */
export interface Move {
  readonly task: number
  readonly choice: number
  readonly alternatives: number
}

/** How a finding was reached. */
export interface Witness {
  readonly id: string
  readonly message: string
  readonly first: boolean
  readonly schedule: readonly Move[]
  readonly preemptions: number
  readonly task: string
  readonly function: string
}

export interface SearchOptions {
  /** Most preemptions on an execution; undefined for no bound. */
  readonly bound: number | undefined
  /** Called about every 10,000 steps; returning false interrupts the search. */
  readonly keepGoing: (states: number, depth: number) => boolean
  /** Called in each state in which the scenario's tasks have ended, with the schedule so far. */
  readonly atRest: (schedule: () => readonly Move[]) => readonly Observed[]
  /** Called in each state in which nobody can go on. */
  readonly atFinal?: () => void
  /** Stop when all of these findings have a witness, a first one where it says true. */
  readonly wanted?: ReadonlyMap<string, boolean>
}

export interface SearchResult {
  readonly states: number
  readonly steps: number
  readonly executions: number
  /** False if `keepGoing` said stop. */
  readonly finished: boolean
  /** The bound cut something off. */
  readonly cut: boolean
  readonly witnesses: ReadonlyMap<string, Witness>
  readonly omissions: number
}

class Search {
  readonly #judges: Judges
  readonly #options: SearchOptions
  readonly #bound: number
  readonly #visited = new VisitedTable()
  readonly #bounded = new BoundedTable()
  readonly #stack = new LevelStack()
  readonly #open = new OpenStates()
  readonly #witnesses = new Map<string, Witness>()
  #steps = 0
  #executions = 0
  #cut = false
  #interrupted = false
  /** The step under way. */
  #task = -1
  #choice = 0
  #ways = 1
  #preemptions = 0

  constructor(judges: Judges, options: SearchOptions) {
    this.#judges = judges
    this.#options = options
    this.#bound = options.bound ?? -1
  }

  run(): SearchResult {
    this.#arrive(-1)
    this.#enter(undoMark(), -1)
    const { wanted } = this.#options
    while (this.#stack.depth > 0 && !this.#interrupted) {
      if (wanted !== undefined && this.#satisfied(wanted)) break
      if (this.#nextMove()) this.#take()
      else this.#leave()
    }
    if (this.#stack.depth > 0) undoTo(this.#stack.words[LEVEL.MARK] as number)
    return {
      states: this.#bound < 0 ? this.#visited.size : this.#bounded.size,
      steps: this.#steps,
      executions: this.#executions,
      finished: !this.#interrupted,
      cut: this.#cut,
      witnesses: this.#witnesses,
      omissions: this.#visited.expectedOmissions(),
    }
  }

  #satisfied(wanted: ReadonlyMap<string, boolean>): boolean {
    for (const [id, first] of wanted) {
      const witness = this.#witnesses.get(id)
      if (witness === undefined || (first && !witness.first)) return false
    }
    return true
  }

  /**
   * Go on to the next untried move of the topmost state, the running task first, so that bound 0
   * is cheap. False if there is none.
   */
  #nextMove(): boolean {
    const stack = this.#stack
    const running = stack.get(LEVEL.RUNNING)
    const tasks = taskCount()
    const couldGoOn = (stack.get(LEVEL.FLAGS) & FLAG.GOES_ON) !== 0
    for (let i = stack.get(LEVEL.NEXT_TASK); i < tasks; i++) {
      const task = inOrder(running, i)
      if (canStep(task)) {
        const ways = alternatives(task)
        const choice = stack.get(LEVEL.NEXT_CHOICE)
        const preempts = couldGoOn && task !== running
        if (preempts && this.#bound >= 0 && stack.get(LEVEL.PREEMPTIONS) >= this.#bound) {
          this.#cut = true
        } else if (choice < ways) {
          stack.set(LEVEL.NEXT_TASK, i)
          stack.set(LEVEL.NEXT_CHOICE, choice + 1)
          this.#task = task
          this.#choice = choice
          this.#ways = ways
          this.#preemptions = stack.get(LEVEL.PREEMPTIONS) + (preempts ? 1 : 0)
          return true
        }
      }
      stack.set(LEVEL.NEXT_CHOICE, 0)
    }
    stack.set(LEVEL.NEXT_TASK, tasks)
    return false
  }

  #take(): void {
    if (++this.#steps % 10_000 === 0) {
      const { keepGoing } = this.#options
      if (!keepGoing(this.#visited.size, this.#stack.depth)) this.#interrupted = true
    }
    const task = this.#task
    const at = standsIn(task)
    const mark = undoMark()
    const result = step(task, this.#choice)
    const observed = this.#judges.afterStep(result)
    if (observed.length > 0) {
      this.#note(observed, result.fault === undefined ? functionName(at) : faultingFunction())
    }
    if (result.fault?.kind === 'undefined') {
      this.#executions++
      this.#flag(FLAG.EXITS)
      this.#back(mark)
      return
    }
    if (endedBelow(EXIT_PHASE)) this.#judgeRest()
    if (this.#arrive(task)) this.#enter(mark, task)
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
  #arrive(running: number): boolean {
    const lo = fingerprintLo()
    const hi = fingerprintHi()
    if (this.#bound >= 0) return this.#bounded.insert(lo, hi, running, this.#preemptions)
    if (this.#visited.insert(lo, hi)) return true
    const place = this.#open.placeOf(lo, hi)
    if (place < 0) this.#flag(FLAG.EXITS)
    else {
      this.#flag(FLAG.CYCLE)
      if (place < this.#stack.get(LEVEL.LOW)) this.#stack.set(LEVEL.LOW, place)
    }
    return false
  }

  #enter(mark: number, running: number): void {
    const stack = this.#stack
    const lo = fingerprintLo()
    const hi = fingerprintHi()
    const place = this.#bound < 0 ? this.#open.push(lo, hi) : 0
    stack.push()
    stack.set(LEVEL.MARK, mark)
    stack.set(LEVEL.LO, lo)
    stack.set(LEVEL.HI, hi)
    stack.set(LEVEL.TASK, this.#task)
    stack.set(LEVEL.CHOICE, this.#choice)
    stack.set(LEVEL.WAYS, this.#ways)
    stack.set(LEVEL.RUNNING, running)
    stack.set(LEVEL.PREEMPTIONS, this.#preemptions)
    stack.set(LEVEL.NEXT_TASK, 0)
    stack.set(LEVEL.NEXT_CHOICE, 0)
    stack.set(LEVEL.PLACE, place)
    stack.set(LEVEL.LOW, place)
    const goesOn = running >= 0 && !isDaemon(running) && canStep(running)
    stack.set(LEVEL.FLAGS, goesOn ? FLAG.GOES_ON : 0)
    this.#task = -1
    if (!goesOn && someRunner() < 0) this.#judgeStuck()
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
    if (this.#bound < 0) this.#closeComponent()
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
      this.#open.popTo(low)
      if ((flags & FLAG.EXITS) === 0 && !allEnded()) this.#livelock()
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

  #livelock(): void {
    const runner = someRunner()
    this.#task = -1
    this.#preemptions = this.#stack.get(LEVEL.PREEMPTIONS)
    const message = `${taskName(runner)} runs for ever and gets nowhere`
    this.#noteOf(this.#judges.stuck('livelock', message), runner, functionName(standsIn(runner)))
  }

  /** The moves from the initial state to the top of the stack, and the step under way. */
  readonly #schedule = (): Move[] => {
    const moves = this.#stack.schedule()
    if (this.#task < 0) return moves
    return [...moves, { task: this.#task, choice: this.#choice, alternatives: this.#ways }]
  }

  #note(observed: readonly Observed[], where: string): void {
    this.#noteOf(observed, this.#task, where)
  }

  #noteOf(observed: readonly Observed[], task: number, where: string): void {
    for (const { id, message, first } of observed) {
      const known = this.#witnesses.get(id)
      // A witness on which nothing went wrong before is the better one.
      if (known !== undefined && (known.first || !first)) continue
      this.#witnesses.set(id, {
        id,
        message,
        first,
        schedule: this.#schedule(),
        preemptions: this.#preemptions,
        task: taskName(task),
        function: where,
      })
    }
  }
}

/** The task that is tried as number `i`, when `running` is tried first. */
function inOrder(running: number, i: number): number {
  if (running < 0) return i
  if (i === 0) return running
  return i <= running ? i - 1 : i
}

/** A task that can step and is no daemon, or -1. */
function someRunner(): number {
  for (let n = 0; n < taskCount(); n++) if (canStep(n) && !isDaemon(n)) return n
  return -1
}

/** Search from the machine's present state; the machine is in that state again afterwards. */
export function search(judges: Judges, options: SearchOptions): SearchResult {
  return new Search(judges, options).run()
}

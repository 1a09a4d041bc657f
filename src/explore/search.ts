/**
 * Stateful depth-first search over lowered kernel code. Every state is visited once (or, with a
 * bound on preemptions, once for each running task and each smaller number of preemptions); the
 * undo log takes the machine back, so a step costs the same in any depth.
 *
 * Without a bound the search is exhaustive. It then also knows the strongly connected parts of
 * the state graph: one that no step leaves and in which somebody still runs is a livelock.
 */
import { fingerprintHi, fingerprintLo, undoMark, undoTo } from '../machine/arena.js'
import { faultingFunction, functionOf } from '../machine/frames.js'
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
import { taskNumber } from '../machine/task.js'
import { EXIT_PHASE } from './boot.js'
import { describeStuck } from './deadlock.js'
import type { Judges, Observed } from './judges.js'
import { VisitedTable } from './visited.js'

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
  /** Stop when all of these findings have a witness; for a bounded search. */
  readonly wanted?: ReadonlySet<string>
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

/** What is kept of a state while it is on the stack. */
interface Level {
  mark: number
  /** The step that led here. */
  move: Move | undefined
  /** The task that ran last, or -1. */
  running: number
  preemptions: number
  /** Where the enumeration of moves goes on. */
  nextTask: number
  nextChoice: number
  /** Numbers of Tarjan's algorithm. */
  index: number
  low: number
  /** Some step leads to a state outside this state's component, or the state is final. */
  exits: boolean
}

const FINISHED = 0

class Search {
  readonly #judges: Judges
  readonly #options: SearchOptions
  readonly #visited = new VisitedTable()
  readonly #stack: Level[] = []
  /** Fingerprints of the states whose component is not closed yet, in order of index. */
  readonly #open: { index: number; lo: number; hi: number; busy: boolean }[] = []
  readonly #witnesses = new Map<string, Witness>()
  #nextIndex = 1
  #steps = 0
  #executions = 0
  #cut = false
  #interrupted = false

  constructor(judges: Judges, options: SearchOptions) {
    this.#judges = judges
    this.#options = options
  }

  run(): SearchResult {
    this.#enter(undefined, undoMark(), -1, 0)
    while (this.#stack.length > 0 && !this.#interrupted && !this.#satisfied()) {
      const top = this.#stack[this.#stack.length - 1] as Level
      const move = this.#nextMove(top)
      if (move === undefined) this.#leave()
      else this.#take(top, move)
    }
    const bottom = this.#stack[0]
    if (bottom !== undefined) undoTo(bottom.mark)
    return {
      states: this.#visited.size,
      steps: this.#steps,
      executions: this.#executions,
      finished: !this.#interrupted,
      cut: this.#cut,
      witnesses: this.#witnesses,
      omissions: this.#visited.expectedOmissions(),
    }
  }

  #satisfied(): boolean {
    const wanted = this.#options.wanted
    if (wanted === undefined) return false
    for (const id of wanted) if (!this.#witnesses.has(id)) return false
    return true
  }

  /** The next untried move of a state: the running task first, so that bound 0 is cheap. */
  #nextMove(top: Level): Move | undefined {
    const tasks = taskCount()
    while (top.nextTask < tasks) {
      const task = this.#taskAt(top, top.nextTask)
      const ways = canStep(task) ? alternatives(task) : 0
      if (top.nextChoice >= ways) {
        top.nextTask++
        top.nextChoice = 0
        continue
      }
      const choice = top.nextChoice++
      if (this.#preempts(top, task) && this.#overBound(top)) {
        this.#cut = true
        continue
      }
      return { task, choice, alternatives: ways }
    }
    return undefined
  }

  #taskAt(top: Level, i: number): number {
    if (top.running < 0) return i
    if (i === 0) return top.running
    return i <= top.running ? i - 1 : i
  }

  #preempts(top: Level, task: number): boolean {
    return (
      top.running >= 0 && top.running !== task && !isDaemon(top.running) && canStep(top.running)
    )
  }

  #overBound(top: Level): boolean {
    return this.#options.bound !== undefined && top.preemptions >= this.#options.bound
  }

  #take(top: Level, move: Move): void {
    if (++this.#steps % 10_000 === 0) {
      const { keepGoing } = this.#options
      if (!keepGoing(this.#visited.size, this.#stack.length)) this.#interrupted = true
    }
    const preemptions = top.preemptions + (this.#preempts(top, move.task) ? 1 : 0)
    const at = functionOf(move.task)
    const mark = undoMark()
    const result = step(move.task, move.choice)
    const schedule = (): Move[] => [...this.schedule(), move]
    const where = result.fault === undefined ? at : faultingFunction()
    this.#note(this.#judges.afterStep(result), schedule, preemptions, move.task, where)
    if (result.fault?.kind === 'undefined') {
      this.#executions++
      top.exits = true
      undoTo(mark)
      return
    }
    this.#judgeRest(schedule, preemptions, move.task)
    if (this.#arrive(top, preemptions, move.task)) this.#enter(move, mark, move.task, preemptions)
    else undoTo(mark)
  }

  /** States in which the scenario's tasks have ended, and states in which everything has. */
  #judgeRest(schedule: () => Move[], preemptions: number, task: number): void {
    if (!endedBelow(EXIT_PHASE)) return
    const exit = taskCount() - 1
    if (phaseOf(exit) === EXIT_PHASE && this.#notStarted(exit)) {
      this.#note(this.#options.atRest(schedule), schedule, preemptions, task, 'user mode')
    } else if (allEnded()) {
      this.#note(this.#judges.atEnd(), schedule, preemptions, task, 'do_exit')
    }
  }

  #notStarted(n: number): boolean {
    return taskNumber(n).started === 0
  }

  /** Is the present state new (with so few preemptions)? If it is on the stack, note the cycle. */
  #arrive(top: Level, preemptions: number, running: number): boolean {
    const salt = this.#options.bound === undefined ? 0 : Math.imul(running + 1, 0x9e3779b1)
    const lo = fingerprintLo() ^ salt
    const hi = fingerprintHi()
    const known = this.#visited.get(lo, hi)
    if (this.#options.bound !== undefined) {
      if (known !== undefined && known <= preemptions) return false
      this.#visited.set(lo, hi, preemptions)
      return true
    }
    if (known === undefined) return true
    if (known === FINISHED) top.exits = true
    else if (known < top.low) top.low = known
    return false
  }

  #enter(move: Move | undefined, mark: number, running: number, preemptions: number): void {
    const index = this.#nextIndex++
    if (this.#options.bound === undefined) {
      this.#visited.slot(fingerprintLo(), fingerprintHi(), index)
      this.#open.push({ index, lo: fingerprintLo(), hi: fingerprintHi(), busy: !allEnded() })
    }
    const level: Level = {
      mark,
      move,
      running,
      preemptions,
      nextTask: 0,
      nextChoice: 0,
      index,
      low: index,
      exits: false,
    }
    this.#stack.push(level)
    this.#judgeStuck(level)
  }

  /** A state in which nobody can go on is an end of an execution, good or bad. */
  #judgeStuck(level: Level): void {
    for (let n = 0; n < taskCount(); n++) if (canStep(n) && !isDaemon(n)) return
    this.#executions++
    level.exits = true
    this.#options.atFinal?.()
    const stuck = describeStuck()
    if (stuck === undefined) return
    const before = undoMark()
    this.#note(
      this.#judges.stuck('deadlock', stuck.message),
      () => this.schedule(),
      level.preemptions,
      stuck.task,
      functionOf(stuck.task),
    )
    undoTo(before)
  }

  #leave(): void {
    const level = this.#stack.pop() as Level
    if (this.#options.bound === undefined) this.#closeComponent(level)
    undoTo(level.mark)
  }

  /** Tarjan: a component is complete when its root is left. */
  #closeComponent(level: Level): void {
    const parent = this.#stack[this.#stack.length - 1]
    if (level.low < level.index) {
      if (parent !== undefined) {
        parent.low = Math.min(parent.low, level.low)
        if (level.exits) parent.exits = true
      }
      return
    }
    let busy = false
    for (
      let last = this.#open.at(-1);
      last && last.index >= level.index;
      last = this.#open.at(-1)
    ) {
      this.#open.pop()
      this.#visited.set(last.lo, last.hi, FINISHED)
      busy ||= last.busy
    }
    if (!level.exits && busy) {
      const runner = this.#runner()
      this.#note(
        this.#judges.stuck('livelock', `${taskName(runner)} runs for ever and gets nowhere`),
        () => [...this.schedule(), ...(level.move ? [level.move] : [])],
        level.preemptions,
        runner,
        functionOf(runner),
      )
    }
    if (parent !== undefined) parent.exits = true
  }

  #runner(): number {
    for (let n = 0; n < taskCount(); n++) if (canStep(n) && !isDaemon(n)) return n
    return 0
  }

  /** The moves from the initial state to the top of the stack. */
  schedule(): Move[] {
    const moves: Move[] = []
    for (const level of this.#stack) if (level.move !== undefined) moves.push(level.move)
    return moves
  }

  #note(
    observed: readonly Observed[],
    schedule: () => readonly Move[],
    preemptions: number,
    task: number,
    where: string,
  ): void {
    for (const { id, message, first } of observed) {
      const known = this.#witnesses.get(id)
      // A witness on which nothing went wrong before is the better one.
      if (known !== undefined && (known.first || !first)) continue
      this.#witnesses.set(id, {
        id,
        message,
        first,
        schedule: schedule(),
        preemptions,
        task: taskName(task),
        function: where,
      })
    }
  }
}

/** Search from the machine's present state; the machine is in that state again afterwards. */
export function search(judges: Judges, options: SearchOptions): SearchResult {
  return new Search(judges, options).run()
}

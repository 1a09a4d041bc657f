/**
 * One execution, under way: which tasks can step, the step of one of them, what the judges say of
 * it, and how to go back. Whoever explores only chooses the next move; whoever listens only hears.
 *
 * The order in which a step is judged, and the ends of an execution, are defined here and nowhere
 * else: first what the step did and the state it led to; then, when the scenario's tasks have
 * ended, the state at rest, or, when the process has exited too, the state at the end. A state in
 * which nobody can go on is the end of an execution, good or stuck. Undefined behaviour is one as
 * well: nothing that comes after it would mean anything.
 *
 * `promela/machine.c` is the counterpart in C (`step`, `judge_rest`, `at_standstill`).
 */
import { fingerprintHi, fingerprintLo, rewind, undoMark, undoTo } from '../machine/arena.js'
import { faultingFunction, functionName, standsIn } from '../machine/frames.js'
import {
  allEnded,
  alternatives,
  canStep,
  daemonTasks,
  endedBelow,
  phaseOf,
  readyTasks,
  type StepResult,
  step,
  taskCount,
} from '../machine/machine.js'
import type { Memo } from '../machine/memo.js'
import { hasStarted } from '../machine/task.js'
import { EXIT_PHASE } from './boot.js'
import { describeStuck } from './deadlock.js'
import type { Judges, Observed } from './judges.js'
import { Levels } from './levels.js'
import type { Move } from './schedule.js'

/** What was observed at one moment, when, and where. */
export interface Sighting {
  readonly observed: readonly Observed[]
  /** In the set-up; by a step; in a state at rest, at the end, where nobody can go on; of a loop. */
  readonly moment: 'set-up' | 'step' | 'rest' | 'end' | 'stuck' | 'loop'
  /** -1 for that of the set-up. */
  readonly task: number
  /** The kernel function, in C's spelling. */
  readonly function: string
}

/** Hears what happens on an execution, and changes nothing. */
export interface Listener {
  /** A task is about to step. */
  stepping?(task: number, choice: number): void
  /** The step has been taken; the judges come next. */
  stepped?(result: StepResult): void
  /** The judges have seen the step and the state behind it. */
  judged?(): void
  /** The schedule of the execution ends with what was observed. */
  found?(what: Sighting, run: Execution): void
  /** The scenario's tasks have ended. */
  atRest?(run: Execution): void
  /** Nobody can go on. */
  atFinal?(): void
}

/** Words of a level of the path. */
const STATE = {
  /** Where the undo log stood before the step that led here; the fingerprint behind it. */
  MARK: 0,
  LO: 1,
  HI: 2,
  /** That step; the task is -1 for the initial state. */
  TASK: 3,
  CHOICE: 4,
  WAYS: 5,
  /** On the way here: tasks put aside that could have gone on, choices other than 0. */
  PREEMPTIONS: 6,
  SURPRISES: 7,
  /** Tasks that can step, as bits; -1 before anybody has asked. */
  READY: 8,
  WORDS: 9,
} as const

export class Execution {
  readonly #judges: Judges
  readonly #listeners: readonly Listener[]
  readonly #memo: Memo | undefined
  readonly #path = new Levels(STATE.WORDS)
  /** Moves that are told with a finding, behind the last one that was taken. */
  #after: readonly Move[] = []
  /** The last step was undefined behaviour: there is no state behind it. */
  over = false
  /** The deed that led to the present state; 0 if code did. */
  deed = 0

  /**
   * From the machine's present state. With a memory, steps that did something before are looked
   * up; nobody hears of them as steps, only of what is found.
   */
  constructor(judges: Judges, listeners: readonly Listener[] = [], memo?: Memo) {
    this.#judges = judges
    this.#listeners = listeners
    this.#memo = memo
    this.#push(-1, 0, 0, 0, 0)
    this.#settle()
    this.#tell(judges.ofSetUp, 'set-up', -1, 'user mode')
  }

  /** How many steps have been taken. */
  get depth(): number {
    return this.#path.depth - 1
  }

  get bytes(): number {
    return this.#path.bytes
  }

  /** Both lanes of the present state's fingerprint. */
  get lo(): number {
    return this.#path.get(STATE.LO)
  }

  get hi(): number {
    return this.#path.get(STATE.HI)
  }

  /** The task that has stepped last, or -1. */
  get running(): number {
    return this.#path.get(STATE.TASK)
  }

  get preemptions(): number {
    return this.#path.get(STATE.PREEMPTIONS)
  }

  /** Choices on the way here other than the ordinary one, 0. */
  get surprises(): number {
    return this.#path.get(STATE.SURPRISES)
  }

  /** Where the undo log stood before step `n`, from 0, as it was taken last. */
  markBefore(n: number): number {
    return this.#path.at(n + 1, STATE.MARK)
  }

  /** Where the undo log stood before the step that has led to the present state. */
  get mark(): number {
    return this.#path.get(STATE.MARK)
  }

  /** The moves so far, as numbers, for who wants to take them again. */
  schedule(): Move[] {
    const moves: Move[] = []
    for (let depth = 1; depth <= this.depth; depth++) {
      moves.push({
        task: this.#path.at(depth, STATE.TASK),
        choice: this.#path.at(depth, STATE.CHOICE),
        alternatives: this.#path.at(depth, STATE.WAYS),
      })
    }
    return [...moves, ...this.#after]
  }

  /**
   * The tasks that can step now, as bits. If none can, daemons apart, this is the end of an
   * execution, and it is judged when it is asked for the first time.
   */
  ready(): number {
    const known = this.#path.get(STATE.READY)
    return known >= 0 ? known : this.#look()
  }

  /** Look who can step. */
  #look(): number {
    const ready = this.over ? 0 : readyTasks()
    this.#path.set(STATE.READY, ready)
    if ((ready & ~daemonTasks()) === 0 && !this.over) this.#judgeFinal()
    return ready
  }

  /** All that can be done next. */
  moves(): Move[] {
    const moves: Move[] = []
    for (let rest = this.ready(); rest !== 0; rest &= rest - 1) {
      const task = 31 - Math.clz32(rest & -rest)
      const ways = alternatives(task)
      for (let choice = 0; choice < ways; choice++) {
        moves.push({ task, choice, alternatives: ways })
      }
    }
    return moves
  }

  /** Can this move be made, as it was recorded? */
  allows({ task, alternatives: ways }: Move): boolean {
    return !this.over && task < taskCount() && canStep(task) && alternatives(task) === ways
  }

  /** Would a step of this task put aside another one that could go on? Who serves others can wait. */
  preempts(task: number): boolean {
    const { running } = this
    if (running < 0 || running === task) return false
    return (((this.ready() & ~daemonTasks()) >> running) & 1) !== 0
  }

  /** Let a task take a step, by a deed if that is known. */
  take(task: number, choice: number, deed = this.#memo?.recall(task, choice) ?? 0): void {
    const at = standsIn(task)
    this.#advance(task, choice)
    this.deed = deed
    if (deed !== 0) this.#repeat(task, at, deed)
    else this.#execute(task, choice, at)
    if (!this.over && endedBelow(EXIT_PHASE)) this.#judgeEnds(task)
    this.#settle()
  }

  /** Take a step again by which nothing was found: nobody has to hear of it. */
  retrace({ task, choice }: Move): void {
    this.#advance(task, choice)
    step(task, choice)
    this.#settle()
  }

  /** Take moves one after the other, as far as they can be made; returns how many could. */
  follow(schedule: readonly Move[]): number {
    for (const [i, move] of schedule.entries()) {
      if (!this.allows(move)) return i
      this.take(move.task, move.choice)
    }
    return schedule.length
  }

  /** Take a step back. */
  back(): void {
    const { mark } = this
    this.#path.pop()
    this.over = false
    rewind(mark, this.lo, this.hi)
  }

  /** Take steps back until there are so many. */
  backTo(depth: number): void {
    if (depth === this.depth) return
    while (this.depth > depth + 1) this.#path.pop()
    this.back()
  }

  /**
   * Report what an explorer has seen of the states around this one, with moves that show it.
   * `hopeless`: nothing else can happen.
   */
  blame(
    id: string,
    message: string,
    task: number,
    after: readonly Move[],
    hopeless: boolean,
  ): void {
    const before = undoMark()
    const observed = hopeless ? this.#judges.stuck(id, message) : this.#judges.bySearch(id, message)
    undoTo(before)
    this.#after = after
    this.#tell(observed, 'loop', task, functionName(standsIn(task)))
    this.#after = []
  }

  /** The level of the state that a step leads to. */
  #advance(task: number, choice: number): void {
    const preemptions = this.preemptions + (this.preempts(task) ? 1 : 0)
    const surprises = this.surprises + (choice > 0 ? 1 : 0)
    this.#push(task, choice, alternatives(task), preemptions, surprises)
  }

  #push(task: number, choice: number, ways: number, preemptions: number, surprises: number): void {
    this.#path.push()
    const { words, top } = this.#path
    words[top + STATE.MARK] = undoMark()
    words[top + STATE.TASK] = task
    words[top + STATE.CHOICE] = choice
    words[top + STATE.WAYS] = ways
    words[top + STATE.PREEMPTIONS] = preemptions
    words[top + STATE.SURPRISES] = surprises
    words[top + STATE.READY] = -1
  }

  #settle(): void {
    this.#path.set(STATE.LO, fingerprintLo())
    this.#path.set(STATE.HI, fingerprintHi())
  }

  /** Run the code of a step. */
  #execute(task: number, choice: number, at: number): void {
    for (const l of this.#listeners) l.stepping?.(task, choice)
    this.#memo?.listen(task, choice)
    const result = step(task, choice)
    const inputs = this.#memo?.heard()
    for (const l of this.#listeners) l.stepped?.(result)
    const observed = this.#judges.afterStep(result)
    this.over = result.fault?.kind === 'undefined'
    for (const l of this.#listeners) l.judged?.()
    if (observed.length === 0) {
      if (inputs !== undefined) this.#memo?.keep(inputs, this.mark, result.dirty)
      return
    }
    const where = result.fault === undefined ? functionName(at) : faultingFunction()
    this.#tell(observed, 'step', task, where)
  }

  /** The step did something like this before, so it is known where it leads to. */
  #repeat(task: number, at: number, deed: number): void {
    const memo = this.#memo as Memo
    const below = this.#path.depth - 2
    const lo = this.#path.at(below, STATE.LO) ^ memo.changeLo(deed)
    const hi = this.#path.at(below, STATE.HI) ^ memo.changeHi(deed)
    memo.perform(deed, lo, hi)
    const observed = this.#judges.afterRepeat(memo.dirty(deed))
    if (observed.length > 0) this.#tell(observed, 'step', task, functionName(at))
  }

  /** States in which the scenario's tasks have ended, and states in which everything has. */
  #judgeEnds(task: number): void {
    const exit = taskCount() - 1
    if (phaseOf(exit) === EXIT_PHASE && !hasStarted(exit)) {
      this.#tell(this.#judges.atRest(), 'rest', task, 'user mode')
      for (const l of this.#listeners) l.atRest?.(this)
    } else if (allEnded()) this.#tell(this.#judges.atEnd(), 'end', task, 'do_exit')
  }

  /** Nobody can go on. That tasks are stuck is no part of the state. */
  #judgeFinal(): void {
    for (const l of this.#listeners) l.atFinal?.()
    const stuck = describeStuck()
    if (stuck === undefined) return
    const before = undoMark()
    const observed = this.#judges.stuck('deadlock', stuck.message)
    undoTo(before)
    this.#tell(observed, 'stuck', stuck.task, functionName(standsIn(stuck.task)))
  }

  #tell(
    observed: readonly Observed[],
    moment: Sighting['moment'],
    task: number,
    where: string,
  ): void {
    if (observed.length === 0) return
    const what = { observed, moment, task, function: where }
    for (const l of this.#listeners) l.found?.(what, this)
  }
}

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
import { type Facts, LimitError } from '../machine/fault.js'
import { faultingFunction, functionName, standsIn } from '../machine/frames.js'
import {
  allEnded,
  alternatives,
  bootNumber,
  canStep,
  daemonTasks,
  endedBelow,
  mustBeOf,
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
import { LEVEL, Path } from './path.js'
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

export class Execution {
  readonly #boot = bootNumber()
  readonly #judges: Judges
  readonly #listeners: readonly Listener[]
  readonly #memo: Memo | undefined
  /** The states on the way here. An explorer writes its own words only. */
  readonly path: Path
  /** Moves that are told with a finding, behind the last one that was taken. */
  #after: readonly Move[] = []
  /** The last step was undefined behaviour: there is no state behind it. */
  over = false
  /** The deed that led to the present state; 0 if code did. */
  deed = 0

  /**
   * From the machine's present state. With a memory, steps that did something before are looked
   * up; nobody hears of them as steps, only of what is found. `own`: words of a level of the path
   * that the explorer keeps there.
   */
  constructor(judges: Judges, listeners: readonly Listener[] = [], memo?: Memo, own = 0) {
    this.#judges = judges
    this.#listeners = listeners
    this.#memo = memo
    judges.remember(memo !== undefined)
    this.path = new Path(own)
    this.#push(-1, 0, 0, 0, 0)
    this.#settle()
    this.#tell(judges.ofSetUp, 'set-up', -1, 'user mode')
  }

  /** How many steps have been taken. */
  get depth(): number {
    return this.path.depth - 1
  }

  /** Both lanes of the present state's fingerprint. */
  get lo(): number {
    return this.path.get(LEVEL.LO)
  }

  get hi(): number {
    return this.path.get(LEVEL.HI)
  }

  /** The task that has stepped last, or -1. */
  get running(): number {
    return this.path.get(LEVEL.TASK)
  }

  get preemptions(): number {
    return this.path.get(LEVEL.PREEMPTIONS)
  }

  /** Choices on the way here other than the ordinary one, 0. */
  get surprises(): number {
    return this.path.get(LEVEL.SURPRISES)
  }

  /** Where the undo log stood before step `n`, from 0, as it was taken last. */
  markBefore(n: number): number {
    return this.path.at(n + 1, LEVEL.MARK)
  }

  /** Where the undo log stood before the step that has led to the present state. */
  get mark(): number {
    return this.path.get(LEVEL.MARK)
  }

  /** The moves so far, as numbers, for who wants to take them again. */
  schedule(): Move[] {
    const moves: Move[] = []
    for (let depth = 1; depth <= this.depth; depth++) {
      moves.push({
        task: this.path.at(depth, LEVEL.TASK),
        choice: this.path.at(depth, LEVEL.CHOICE),
        alternatives: this.path.at(depth, LEVEL.WAYS),
      })
    }
    return [...moves, ...this.#after]
  }

  /**
   * The tasks that can step now, as bits. If none can, daemons apart, this is the end of an
   * execution, and it is judged when it is asked for the first time.
   */
  ready(): number {
    const known = this.path.get(LEVEL.READY)
    return known >= 0 ? known : this.#look()
  }

  /**
   * There is one machine in a thread, and one bench of judges at it. An execution of another one
   * would go on with whatever state is there, judged by nobody or by others.
   *
   * @throws LimitError
   */
  #mustBeHere(): void {
    mustBeOf(this.#boot)
    if (!this.#judges.areAttached) throw new LimitError('the judges of an execution are not there')
  }

  /** Look who can step. */
  #look(): number {
    this.#mustBeHere()
    const ready = this.over ? 0 : readyTasks()
    this.path.set(LEVEL.READY, ready)
    if ((ready & ~daemonTasks()) === 0 && !this.over) this.#judgeFinal()
    return ready
  }

  /** All that can be done next. */
  moves(): Move[] {
    this.#mustBeHere()
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
    this.#mustBeHere()
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
    this.#advance(task, choice)
    this.deed = deed
    if (deed !== 0) this.#repeat(task, deed)
    else this.#execute(task, choice)
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
    this.#mustBeHere()
    const { mark } = this
    this.path.pop()
    this.over = false
    rewind(mark, this.lo, this.hi)
  }

  /** Take steps back until there are so many. */
  backTo(depth: number): void {
    if (depth === this.depth) return
    this.#mustBeHere()
    while (this.depth > depth + 1) this.path.pop()
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
    facts: Facts,
  ): void {
    this.#mustBeHere()
    const before = undoMark()
    const observed = hopeless
      ? this.#judges.stuck(id, message, facts)
      : this.#judges.bySearch(id, message, facts)
    undoTo(before)
    this.#after = after
    this.#tell(observed, 'loop', task, functionName(standsIn(task)))
    this.#after = []
  }

  /** The level of the state that a step leads to. */
  #advance(task: number, choice: number): void {
    this.#mustBeHere()
    const preemptions = this.preemptions + (this.preempts(task) ? 1 : 0)
    const surprises = this.surprises + (choice > 0 ? 1 : 0)
    this.#push(task, choice, alternatives(task), preemptions, surprises)
  }

  #push(task: number, choice: number, ways: number, preemptions: number, surprises: number): void {
    const { path } = this
    path.push()
    const { words, top } = path
    words[top + LEVEL.MARK] = undoMark()
    words[top + LEVEL.TASK] = task
    words[top + LEVEL.CHOICE] = choice
    words[top + LEVEL.WAYS] = ways
    words[top + LEVEL.PREEMPTIONS] = preemptions
    words[top + LEVEL.SURPRISES] = surprises
    words[top + LEVEL.READY] = -1
  }

  #settle(): void {
    this.path.set(LEVEL.LO, fingerprintLo())
    this.path.set(LEVEL.HI, fingerprintHi())
  }

  /** Run the code of a step. */
  #execute(task: number, choice: number): void {
    const at = standsIn(task)
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
  #repeat(task: number, deed: number): void {
    const memo = this.#memo as Memo
    const { words, top, width } = this.path
    const lo = (words[top - width + LEVEL.LO] as number) ^ memo.changeLo(deed)
    const hi = (words[top - width + LEVEL.HI] as number) ^ memo.changeHi(deed)
    const dirty = memo.dirty(deed)
    const at = dirty === 0 ? 0 : standsIn(task)
    memo.perform(deed, lo, hi)
    if (dirty === 0) return
    const observed = this.#judges.afterRepeat(dirty)
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
    const observed = this.#judges.stuck('deadlock', stuck.message, stuck.facts)
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

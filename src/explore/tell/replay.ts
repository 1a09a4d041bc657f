/**
 * Replay: run a given schedule and tell what happened, step by step. The schedule is never
 * followed blindly: a task that can't step, or has another number of alternatives than when the
 * schedule was recorded, ends the replay with the place where the two part.
 */

import { Cell } from '../../cell/cell.js'
import { waitsFor } from '../../cell/deadlock.js'
import type { Execution, Listener, Sighting } from '../../cell/execution.js'
import type { Observed } from '../../cell/judges.js'
import type { Move } from '../../cell/schedule.js'
import type { Design } from '../../designs/design.js'
import { errnoName } from '../../kernel/include/errno.js'
import { Folio } from '../../kernel/include/mm.js'
import { XArray, XaNode } from '../../kernel/include/xarray.js'
import type { Scenario } from '../../litmus/scenario.js'
import { undoMark, valueAt, writtenSince } from '../../machine/arena.js'
import { type Blob, describeBlob } from '../../machine/blob.js'
import { backtrace, faultingStack } from '../../machine/frames.js'
import {
  alternatives,
  canStep,
  daemonTasks,
  hasEnded,
  isDaemon,
  type Mode,
  operationOf,
  type StepResult,
  taskCount,
  taskName,
} from '../../machine/machine.js'
import { objectAt, objectName, snake, structNamed } from '../../machine/struct.js'
import { Task, taskNumber } from '../../machine/task.js'
import type { Change, Trace, TraceStep } from '../../trace/events.js'
import { TRACE_VERSION } from '../../trace/events.js'

/** Where a schedule can't be followed any further. */
export interface Divergence {
  /** Number of the step, from 1. */
  readonly step: number
  readonly expected: string
  readonly runnable: readonly string[]
  readonly why: string
}

export interface Replayed {
  readonly trace: Trace
  readonly divergence: Divergence | undefined
  /** How many steps of the schedule were followed; what comes behind them is its continuation. */
  readonly followed: number
}

export interface ReplayOptions {
  /** Called in the initial state, and behind each step. */
  readonly look?: () => void
  /** Run on when the schedule has ended or can't be followed: to where everything has ended. */
  readonly onward?: boolean
}

/** A continuation that takes more steps than this does not end. */
const MOST_STEPS = 5000

/**
 * Go on to the end: in the order of the tasks in what is left of the schedule, then each task as
 * long as it can, the one that ran last first. Where a step can go several ways, the ordinary one.
 */
function goOn(run: Execution, rest: readonly Move[], make: (move: Move) => void): void {
  const wanted = [...rest]
  while (run.depth < MOST_STEPS && (run.ready() & ~daemonTasks()) !== 0) {
    const moves = run.moves().filter((m) => m.choice === 0)
    const at = wanted.findIndex((w) => moves.some((m) => m.task === w.task))
    const planned = at < 0 ? undefined : wanted.splice(0, at + 1).at(-1)
    const task = planned?.task ?? run.running
    const same = moves.find((m) => m.task === task)
    make(same ?? moves.find((m) => !isDaemon(m.task)) ?? (moves[0] as Move))
  }
}

/** Boot a scenario on a design and follow a schedule, judged as in the search. */
export function replayScenario(
  scenario: Scenario,
  design: Design,
  schedule: readonly Move[],
  mode: Mode,
  { look, onward = false }: ReplayOptions = {},
): Replayed {
  const cell = new Cell(scenario, design)
  const narrator = new Narrator(mode)
  const run = cell.begin(mode, [narrator])
  const states = [`${run.lo},${run.hi}`]
  let divergence: Divergence | undefined
  const make = (move: Move): void => {
    narrator.begin(run, move)
    run.take(move.task, move.choice)
    narrator.end(run, move)
    states.push(`${run.lo},${run.hi}`)
    look?.()
  }
  look?.()
  for (const [i, move] of schedule.entries()) {
    divergence = disagreement(run, i, move)
    if (divergence !== undefined) break
    make(move)
  }
  const followed = run.depth
  if (onward) goOn(run, schedule.slice(followed), make)
  const stuck = stuckTasks(run)
  const trace: Trace = {
    version: TRACE_VERSION,
    scenario: scenario.name,
    design: design.id,
    tasks: Array.from({ length: taskCount() }, (_, n) => taskName(n)),
    setUp: cell.judges.ofSetUp,
    steps: narrator.steps,
    stuck,
    // Generators keep their frames outside the arena: of them a fingerprint does not tell enough.
    repeats: mode === 'lowered' ? stepsSinceSame(states) : 0,
    fingerprint: [run.lo, run.hi],
  }
  cell.judges.detach()
  return { trace, divergence, followed }
}

/** How many steps ago the last state was there before; 0 if it never was. */
function stepsSinceSame(states: readonly string[]): number {
  const last = states.length - 1
  const before = last > 0 ? states.lastIndexOf(states[last] as string, last - 1) : -1
  return before < 0 ? 0 : last - before
}

function disagreement(run: Execution, i: number, move: Move): Divergence | undefined {
  if (run.allows(move)) return undefined
  const { task } = move
  const runnable: string[] = []
  for (let n = 0; n < taskCount(); n++) if (canStep(n)) runnable.push(taskName(n))
  const at = { step: i + 1, expected: taskName(task), runnable }
  if (run.over) return { ...at, why: 'the step before it was undefined behaviour' }
  if (task >= taskCount()) return { ...at, why: 'there is no such task' }
  if (!canStep(task)) {
    const why = hasEnded(task) ? 'the task has ended' : `it waits for ${waitsFor(task)}`
    return { ...at, why }
  }
  return { ...at, why: `the step has ${alternatives(task)} outcomes, not ${move.alternatives}` }
}

/** Tells an execution step by step. */
class Narrator implements Listener {
  readonly steps: TraceStep[] = []
  readonly #lowered: boolean
  #stack: TraceStep['stack'] = []
  #operation: string | undefined
  #op = 0
  #returned: string[] = []
  #preempts = false
  #findings: Observed[] = []
  readonly #told = new Set<string>()

  constructor(mode: Mode) {
    this.#lowered = mode === 'lowered'
  }

  /** A move is about to be made. */
  begin(run: Execution, { task }: Move): void {
    this.#preempts = run.preempts(task)
    this.#stack = this.#lowered ? backtrace(task) : []
    this.#operation = operationOf(task)?.text
    this.#op = taskNumber(task).op
    this.#returned = []
    this.#findings = []
  }

  stepped({ fault, returned }: StepResult): void {
    if (this.#lowered && fault !== undefined) this.#stack = faultingStack()
    if (returned === undefined) return
    this.#returned.push(errnoName(returned))
  }

  found({ observed, moment }: Sighting): void {
    if (moment === 'set-up') return
    for (const o of observed) {
      // That they wait for each other is told of the tasks, not of the step.
      if (moment === 'stuck' && o.id === 'deadlock') continue
      // A state that stays wrong is told of once.
      const text = `${o.id}: ${o.message}`
      if (this.#told.has(text)) continue
      this.#told.add(text)
      this.#findings.push(o)
    }
  }

  /** The move has been made. */
  end(run: Execution, { task, choice, alternatives: ways }: Move): void {
    const changes = changesSince(run.mark)
    run.ready()
    const operation = this.#operation
    const hasReturned = taskNumber(task).op !== this.#op && operation !== undefined
    this.steps.push({
      n: this.steps.length + 1,
      task: taskName(task),
      choice: ways > 1 ? choice : undefined,
      stack: this.#stack,
      operation: operation ?? '',
      changes,
      returned: hasReturned ? [[operation, ...this.#returned].join(' = ')] : [],
      preempts: this.#preempts,
      findings: this.#findings,
    })
  }
}

/** Tasks and judges have nothing of the kernel's in them. */
function isShown({ name, role }: AnyStruct): boolean {
  return name !== Task.name && role !== 'judge'
}

/** The fields of kernel objects that have changed since `mark`. */
function changesSince(mark: number): Change[] {
  const changes: Change[] = []
  const seen = new Set<string>()
  for (const at of writtenSince(mark)) {
    const owner = objectAt(at)
    if (owner === undefined || !isShown(owner.struct)) continue
    const change = describeChange(objectName(at), owner.base, owner.struct, at, mark)
    const key = `${change.object}.${change.field}`
    if (change.before === change.after || seen.has(key)) continue
    seen.add(key)
    changes.push(change)
  }
  return changes
}

type AnyStruct = NonNullable<ReturnType<typeof objectAt>>['struct']

/** Kinds of fields whose words are addresses: said as what lies there. */
const POINTERS: readonly string[] = ['ptr', 'any', 'ptrs']

/** Fields with entries of an XArray. */
const ENTRIES: readonly string[] = [`${XArray.name}.xaHead`, `${XaNode.name}.slots`]

function describeChange(
  object: string,
  base: number,
  owner: AnyStruct,
  at: number,
  mark: number,
): Change {
  const own = owner.role === 'kernel'
  const quiet = owner.quiet === true
  const before = valueAt(mark, at)
  const after = valueNow(at)
  if (at === base) {
    const say = (header: number): string => (header > 0 ? 'alive' : header < 0 ? 'freed' : 'none')
    return { object, field: 'memory', before: say(before), after: say(after), own, quiet }
  }
  for (const placed of owner.fields.values()) {
    const end = base + placed.offset + placed.field.words
    if (at >= end) continue
    if (placed.field.kind === 'embed') {
      const inner = structNamed(placed.field.target as string)
      const nested = describeChange(object, base + placed.offset, inner, at, mark)
      const field = `${snake(placed.name)}.${nested.field}`
      // That what it embeds came or went follows from the object.
      const follows = nested.field === 'memory' || isQuiet(owner, placed.name)
      return { ...nested, field, quiet: nested.quiet || follows }
    }
    const say = (value: number): string => {
      if (owner.name === Folio.name && placed.name === 'data') return contentName(value)
      const isEntry = ENTRIES.includes(`${owner.name}.${placed.name}`)
      // What an XArray holds besides addresses is negative.
      if (!isEntry && !POINTERS.includes(placed.field.kind)) return String(value)
      if (value < 0) return String(value)
      return value === 0 ? 'NULL' : objectName(value)
    }
    const texts = { before: say(before), after: say(after) }
    return { object, field: snake(placed.name), ...texts, own, quiet: isQuiet(owner, placed.name) }
  }
  return { object, field: '?', before: String(before), after: String(after), own, quiet }
}

function isQuiet({ quiet }: AnyStruct, field: string): boolean {
  return quiet === true || quiet.includes(field)
}

function valueNow(at: number): number {
  return valueAt(undoMark(), at)
}

function contentName(value: number): string {
  return value === 0 ? 'none' : describeBlob(value as Blob)
}

/** Who waits for ever, if nobody can go on. After undefined behaviour that can't be said. */
function stuckTasks(run: Execution): Trace['stuck'] {
  const stuck: { task: string; waitsFor: string }[] = []
  if (run.over || (run.ready() & ~daemonTasks()) !== 0) return stuck
  for (let n = 0; n < taskCount(); n++) {
    if (isDaemon(n) || hasEnded(n) || taskNumber(n).started === 0) continue
    stuck.push({ task: taskName(n), waitsFor: waitsFor(n) })
  }
  return stuck
}

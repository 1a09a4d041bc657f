/**
 * Replay: run a given schedule and tell what happened, step by step. The schedule is never
 * followed blindly: a task that can't step, or has another number of alternatives than when the
 * schedule was recorded, ends the replay with the place where the two part.
 */

import { EXIT_PHASE, fingerprint } from '../../cell/boot.js'
import { Cell } from '../../cell/cell.js'
import { describeStuck, waitsFor } from '../../cell/deadlock.js'
import type { Judges, Observed } from '../../cell/judges.js'
import type { Move } from '../../cell/schedule.js'
import type { Design } from '../../designs/design.js'
import { errnoName } from '../../kernel/include/errno.js'
import { Folio } from '../../kernel/include/mm.js'
import type { Scenario } from '../../litmus/scenario.js'
import { undoMark, undoTo, valueAt, writtenSince } from '../../machine/arena.js'
import { type Blob, describeBlob } from '../../machine/blob.js'
import { backtrace, faultingStack } from '../../machine/frames.js'
import {
  allEnded,
  alternatives,
  canStep,
  endedBelow,
  hasEnded,
  isDaemon,
  type Mode,
  operationOf,
  step,
  taskCount,
  taskName,
} from '../../machine/machine.js'
import { objectAt, objectName, snake, structNamed } from '../../machine/struct.js'
import { Task, taskNumber } from '../../machine/task.js'
import type { Change, Trace, TraceStep } from '../../trace/events.js'
import { TRACE_VERSION } from '../../trace/events.js'

/** Boot a scenario on a design and follow a schedule, judged as in the search. */
export function replayScenario(
  scenario: Scenario,
  design: Design,
  schedule: readonly Move[],
  mode: Mode,
): Replayed {
  const cell = new Cell(scenario, design)
  cell.boot(mode)
  const names = { scenario: scenario.name, design: design.id }
  const replayed = followSchedule(names, schedule, mode, cell.judges, () => cell.atRest(() => []))
  cell.judges.detach()
  return replayed
}

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
}

/**
 * Follow `schedule` from the machine's present state. With `judges`, each step is judged as in
 * the search.
 */
function followSchedule(
  names: { readonly scenario: string; readonly design: string },
  schedule: readonly Move[],
  mode: Mode,
  judges: Judges,
  atRest: () => readonly Observed[],
): Replayed {
  const steps: TraceStep[] = []
  let divergence: Divergence | undefined
  const states = [fingerprint().join()]
  let running = -1
  let defined = true
  for (const [i, move] of schedule.entries()) {
    divergence = disagreement(i, move)
    if (divergence !== undefined) break
    const preempts = running >= 0 && running !== move.task && !isDaemon(running) && canStep(running)
    const { traceStep, ended } = oneStep(i + 1, move, mode, judges, preempts, atRest)
    steps.push(traceStep)
    states.push(fingerprint().join())
    running = move.task
    if (ended) defined = false
  }
  // After undefined behaviour the state says nothing about who could go on.
  const stuck = defined ? stuckTasks() : []
  if (stuck.length > 0) blameStuck(steps, judges)
  const trace: Trace = {
    version: TRACE_VERSION,
    ...names,
    tasks: Array.from({ length: taskCount() }, (_, n) => taskName(n)),
    steps,
    stuck,
    // Generators keep their frames outside the arena: of them a fingerprint does not tell enough.
    repeats: mode === 'lowered' ? stepsSinceSame(states) : 0,
    fingerprint: fingerprint(),
  }
  return { trace, divergence }
}

/** How many steps ago the last state was there before; 0 if it never was. */
function stepsSinceSame(states: readonly string[]): number {
  const last = states.length - 1
  const before = last > 0 ? states.lastIndexOf(states[last] as string, last - 1) : -1
  return before < 0 ? 0 : last - before
}

function disagreement(i: number, move: Move): Divergence | undefined {
  const runnable: string[] = []
  for (let n = 0; n < taskCount(); n++) if (canStep(n)) runnable.push(taskName(n))
  const at = { step: i + 1, expected: taskName(move.task), runnable }
  if (move.task >= taskCount()) return { ...at, why: 'there is no such task' }
  if (!canStep(move.task)) {
    const why = hasEnded(move.task) ? 'the task has ended' : `it waits for ${waitsFor(move.task)}`
    return { ...at, why }
  }
  const ways = alternatives(move.task)
  if (ways !== move.alternatives) {
    return { ...at, why: `the step has ${ways} outcomes, not ${move.alternatives}` }
  }
  return undefined
}

function oneStep(
  n: number,
  move: Move,
  mode: Mode,
  judges: Judges,
  preempts: boolean,
  atRest: () => readonly Observed[],
): { traceStep: TraceStep; ended: boolean } {
  const lowered = mode === 'lowered'
  let stack = lowered ? backtrace(move.task) : []
  const operation = operationOf(move.task)
  const before = taskNumber(move.task).op
  const mark = undoMark()
  const result = step(move.task, move.choice)
  if (lowered && result.fault !== undefined) stack = faultingStack()
  const findings = [...judges.afterStep(result)]
  if (result.fault?.kind !== 'undefined') findings.push(...judgeEnd(atRest, judges))
  const returned: string[] = []
  if (taskNumber(move.task).op !== before && operation !== undefined) {
    const value = result.returned
    returned.push(value === undefined ? operation.text : `${operation.text} = ${errnoName(value)}`)
  }
  const traceStep: TraceStep = {
    n,
    task: taskName(move.task),
    choice: move.alternatives > 1 ? move.choice : undefined,
    stack,
    operation: operation?.text ?? '',
    changes: changesSince(mark),
    returned,
    preempts,
    findings,
  }
  return { traceStep, ended: result.fault?.kind === 'undefined' }
}

function judgeEnd(atRest: () => readonly Observed[], judges: Judges): readonly Observed[] {
  if (!endedBelow(EXIT_PHASE)) return []
  if (taskNumber(taskCount() - 1).started === 0) return atRest()
  return allEnded() ? judges.atEnd() : []
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

function describeChange(
  object: string,
  base: number,
  owner: AnyStruct,
  at: number,
  mark: number,
): Change {
  const before = valueAt(mark, at)
  const after = valueNow(at)
  if (at === base) {
    const say = (header: number): string => (header > 0 ? 'alive' : header < 0 ? 'freed' : 'none')
    return { object, field: 'memory', before: say(before), after: say(after) }
  }
  for (const placed of owner.fields.values()) {
    const end = base + placed.offset + placed.field.words
    if (at >= end) continue
    if (placed.field.kind === 'embed') {
      const inner = structNamed(placed.field.target as string)
      const nested = describeChange(object, base + placed.offset, inner, at, mark)
      return { ...nested, field: `${snake(placed.name)}.${nested.field}` }
    }
    const say = (value: number): string => {
      if (owner.name === Folio.name && placed.name === 'data') return contentName(value)
      const isPointer = placed.field.kind === 'ptr' || placed.field.kind === 'any'
      if (!isPointer) return String(value)
      return value === 0 ? 'NULL' : objectName(value)
    }
    return { object, field: snake(placed.name), before: say(before), after: say(after) }
  }
  return { object, field: '?', before: String(before), after: String(after) }
}

function valueNow(at: number): number {
  return valueAt(undoMark(), at)
}

function contentName(value: number): string {
  return value === 0 ? 'none' : describeBlob(value as Blob)
}

/** What the sanitizers say about why nobody can go on, told with the last step. */
function blameStuck(steps: TraceStep[], judges: Judges): void {
  const last = steps.pop()
  if (last === undefined) return
  const mark = undoMark()
  const reasons = judges.stuck('deadlock', '').filter((o) => o.id !== 'deadlock')
  undoTo(mark)
  steps.push({ ...last, findings: [...last.findings, ...reasons] })
}

function stuckTasks(): Trace['stuck'] {
  for (let n = 0; n < taskCount(); n++) if (canStep(n) && !isDaemon(n)) return []
  if (describeStuck() === undefined) return []
  const stuck: { task: string; waitsFor: string }[] = []
  for (let n = 0; n < taskCount(); n++) {
    if (isDaemon(n) || hasEnded(n) || taskNumber(n).started === 0) continue
    stuck.push({ task: taskName(n), waitsFor: waitsFor(n) })
  }
  return stuck
}

/**
 * Two replays side by side: where do they part? Steps can't be compared one by one, since a function
 * more or less on the way is no difference that anybody cares about. Compared is what each task has
 * done: words of kernel objects that changed, calls that returned, findings, in the task's own order.
 */
import type { Trace, TraceStep } from './events.js'
import { named, type Pictured } from './memory.js'

/** Something that a step did. */
export interface Effect {
  /** Number of the step, from 1. */
  readonly step: number
  readonly task: string
  /** The function at work, in C's spelling; the call in user mode. */
  readonly where: string
  readonly text: string
}

/** The first difference: what one task does next on each side. */
export interface Parting {
  readonly task: string
  /** Number of the earliest step on either side that differs. */
  readonly step: number
  readonly here: Effect | undefined
  readonly there: Effect | undefined
}

export interface Alignment {
  readonly parting: Parting | undefined
  /** Steps of each side with an effect that the other side has not. */
  readonly here: ReadonlySet<number>
  readonly there: ReadonlySet<number>
}

/** A trace, and how its scenario names objects. */
export interface Side {
  readonly trace: Trace
  readonly names: Pictured['names']
}

/** Compare two replays of one schedule. The other one may go on where this one has ended. */
export function align(here: Side, there: Side): Alignment {
  const only = { here: new Set<number>(), there: new Set<number>() }
  let parting: Parting | undefined
  for (const task of new Set([...here.trace.tasks, ...there.trace.tasks])) {
    const [left, right] = unmatched(effectsOf(here, task), effectsOf(there, task))
    for (const e of left) only.here.add(e.step)
    for (const e of right) only.there.add(e.step)
    const steps = [...left.slice(0, 1), ...right.slice(0, 1)].map((e) => e.step)
    const step = Math.min(...steps)
    if (steps.length > 0 && step < (parting?.step ?? Number.POSITIVE_INFINITY)) {
      parting = { task, step, here: left[0], there: right[0] }
    }
  }
  return { parting, ...only }
}

/** What a task did, in order. */
function effectsOf({ trace, names }: Side, task: string): Effect[] {
  return trace.steps.filter((s) => s.task === task).flatMap((s) => effectsOfStep(s, names))
}

function effectsOfStep(s: TraceStep, names: Pictured['names']): Effect[] {
  const where = s.stack[0]?.cName ?? s.operation
  const texts = [
    ...s.changes
      .filter((c) => c.own)
      .map((c) => named(`${c.object} ${c.field} ${c.before}->${c.after}`, names)),
    ...s.returned.map((r) => `returns ${r.split(' = ').at(-1)}`),
    ...s.findings.map((f) => f.id),
  ]
  return texts.map((text) => ({ step: s.n, task: s.task, where, text }))
}

/**
 * The effects of each side that are in no longest common sequence. What only comes behind the end of
 * the first side is no difference: it was not followed so far.
 */
function unmatched(
  left: readonly Effect[],
  right: readonly Effect[],
): readonly [readonly Effect[], readonly Effect[]] {
  const width = right.length + 1
  const common = new Int32Array((left.length + 1) * width)
  for (let i = left.length - 1; i >= 0; i--) {
    for (let j = right.length - 1; j >= 0; j--) {
      common[i * width + j] =
        left[i]?.text === right[j]?.text
          ? (common[(i + 1) * width + j + 1] as number) + 1
          : Math.max(common[(i + 1) * width + j] as number, common[i * width + j + 1] as number)
    }
  }
  const lost: [Effect[], Effect[]] = [[], []]
  let i = 0
  let j = 0
  while (i < left.length && j < right.length) {
    const [l, r] = [left[i] as Effect, right[j] as Effect]
    if (l.text === r.text) {
      i++
      j++
    } else if ((common[(i + 1) * width + j] as number) >= (common[i * width + j + 1] as number)) {
      lost[0].push(l)
      i++
    } else {
      lost[1].push(r)
      j++
    }
  }
  const ended = i === left.length && lost[0].length === 0 && lost[1].length === 0
  lost[0].push(...left.slice(i))
  if (!ended) lost[1].push(...right.slice(j))
  return lost
}

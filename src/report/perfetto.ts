/**
 * A replay in the trace event format that Perfetto and others open: a thread for each task, a slice
 * for each step, and what a step changed as its arguments. A step lasts one unit; time means order.
 */
import { cellTitle } from '../app/verdict.js'
import type { Trace } from '../trace/events.js'
import { changeText } from './columns.js'

/** Microseconds that stand for one step. */
const UNIT = 1000

export function renderPerfetto(trace: Trace): string {
  const threadOf = (task: string): number => trace.tasks.indexOf(task) + 1
  const names = trace.tasks.map((name) => ({
    ph: 'M',
    name: 'thread_name',
    pid: 1,
    tid: threadOf(name),
    args: { name },
  }))
  const process = {
    ph: 'M',
    name: 'process_name',
    pid: 1,
    args: { name: cellTitle(trace) },
  }
  const slices = trace.steps.flatMap((s) => {
    const at = { pid: 1, tid: threadOf(s.task), ts: s.n * UNIT }
    const slice = {
      ...at,
      ph: 'X',
      dur: UNIT,
      name: s.stack[0]?.cName ?? (s.operation || 'start'),
      args: { step: s.n, operation: s.operation, changes: s.changes.map(changeText) },
    }
    const found = s.findings.map((f) => ({ ...at, ph: 'i', s: 'g', name: f.id, args: f }))
    return [slice, ...found]
  })
  return JSON.stringify({ traceEvents: [process, ...names, ...slices] })
}

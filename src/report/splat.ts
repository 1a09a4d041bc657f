/** A finding as a kernel would print it: names instead of addresses. */
import type { Trace, TraceStep } from '../trace/events.js'
import { wrap } from './paint.js'

const RULE = '='.repeat(66)

/** The last step at or before `until` that changed an object, with what it did to it. */
function lastChange(
  trace: Trace,
  object: string,
  after: string,
  until: number,
): TraceStep | undefined {
  return trace.steps.findLast(
    (s) =>
      s.n <= until &&
      s.changes.some((c) => c.object === object && c.field === 'memory' && c.after === after),
  )
}

function callTrace(s: TraceStep): string[] {
  const lines = ['Call trace:']
  for (const { cName, text } of s.stack) {
    lines.push(` ${cName}${text === '' ? '' : ` (${text})`}`.slice(0, 79))
  }
  if (s.operation !== '') lines.push(` <user> ${s.operation}`.slice(0, 79))
  return lines
}

/** Objects that were freed on the way, in order. */
function freedObjects(trace: Trace, until: number): string[] {
  const freed = new Set<string>()
  for (const s of trace.steps) {
    if (s.n > until) break
    for (const c of s.changes) if (c.field === 'memory' && c.after === 'freed') freed.add(c.object)
  }
  return [...freed]
}

/** Who made the object that is used after it was freed, and who freed it. */
function lifeOf(trace: Trace, about: readonly string[], until: number): string[] {
  const object = freedObjects(trace, until).findLast((o) => about.includes(o))
  if (object === undefined) return []
  const lines: string[] = []
  const allocated = lastChange(trace, object, 'alive', until)
  const freed = lastChange(trace, object, 'freed', until)
  if (allocated)
    lines.push(
      '',
      `Allocated by task ${allocated.task} at step ${allocated.n}:`,
      ...callTrace(allocated).slice(1),
    )
  if (freed)
    lines.push('', `Freed by task ${freed.task} at step ${freed.n}:`, ...callTrace(freed).slice(1))
  return lines
}

export function renderSplat(trace: Trace): string {
  const out = trace.setUp.map((f) => wrap(`BUG: ${f.id} in the set-up: ${f.message}`, 79, ''))
  for (const s of trace.steps) {
    for (const f of s.findings) {
      const cpu = trace.tasks.indexOf(s.task)
      out.push(
        RULE,
        wrap(`BUG: ${f.id} in ${s.stack[0]?.cName ?? 'user mode'}`, 79, ''),
        wrap(f.message, 79, ''),
        `CPU: ${cpu} Comm: ${s.task} Step: ${s.n} Kernel: ${trace.design}`,
        ...callTrace(s),
        ...lifeOf(trace, f.facts.about, s.n),
        RULE,
      )
    }
  }
  for (const s of trace.stuck) {
    out.push(wrap(`INFO: task ${s.task} blocked for ever: it waits for ${s.waitsFor}`, 79, ''))
  }
  return out.length > 0 ? out.join('\n') : 'Nothing went wrong on this execution.'
}

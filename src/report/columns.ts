/**
 * A replay as columns, one for each task: the kernel functions in order, what they changed, and
 * the moment it went wrong. Steps that changed nothing worth seeing are left out; the last line
 * says how many.
 */
import { cellTitle } from '../app/verdict.js'
import type { Hindsight } from '../explore/tell/hindsight.js'
import type { Change, Trace, TraceFinding, TraceStep } from '../trace/events.js'
import { cell, type Page, PLAIN_PAGE, wrap } from './paint.js'
import { fitToScreen, type Line, type ShownChange } from './screen.js'

/** The changes to show; of an object that came or went in this step, only that. */
export function visibleChanges(changes: readonly Change[]): Change[] {
  const whole = new Set(changes.filter((c) => c.field === 'memory').map((c) => c.object))
  return changes.filter((c) => !c.quiet && (c.field === 'memory' || !whole.has(c.object)))
}

/** `folio 0 refcount 2->3`. */
export function changeText(c: Change): string {
  if (c.field === 'memory') return `${c.object} ${c.after === 'alive' ? 'allocated' : c.after}`
  return `${c.object} ${c.field} ${c.before}->${c.after}`
}

function shown(c: Change): ShownChange {
  return { text: changeText(c), names: [c.object, c.before, c.after] }
}

/** The lines to show: steps with visible changes, with results, and the findings. */
function linesOf(trace: Trace): Line[] {
  const lines: Line[] = []
  const none = { changes: [], marks: [], about: [] }
  const started = new Set<string>()
  for (const s of trace.steps) {
    const key = `${s.task} ${s.operation}`
    if (s.operation !== '' && !started.has(key) && s.stack.length > 0) {
      started.add(key)
      lines.push({ n: s.n, task: s.task, text: s.operation, ...none })
    }
    const changes = visibleChanges(s.changes).map(shown)
    const marks = s.findings.map((f) => `*** ${f.id}: ${f.message}`)
    const results = s.returned.map((r) => `= ${r.split(' = ').at(-1)}`)
    if (changes.length > 0 || marks.length > 0) {
      const about = s.findings.flatMap((f) => f.facts.about)
      lines.push({ n: s.n, task: s.task, text: ` ${functionText(s)}`, changes, marks, about })
    }
    for (const r of results) lines.push({ n: s.n, task: s.task, text: r, ...none })
  }
  return lines
}

/** Functions that say little without their caller. */
const PRIMITIVES =
  /^(fput|fget|iput|ihold|folio_(get|put|put_refs|try_get|lock|trylock|unlock)|alloc_pages|(mutex|spin|read|write)_lock|(down|up)_(read|write)|find_get_entry|filemap_get_folio)$/

/** The function at work; for a primitive, who called it. */
export function functionText(s: TraceStep): string {
  const level = s.stack.find((l) => !PRIMITIVES.test(l.cName)) ?? s.stack[0]
  return level?.cName ?? 'user mode'
}

const CHANGED = 24

/** The execution, and what is known in hindsight: where it was lost, what would have saved it. */
export function renderColumns(
  trace: Trace,
  { paint, width: columns }: Page = PLAIN_PAGE,
  hindsight: Hindsight | undefined = undefined,
): string {
  const used = trace.tasks.filter((t) => trace.steps.some((s) => s.task === t))
  const width = Math.max(14, Math.floor((columns - 5 - CHANGED) / Math.max(1, used.length)))
  const head = `${cell('#', 5)}${used.map((t) => cell(t, width)).join('')}changed`
  const out = [cellTitle(trace), '', paint.bold(head)]
  for (const f of trace.setUp) out.push(paint.bad(wrap(inSetUp(f), columns, '     ')))
  const lines = fitToScreen(linesOf(trace))
  const lost = hindsight?.pointOfNoReturn ?? 0
  for (const [i, l] of lines.entries()) {
    // Between the last line up to the point of no return and the first one behind it.
    if (lost > 0 && l.n > lost && (lines[i - 1]?.n ?? 0) <= lost) {
      out.push(paint.bold(`     ----- after step ${lost} every way leads to it -----`))
    }
    // A name as long as its column keeps its distance from what stands beside it.
    const cells = used.map((t) => `${cell(t === l.task ? l.text : '', width - 1)} `).join('')
    const [first, ...rest] = l.changes
    out.push(`${cell(String(l.n), 5)}${cells}${first?.text ?? ''}`.slice(0, columns).trimEnd())
    const indent = ' '.repeat(5 + width * used.length)
    for (const c of rest) out.push(`${indent}${c.text}`.slice(0, columns))
    for (const m of l.marks) out.push(paint.bad(wrap(m, columns, '     ')))
  }
  for (const s of trace.stuck) {
    out.push(paint.bad(wrap(`*** ${s.task} waits for ever for ${s.waitsFor}`, columns, '     ')))
  }
  if (trace.repeats > 0) out.push(paint.bad(wrap(loopText(trace), columns, '     ')))
  const shown = new Set(lines.map((l) => l.n)).size
  const switches = trace.steps.filter((s) => s.preempts).length
  const total = trace.steps.length
  const hint = shown < total ? '; --view list shows all' : ''
  out.push(
    '',
    paint.dim(
      `${shown} of ${total} steps shown, ${switches} ${switches === 1 ? 'preemption' : 'preemptions'}${hint}`,
    ),
  )
  if (hindsight !== undefined) out.push(...hindsightLines(hindsight, total, columns))
  return out.join('\n')
}

function inSetUp({ id, message }: TraceFinding): string {
  return `*** in the set-up, ${id}: ${message}`
}

/** The loop that an execution ends in, by the functions that it goes through. */
function loopText({ steps, repeats }: Trace): string {
  const loop = steps.slice(-repeats)
  const tasks = [...new Set(loop.map((s) => s.task))].join(' and ')
  const through = [...new Set(loop.map(functionText))].join(', ')
  return `*** ${tasks} may repeat the last ${repeats} steps for ever: ${through}`
}

function hindsightLines(
  { pointOfNoReturn, prevention }: Hindsight,
  steps: number,
  width: number,
): string[] {
  const lost =
    pointOfNoReturn === 0
      ? 'every execution of this scenario shows it'
      : pointOfNoReturn === steps
        ? 'until its last step it could have ended well'
        : `until step ${pointOfNoReturn} it could have ended well`
  const saved = prevention === undefined ? [] : [`prevented in every interleaving by ${prevention}`]
  return [lost, ...saved].map((line) => wrap(line, width, ''))
}

/** Every step with its function, site and changes. */
export function renderList(trace: Trace, { paint, width }: Page = PLAIN_PAGE): string {
  const out = [cellTitle(trace)]
  for (const f of trace.setUp) out.push(paint.bad(wrap(inSetUp(f), width, '      ')))
  for (const s of trace.steps) {
    const site = s.stack[0]
    const at = site === undefined ? s.operation : `${site.cName}: ${site.text}`
    const choice = s.choice === undefined ? '' : ` [choice ${s.choice}]`
    out.push(wrap(`${s.n} ${s.task}${s.preempts ? ' (preempts)' : ''} ${at}${choice}`, width, ''))
    for (const c of s.changes) out.push(paint.dim(`      ${changeText(c)}`.slice(0, width)))
    for (const r of s.returned) out.push(`      returns: ${r}`.slice(0, width))
    for (const f of s.findings)
      out.push(paint.bad(wrap(`*** ${f.id}: ${f.message}`, width, '      ')))
  }
  return out.join('\n')
}

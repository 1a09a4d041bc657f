/** One verdict in a few lines: what was found, where, how to see it again. */

import type { Certificate, ModelOpinion } from '../app/cross.js'
import type { CellResult } from '../app/results.js'
import type { Finding, Verdict } from '../app/verdict.js'
import type { SamplerResult } from '../explore/sample/sample.js'
import { errnoName } from '../kernel/include/errno.js'
import { type Look, PLAIN_LOOK } from './format.js'
import { type Page, type Paint, wrap } from './paint.js'
import { replayLines } from './suggest.js'
import { warningsOf } from './warnings.js'

/** `exhaustive: 2236 states, 5 executions, 0.07 s, expected omissions 3e-13`. */
export function proofLine(v: Verdict): string {
  if (v.proof === 'sampled') {
    const stopped = v.stopped ? ', stopped before the end' : ''
    const cut = v.cut === undefined ? '' : `, ${v.cut.runs} of them cut at ${v.cut.steps} steps`
    const seconds = (v.ms / 1000).toFixed(2)
    return `sampled: ${v.executions} runs${cut}, seed ${v.seed}${stopped}, ${seconds} s`
  }
  const bound = v.bound === undefined ? '' : `, at most ${v.bound} preemptions`
  const surprises = v.surprises === undefined ? '' : ` and ${v.surprises} unusual choices`
  const why = v.outOfMemory === true ? ', out of memory' : ''
  const stopped = v.stopped ? `${why}, stopped before the end` : ''
  const counts = `${v.states} states, ${v.executions} executions, ${(v.ms / 1000).toFixed(2)} s`
  const reused = v.reused === true ? '; reused from an earlier run' : ''
  return `${v.proof}${bound}${surprises}${stopped}: ${counts}${omissionsText(v)}${reused}`
}

function omissionsText({ omissions, exact }: Verdict): string {
  if (exact === true) return ', whole states compared: none omitted'
  return omissions === undefined ? '' : `, expected omissions ${omissions.toExponential(0)}`
}

/** Columns that the word on a verdict may take. */
const ROOM_OF_WORD = 24

/** A verdict; `designs` are those that it is true of, if it is said once for several. */
export function renderVerdict(
  cell: CellResult,
  look: Look = PLAIN_LOOK,
  designs: readonly string[] = [cell.design.id],
): string {
  const { verdict: v } = cell
  const { paint, width } = look
  const where = `${v.scenario} on ${designs.join(', ')}:`
  const gap = where.length > width - ROOM_OF_WORD ? '\n ' : ''
  const lines = [`${paint.bold(wrap(where, width, ''))}${gap} ${wordOf(v, paint)}`]
  if (v.reason !== undefined) lines.push(wrap(v.reason, width, '  '))
  lines.push(...answers(v, look))
  for (const w of warningsOf(cell)) lines.push(paint.bad(wrap(`warning: ${w}`, width, '  ')))
  for (const f of v.findings) lines.push(renderFinding(cell, f, look))
  if (v.proof !== undefined) lines.push(paint.dim(wrap(proofLine(v), width, '  ')))
  const unsought = notFewest(v)
  if (unsought !== undefined) lines.push(paint.dim(wrap(unsought, width, '  ')))
  for (const s of v.samplers ?? []) lines.push(paint.dim(samplerLine(s, width)))
  if (v.cross !== undefined) lines.push(renderCertificate(v.cross, look))
  return lines.join('\n')
}

/** What is to be said of executions that may not have the fewest preemptions. */
function notFewest({ fewest, proof, surprises, findings }: Verdict): string | undefined {
  if (fewest !== false || findings.length === 0) return undefined
  if (proof === 'exhaustive') {
    return 'stopped before executions with the fewest preemptions were found'
  }
  // The search for the first finding goes from few to more.
  if (surprises !== undefined) return undefined
  return 'executions are as they were met: others may have fewer preemptions'
}

function wordOf(v: Verdict, paint: Paint): string {
  const words = {
    clean: paint.good('clean'),
    finding: paint.bad('finding'),
    failed: paint.bad('the set-up failed'),
  }
  const word = words[v.verdict as keyof typeof words] ?? v.verdict
  const as = v.asExpected === undefined ? '' : v.asExpected ? ', as expected' : ', NOT as expected'
  return `${word}${as}`
}

/** Distinct results that are shown of one cell. */
const MOST_OUTCOMES = 16

/** What the calls returned: what the set-up's did, and every distinct result of the tasks'. */
function answers({ outcomes }: Verdict, { width }: Page): string[] {
  const text = (entries: readonly (readonly [string, number])[]): string =>
    entries.map(([name, value]) => `${name}=${errnoName(value)}`).join('  ')
  const all = outcomes.map((o) => Object.entries(o.values))
  const own = (name: string): boolean => name.includes(':')
  const before = text((all[0] ?? []).filter(([name]) => !own(name)))
  const results = [...new Set(all.map((o) => text(o.filter(([name]) => own(name)))))].sort()
  const shown = results.filter((r) => r !== '').slice(0, MOST_OUTCOMES)
  const more = results.length - shown.length
  return [
    ...(before === '' ? [] : [wrap(`set-up: ${before}`, width, '  ')]),
    ...(shown.length === 0 ? [] : [shown.length === 1 ? '  result:' : '  results:']),
    ...shown.map((r) => wrap(r, width, '    ')),
    ...(shown.length === 0 || more === 0 ? [] : [`    and ${more} more; --json has them all`]),
  ]
}

/** `pct2: 100 runs, a bug of depth 2: p >= …; stale-secondary-mapping in 13`. */
function samplerLine(s: SamplerResult, width: number): string {
  const found = Object.entries(s.found).map(([id, runs]) => `${id} in ${runs}`)
  const text = [`${s.name}: ${s.runs} runs; ${s.guarantee}`, ...found].join('; ')
  return wrap(text, width, '      ').replace(/^ {6}/, '    ')
}

/** What the second search says of a cell. */
function renderCertificate(c: Certificate, { paint, width }: Page): string {
  const seen = ([all, there]: readonly [number, number], what: string): string =>
    all === there ? `all ${all} ${what}` : `${there} of ${all} ${what}`
  const word =
    c.outcome === 'agrees'
      ? paint.good('agrees')
      : c.outcome === 'open'
        ? `not finished (${c.why}); nothing contradicts so far`
        : paint.bad(`DIFFERS: ${c.why}`)
  const how = `stateless, over the generators: ${c.executions} executions (${c.redundant} more given up)`
  const what = `${seen(c.findings, 'findings')}, ${seen(c.finalStates, 'final states')}`
  const lines = [`  second search: ${word}`, paint.dim(`    ${how}`), paint.dim(`    ${what}`)]
  if (c.model !== undefined) lines.push(...modelLines(c.states, c.model, paint))
  return lines.map((line) => wrap(line.trimStart(), width, /^ */.exec(line)?.[0] ?? '')).join('\n')
}

/** What SPIN says of the model of a cell. */
function modelLines(states: number, m: ModelOpinion, paint: Paint): string[] {
  if (m.outcome === 'missing') return [paint.dim(`  SPIN: no opinion: ${m.why}`)]
  const word = m.outcome === 'agrees' ? paint.good('agrees') : paint.bad('DIFFERS')
  const [findings, finals] = [m.findings, m.finalStates]
  const what =
    `on a model of the same code in C: ${m.states} states, here ${states}; ` +
    `${findings[1]} of ${findings[0]} findings, ${finals[1]} of ${finals[0]} final states`
  return [`  SPIN: ${word}`, paint.dim(`    ${what}`)]
}

function renderFinding(cell: CellResult, f: Finding, { paint, width, command }: Look): string {
  const order = f.first ? '' : ' (follows another finding)'
  const switches = f.preemptions === 1 ? '1 preemption' : `${f.preemptions} preemptions`
  const where = `${f.task} in ${f.function}, step ${f.steps}, ${switches}${order}`
  return [
    `  ${paint.bad(f.id)}`,
    wrap(f.title, width, '    '),
    paint.dim(wrap(where, width, '    ')),
    paint.dim(replayLines(cell, f, command, '    ', width)),
  ].join('\n')
}

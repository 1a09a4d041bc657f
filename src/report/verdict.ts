/** One verdict in a few lines: what was found, where, how to see it again. */

import type { Certificate, ModelOpinion } from '../explore/cross.js'
import type { SamplerResult } from '../explore/sample/sample.js'
import type { Finding, Verdict } from '../explore/verdict.js'
import { errnoName } from '../kernel/include/errno.js'
import { type Paint, PLAIN, tokenLines, wrap } from './paint.js'

/** `exhaustive: 2236 states, 5 executions, 0.07 s, expected omissions 3e-13`. */
export function proofLine(v: Verdict): string {
  if (v.proof === 'sampled') {
    const cut = v.stopped ? ', stopped before the end' : ''
    return `sampled: ${v.executions} runs, seed ${v.seed}${cut}, ${(v.ms / 1000).toFixed(2)} s`
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

export function renderVerdict(v: Verdict, paint: Paint = PLAIN): string {
  const word =
    v.verdict === 'clean'
      ? paint.good('clean')
      : v.verdict === 'finding'
        ? paint.bad('finding')
        : v.verdict
  const as = v.asExpected === undefined ? '' : v.asExpected ? ', as expected' : ', NOT as expected'
  const where = `${v.scenario} on ${v.design}:`
  const lines = [`${paint.bold(where)}${where.length > 55 ? '\n ' : ''} ${word}${as}`]
  if (v.reason !== undefined) lines.push(wrap(v.reason, 79, '  '))
  for (const f of v.findings) lines.push(renderFinding(f, paint))
  if (v.verdict !== 'skipped') lines.push(paint.dim(wrap(proofLine(v), 79, '  ')))
  for (const s of v.samplers ?? []) lines.push(paint.dim(samplerLine(s)))
  if (v.cross !== undefined) lines.push(renderCertificate(v.cross, paint))
  const named = v.outcomes.filter((o) => Object.keys(o.values).some((k) => k.includes(':')))
  if (named.length > 1) lines.push(renderOutcomes(v))
  return lines.join('\n')
}

/** `pct2: 100 runs, a bug of depth 2: p >= …; stale-secondary-mapping in 13`. */
function samplerLine(s: SamplerResult): string {
  const found = Object.entries(s.found).map(([id, runs]) => `${id} in ${runs}`)
  const text = [`${s.name}: ${s.runs} runs; ${s.guarantee}`, ...found].join('; ')
  return wrap(text, 79, '      ').replace(/^ {6}/, '    ')
}

/** What the second search says of a cell. */
function renderCertificate(c: Certificate, paint: Paint): string {
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
  return lines.map((line) => wrap(line.trimStart(), 79, /^ */.exec(line)?.[0] ?? '')).join('\n')
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

function renderFinding(f: Finding, paint: Paint): string {
  const order = f.first ? '' : ' (follows another finding)'
  const where = `${f.task} in ${f.function}, step ${f.steps}, ${f.preemptions} preemptions${order}`
  return [
    `  ${paint.bad(f.id)}`,
    wrap(f.title, 79, '    '),
    paint.dim(wrap(where, 79, '    ')),
    paint.dim(tokenLines(f.token, '    ')),
  ].join('\n')
}

/** Every distinct result of the tasks' variables, as herd lists them. */
export function renderOutcomes(v: Verdict): string {
  const shown = new Set<string>()
  for (const o of v.outcomes) {
    const values = Object.entries(o.values).filter(([name]) => name.includes(':'))
    shown.add(values.map(([name, value]) => `${name}=${errnoName(value)}`).join('  '))
  }
  return ['  outcomes', ...[...shown].sort().map((s) => `    ${s}`)].join('\n')
}

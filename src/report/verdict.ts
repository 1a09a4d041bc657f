/** One verdict in a few lines: what was found, where, how to see it again. */

import type { Finding, Verdict } from '../explore/verdict.js'
import { errnoName } from '../kernel/include/errno.js'
import { type Paint, PLAIN, tokenLines, wrap } from './paint.js'

/** `exhaustive: 2236 states, 5 executions, 0.07 s, expected omissions 3e-13`. */
export function proofLine(v: Verdict): string {
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
  const named = v.outcomes.filter((o) => Object.keys(o.values).some((k) => k.includes(':')))
  if (named.length > 1) lines.push(renderOutcomes(v))
  return lines.join('\n')
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

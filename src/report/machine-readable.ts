/** Verdicts for programs: JSON and KTAP. */
import type { Verdict } from '../explore/verdict.js'

export const SCHEMA = 'restrictedmem-results-1'

/** One object for a whole run; the contract is in the design. */
export function renderJson(verdicts: readonly Verdict[], version: string): string {
  const results = verdicts.map((v) => ({
    ...v,
    bound: v.bound ?? undefined,
    reason: v.reason,
    ms: Math.round(v.ms),
  }))
  const tool = { name: 'restrictedmem', version }
  return JSON.stringify({ schema: SCHEMA, tool, results }, undefined, 2)
}

/** KTAP: a line for each cell, ok if it is as expected. */
export function renderKtap(verdicts: readonly Verdict[]): string {
  const lines = ['KTAP version 1', `1..${verdicts.length}`]
  verdicts.forEach((v, i) => {
    const ok = v.asExpected === false ? 'not ok' : 'ok'
    const skip = v.verdict === 'skipped' ? ` # SKIP ${v.reason ?? ''}` : ''
    lines.push(`${ok} ${i + 1} ${v.scenario} ${v.design}${skip}`)
    const what = v.findings.map((f) => f.id).join(', ')
    const proof = v.proof === undefined ? '' : ` (${v.proof}, ${v.states} states)`
    lines.push(`# ${v.verdict}${what === '' ? '' : `: ${what}`}${proof}`)
    if (v.asExpected === false) lines.push(`# ${v.reason ?? 'not as expected'}`)
  })
  return lines.join('\n')
}

/** `list` and `explain`: what there is, and what a word means. */

import type { Call } from '../calls/call.js'
import { CONSTANTS } from '../calls/constants.js'
import { CALLS } from '../calls/table.js'
import { DESIGNS } from '../designs/index.js'
import { decodeToken, TokenError } from '../explore/token.js'
import { ERRNO } from '../kernel/include/errno.js'
import { suggest } from '../litmus/error.js'
import { wrap } from '../report/paint.js'
import { FINDING_KINDS, SANITIZERS } from '../sanitizers/index.js'
import { builtInFiles, readScenarios, UserError } from './inputs.js'

/** Name, one sentence, and where it comes from. */
interface Entry {
  readonly name: string
  readonly text: string
  readonly source?: string
}

const TABLES: Readonly<Record<string, () => readonly Entry[]>> = {
  scenarios: () =>
    readScenarios(builtInFiles(), []).map((f) => ({
      name: f.scenario.name,
      text: f.scenario.question,
    })),
  designs: () =>
    DESIGNS.map((d) => ({
      name: d.id,
      text: `${d.summary}${d.base === undefined ? '' : ` Base: ${d.base.id}.`}`,
      source: d.cite.join(', '),
    })),
  sanitizers: () =>
    SANITIZERS.map((s) => ({ name: s.name, text: s.kinds.map((k) => k.id).join(', ') })),
  findings: () => FINDING_KINDS.map((k) => ({ name: k.id, text: k.sentence, source: k.source })),
  operations: () =>
    Object.entries<Call>(CALLS).map(([name, o]) => ({
      name: `${name}(${o.parameters
        .map((p) => (p.preset === undefined ? p.name : `${p.name}=${p.preset}`))
        .join(', ')})`,
      text: o.doc,
    })),
  constants: () => [...CONSTANTS].map(([name, value]) => ({ name, text: String(value) })),
}

export const LISTS = Object.keys(TABLES)

export function list(what: string): string {
  const table = TABLES[what]
  if (table === undefined)
    throw new UserError(`nothing to list called "${what}".${suggest(what, LISTS)}`)
  return table()
    .map((e) =>
      [
        e.name,
        wrap(e.text, 79, '    '),
        ...(e.source ? [wrap(`[${e.source}]`, 79, '    ')] : []),
      ].join('\n'),
    )
    .join('\n')
}

/** What a finding, a design, an errno, an operation or a token is. */
export function explain(word: string): string {
  const errno = word.replace(/^-/, '').toUpperCase()
  if (ERRNO[errno] !== undefined) return `-${errno} is ${-ERRNO[errno]}`
  const scenario = readScenarios(builtInFiles(), []).find((f) => f.scenario.name === word)
  if (scenario !== undefined) return scenario.text.trimEnd()
  for (const name of ['findings', 'designs', 'operations'] as const) {
    const found = TABLES[name]?.().find((e) => e.name.replace(/\(.*/, '') === word)
    if (found !== undefined) {
      const source = found.source ? `\n${wrap(`Source: ${found.source}.`, 79, '')}` : ''
      return `${found.name}\n${wrap(found.text, 79, '')}${source}`
    }
  }
  if (word.startsWith('rm')) return explainToken(word)
  const all = ['findings', 'designs', 'operations', 'scenarios'].flatMap(
    (n) => TABLES[n]?.().map((e) => e.name.replace(/\(.*/, '')) ?? [],
  )
  throw new UserError(
    `nothing is called "${word}".${suggest(word, all).replace(/ Accepted:.*/, '')}`,
  )
}

function explainToken(text: string): string {
  try {
    const t = decodeToken(text)
    const steps = `${t.schedule.length} steps of ${new Set(t.schedule.map((m) => m.task)).size} tasks`
    return `A schedule of ${steps}, for ${t.scenario} on ${t.design}.\nreplay shows it.`
  } catch (error) {
    if (error instanceof TokenError) throw new UserError(error.message)
    throw error
  }
}

/** `list`: what there is. */
import { UserError } from '../app/error.js'
import type { Call } from '../calls/call.js'
import { suggest } from '../litmus/error.js'
import { wrap } from '../report/paint.js'
import { LISTS, type ListName } from './lists.js'

/** Name, one sentence, and where it comes from. */
export interface Entry {
  readonly name: string
  readonly text: string
  readonly source?: string
}

/** Each loads what it lists, and nothing besides. */
export const TABLES: Readonly<Record<ListName, () => Promise<readonly Entry[]>>> = {
  scenarios: async () => {
    const { builtInFiles, headOf } = await import('../app/host/files.js')
    return builtInFiles()
      .map(headOf)
      .map(({ name, question }) => ({ name, text: question }))
  },
  designs: async () => {
    const { DESIGNS } = await import('../designs/index.js')
    return DESIGNS.map((d) => ({
      name: d.id,
      text: `${d.summary}${d.base === undefined ? '' : ` Base: ${d.base.id}.`}`,
      source: d.cite.join(', '),
    }))
  },
  hosts: async () => {
    const { HOSTS } = await import('../hosts/index.js')
    return HOSTS.map((h) => ({
      name: h.id,
      text: h.summary,
      source: [...new Set(Object.values(h.versions).flatMap((v) => v.cite))].join(', '),
    }))
  },
  'host-words': async () => {
    const { hostWords } = await import('../hosts/index.js')
    return hostWords().map(({ name, value, text, source }) => ({
      name,
      text:
        value === undefined
          ? text
          : `${text} (${value >>> 0 > 9 ? `0x${(value >>> 0).toString(16)}` : value})`,
      source,
    }))
  },
  sanitizers: async () => {
    const { HOST_SANITIZERS, SANITIZERS } = await import('../sanitizers/index.js')
    return [...SANITIZERS, ...HOST_SANITIZERS].map((s) => ({
      name: s.name,
      text: s.kinds.map((k) => k.id).join(', '),
    }))
  },
  findings: async () => {
    const { FINDING_KINDS } = await import('../sanitizers/index.js')
    return FINDING_KINDS.map((k) => ({ name: k.id, text: k.sentence, source: k.source }))
  },
  operations: async () => {
    const { CALLS } = await import('../calls/table.js')
    return Object.entries<Call>(CALLS).map(([name, c]) => ({
      name: `${name}(${c.parameters
        .map((p) => (p.preset === undefined ? p.name : `${p.name}=${p.preset}`))
        .join(', ')})`,
      text: c.doc,
    }))
  },
  constants: async () => {
    const { CONSTANTS } = await import('../calls/constants.js')
    return [...CONSTANTS].map(([name, value]) => ({ name, text: String(value) }))
  },
  marks: async () => {
    const { marks } = await import('../app/host/marks.js')
    return marks().map(({ name, files }) => ({ name, text: files.join(', ') }))
  },
  formats: async () => {
    const { formatNamed, formatNames } = await import('./formats.js')
    return Promise.all(
      formatNames().map(async (name) => ({ name, text: (await formatNamed(name)).doc })),
    )
  },
}

function isList(what: string): what is ListName {
  return (LISTS as readonly string[]).includes(what)
}

/** @throws UserError if there is no list of this name. */
export async function list(what: string): Promise<string> {
  if (!isList(what)) {
    throw new UserError(`nothing to list called "${what}".${suggest(what, LISTS)}`)
  }
  const entries = await TABLES[what]()
  return entries.map(textOf).join('\n')
}

function textOf({ name, text, source }: Entry): string {
  const from = source === undefined || source === '' ? [] : [wrap(`[${source}]`, 79, '    ')]
  return [name, wrap(text, 79, '    '), ...from].join('\n')
}

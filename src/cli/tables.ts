/** What `list` and `explain` know besides scenarios: the build writes it down as `lists.json`. */
import type { Call } from '../calls/call.js'
import { CONSTANTS } from '../calls/constants.js'
import { CALLS } from '../calls/table.js'
import type { Design } from '../designs/design.js'
import { designsOn, HOSTS, hostWords } from '../hosts/index.js'
import { formatNamed, formatNames } from '../report/host/formats.js'
import { FINDING_KINDS, HOST_SANITIZERS, SANITIZERS } from '../sanitizers/index.js'
import type { BuiltList, Entry } from './lists.js'

/** A mark that kernel code declares, and the files that pass it. */
export interface Mark {
  readonly name: string
  readonly files: readonly string[]
}

function entryOf({ id, summary, base, cite }: Design, where: string): Entry {
  const on = base === undefined ? '' : ` Base: ${base.id}.`
  return { name: id, text: `${summary}${on}${where}`, source: cite.join(', ') }
}

/** Designs that are there on some hosts alone. */
function ofOneHost(): Entry[] {
  return [...new Set(HOSTS.flatMap((h) => h.own ?? []))].map((d) => {
    const hosts = HOSTS.filter((h) => h.own?.includes(d)).map((h) => h.id)
    return entryOf(d, ` On ${hosts.join(' and ')} alone.`)
  })
}

/** All lists, given the marks, which only the compiler sees. */
export async function tables(
  marks: readonly Mark[],
): Promise<Readonly<Record<BuiltList, readonly Entry[]>>> {
  return {
    designs: [...designsOn('sw').map((d) => entryOf(d, '')), ...ofOneHost()],
    hosts: HOSTS.map((h) => ({
      name: h.id,
      text: h.summary,
      source: [...new Set(Object.values(h.versions).flatMap((v) => v.cite))].join(', '),
    })),
    'host-words': hostWords().map(({ name, value, text, source }) => ({
      name,
      text:
        value === undefined
          ? text
          : `${text} (${value >>> 0 > 9 ? `0x${(value >>> 0).toString(16)}` : value})`,
      source,
    })),
    sanitizers: [...SANITIZERS, ...HOST_SANITIZERS].map((s) => ({
      name: s.name,
      text: s.kinds.map((k) => k.id).join(', '),
    })),
    findings: FINDING_KINDS.map((k) => ({ name: k.id, text: k.sentence, source: k.source })),
    operations: Object.entries<Call>(CALLS).map(([name, c]) => ({
      name: `${name}(${c.parameters
        .map((p) => (p.preset === undefined ? p.name : `${p.name}=${p.preset}`))
        .join(', ')})`,
      text: c.doc,
    })),
    constants: [...CONSTANTS].map(([name, value]) => ({ name, text: String(value) })),
    marks: marks.map(({ name, files }) => ({ name, text: files.join(', ') })),
    formats: await Promise.all(
      formatNames().map(async (name) => ({ name, text: (await formatNamed(name)).doc })),
    ),
  }
}

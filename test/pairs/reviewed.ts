/**
 * The reviewed list of what is found: `findings.txt`. Sections with a title say in a few lines why
 * findings are true of the kernel that a design names, and below, a line each, what that rests on;
 * then follow the findings for which that is the reason, one a line: kind, set-up, calls, designs.
 * A kind that a call shows alone is not noted again of the pairs that it is in.
 */
import type { CellResult } from '../../src/app/results.js'
import { DESIGNS } from '../../src/designs/index.js'
import { type Case, caseText } from './family.js'

/** A kind of finding of a case on a design. */
export interface Entry {
  readonly finding: string
  readonly setup: string
  readonly calls: string
  readonly design: string
}

/** What a reason rests on. */
export type Ground =
  /** Functions of a file, read in this version, or in this series of patches. */
  | { readonly kind: 'source'; version: string; file: string; functions: readonly string[] }
  /** A run, or an experiment, of a recording that is kept. */
  | { readonly kind: 'recorded'; version: string; run: string }
  /** Seen on a running kernel, of which no recording is kept. */
  | { readonly kind: 'live'; version: string }

export interface Section {
  readonly title: string
  readonly reason: readonly string[]
  readonly grounds: readonly Ground[]
  readonly entries: readonly Entry[]
}

/** Where findings stand that nobody has given a reason for. */
export const NOT_REVIEWED = 'Not reviewed'

const keyOf = (e: Entry): string => `${e.finding} ${e.setup} ${e.calls}: ${e.design}`

/** @throws Error for a line that is none. */
export function parseReviewed(text: string): { head: string; sections: Section[] } {
  const [head = '', ...parts] = text.split(/^## /m)
  const sections = parts.map((part) => {
    const [title = '', ...rest] = part.split('\n')
    const lines = rest.map((l) => l.trimEnd()).filter((l) => l !== '')
    const entries = lines.filter((l) => l.startsWith('  ')).flatMap(entriesOf)
    const text = lines.filter((l) => !l.startsWith('  '))
    const reason = text.filter((l) => groundOf(l) === undefined)
    const grounds = text.flatMap((l) => groundOf(l) ?? [])
    return { title, reason, grounds, entries }
  })
  return { head, sections }
}

function groundOf(line: string): Ground | undefined {
  const [, kind, version = '', rest = ''] = /^(source|recorded|live) (\S+) ?(.*)$/.exec(line) ?? []
  if (kind === 'recorded') return { kind, version, run: rest }
  if (kind === 'live') return { kind, version }
  if (kind !== 'source') return undefined
  const [file = '', ...functions] = rest.split(' ')
  return { kind, version, file, functions }
}

/** As `parseReviewed` reads it. */
function groundLine(g: Ground): string {
  if (g.kind === 'live') return `live ${g.version}`
  if (g.kind === 'recorded') return `recorded ${g.version} ${g.run}`
  return `source ${g.version} ${g.file} ${g.functions.join(' ')}`
}

function entriesOf(line: string): Entry[] {
  const [, finding = '', setup = '', calls = '', designs = ''] =
    /^ {2}(\S+) +(\S+) +(.+): (.+)$/.exec(line) ?? []
  if (finding === '') throw new Error(`no finding: ${line}`)
  return designs.split(' ').map((design) => ({ finding, setup, calls, design }))
}

/** What the cells show, in their order; of each set-up those of calls alone come first. */
export function entriesFound(cases: readonly Case[], cells: readonly CellResult[]): Entry[] {
  const byName = new Map(cases.map((c) => [`pairs/${c.setup.name}-${c.actors.join('-')}`, c]))
  const known = new Set<string>()
  const found: Entry[] = []
  for (const { verdict } of cells) {
    const c = byName.get(verdict.scenario)
    if (c === undefined) continue
    for (const { id } of verdict.findings.filter((f) => f.first)) {
      const entry = { finding: id, setup: c.setup.name, calls: caseText(c), design: verdict.design }
      if (c.actors.length === 1) known.add(keyOf(entry))
      else if (c.actors.some((calls) => known.has(keyOf({ ...entry, calls })))) continue
      found.push(entry)
    }
  }
  return found
}

/** What is in one list and not in the other. */
export function without(list: readonly Entry[], other: readonly Entry[]): Entry[] {
  const there = new Set(other.map(keyOf))
  return list.filter((e) => !there.has(keyOf(e)))
}

/**
 * The sections, with what is found now: what is gone is gone, and what is new stands at the end.
 */
export function revised(sections: readonly Section[], found: readonly Entry[]): Section[] {
  const now = new Set(found.map(keyOf))
  const kept = sections
    .filter((s) => s.title !== NOT_REVIEWED)
    .map((s) => ({ ...s, entries: s.entries.filter((e) => now.has(keyOf(e))) }))
  const fresh = without(
    found,
    kept.flatMap((s) => s.entries),
  )
  if (fresh.length === 0) return kept
  return [...kept, { title: NOT_REVIEWED, reason: [], grounds: [], entries: fresh }]
}

/** One line for each kind and case, the designs behind it. */
export function linesOf(entries: readonly Entry[]): string[] {
  const lines = new Map<string, string[]>()
  for (const e of entries) {
    const key = `  ${e.finding} ${e.setup} ${e.calls}:`
    lines.set(key, [...(lines.get(key) ?? []), e.design])
  }
  const order = DESIGNS.map((d) => d.id)
  return [...lines].map(
    ([key, designs]) => `${key} ${order.filter((d) => designs.includes(d)).join(' ')}`,
  )
}

export function renderReviewed(head: string, sections: readonly Section[]): string {
  const parts = sections.map((s) =>
    [`## ${s.title}`, ...s.reason, ...s.grounds.map(groundLine), ...linesOf(s.entries), ''].join(
      '\n',
    ),
  )
  return `${head}${parts.join('\n')}`
}

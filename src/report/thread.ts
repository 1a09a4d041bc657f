/**
 * What the mailing list argued about, as cells: on which host does a design let go of a page that a
 * guest has, and what comes of it. Every entry is the verdict on one cell; what is concluded at the
 * top is computed from them.
 */
import type { Verdict } from '../app/verdict.js'
import { cellWord } from './matrix.js'

/** What to look a cell up by: names of a scenario and of a design, with its host. */
export interface CellName {
  readonly scenario: string
  readonly design: string
}

type Lookup = (name: CellName) => Verdict | undefined

/** A design with a pin, those that refuse to move pages, and one that does neither. */
const PLAIN = 'upm'
const PINNED = 'upm-pin'
const REFUSING = 'upm-aops'
const MERGED = 'gmem-6.18'
const DESIGNS = [PLAIN, PINNED, REFUSING, MERGED]

/** Rows: the machine without a host, and each host. */
const PLACES: readonly { readonly host: string; readonly label: string }[] = [
  { host: 'sw', label: 'sw' },
  { host: 'snp', label: 'snp' },
  { host: 'tdx-6.18', label: 'tdx-6.18 (KVM pins)' },
  { host: 'tdx-6.19', label: 'tdx-6.19' },
  { host: 'pkvm-7.0', label: 'pkvm-7.0' },
  { host: 'pkvm-7.1', label: 'pkvm-7.1' },
]

const MOVED = 'hosts/guest-touch-vs-compaction-of-its-page'
const DROPPED = 'hosts/drop-caches-vs-a-guests-page'
const REUSED = 'hosts/punched-page-used-by-the-kernel'
const PUNCHED = 'hosts/punch-of-a-mapped-page'
const GIVEN_BACK = 'hosts/page-given-back-then-punched'

function at(design: string, host: string): string {
  return host === 'sw' ? design : `${design}@${host}`
}

/** A table of cells: what its rows and columns are, and which cell is where. */
interface Table {
  readonly title: string
  readonly columns: readonly string[]
  readonly rows: readonly { readonly label: string; readonly cells: readonly CellName[] }[]
}

/** One scenario on all designs and hosts. */
function byHost(scenario: string, title: string): Table {
  const rows = PLACES.map(({ host, label }) => ({
    label,
    cells: DESIGNS.map((d) => ({ scenario, design: at(d, host) })),
  }))
  return { title, columns: DESIGNS, rows }
}

/** Some scenarios, each with its own words, on some designs. */
function byScenario(
  title: string,
  designs: readonly string[],
  scenarios: readonly (readonly [scenario: string, label: string])[],
): Table {
  const rows = scenarios.map(([scenario, label]) => ({
    label,
    cells: designs.map((design) => ({ scenario, design })),
  }))
  return { title, columns: designs, rows }
}

const TABLES: readonly Table[] = [
  byHost(MOVED, "Compaction comes upon a guest's page"),
  byHost(DROPPED, "The page cache is dropped, and a guest's page is in it"),
  byHost(REUSED, 'The VMM punches a page that the guest has, and the kernel uses the page'),
  byHost(PUNCHED, 'The guest touches a page while the VMM punches it'),
  byHost(GIVEN_BACK, 'The same, and the guest has given the page away before'),
  byScenario(
    'What the tests of SNP on these files did not notice',
    ['upm@snp', 'upm-aops@snp', 'gmem-6.18@snp'],
    [
      [PUNCHED, 'a guest touches what is punched'],
      [DROPPED, 'the page cache is dropped'],
      ['hosts/conversion-fails', 'an update of the table fails: conversion'],
      ['hosts/release-fails', 'an update of the table fails: punch'],
      ['hosts/neighbour-of-a-guests-page', 'a CPU keeps the large mapping'],
      ['hosts/failure-of-a-guests-page', 'memory fails'],
    ],
  ),
  byScenario(
    'The races and other ugliness of a raised reference count',
    [PLAIN, PINNED],
    [
      ['migration/two-vcpus-touch-one-page', 'two vCPUs find the page absent: two pins'],
      ['migration/fallocated-page-vs-compaction', 'fallocate makes the page: no pin'],
      [PUNCHED, 'a fault between the pin and the punch'],
      ['memory-failure/mapped-restricted-page', 'memory failure looks at no count'],
    ],
  ),
]

/** All cells that the tables need, each once. */
export function threadCells(): readonly CellName[] {
  const all = TABLES.flatMap((t) => t.rows.flatMap((r) => r.cells))
  return all.filter(
    (c, i) => all.findIndex((d) => d.scenario === c.scenario && d.design === c.design) === i,
  )
}

function isClean(lookup: Lookup, scenario: string, design: string, host: string): boolean {
  return lookup({ scenario, design: at(design, host) })?.verdict === 'clean'
}

/** Whether a design keeps the guest's page where and what it is, as long as the guest has it. */
function isSafe(lookup: Lookup, design: string, host: string): boolean {
  return [MOVED, DROPPED, REUSED].every((s) => isClean(lookup, s, design, host))
}

/** Is a pin needed? Not where a design without one does; and not where one does not help. */
function pinAnswer(lookup: Lookup, host: string): string {
  if ([PLAIN, REFUSING, MERGED].some((d) => isSafe(lookup, d, host))) return 'no'
  return isSafe(lookup, PINNED, host) ? 'yes' : 'no help'
}

/** Is it enough to refuse to move pages? */
function refusalAnswer(lookup: Lookup, host: string): string {
  const moves = isClean(lookup, MOVED, REFUSING, host)
  const stays = isClean(lookup, DROPPED, REFUSING, host)
  if (!moves) return 'no'
  return stays ? 'yes' : 'moves only'
}

/** Ids of what was found, shorter ones first met. */
function found(lookup: Lookup, names: readonly CellName[]): string {
  const ids = names.flatMap((n) => lookup(n)?.findings.map((f) => f.id) ?? [])
  return [...new Set(ids)].join(', ') || 'nothing'
}

function pad(text: string, width: number): string {
  return text.length >= width ? `${text} ` : text.padEnd(width)
}

function answers(lookup: Lookup): string[] {
  const lines = [`${pad('', 22)}${pad('pin needed', 12)}refusal enough`]
  for (const { host, label } of PLACES) {
    const pin = pinAnswer(lookup, host)
    lines.push(`${pad(label, 22)}${pad(pin, 12)}${refusalAnswer(lookup, host)}`)
  }
  lines.push('', 'Lost where nobody is told (upm; moved, dropped):')
  for (const { host } of PLACES) {
    const cells = [MOVED, DROPPED].map((scenario) => ({ scenario, design: at(PLAIN, host) }))
    lines.push(...folded(`  ${pad(host, 10)}${found(lookup, cells)}`, 12))
  }
  lines.push('', 'Left behind by a punch (each design):')
  for (const { host } of PLACES) {
    const cells = [PUNCHED, REUSED].flatMap((scenario) =>
      DESIGNS.map((d) => ({ scenario, design: at(d, host) })),
    )
    lines.push(...folded(`  ${pad(host, 10)}${found(lookup, cells)}`, 12))
  }
  return lines
}

/** Lines of at most 79 characters; those behind the first are indented. */
function folded(text: string, indent: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(/(?<=,) /)) {
    if (line !== '' && line.length + word.length + 1 > 79) {
      lines.push(line)
      line = ' '.repeat(indent) + word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}

function tableLines({ title, columns, rows }: Table, lookup: Lookup): string[] {
  const words = rows.map(({ cells }) =>
    cells.map((c) => {
      const verdict = lookup(c)
      return verdict === undefined ? '?' : cellWord(verdict)
    }),
  )
  const label = Math.max(...rows.map((r) => r.label.length)) + 4
  const widths = columns.map((c, i) => Math.max(c.length, ...words.map((w) => w[i]!.length)) + 2)
  const line = (texts: readonly string[]): string =>
    texts.map((text, i) => pad(text, widths[i]!)).join('')
  return [
    title,
    (pad('', label) + line(columns)).trimEnd(),
    ...rows.map((r, i) => (pad(`  ${r.label}`, label) + line(words[i]!)).trimEnd()),
  ]
}

/** The table of the thread as text. A cell that was not checked is `?`. */
export function renderThread(lookup: Lookup): string {
  const tables = TABLES.map((t) => tableLines(t, lookup).join('\n'))
  return [answers(lookup).join('\n'), ...tables].join('\n\n')
}

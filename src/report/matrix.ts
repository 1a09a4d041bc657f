/** The matrix: a row for each scenario, a column for each design, a word for each verdict. */
import type { Finding, Verdict } from '../explore/verdict.js'
import { cell, type Paint, PLAIN } from './paint.js'

/** A word of up to six letters for each finding; the legend says what it stands for. */
const SHORT: Readonly<Record<string, string>> = {
  'stale-secondary-mapping': 'stale',
  'secondary-use-after-free': 's-uaf',
  'use-after-free': 'UAF',
  'double-free': '2free',
  'null-dereference': 'NULL',
  'type-confusion': 'type',
  'uninitialised-memory': 'kmsan',
  'wild-pointer': 'wild',
  'refcount-leak': 'leak',
  'refcount-underflow': 'under',
  'memory-leak': 'mleak',
  'poison-not-reported': 'untold',
  'poison-remapped': 'poison',
  'misdirected-report': 'astray',
  'uninitialised-page': 'uninit',
  'guest-data-lost': 'lost',
  'wrong-kind-mapping': 'kind',
  'private-page-aliased': 'alias',
  'missing-tlb-flush': 'tlb',
  'unbalanced-invalidation': 'unbal',
  'stuck-invalidation': 'stuck',
  'lock-inversion': 'order',
  deadlock: 'hang',
  livelock: 'spins',
  'sleep-in-atomic': 'sleep',
  'dangling-binding': 'dangle',
  'kernel-bug': 'BUG',
  'kernel-warning': 'WARN',
  'bad-page-state': 'badpg',
  'unlock-by-other': 'unlock',
  'condition-violated': 'cond',
  'unexpected-result': 'result',
}

export function shortFinding(id: string): string {
  return SHORT[id] ?? id.slice(0, 6)
}

/** What a cell says, in at most eight characters. */
export function cellWord(v: Verdict): string {
  const bound = v.proof === 'exhaustive' ? '' : '?'
  const wrong = v.asExpected === false ? '!' : ''
  switch (v.verdict) {
    case 'clean':
      return `clean${bound}${wrong}`
    case 'skipped':
      return '-'
    case 'vacuous':
      return `vacuous${wrong}`
    case 'inconclusive':
      return `open?${wrong}`
    default: {
      const first = v.findings.filter((f) => f.first)
      const more = first.length > 1 ? `+${first.length - 1}` : ''
      return `${shortFinding(first[0]?.id ?? '?')}${more}${bound}${wrong}`
    }
  }
}

const LINE = 79
const COLUMN = 8
const LONGEST_NAME = 39

function nameWidth(designs: number): number {
  return Math.min(LONGEST_NAME, LINE - COLUMN * designs)
}

/** A design's name in pieces that fit the column, broken behind its dashes. */
function headPieces(design: string): string[] {
  const pieces: string[] = []
  for (const part of design.split(/(?<=-)/)) {
    const last = pieces.at(-1)
    if (last !== undefined && last.length + part.length < COLUMN) {
      pieces[pieces.length - 1] = last + part
    } else pieces.push(part)
  }
  return pieces
}

/** Column heads, the last pieces of the names in one line. */
function headLines(designs: readonly string[]): string[] {
  const heads = designs.map(headPieces)
  const depth = Math.max(1, ...heads.map((h) => h.length))
  return Array.from({ length: depth }, (_, i) => {
    const cells = heads.map((h) => cell(h[i - depth + h.length] ?? '', COLUMN))
    return ' '.repeat(nameWidth(designs.length)) + cells.join('')
  })
}

/** The whole matrix with its legend. Verdicts may come in any order. */
export function renderMatrix(
  scenarios: readonly string[],
  designs: readonly string[],
  verdicts: readonly Verdict[],
  paint: Paint = PLAIN,
): string {
  const lines = headLines(designs).map((l) => paint.bold(l.trimEnd()))
  let area = ''
  for (const scenario of scenarios) {
    const [group, name] = scenario.split('/') as [string, string]
    if (group !== area) lines.push(paint.dim(group))
    area = group
    const cells = designs.map((d) => {
      const v = verdicts.find((x) => x.scenario === scenario && x.design === d)
      if (v === undefined) return cell('', COLUMN)
      const colour =
        v.verdict === 'clean' ? paint.good : v.verdict === 'finding' ? paint.bad : paint.dim
      return cell(cellWord(v), COLUMN, colour)
    })
    lines.push(`  ${cell(name, nameWidth(designs.length) - 2)}${cells.join('')}`.trimEnd())
  }
  return [...lines, '', ...legend(verdicts, paint)].join('\n')
}

function legend(verdicts: readonly Verdict[], paint: Paint): string[] {
  const ids = new Set(
    verdicts.flatMap((v) => v.findings.filter((f: Finding) => f.first).map((f) => f.id)),
  )
  const entries = [...ids].map((id) => `${shortFinding(id)} ${id}`).sort()
  const lines: string[] = []
  let line = ''
  for (const e of entries) {
    if (line !== '' && line.length + e.length + 3 > 79) {
      lines.push(line)
      line = ''
    }
    line = line === '' ? e : `${line} · ${e}`
  }
  if (line !== '') lines.push(line)
  const marks = [
    'clean = nothing found in any interleaving; +n = n more findings;',
    '? = not exhaustive; ! = not what the scenario expects; - = does not apply',
  ]
  return [...lines, ...marks].map((l) => paint.dim(l))
}

/** One line on how much was explored. */
export function coverage(verdicts: readonly Verdict[], seconds: number): string {
  const run = verdicts.filter((v) => v.verdict !== 'skipped')
  const states = run.reduce((sum, v) => sum + v.states, 0)
  const exhaustive = run.filter((v) => v.proof === 'exhaustive').length
  const proof = exhaustive === run.length ? 'all exhaustive' : `${exhaustive} of them exhaustive`
  const unexpected = run.filter((v) => v.asExpected === false).length
  const as = unexpected === 0 ? 'all as expected' : `${unexpected} not as expected`
  return `${run.length} cells, ${proof}, ${as}: ${states} states in ${seconds.toFixed(1)} s`
}

/** One line on how many cells a second search confirms. */
export function crossSummary(verdicts: readonly Verdict[]): string {
  const of = (outcome: string): number =>
    verdicts.filter((v) => v.cross?.outcome === outcome).length
  const checked = verdicts.filter((v) => v.cross !== undefined).length
  return `second search: agrees on ${of('agrees')} of ${checked} cells, ${of('open')} not finished, ${of('differs')} differ`
}

/** The matrix: a row for each scenario, a column for each design, a word for each verdict. */
import type { Results } from '../app/results.js'
import { type Standing, standingOf } from '../app/standing.js'
import type { Finding, Proof, Verdict } from '../app/verdict.js'
import { cell, type Page, type Paint, PLAIN_PAGE } from './paint.js'
import { shortFinding } from './words.js'

/** What a cell says, in at most eight characters. */
export function cellWord(v: Verdict): string {
  const bound = v.proof === 'exhaustive' ? '' : '?'
  const wrong = v.asExpected === false ? '!' : ''
  switch (v.verdict) {
    case 'clean':
      return `clean${wrong}`
    case 'skipped':
      return '-'
    case 'failed':
      return 'failed'
    case 'vacuous':
      return `vacuous${wrong}`
    case 'inconclusive':
      return `open${wrong}`
    default: {
      const first = v.findings.filter((f) => f.first)
      const more = first.length > 1 ? `+${first.length - 1}` : ''
      return `${shortFinding(first[0]?.id ?? '?')}${more}${bound}${wrong}`
    }
  }
}

/** Pieces of a design's name are shorter than this, if its dashes allow. */
const HEAD = 7
const LONGEST_NAME = 39
/** With columns beyond a page, names have room all the same. */
const SHORTEST_NAME = 20
const INDENT = '  '

/** A name in pieces shorter than `width`, broken behind its dashes and before its host. */
function pieces(name: string, width: number): string[] {
  const found: string[] = []
  for (const part of name.split(/(?<=-)|(?=@)/)) {
    const last = found.at(-1)
    if (last !== undefined && last.length + part.length < width) {
      found[found.length - 1] = last + part
    } else found.push(part)
  }
  return found
}

/** A design with its verdicts, and how wide its column is, the gap behind it included. */
interface Column {
  readonly head: readonly string[]
  readonly verdicts: ReadonlyMap<string, Verdict>
  readonly width: number
}

function columnOf(design: string, all: readonly Verdict[]): Column {
  const own = all.filter((v) => v.design === design)
  const head = pieces(design, HEAD)
  const longest = Math.max(...[...head, ...own.map(cellWord)].map((text) => text.length))
  return { head, verdicts: new Map(own.map((v) => [v.scenario, v])), width: longest + 1 }
}

/** Column heads, the last pieces of the names in one line. */
function headLines(columns: readonly Column[], nameWidth: number): string[] {
  const depth = Math.max(1, ...columns.map((c) => c.head.length))
  return Array.from({ length: depth }, (_, i) => {
    const cells = columns.map((c) => cell(c.head[i - depth + c.head.length] ?? '', c.width))
    return ' '.repeat(nameWidth) + cells.join('')
  })
}

function verdictCell(v: Verdict | undefined, width: number, paint: Paint): string {
  if (v === undefined) return cell('', width)
  const colour =
    v.verdict === 'clean' ? paint.good : v.verdict === 'finding' ? paint.bad : paint.dim
  return cell(cellWord(v), width, colour)
}

/**
 * The lines of one scenario; a name that does not fit is folded, its last piece before the cells.
 */
function rowLines(
  scenario: string,
  name: string,
  columns: readonly Column[],
  nameWidth: number,
  paint: Paint,
): string[] {
  const folded = pieces(INDENT + name, nameWidth)
  const last = (folded.length > 1 ? INDENT.repeat(2) : '') + folded.at(-1)
  const cells = columns.map((c) => verdictCell(c.verdicts.get(scenario), c.width, paint))
  return [...folded.slice(0, -1), (cell(last, nameWidth) + cells.join('')).trimEnd()]
}

/** The whole matrix with its legend. Verdicts may come in any order. */
export function renderMatrix(
  scenarios: readonly string[],
  designs: readonly string[],
  verdicts: readonly Verdict[],
  { paint, width }: Page = PLAIN_PAGE,
): string {
  const columns = designs.map((d) => columnOf(d, verdicts))
  const room = width + 1 - columns.reduce((sum, c) => sum + c.width, 0)
  const nameWidth = Math.max(SHORTEST_NAME, Math.min(LONGEST_NAME, room))
  const lines = headLines(columns, nameWidth).map((l) => paint.bold(l.trimEnd()))
  let area = ''
  for (const scenario of scenarios) {
    const [group, name] = scenario.split('/') as [string, string]
    if (group !== area) lines.push(paint.dim(group))
    area = group
    lines.push(...rowLines(scenario, name, columns, nameWidth, paint))
  }
  return [...lines, '', ...legend(verdicts, { paint, width })].join('\n')
}

function legend(verdicts: readonly Verdict[], { paint, width }: Page): string[] {
  const ids = new Set(
    verdicts.flatMap((v) => v.findings.filter((f: Finding) => f.first).map((f) => f.id)),
  )
  const entries = [...ids].map((id) => `${shortFinding(id)} ${id}`).sort()
  const lines: string[] = []
  let line = ''
  for (const e of entries) {
    if (line !== '' && line.length + e.length + 3 > width) {
      lines.push(line)
      line = ''
    }
    line = line === '' ? e : `${line} · ${e}`
  }
  if (line !== '') lines.push(line)
  const marks = [
    'clean = nothing found in any interleaving; +n = n more findings; open = nothing',
    'found, but not all explored; ? = not all explored; ! = not what the scenario',
    'expects; - = does not apply; failed = the set-up did not come to its end',
  ]
  return [...lines, ...marks].map((l) => paint.dim(l))
}

/** How many cells stand how, worst first. */
function standings(run: readonly Verdict[]): string {
  const count = (standing: Standing): number => run.filter((v) => standingOf(v) === standing).length
  const said = [
    [count('unexpected'), 'not as expected'],
    [count('finding'), 'with findings, nothing being expected'],
    [count('open'), 'inconclusive'],
  ] as const
  const bad = said.filter(([n]) => n > 0).map(([n, what]) => `${n} ${what}`)
  return bad.length === 0 ? 'all as expected' : bad.join(', ')
}

/** One line on how much was explored. */
export function coverage({ cells, asked, seconds }: Results): string {
  const verdicts = cells.map((c) => c.verdict)
  const run = verdicts.filter((v) => v.proof !== undefined)
  const unanswered = asked - cells.length
  const missing = unanswered === 0 ? '' : `${unanswered} more not begun; `
  const failed = verdicts.filter((v) => v.verdict === 'failed').length
  const broken =
    failed === 0 ? '' : `${failed} of ${verdicts.length} cells with a set-up that failed; `
  if (run.length === 0) {
    const skipped = verdicts.length - failed
    return `${missing}${broken}nothing was checked, ${skipped} cells skipped`
  }
  const are = (proof: Proof): number => run.filter((v) => v.proof === proof).length
  const whole = (['exhaustive', 'sampled'] as const).find((proof) => are(proof) === run.length)
  const proof = whole === undefined ? `${are('exhaustive')} of them exhaustive` : `all ${whole}`
  const sum = (of: 'states' | 'executions'): number => run.reduce((all, v) => all + v[of], 0)
  // A sample keeps no states.
  const seen = whole === 'sampled' ? `${sum('executions')} runs` : `${sum('states')} states`
  const old = run.filter((v) => v.reused === true).length
  const reused =
    old === 0 ? '' : `\n${old} of them reused from an earlier run; --no-cache checks all again`
  const size = `${seen} in ${seconds.toFixed(1)} s`
  return `${missing}${broken}${run.length} cells, ${proof}, ${standings(run)}: ${size}${reused}`
}

/** One line on how many cells a second search confirms. */
export function crossSummary(verdicts: readonly Verdict[]): string {
  const of = (outcome: string): number =>
    verdicts.filter((v) => v.cross?.outcome === outcome).length
  const checked = verdicts.filter((v) => v.cross !== undefined).length
  return `second search: agrees on ${of('agrees')} of ${checked} cells, ${of('open')} not finished, ${of('differs')} differ`
}

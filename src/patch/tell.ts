/** A review as text: for a terminal, or for a reply on a list, where 72 columns are a page. */
import type { Entry } from './plan.js'
import type { CellVerdict, Finding, Review } from './verdicts.js'

export interface Told {
  readonly subject: string
  readonly base: string
  readonly notes: readonly string[]
  readonly entries: readonly Entry[]
  /** What the whole translation of a function rests on. */
  readonly checkOf: (name: string) => string
  readonly review: Review
  /** How to replay a token; undefined where nothing that could be replayed was kept. */
  readonly replay: string | undefined
  /** Of a series: what its first mails alone do, one after the other. */
  readonly columns: readonly Review[]
}

export function tell(told: Told, width: number): string {
  const { review, entries } = told
  const lines = [
    ...wrapped(told.subject, width, ''),
    ...wrapped(`judged on ${told.base}`, width, ''),
    ...told.notes.flatMap((n) => wrapped(`note: ${n}`, width, '  ')),
    '',
    ...section(
      'Functions',
      entries.filter((e) => !isIdle(e)).flatMap((e) => entryLines(e, told, width)),
    ),
    ...section('Without effect', idleLines(entries.filter(isIdle), width)),
    ...cells('New findings', review.cells, 'finds', (c) => c.found, width),
    ...replays(told, width),
    ...cells('Gone', review.cells, 'clean again', (c) => c.gone, width),
    ...cells('No finding, but other behaviour', review.cells, 'behaves otherwise', none, width),
    ...notJudged(review.cells, width),
    ...byMail(told, width),
    ...counts(review, width),
    ...section('Simplified in the model', simplified(entries, width)),
  ]
  return lines.join('\n').trimEnd()
}

const none = (): readonly Finding[] => []

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [title, ...lines.map((l) => `  ${l}`), '']
}

/** Something else than a function that changes nothing. */
function isIdle({ kind, how }: Entry): boolean {
  return kind === 'outside' && how === 'no effect'
}

function idleLines(entries: readonly Entry[], width: number): string[] {
  const reasons = [...new Set(entries.map((e) => e.holes[0]?.reason ?? ''))]
  return reasons.flatMap((reason) => {
    const names = entries.filter((e) => e.holes[0]?.reason === reason).map((e) => e.name)
    return wrapped(`${names.join(', ')}: ${reason}`, width - 2, '  ')
  })
}

function entryLines(e: Entry, told: Told, width: number): string[] {
  const call = e.kind === 'table' || e.kind === 'outside' ? e.name : `${e.name}()`
  const edits = e.edits === undefined ? '' : ` (${e.edits} edit${e.edits === 1 ? '' : 's'})`
  const check = told.checkOf(e.name)
  const head = `${call}: ${e.how}${edits}${check === '' ? '' : `, ${check}`}`
  const notes = [
    ...reasons(e),
    ...(e.assumptions.length > 0 ? [`assumed: ${[...new Set(e.assumptions)].join(', ')}`] : []),
    ...coverage(e, told.review),
  ]
  return [
    ...wrapped(head, width - 2, '  '),
    ...notes.flatMap((n) => wrapped(n, width - 4, '  ').map((l) => `  ${l}`)),
  ]
}

const SHOWN = 4

function reasons({ holes }: Entry): string[] {
  const place = (line: number): string => (line === 0 ? '' : `line ${line}: `)
  const each = [...new Set(holes.map((h) => place(h.line) + h.reason))]
  const more = each.length - SHOWN
  return more > 0 ? [...each.slice(0, SHOWN), `and ${more} more`] : each
}

/** How many of its new lines ran at all. */
function coverage(e: Entry, { ran }: Review): string[] {
  if (e.how !== 'translated' && e.how !== 'new') return []
  const counts = [...e.lines].flatMap((l) => ran.get(`${e.name}:${l}`) ?? [])
  if (counts.length > 0) return [`its new lines run in up to ${Math.max(...counts)} cells`]
  return e.lines.size === 0 ? [] : ['no verdict: none of its new lines ran']
}

function cells(
  title: string,
  all: readonly CellVerdict[],
  word: CellVerdict['word'],
  findings: (c: CellVerdict) => readonly Finding[],
  width: number,
): string[] {
  return section(
    title,
    all
      .filter((c) => c.word === word)
      .flatMap((c) => [
        c.scenario,
        ...findings(c).flatMap((f) =>
          wrapped(`${f.id} in ${f.function}(): ${f.message}`, width - 4, '  ').map((l) => `  ${l}`),
        ),
        ...(c.detail === '' ? [] : wrapped(c.detail, width - 4, '  ').map((l) => `  ${l}`)),
      ]),
  )
}

/** Of each new finding the token; line breaks do it no harm. */
function replays({ review, replay }: Told, width: number): string[] {
  if (replay === undefined) return []
  const lines = review.cells
    .filter((c) => c.word === 'finds')
    .flatMap((c) =>
      c.found.flatMap((f) =>
        f.token === undefined ? [] : [f.id, ...pieces(f.token, width - 4).map((l) => `  ${l}`)],
      ),
    )
  return lines.length === 0 ? [] : section('Replay', [...wrapped(replay, width - 2, ''), ...lines])
}

/** One column a mail, the whole series last; cells that are as before in all are left out. */
function byMail({ columns, review }: Told, width: number): string[] {
  if (columns.length === 0) return []
  const all = [...columns, review]
  const word = (r: Review, scenario: string): string => {
    const c = r.cells.find((x) => x.scenario === scenario)
    return c === undefined ? '-' : (c.found[0]?.id ?? SHORT[c.word])
  }
  const names = review.cells.map((c) => c.scenario)
  const rows = names
    .map((n) => [n, all.map((r) => word(r, n))] as const)
    .filter(([, words]) => words.some((w) => w !== SHORT['as before']))
  return section(
    `Mail by mail (1 to ${all.length})`,
    rows.flatMap(([n, words]) => [
      n,
      ...wrapped(words.map((w, i) => `${i + 1}: ${w}`).join('   '), width - 4, '').map(
        (l) => `  ${l}`,
      ),
    ]),
  )
}

const SHORT: Readonly<Record<CellVerdict['word'], string>> = {
  finds: 'finds',
  'clean again': 'gone',
  'behaves otherwise': 'otherwise',
  'not judged': '?',
  'as before': '.',
}

/** Cells that lack the same thing are named together. */
function notJudged(all: readonly CellVerdict[], width: number): string[] {
  const some = all.filter((c) => c.word === 'not judged')
  const reasons = [...new Set(some.map((c) => c.detail))]
  const lines = reasons.flatMap((reason) => {
    const names = some.filter((c) => c.detail === reason).map((c) => c.scenario)
    return [
      ...wrapped(reason, width - 2, '  '),
      ...wrapped(names.join(', '), width - 4, '').map((l) => `  ${l}`),
    ]
  })
  return section('Not judged', lines)
}

function counts({ cells: all, partly }: Review, width: number): string[] {
  const count = (word: CellVerdict['word']): number => all.filter((c) => c.word === word).length
  const text =
    `${count('finds')} cells find something new, in ${count('clean again')} something is gone, ` +
    `${count('behaves otherwise')} behave otherwise, ${count('not judged')} are not judged, ` +
    `${count('as before')} are as before.`
  const part = 'Part of the patch could not be judged: the verdicts above are about the rest.'
  return [...wrapped(text, width, ''), ...(partly ? wrapped(part, width, '') : []), '']
}

function simplified(entries: readonly Entry[], width: number): string[] {
  const seen = new Set<string>()
  return entries.flatMap((e) =>
    e.targets.flatMap((t) => {
      if (t.simplifies === undefined || seen.has(t.ts)) return []
      seen.add(t.ts)
      return wrapped(`${t.c}: ${t.simplifies}`, width - 2, '  ')
    }),
  )
}

/** What is too long for a line, in pieces. */
function pieces(word: string, width: number): string[] {
  return word.match(new RegExp(`.{1,${width}}`, 'gu')) ?? []
}

/** Lines of at most `width` columns; the following ones are indented. */
export function wrapped(text: string, width: number, indent: string): string[] {
  const lines: string[] = []
  let line = ''
  const words = text.split(/\s+/).flatMap((w) => pieces(w, width - indent.length))
  for (const word of words) {
    const start = lines.length === 0 && line === '' ? '' : indent
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = indent + word
    } else line = line === '' ? start + word : `${line} ${word}`
  }
  return line === '' ? lines : [...lines, line]
}

/** What a patch changes, cell by cell: found, gone, otherwise changed, or not to be judged. */
import type { Move } from '../cell/schedule.js'
import type { Entry } from './plan.js'
import { HOLE_MARK, LINE_MARK } from './translate/module.js'

export interface Finding {
  readonly id: string
  readonly function: string
  readonly message: string
  readonly first: boolean
  /** What the scenario asks of the designs that it knows: other behaviour, and no bug. */
  readonly isDemand: boolean
  /** The execution that shows it. */
  readonly schedule?: readonly Move[]
  /** By which it can be replayed, where the design is kept. */
  readonly token?: string
}

export interface CellPair {
  readonly scenario: string
  readonly base: { readonly findings: readonly Finding[]; readonly skipped: string | undefined }
  /** Undefined if nothing of the patch runs there. */
  readonly patched:
    | {
        readonly findings: readonly Finding[]
        readonly skipped: string | undefined
        readonly marks: readonly string[]
      }
    | undefined
  readonly difference: Apart | undefined
  /** What the patch does otherwise if it is merged where it was translated whole. */
  readonly otherWay?: Apart | undefined
}

interface Apart {
  readonly what: string
  readonly detail: string
}

export type CellWord = 'not judged' | 'finds' | 'clean again' | 'behaves otherwise' | 'as before'

export interface CellVerdict {
  readonly scenario: string
  readonly word: CellWord
  readonly found: readonly Finding[]
  readonly gone: readonly Finding[]
  /** Why it is not judged, or what differs. */
  readonly detail: string
}

export interface Review {
  readonly cells: readonly CellVerdict[]
  /** `function:line` of the patch to the number of cells in which it ran. */
  readonly ran: ReadonlyMap<string, number>
  /** Lines of the patch that no cell has run. */
  readonly idle: readonly string[]
  /** Something of the patch could not be judged. */
  readonly partly: boolean
}

/** The verdicts of a review; new findings come first, then what is gone, then what differs. */
export function reviewOf(
  pairs: readonly CellPair[],
  entries: readonly Entry[],
  nothing?: string,
): Review {
  const judged = nothing === undefined ? cellOf : (p: CellPair) => notJudged(p.scenario, nothing)
  const cells = pairs.map(judged).sort((a, b) => ORDER.indexOf(a.word) - ORDER.indexOf(b.word))
  const ran = new Map<string, number>()
  for (const { patched } of pairs) {
    for (const mark of patched?.marks ?? []) {
      if (!mark.startsWith(LINE_MARK)) continue
      const line = mark.slice(LINE_MARK.length)
      ran.set(line, (ran.get(line) ?? 0) + 1)
    }
  }
  const idle = entries
    .filter((e) => (e.how === 'translated' || e.how === 'new') && e.lines.size > 0)
    .filter((e) => ![...e.lines].some((l) => ran.has(`${e.name}:${l}`)))
    .map((e) => e.name)
  const partly =
    cells.some((c) => c.word === 'not judged') ||
    entries.some(
      (e) =>
        e.how === 'not translated' ||
        e.how === 'not modelled' ||
        (e.how !== 'no effect' && e.holes.length > 0),
    )
  return { cells, ran, idle, partly }
}

const ORDER: readonly CellWord[] = [
  'finds',
  'clean again',
  'behaves otherwise',
  'not judged',
  'as before',
]

function notJudged(scenario: string, detail: string): CellVerdict {
  return { scenario, found: [], gone: [], detail, word: 'not judged' }
}

function cellOf({ scenario, base, patched, difference, otherWay }: CellPair): CellVerdict {
  const none = { scenario, found: [], gone: [], detail: '' }
  if (patched === undefined || (base.skipped !== undefined && difference === undefined)) {
    return { ...none, word: 'as before' }
  }
  const holes = patched.marks.filter((m) => m.startsWith(HOLE_MARK))
  if (holes.length > 0) {
    return { ...none, word: 'not judged', detail: (holes[0] as string).slice(HOLE_MARK.length) }
  }
  if (otherWay !== undefined) {
    const detail = `translated whole and merged it is not the same: ${otherWay.what}, ${otherWay.detail}`
    return { ...none, word: 'not judged', detail }
  }
  if (difference?.what === 'unfinished' || (patched.skipped !== undefined && difference)) {
    return { ...none, word: 'not judged', detail: difference?.detail ?? '' }
  }
  const lacks = (list: readonly Finding[], f: Finding): boolean =>
    !f.isDemand && !list.some((x) => x.id === f.id)
  const found = patched.findings.filter((f) => lacks(base.findings, f))
  const gone = base.findings.filter((f) => lacks(patched.findings, f))
  const both = { scenario, found, gone }
  if (found.length > 0) {
    const detail = gone.length > 0 ? `no longer: ${gone.map((f) => f.id).join(', ')}` : ''
    return { ...both, word: 'finds', detail }
  }
  if (gone.length > 0) return { ...both, word: 'clean again', detail: '' }
  if (difference === undefined) return { ...both, word: 'as before', detail: '' }
  const demand = patched.findings.find((f) => f.isDemand)
  const detail = demand?.message ?? `${difference.what}, ${difference.detail}`
  return { ...both, word: 'behaves otherwise', detail }
}

/**
 * Hunks onto a file of the user's tree. White space does not count: a hunk is found by its words,
 * and lines that it leaves alone stay as the file has them.
 */
import type { FilePatch, Hunk } from './patch.js'

/** Why a hunk cannot be put in. */
export interface Misfit {
  readonly hunk: Hunk
  readonly why: 'its lines are not in the file' | 'it fits in two places'
}

export interface Applied {
  readonly text: string
  readonly misfits: readonly Misfit[]
}

/** The file after the patch; with `reverse`, before it. */
export function applyPatch(text: string, patch: FilePatch, reverse = false): Applied {
  let lines = text.split('\n')
  const misfits: Misfit[] = []
  let shift = 0
  for (const hunk of patch.hunks) {
    const gone = reverse ? '+' : '-'
    const come = reverse ? '-' : '+'
    const old = hunk.lines.filter((l) => l.op !== come).map((l) => words(l.text))
    const wanted = old.filter((t) => t !== '')
    const start = (reverse ? hunk.newStart : hunk.oldStart) - 1
    const places = wanted.length === 0 ? [] : placesOf(lines, wanted)
    const at = places.length > 1 ? nearest(places, start + shift) : places[0]
    if (at === undefined) {
      const why = places.length > 1 ? 'it fits in two places' : 'its lines are not in the file'
      misfits.push({ hunk, why })
      continue
    }
    const before = lines.length
    lines = put(lines, at, hunk, gone, come)
    shift += lines.length - before
  }
  return { text: lines.join('\n'), misfits }
}

function words(line: string): string {
  return line.replace(/\s+/g, ' ').trim()
}

/** Every line at which the wanted lines follow each other, blank ones aside. */
function placesOf(lines: readonly string[], wanted: readonly string[]): number[] {
  const plain = lines.map(words)
  const found: number[] = []
  for (let from = 0; from < plain.length; from++) {
    if (plain[from] !== wanted[0]) continue
    let at = from
    const fits = wanted.every((w) => {
      while (at < plain.length && plain[at] === '') at++
      return plain[at++] === w
    })
    if (fits) found.push(from)
  }
  return found
}

/** The place that the header names, if one is clearly nearer to it than the others. */
function nearest(places: readonly number[], guess: number): number | undefined {
  const sorted = [...places].sort((a, b) => Math.abs(a - guess) - Math.abs(b - guess))
  const [first, second] = sorted as [number, number]
  return Math.abs(first - guess) * 4 < Math.abs(second - guess) ? first : undefined
}

function put(
  lines: readonly string[],
  start: number,
  hunk: Hunk,
  gone: '+' | '-',
  come: '+' | '-',
): string[] {
  const out = lines.slice(0, start)
  let at = start
  for (const l of hunk.lines) {
    if (l.op === come) {
      out.push(l.text)
      continue
    }
    if (words(l.text) === '') {
      if (at > start && words(lines[at] ?? 'x') === '') {
        if (l.op !== gone) out.push(lines[at] as string)
        at++
      }
      continue
    }
    while (words(lines[at] as string) === '') out.push(lines[at++] as string)
    if (l.op !== gone) out.push(lines[at] as string)
    at++
  }
  return [...out, ...lines.slice(at)]
}

/** What a hunk shows of the file before and after it, when there is no tree. */
export function sidesOf(hunk: Hunk, reverse = false): readonly [string, string] {
  const side = (drop: '+' | '-'): string =>
    hunk.lines
      .filter((l) => l.op !== drop)
      .map((l) => l.text)
      .join('\n')
  return reverse ? [side('-'), side('+')] : [side('+'), side('-')]
}

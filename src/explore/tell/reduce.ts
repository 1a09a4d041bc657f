/**
 * A scenario made smaller as long as a finding still comes up in it: without whole tasks, without
 * single operations, with fewer faults and fewer pages. What is left is what the finding needs;
 * taking any one thing more away loses it.
 */

import { SetupFailure } from '../../cell/boot.js'
import { Cell } from '../../cell/cell.js'
import type { Design } from '../../designs/design.js'
import { LitmusError } from '../../litmus/error.js'
import { type Known, readScenario, type Scenario } from '../../litmus/scenario.js'
import { search } from '../prove/search.js'

export interface ReduceLimits {
  /** Steps of each search; a candidate that needs more is not taken. */
  readonly keepGoing: () => boolean
}

/**
 * The text of a smaller scenario with the finding, or undefined if nothing can be taken away. Of
 * conditions only those stay that the finding speaks of; what is expected is the finding.
 */
export function reduceScenario(
  source: string,
  design: Design,
  id: string,
  known: Known,
  limits: ReduceLimits,
): string | undefined {
  const shows = (text: string): boolean => {
    const scenario = parsed(text, known)
    return scenario !== undefined && hasFinding(scenario, design, id, limits)
  }
  let best = expecting(source, design.id, id)
  if (!shows(best)) return undefined
  let smaller = false
  for (let next = firstThat(best, shows); next !== undefined; next = firstThat(best, shows)) {
    best = next
    smaller = true
  }
  return smaller ? best : undefined
}

function parsed(text: string, known: Known): Scenario | undefined {
  try {
    return readScenario(text, known)
  } catch (error) {
    if (error instanceof LitmusError) return undefined
    throw error
  }
}

function hasFinding(scenario: Scenario, design: Design, id: string, limits: ReduceLimits): boolean {
  const cell = new Cell(scenario, design)
  try {
    cell.boot('lowered')
  } catch (error) {
    if (error instanceof SetupFailure) return false
    throw error
  }
  const { witnesses } = search(cell.judges, {
    bound: undefined,
    keepGoing: limits.keepGoing,
    wanted: new Map([[id, true]]),
  })
  cell.judges.detach()
  return witnesses.get(id)?.first === true
}

const SECTION = /^\s*(setup|task|finally|faults|reach|always|never|sometimes|expect)\b/

/** The scenario without what it says of other findings and designs. */
function expecting(source: string, design: string, id: string): string {
  const kept: string[] = []
  let skipping = false
  for (const line of source.split('\n')) {
    const section = SECTION.exec(line)?.[1]
    const isCondition = section === 'always' || section === 'never'
    if (section !== undefined) {
      skipping = /^(reach|sometimes|expect)$/.test(section)
      if (isCondition && id !== 'condition-violated') skipping = true
    }
    if (!skipping) kept.push(line.replace(/\s*#.*$/, ''))
  }
  const text = kept.join('\n').replace(/^(\s*litmus\s+\S+?)(-reduced)?$/m, '$1-reduced')
  return tidy(`${text}\n\nexpect\n  ${design}  finds ${id}\n`)
}

function tidy(text: string): string {
  return `${text
    .split('\n')
    .map((l) => l.trimEnd())
    .join('\n')
    .replace(/\n{3,}/g, '\n\n')
    .trim()}\n`
}

/** The first smaller text that still shows the finding. */
function firstThat(text: string, shows: (text: string) => boolean): string | undefined {
  for (const candidate of candidates(text)) if (shows(candidate)) return candidate
  return undefined
}

/** Everything that can be taken away at once, the largest pieces first. */
function* candidates(text: string): Generator<string> {
  const lines = text.split('\n')
  const without = (from: number, to: number): string =>
    tidy(lines.filter((_, i) => i < from || i >= to).join('\n'))
  const starts = lines.flatMap((l, i) => (SECTION.test(l) ? [i] : []))
  for (const [k, from] of starts.entries()) {
    if (/^\s*expect\b/.test(lines[from] as string)) continue
    yield without(from, starts[k + 1] ?? lines.length)
  }
  // The last first: what was made later is used less.
  for (let i = lines.length - 1; i >= 0; i--) {
    const line = lines[i] as string
    if (/\(/.test(line) && !SECTION.test(line)) yield without(i, i + 1)
    const faults = /^\s*faults\s+(\d+)/.exec(line)?.[1]
    if (Number(faults) > 1) yield replaced(lines, i, `faults ${Number(faults) - 1}`)
    for (const m of line.matchAll(/=(\d+)P\b/g)) {
      const pages = Number(m[1])
      const at = m.index ?? 0
      const rest = line.slice(at + m[0].length)
      if (pages > 1) yield replaced(lines, i, `${line.slice(0, at)}=${pages - 1}P${rest}`)
    }
  }
}

function replaced(lines: readonly string[], i: number, line: string): string {
  return [...lines.slice(0, i), line, ...lines.slice(i + 1)].join('\n')
}

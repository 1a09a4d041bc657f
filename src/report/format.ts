/**
 * What a report format is. Each lies in a file of its own in `formats/`, under the name by which it
 * is asked for, and is found there.
 */
import type { CellResult, Results } from '../app/results.js'
import type { Story } from '../app/story.js'
import type { Finding } from '../app/verdict.js'
import { type Page, PLAIN_PAGE } from './paint.js'

/** How a report is to look, where that is left to the reader. */
export interface Look extends Page {
  /** The user named the designs; else what is the same on several may be said once. */
  readonly named: boolean
  /** What a command line has besides, for commands that a report suggests. */
  readonly command: Command
}

/** How to call this program again. */
export interface Command {
  /** E.g. `npx restrictedmem`. */
  readonly program: string
  /** The path of a file of the package, as seen from where the user is. */
  packaged(name: string): string
}

export const PLAIN_LOOK: Look = {
  ...PLAIN_PAGE,
  named: true,
  command: { program: 'npx restrictedmem', packaged: (name) => name },
}

/** The stories that a format has asked for. */
export type Stories = ReadonlyMap<Finding, Story>

export interface Format {
  /** One sentence, for `--help` and the documentation. */
  readonly doc: string
  /** The findings whose story it tells: each of them costs a replay. */
  wants(results: Results): readonly (readonly [CellResult, Finding])[]
  render(results: Results, stories: Stories, look: Look): string
}

/** Of a check of one scenario: the findings of each cell that `chosen` takes. */
export function ofOneScenario(
  { cells }: Results,
  chosen: (findings: readonly Finding[]) => readonly Finding[],
): (readonly [CellResult, Finding])[] {
  if (new Set(cells.map((c) => c.file)).size !== 1) return []
  return cells.flatMap((c) => chosen(c.verdict.findings).map((f) => [c, f] as const))
}

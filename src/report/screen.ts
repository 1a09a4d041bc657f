/**
 * What of a long execution is shown, so that it fits on a screen: what the finding is about stays
 * longest. `--view list` shows every step.
 */

/** A change as it is printed, and the objects that it is about. */
export interface ShownChange {
  readonly text: string
  readonly names: readonly string[]
}

/** One line of a story, with the changes and findings below it. */
export interface Line {
  readonly n: number
  readonly task: string
  readonly text: string
  readonly changes: readonly ShownChange[]
  readonly marks: readonly string[]
  /** Objects of which the findings speak. */
  readonly about: readonly string[]
}

/** Rows of a screen that a story may take, its head and its end left out. */
export const ROWS = 36

function rowsOf(lines: readonly Line[]): number {
  return lines.reduce((n, l) => n + Math.max(1, l.changes.length) + l.marks.length, 0)
}

/** A line that says which call begins, what it returned or what went wrong. */
function isFixed(l: Line): boolean {
  return l.changes.length === 0 || l.marks.length > 0
}

/** Of the lines that `chosen` names, leave only changes of `subjects`. */
function only(
  lines: readonly Line[],
  subjects: ReadonlySet<string>,
  chosen: (l: Line) => boolean,
): Line[] {
  return lines.flatMap((l) => {
    if (isFixed(l) || !chosen(l)) return [l]
    const changes = l.changes.filter((c) => c.names.some((name) => subjects.has(name)))
    return changes.length === 0 ? [] : [{ ...l, changes }]
  })
}

/** Of each stretch of one task, leave the first and the last line with changes. */
function ends(lines: readonly Line[]): Line[] {
  const plain = (l: Line | undefined, task: string): boolean =>
    l !== undefined && l.task === task && !isFixed(l)
  return lines.filter((l, i) => {
    return isFixed(l) || !plain(lines[i - 1], l.task) || !plain(lines[i + 1], l.task)
  })
}

/** The lines to show: all of them if they fit, else what matters most. */
export function fitToScreen(lines: readonly Line[], rows = ROWS): readonly Line[] {
  const subjects = new Set(lines.flatMap((l) => l.about))
  const ways: ((from: readonly Line[]) => Line[])[] = [
    // What goes when the process exits was there to be judged, and says little.
    (from) => only(from, subjects, (l) => l.task === 'exit'),
    (from) => (subjects.size === 0 ? [...from] : only(from, subjects, () => true)),
    ends,
  ]
  let fitted = lines
  for (const way of ways) {
    if (rowsOf(fitted) <= rows) break
    fitted = way(fitted)
  }
  return fitted
}

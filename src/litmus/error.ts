/** A mistake in a litmus file, with the place and a caret under it. */
import { distance } from 'fastest-levenshtein'

export class LitmusError extends Error {
  /** From 1. */
  readonly line: number
  readonly column: number

  constructor(message: string, source: string, offset: number) {
    const before = source.slice(0, offset)
    const line = before.split('\n').length
    const column = offset - before.lastIndexOf('\n')
    const text = (source.split('\n')[line - 1] ?? '').replace(/\t/g, ' ')
    super(`${message}\n${excerpt(text, column - 1)}`)
    this.line = line
    this.column = column
  }
}

/** Of a line that is longer, only what is around the place is shown. */
const MOST_SHOWN = 100

/** A line with a caret under a place of it. */
function excerpt(line: string, at: number): string {
  const from = line.length > MOST_SHOWN ? Math.max(0, at - MOST_SHOWN / 2) : 0
  const shown = line.slice(from, from + MOST_SHOWN)
  return `  ${shown}\n  ${' '.repeat(at - from)}^`
}

/** More names than this are not all told. */
const MANY = 12

/** What is accepted, and the nearest of it: ` Did you mean "bind"? Accepted: …`. */
export function suggest(given: string, accepted: readonly string[]): string {
  if (accepted.length === 0) return ''
  const near = [...accepted].sort((a, b) => distance(given, a) - distance(given, b))
  const [best] = near as [string]
  const meant = distance(given, best) <= Math.max(2, given.length / 3)
  const told = accepted.length > MANY ? near.slice(0, 5) : [...accepted].sort()
  const what = accepted.length > MANY ? `The nearest of ${accepted.length}` : 'Accepted'
  return `${meant ? ` Did you mean "${best}"?` : ''} ${what}: ${told.join(', ')}.`
}

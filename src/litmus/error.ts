/** A mistake in a litmus file, with the place and a caret under it. */
import { closest, distance } from 'fastest-levenshtein'

export class LitmusError extends Error {
  /** From 1. */
  readonly line: number
  readonly column: number

  constructor(message: string, source: string, offset: number) {
    const before = source.slice(0, offset)
    const line = before.split('\n').length
    const column = offset - before.lastIndexOf('\n')
    const text = (source.split('\n')[line - 1] ?? '').replace(/\t/g, ' ')
    super(`${message}\n  ${text}\n  ${' '.repeat(column - 1)}^`)
    this.line = line
    this.column = column
  }
}

/** What is accepted, and the nearest of it: ` Did you mean "bind"? Accepted: …`. */
export function suggest(given: string, accepted: readonly string[]): string {
  if (accepted.length === 0) return ''
  const best = closest(given, [...accepted])
  const near = distance(given, best) <= Math.max(2, given.length / 3)
  const meant = near ? ` Did you mean "${best}"?` : ''
  return `${meant} Accepted: ${[...accepted].sort().join(', ')}.`
}

/**
 * What is asked of a cell, from the command line down to the search: a question, which decides the
 * answer, and limits, which only decide whether there is one. Plain data, so that it can be sent to
 * a worker.
 */

/** Everything that an answer depends on besides code, scenario and design. */
export interface Question {
  /** Most preemptions on an execution; undefined for all. */
  readonly bound?: number | undefined
  /**
   * Look for the first finding instead of all: executions with no choice out of the ordinary and
   * 0, 1, 2… preemptions up to `bound`, then with one such choice, and so on.
   */
  readonly find?: boolean | undefined
  /** Compare whole states instead of fingerprints: nothing can be omitted. */
  readonly exact?: boolean | undefined
  /** Leave each finding the execution on which it was met, though one may have fewer preemptions. */
  readonly asMet?: boolean | undefined
  /** So many random executions instead of a search. */
  readonly sample?: number | undefined
  /** Of the random executions. */
  readonly seed?: number | undefined
  /** Also judge whether the code of a built-in design announces what it touches. */
  readonly undeclared?: boolean | undefined
  /** Ask a second search too, for so many executions at most. */
  readonly cross?: number | undefined
}

/** How far one goes for an answer; undefined for as far as it takes. */
export interface Limits {
  readonly milliseconds?: number | undefined
  /** For the visited states. */
  readonly bytes?: number | undefined
}

/** Does a question ask for everything there is, by one search? */
export function isExhaustive({ bound, find, sample }: Question): boolean {
  return bound === undefined && find !== true && sample === undefined
}

/** Text that is the same for the same question, whichever properties are spelt out. */
export function questionKey(question: Question): string {
  const asked = Object.entries(question).filter(([, v]) => v !== undefined && v !== false)
  return JSON.stringify(asked.sort(([a], [b]) => (a < b ? -1 : 1)))
}

/**
 * How the memory that a search may take is divided: most is for states, and each worker has some
 * for what it learns, of steps and from judges, which is soon complete.
 */

/** Of the whole, for one of the two that a worker learns. */
const LEARNED = 1 / 16
/** More than this was never of use. */
const MOST_LEARNED = 2 ** 26

export interface Room {
  /** Bytes for the table of states. */
  readonly states: number
  /** Bytes for what a worker knows of steps, and as many for what it knows of judges. */
  readonly learned: number
}

/** So many bytes, for so many workers on one table. */
export function divided(bytes = Number.POSITIVE_INFINITY, workers = 1): Room {
  const learned = Math.min(bytes * Math.min(LEARNED, 1 / (4 * workers)), MOST_LEARNED)
  return { states: bytes - 2 * workers * learned, learned }
}

/** Exit codes by meaning. */
export const EXIT = {
  OK: 0,
  USAGE: 2,
  BUG: 3,
  SKIPPED: 4,
  FINDING: 10,
  STUCK: 11,
  SETUP: 12,
  MISSING: 13,
  DIFFERS: 14,
  /** Of a review: part of the patch could not be judged. */
  PARTLY: 15,
  INCONCLUSIVE: 20,
  VACUOUS: 21,
  STALE: 22,
  /** 128 and the number of the signal: 130 for an interrupt. */
  SIGNAL: 128,
} as const

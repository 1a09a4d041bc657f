/** What a search keeps of each state on the path, behind the execution's own words. */
import { LEVEL } from '../../cell/path.js'
import { MAX_TASKS } from '../../machine/task.js'

const { OWN } = LEVEL

export const KEPT = {
  /** Tasks, as bits, with steps that have not been tried, and the next one's choice. */
  UNTRIED: OWN,
  NEXT_CHOICE: OWN + 1,
  /** Tarjan: place among the open states, and the lowest place that is reached from here. */
  PLACE: OWN + 2,
  LOW: OWN + 3,
  /** Bits of `FLAG` in `cycles.ts`. */
  FLAGS: OWN + 4,
  /** Of this state's component as far as it is known: see `cycles.ts`. */
  MOVING: OWN + 5,
  ALWAYS: OWN + 6,
  /**
   * By task: the deed of its next step; 0 if it was not looked up, or is not known. Deeds are
   * numbers of one memory: they are not saved.
   */
  DEEDS: OWN + 7,
} as const

export const KEPT_WORDS = KEPT.DEEDS + MAX_TASKS - OWN
/** The first of them, which mean the same to a search that goes on later. */
export const SAVED_WORDS = KEPT.DEEDS - OWN

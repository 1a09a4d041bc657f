/** How far a search goes on an execution: so many preemptions, and so many surprises. */
import type { Execution } from '../../cell/execution.js'

export class Bounds {
  /** Does every interleaving count? */
  readonly none: boolean
  readonly #preemptions: number
  readonly #surprises: number

  /** Surprises are choices other than the ordinary one, 0; they count only with a bound. */
  constructor(preemptions: number | undefined, surprises = Number.POSITIVE_INFINITY) {
    this.none = preemptions === undefined
    this.#preemptions = preemptions ?? Number.POSITIVE_INFINITY
    this.#surprises = surprises
  }

  /** Does a move use up more than the bounds allow? */
  cutOff(run: Execution, task: number, choice: number): boolean {
    if (this.none) return false
    if (run.preemptions >= this.#preemptions && run.preempts(task)) return true
    return choice > 0 && run.surprises >= this.#surprises
  }
}

/** A bounded search tells states apart by who ran last, and by what has surprised it. */
export function saltOf(running: number, surprises: number): number {
  return running + 1 + (surprises << 5)
}

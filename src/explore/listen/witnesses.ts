/** The findings of an explorer, each with an execution that leads to it. */
import type { Execution, Listener, Sighting } from '../../cell/execution.js'
import type { Observed } from '../../cell/judges.js'
import type { Move } from '../../cell/schedule.js'
import { taskName } from '../../machine/machine.js'

/** How a finding was reached. */
export interface Witness extends Observed {
  readonly schedule: readonly Move[]
  readonly preemptions: number
  readonly task: string
  readonly function: string
}

/** What a search may stop at. */
export interface Sought {
  /** Stop when all of these findings have a witness, a first one where it says true. */
  readonly wanted?: ReadonlyMap<string, boolean> | undefined
  /** Stop at the first finding. */
  readonly first?: boolean
}

export class Witnesses implements Listener {
  readonly #fewest: boolean
  readonly all = new Map<string, Witness>()

  /** `fewest`: of two executions, keep the one with fewer preemptions. */
  constructor(fewest = false) {
    this.#fewest = fewest
  }

  load(from: ReadonlyMap<string, Witness>): void {
    this.all.clear()
    for (const [id, witness] of from) this.all.set(id, witness)
  }

  found({ observed, task, function: where }: Sighting, run: Execution): void {
    for (const seen of observed) {
      const { id, first } = seen
      const known = this.all.get(id)
      if (known !== undefined && !this.#isBetter(first, run.preemptions, known)) continue
      this.all.set(id, {
        ...seen,
        schedule: run.schedule(),
        preemptions: run.preemptions,
        task: task < 0 ? 'setup' : taskName(task),
        function: where,
      })
    }
  }

  /** An execution on which nothing went wrong before is the better one. */
  #isBetter(first: boolean, preemptions: number, known: Witness): boolean {
    if (first !== known.first) return first
    return this.#fewest && preemptions < known.preemptions
  }

  /** Has everything been found that the search was asked for? */
  suffice({ first, wanted }: Sought): boolean {
    if (this.all.size === 0) return false
    if (first === true) return true
    if (wanted === undefined) return false
    for (const [id, mustBeFirst] of wanted) {
      const witness = this.all.get(id)
      if (witness === undefined || (mustBeFirst && !witness.first)) return false
    }
    return true
  }
}

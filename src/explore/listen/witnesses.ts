/** The findings of a search, each with an execution that leads to it. */
import type { Observed } from '../../cell/judges.js'
import type { Move } from '../../cell/schedule.js'

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

export class Witnesses {
  readonly all = new Map<string, Witness>()

  load(from: ReadonlyMap<string, Witness>): void {
    this.all.clear()
    for (const [id, witness] of from) this.all.set(id, witness)
  }

  /**
   * Keep what was observed. A witness on which nothing went wrong before is the better one; `how`
   * is asked for the rest of a witness only when it is wanted.
   */
  note(
    observed: readonly Observed[],
    how: () => Pick<Witness, 'schedule' | 'preemptions' | 'task' | 'function'>,
  ): void {
    for (const seen of observed) {
      const { id, first } = seen
      const known = this.all.get(id)
      if (known !== undefined && (known.first || !first)) continue
      this.all.set(id, { ...seen, ...how() })
    }
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

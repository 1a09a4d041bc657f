/** The order of an execution, as the decisions that were taken: all that a replay needs. */

/** One scheduling decision: which task, and which alternative if its step had several. */
export interface Move {
  readonly task: number
  readonly choice: number
  readonly alternatives: number
}

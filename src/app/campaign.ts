/** What runs on a queue, and what ran there: for the terminal, as JSON, and for the page. */

/** Names the format of `queue status --json`. */
export const STATUS_SCHEMA = 'restrictedmem-queue-1'

/** What a worker has done of a run. */
export interface Part {
  /** Answered. */
  readonly jobs: number
  /** Handed on. */
  readonly slices: number
  readonly milliseconds: number
}

/** How a run has ended. */
export interface Ending {
  readonly how: 'finished' | 'interrupted' | 'failed'
  readonly why?: string | undefined
}

/** A job of which some slices are done. */
export interface Sliced {
  readonly title: string
  readonly slices: number
  /** Seen so far. */
  readonly states: number
  readonly seconds: number
}

/** A job that was answered. */
export interface Ran {
  readonly title: string
  /** Of its last slice. */
  readonly worker: string
  readonly slices: number
  /** Of all of them. */
  readonly seconds: number
  readonly found: readonly string[]
}

/** What a run says of itself. */
export interface RunFacts {
  readonly code: string
  /** What is asked. */
  readonly what: string
  readonly host: string
  /** When it was begun, by the clock of its host: ISO 8601, UTC. */
  readonly begun: string
  readonly seconds: number
  readonly done: number
  readonly total: number
  /** What was found so far, by its word. */
  readonly found: Readonly<Record<string, number>>
  readonly by: Readonly<Record<string, Part>>
  readonly sliced: readonly Sliced[]
}

export interface RunStatus extends RunFacts {
  /** No two runs have the same. */
  readonly id: string
  /** `gone` if nobody waits for it any more and it has not said why. */
  readonly state: 'running' | 'gone' | Ending['how']
  /** Why it failed. */
  readonly why?: string | undefined
  /** In the order of the jobs. */
  readonly ran: readonly Ran[]
}

/** What a worker says of itself. */
export interface WorkerFacts {
  readonly code: string
  /** Host and process. */
  readonly name: string
  readonly threads: number
  readonly seconds: number
  readonly jobs: number
  readonly milliseconds: number
  /** Jobs under way, and for how many seconds. */
  readonly doing: readonly (readonly [string, number])[]
}

export interface Status {
  readonly schema: typeof STATUS_SCHEMA
  /** In the order in which they were begun. */
  readonly runs: readonly RunStatus[]
  readonly workers: readonly WorkerFacts[]
}

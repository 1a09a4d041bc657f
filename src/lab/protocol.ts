/**
 * What the page and its workers say to each other. Every request has a number, and its answers carry
 * it: they may come in any order, and progress comes before the answer.
 */
import type { Status } from '../app/campaign.js'
import type { Hindsight } from '../explore/tell/hindsight.js'
import type { Trace } from '../trace/events.js'
import type { Pictured } from '../trace/memory.js'

/** A token, and the text of the scenario if it is the user's own. */
export interface StoryRequest {
  readonly kind: 'story'
  readonly token: string
  readonly text: string | undefined
  /** Another design for the same schedule. */
  readonly on: string | undefined
  /** Text of a design of the user's that is spoken of; a workshop compiles and runs it. */
  readonly code: string | undefined
}

export type Request =
  | StoryRequest
  | (Omit<StoryRequest, 'kind' | 'on'> & { readonly kind: 'hindsight' })
  | { readonly kind: 'parse'; readonly text: string; readonly code?: undefined }
  | {
      readonly kind: 'check'
      readonly text: string
      readonly design: string
      readonly code: string | undefined
    }
  | { readonly kind: 'compile'; readonly code: string }
  /** Of a workshop: the design that the patch of a mail makes. */
  | { readonly kind: 'patch'; readonly mail: string; readonly parts: unknown }

/** What the page starts a worker with. */
export interface Start {
  readonly kind: 'start'
  /** Of the code that verdicts and tokens are bound to, and of the package. */
  readonly code: string
  readonly version: string
  readonly scenarios: readonly ScenarioText[]
  /** Ids of all designs that a scenario may name, those that this worker does not have included. */
  readonly designs: readonly string[]
  /** Not 0 when a search is to stop; undefined where pages can't share memory with workers. */
  readonly stop: Int32Array | undefined
  /** For a workshop: what its compiler reads. */
  readonly declarations?: unknown
}

export interface ScenarioText {
  readonly name: string
  readonly question: string
  readonly text: string
}

/** One table of the page: scenarios on designs. */
export interface MatrixHead {
  /** `main`, or the machine under the designs. */
  readonly id: string
  readonly title: string
  readonly designs: readonly { readonly id: string; readonly summary: string }[]
  readonly scenarios: readonly string[]
}

/** What the language and the reports speak of, for completion and captions. */
export interface Words {
  readonly operations: readonly {
    readonly name: string
    readonly parameters: readonly string[]
    readonly doc: string
  }[]
  readonly constants: readonly string[]
  /** By value: `-EBUSY` for -16. */
  readonly errno: Readonly<Record<string, string>>
  readonly findings: readonly {
    readonly id: string
    readonly short: string
    readonly sentence: string
  }[]
}

/** What the page is opened with: one of these, or nothing. */
export interface Opening {
  readonly token?: string
  /** Text of a scenario. */
  readonly text?: string
  /** Text of a design. */
  readonly code?: string
  /** The server tells what runs on a queue. */
  readonly campaign?: boolean
  /** The server says when the file behind it has been written again. */
  readonly live?: boolean
}

export type { Ran, RunStatus, WorkerFacts } from '../app/campaign.js'

/** What the server knows of a campaign, and why that is nothing newer. */
export interface CampaignSeen {
  readonly status?: Status | undefined
  readonly trouble?: string | undefined
}

/** What the page begins with. */
export interface Shipped {
  readonly version: string
  /** Of the code that verdicts and tokens are bound to. */
  readonly code: string
  readonly scenarios: readonly ScenarioText[]
  readonly matrices: readonly MatrixHead[]
  readonly designs: readonly string[]
  readonly words: Words
  readonly open: Opening
}

/** One side of a story. */
export interface Told {
  readonly design: string
  readonly trace: Trace
  readonly pictured: Pictured
  /** How many steps are the schedule's; what follows is its continuation. */
  readonly followed: number
  /** Why the schedule could not be followed to its end. */
  readonly divergence: { readonly step: number; readonly text: string } | undefined
}

export interface StoryAnswer {
  readonly scenario: ScenarioText
  readonly own: Told
  readonly other: Told | undefined
  /** The token is of another version of the scenario or of the code. */
  readonly stale: boolean
}

/** A verdict as `check --json` prints it. */
export interface CellVerdict {
  readonly scenario: string
  readonly design: string
  readonly verdict: 'clean' | 'finding' | 'inconclusive' | 'vacuous' | 'skipped' | 'failed'
  readonly proof?: string
  readonly stopped: boolean
  readonly states: number
  readonly executions: number
  readonly ms: number
  readonly asExpected?: boolean
  readonly reason?: string
  readonly findings: readonly {
    readonly id: string
    readonly title: string
    readonly task: string
    readonly function: string
    readonly steps: number
    readonly preemptions: number
    readonly first: boolean
    readonly token: string
  }[]
  readonly outcomes: readonly {
    readonly values: Readonly<Record<string, number>>
    readonly token: string
  }[]
}

/** Outcomes of a cell that come with the page. */
export const MOST_OUTCOMES = 24

/** What a verdict says wherever it was come to, as text to compare: all but how long it took. */
export function factsOf(v: CellVerdict): string {
  const findings = v.findings.map((f) => [f.id, f.title, f.token])
  const outcomes = v.outcomes.slice(0, MOST_OUTCOMES).map((o) => [o.values, o.token])
  return JSON.stringify([v.verdict, v.states, v.executions, v.asExpected, findings, outcomes])
}

/** A mistake in a scenario's text, or none. */
export interface Mistake {
  readonly line: number
  readonly column: number
  readonly message: string
}

/** The design that a patch makes, and what became of each function and table of the patch. */
export interface FromPatch {
  /** Of the design. */
  readonly text: string
  /** Id of the design that the patch is a diff of. */
  readonly base: string
  /** What had to be repaired in the mail. */
  readonly notes: readonly string[]
  readonly entries: readonly {
    readonly name: string
    /** As `review` says it: `merged`, `not translated` … */
    readonly how: string
    readonly reasons: readonly string[]
  }[]
  /** Why no verdict on the design says anything of the patch, if so. */
  readonly nothing: string | undefined
}

export interface Answers {
  readonly story: StoryAnswer
  readonly hindsight: Hindsight | undefined
  readonly parse: Mistake | undefined
  readonly check: CellVerdict
  /** The id of a design, or why it does not compile. */
  readonly patch: FromPatch
  readonly compile: { readonly id: string | undefined; readonly mistakes: readonly Mistake[] }
}

export type Reply =
  | { readonly id: number; readonly kind: 'answer'; readonly value: unknown }
  /** Something that the user can mend, or not: said as it is. */
  | { readonly id: number; readonly kind: 'error'; readonly message: string; readonly bug: boolean }
  | {
      readonly id: number
      readonly kind: 'progress'
      readonly states: number
      readonly depth: number
    }

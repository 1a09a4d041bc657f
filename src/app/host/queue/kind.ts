/** A kind of jobs: what is asked, what comes back, and how a worker finds the answer. */
import type { Slice } from '../job.js'
import type { Read } from '../narrow.js'
import type { Travelling } from '../travel.js'

/** What a worker gives to the job that it does. */
export interface Bench {
  /** The text of a design by its hash, if this worker runs designs of others. @throws Refusal */
  design(hash: string): Promise<string>
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal
  /** How much of the job is to be done. */
  readonly slice: Slice
  /** Something that the user should know. */
  onNotice(text: string): void
}

/** Instead of an answer: the slice is over. */
export class HandedOn {
  readonly snapshot: Travelling
  readonly states: number

  constructor(snapshot: Travelling, states: number) {
    this.snapshot = snapshot
    this.states = states
  }
}

/** A job that a worker does not do, and why. */
export class Refusal extends Error {}

/** Finds answers, one at a time. */
export interface Hand<Asked> {
  /** An answer, or `HandedOn`. @throws Refusal, UserError, or a bug. */
  answer(asked: Asked, bench: Bench): Promise<unknown>
  end(): Promise<void>
}

export interface Kind<Asked, Answer> {
  /** In the name of its queue: letters and dashes. */
  readonly name: string
  readonly readAsked: Read<Asked>
  readonly readAnswer: Read<Answer>
  /** For `JSON.stringify`, as `readAnswer` has it. */
  packed(name: string, value: unknown): unknown
  /** A job, for people. */
  title(asked: Asked): string
  /** What an answer found, in a word for each thing. */
  found(answer: Answer): readonly string[]
  /** One of so many that work at the same time. */
  hand(threads: number): Hand<Asked>
}

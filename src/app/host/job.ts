/** What the main thread and its workers say to each other. */

import { createHash } from 'node:crypto'
import type { Carry, Share } from '../../explore/states/shared.js'
import type { Known } from '../../litmus/scenario.js'
import { type Limits, type Question, questionKey } from '../ask.js'
import type { Progress } from '../results.js'
import type { Explored, ShareResult } from '../shares.js'
import type { Verdict } from '../verdict.js'
import type { DesignRef } from './designs.js'
import { CODE } from './package.js'
import type { Travelling } from './travel.js'

/** How a run ended: all verdicts there are, and whether it was interrupted. */
export interface Run {
  /** By position in the list of jobs; undefined for one that was not begun or not answered. */
  readonly verdicts: readonly (Verdict | undefined)[]
  readonly interrupted: boolean
}

/** What a run tells while it goes on. */
export interface Listener {
  onProgress(p: Progress): void
  /** Something that the user should know. */
  onNotice(text: string): void
  readonly signal: AbortSignal
}

/** One cell to check, in data that can be sent. */
export interface Job {
  readonly number: number
  readonly text: string
  /** Names that the text may use. */
  readonly known: Known
  readonly design: DesignRef
  readonly question: Question
  readonly limits: Limits
  /** File from which to go on, if it exists, and to which to save. */
  readonly checkpoint: string | undefined
  /** The worker is one of several for this job. */
  readonly share?: Share
  /** Nothing is searched: the worker puts states into a larger table. */
  readonly carry?: Carry
  /** What all of them have seen; this worker is to put it together. */
  readonly explored?: Explored
  /** When the job was begun, by `Date.now()`. */
  readonly begun?: number
  /** What is to be done of it, if not all at once. */
  readonly slice?: Slice
}

/** Jobs of which each of several threads takes the next one. */
export interface List {
  readonly jobs: readonly Job[]
  /** In shared memory: how many have been taken. */
  readonly taken: Int32Array
  /** The first one for the thread that is given this, out of turn. */
  readonly first?: Job | undefined
}

/** The next job that nobody has taken; undefined if there is none. */
export function takeNext({ jobs, taken }: List): Job | undefined {
  return jobs[Atomics.add(taken, 0, 1)]
}

/** A part of a search, by time. */
export interface Slice {
  /** After so many of searching it is handed on, if it can be; infinite if that is not wanted. */
  readonly milliseconds: number
  /** Milliseconds that slices before this one took: they count against the limit of the job. */
  readonly spent: number
  /** Where the slice before it has ended. */
  readonly from: Travelling | undefined
}

export type Message =
  | {
      readonly kind: 'progress'
      readonly job: number
      readonly states: number
      readonly depth: number
      readonly bytes: number
    }
  | {
      readonly kind: 'verdict'
      readonly job: number
      readonly verdict: Verdict
      /** False while other searches are still asked. */
      readonly final: boolean
    }
  | { readonly kind: 'share'; readonly job: number; readonly share: ShareResult | undefined }
  /** So many states were put into a larger table. */
  | { readonly kind: 'carried'; readonly job: number; readonly states: number }
  /** The job was taken from a list. */
  | { readonly kind: 'taken'; readonly job: number }
  /** The list has no more. */
  | { readonly kind: 'done' }
  /** The slice is over; the search is not. */
  | {
      readonly kind: 'slice'
      readonly job: number
      readonly snapshot: Travelling
      readonly states: number
    }
  /** Something that the user should know, and that changes nothing. */
  | { readonly kind: 'notice'; readonly job: number; readonly text: string }
  | { readonly kind: 'bug'; readonly job: number; readonly text: string }
  /** A mistake of the user's that only the worker could see. */
  | { readonly kind: 'mistake'; readonly job: number; readonly text: string }

/**
 * Names what the answer to a job depends on: the code, the scenario, the design and the question.
 * Limits do not matter to an answer that is whole.
 */
export function jobHash({ text, design, question }: Job): string {
  const asked = [CODE.code, text, design.id, design.identity, questionKey(question)]
  return createHash('sha256').update(JSON.stringify(asked)).digest('hex').slice(0, 32)
}

/** What a worker is given when it starts. */
export interface Start {
  /** Not 0 when the main thread wants to hear what there is. */
  readonly stop: Int32Array
  /** The code that the main thread runs. */
  readonly code: string
}

/** A bug in restrictedmem that a worker ran into. */
export class WorkerBug extends Error {}

/** A check whose cells are answered by workers on a queue. */
import type { Verdict } from '../../verdict.js'
import type { Job, Listener, Run } from '../job.js'
import type { Answer } from '../run.js'
import { askAll } from './ask.js'
import { type AskedCell, askedCell, CELLS, hashOf } from './cells.js'
import type { Part } from './wire.js'

export interface QueueOptions {
  readonly url: string
  /** Seconds that the server may be gone for. */
  readonly patience: number
  /** The check, for people. */
  readonly what: string
  /** Told at the end who has done how much. */
  onParts?(by: Readonly<Record<string, Part>>): void
}

/** Who answers a check, by way of a queue. */
export function answerOnQueue(options: QueueOptions): Answer {
  return async (jobs: readonly Job[], listener: Listener): Promise<Run> => {
    const asked: AskedCell[] = []
    const designs = new Map<string, string>()
    for (const job of jobs) {
      const { asked: cell, module } = askedCell(job)
      asked.push(cell)
      if (module !== undefined) designs.set(hashOf(module), module)
    }
    let states = 0
    const { onNotice, onProgress, signal } = listener
    const { answers, interrupted, by } = await askAll(CELLS, asked, designs, {
      ...options,
      signal,
      onNotice,
      onAnswer: (verdict: Verdict) => {
        states += verdict.states
      },
      onDone: (done, more) => {
        onProgress({ done, total: jobs.length, states: states + more, depth: 0, bytes: 0 })
      },
    })
    options.onParts?.(by)
    return { verdicts: answers, interrupted }
  }
}

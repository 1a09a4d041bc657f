/**
 * Who waits for a worker beyond the time that it was given. A search asks the clock between two
 * steps; a step of a user's design that never ends keeps it from asking, and can only be cut off.
 */
import { UserError } from '../error.js'
import type { Job } from './job.js'

/** How long a worker may be silent when its time is over, in milliseconds. */
const SILENCE = 30_000

export class Watch {
  readonly #fail: (error: Error) => void
  #timer: NodeJS.Timeout | undefined
  #design = ''
  #until = Number.POSITIVE_INFINITY

  /** `fail` is told when there is no use in waiting. */
  constructor(fail: (error: Error) => void) {
    this.#fail = fail
  }

  /** A worker has been given a job. The project's own steps end. */
  begin({ design, limits }: Job): void {
    const { milliseconds = Number.POSITIVE_INFINITY } = limits
    this.#design = design.id
    this.#until = performance.now() + (design.module === undefined ? Infinity : milliseconds)
    this.heard()
  }

  /** The worker has said something. */
  heard(): void {
    this.end()
    if (!Number.isFinite(this.#until)) return
    const left = Math.max(0, this.#until - performance.now())
    const why = 'a step of its code does not end: what loops without a yield cannot be stopped'
    this.#timer = setTimeout(
      () => this.#fail(new UserError(`${this.#design}: ${why}`)),
      left + SILENCE,
    )
  }

  end(): void {
    clearTimeout(this.#timer)
  }
}

/**
 * The deeds of the steps that can be taken from the states on the path of a search. Of two states
 * in a row most tasks would do the same: whose step depends on nothing that the step between them
 * changed need not be looked up again.
 */
import type { Memo } from '../machine/memo.js'
import { MAX_TASKS } from '../machine/task.js'

export class Deeds {
  readonly #memo: Memo
  /** By level and task; 0 if it was not looked up, or is not known. */
  #words = new Int32Array(MAX_TASKS << 6)
  /** The deed that led to the present state; 0 if code did. */
  led = 0

  constructor(memo: Memo) {
    this.#memo = memo
  }

  /** A state has been entered, which is now the level at `depth`. */
  enter(depth: number): void {
    const here = depth * MAX_TASKS
    if (here + MAX_TASKS > this.#words.length) {
      const grown = new Int32Array(this.#words.length * 2)
      grown.set(this.#words)
      this.#words = grown
    }
    for (let i = here; i < here + MAX_TASKS; i++) this.#words[i] = 0
  }

  /** The deed of a task with one way to go; `running` is the one whose step led here. */
  lookUp(depth: number, task: number, running: number): number {
    const at = depth * MAX_TASKS + task
    const before = task === running ? 0 : (this.#words[at - MAX_TASKS] as number)
    const stands = before !== 0 && this.led !== 0 && !this.#memo.touches(this.led, before)
    const deed = stands ? before : this.#memo.recall(task, 0)
    this.#words[at] = deed
    return deed
  }

  /** What `lookUp` said of the level at `depth`; 0 if nothing. */
  known(depth: number, task: number): number {
    return this.#words[depth * MAX_TASKS + task] as number
  }
}

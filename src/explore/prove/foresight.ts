/**
 * The deeds of the steps that can be taken from the states on the path of a search. Of two states
 * in a row most tasks would do the same: whose step depends on nothing that the step between them
 * changed need not be looked up again.
 */

import type { Execution } from '../../cell/execution.js'
import type { Judges } from '../../cell/judges.js'
import { alternatives, taskCount } from '../../machine/machine.js'
import type { Memo } from '../../machine/memo.js'
import { MAX_TASKS } from '../../machine/task.js'
import type { KnownStates } from '../states/known.js'
import { firstOf } from './turns.js'

export class Deeds {
  readonly #memo: Memo
  readonly #known: KnownStates
  readonly #judges: Judges
  /** By level and task; 0 if it was not looked up, or is not known. */
  #words = new Int32Array(MAX_TASKS << 6)
  /** By task: the fingerprint of the state that its step leads to. */
  readonly #ends = new Int32Array(MAX_TASKS * 2)
  /** What a glance at the table has seen; of no use but that it has been fetched. */
  #glimpse = 0

  constructor(memo: Memo, known: KnownStates, judges: Judges) {
    this.#memo = memo
    this.#known = known
    this.#judges = judges
  }

  /**
   * Which of these tasks take, from the state that has just been entered, a step that is known and
   * that no judge has to see. Where they lead to is fetched from the table of states, all at once.
   */
  foresee(ready: number, run: Execution): number {
    const memo = this.#memo
    const here = this.#room(run.depth)
    const { lo: fromLo, hi: fromHi, running, deed: led } = run
    let foreseen = 0
    for (let rest = ready; rest !== 0; rest &= rest - 1) {
      const task = firstOf(rest, -1)
      const deed = alternatives(task) === 1 ? this.#lookUp(here, task, running, led) : 0
      if (deed === 0 || (memo.dirty(deed) & this.#judges.ofSteps) !== 0) continue
      const lo = fromLo ^ memo.changeLo(deed)
      this.#ends[task * 2] = lo
      this.#ends[task * 2 + 1] = fromHi ^ memo.changeHi(deed)
      this.#glimpse ^= this.#known.glance(lo)
      foreseen |= 1 << task
    }
    return foreseen
  }

  /** Room for the deeds of the level at `depth`; returns where it begins. */
  #room(depth: number): number {
    const here = (depth + 1) * MAX_TASKS
    if (here + MAX_TASKS > this.#words.length) {
      // A search that goes on where another one stopped begins at any depth.
      const grown = new Int32Array((here + MAX_TASKS) * 2)
      grown.set(this.#words)
      this.#words = grown
    }
    for (let task = taskCount() - 1; task >= 0; task--) this.#words[here + task] = 0
    return here
  }

  /** `running` is the task whose step led here, by deed `led`. */
  #lookUp(here: number, task: number, running: number, led: number): number {
    const before = task === running ? 0 : (this.#words[here - MAX_TASKS + task] as number)
    const stands = before !== 0 && led !== 0 && !this.#memo.touches(led, before)
    const deed = stands ? before : this.#memo.recall(task, 0)
    this.#words[here + task] = deed
    return deed
  }

  /** Where a task leads to that was foreseen. */
  endLo(task: number): number {
    return this.#ends[task * 2] as number
  }

  endHi(task: number): number {
    return this.#ends[task * 2 + 1] as number
  }

  /** The deed of a task with one way to go from the level at `depth`; 0 if it was not looked up. */
  known(depth: number, task: number): number {
    return this.#words[(depth + 1) * MAX_TASKS + task] as number
  }
}

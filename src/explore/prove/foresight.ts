/**
 * Where steps lead to that need not be taken: a step that is known to lead to a known state, and
 * that no judge has to see, is only counted.
 *
 * Of two states in a row most tasks would do the same: whose step depends on nothing that the step
 * between them changed need not be looked up again.
 */
import type { Execution } from '../../cell/execution.js'
import type { Judges } from '../../cell/judges.js'
import { LEVEL } from '../../cell/path.js'
import { alternatives, taskCount } from '../../machine/machine.js'
import type { Memo } from '../../machine/memo.js'
import { MAX_TASKS } from '../../machine/task.js'
import type { KnownStates } from '../states/known.js'
import { KEPT } from './kept.js'
import { firstOf } from './turns.js'

export class Foresight {
  readonly #memo: Memo
  readonly #known: KnownStates
  readonly #judges: Judges
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
   * Of the tasks that can step from the state that has just been entered, those whose step leads
   * to a known one; `meet` hears of each while `known` has that state. The table is asked about
   * all of them at once: it lies in memory that is far away, and the answers arrive together.
   */
  foresee(run: Execution, ready: number, meet: (task: number) => void): number {
    let seen = 0
    for (let rest = this.#glance(run, ready); rest !== 0; rest &= rest - 1) {
      const task = firstOf(rest, -1)
      const lo = this.#ends[task * 2] as number
      const hi = this.#ends[task * 2 + 1] as number
      if (!this.#known.has(lo, hi, 0, 0)) continue
      this.#known.lo = lo
      this.#known.hi = hi
      meet(task)
      seen |= 1 << task
    }
    return seen
  }

  /**
   * Which of these tasks take a known step, and where it leads to; the table is only glanced at.
   */
  #glance({ path, running, deed: led }: Execution, ready: number): number {
    const memo = this.#memo
    const { words, top, width } = path
    const here = top + KEPT.DEEDS
    const above = here - width
    const fromLo = words[top + LEVEL.LO] as number
    const fromHi = words[top + LEVEL.HI] as number
    for (let task = taskCount() - 1; task >= 0; task--) words[here + task] = 0
    let foreseen = 0
    for (let rest = ready; rest !== 0; rest &= rest - 1) {
      const task = firstOf(rest, -1)
      if (alternatives(task) !== 1) continue
      const before = task === running || led === 0 ? 0 : (words[above + task] as number)
      const stands = before !== 0 && !memo.touches(led, before)
      const deed = stands ? before : memo.recall(task, 0)
      words[here + task] = deed
      if (deed === 0 || (memo.dirty(deed) & this.#judges.ofSteps) !== 0) continue
      const lo = fromLo ^ memo.changeLo(deed)
      const hi = fromHi ^ memo.changeHi(deed)
      this.#ends[task * 2] = lo
      this.#ends[task * 2 + 1] = hi
      this.#glimpse ^= this.#known.glance(lo, hi)
      foreseen |= 1 << task
    }
    return foreseen
  }
}

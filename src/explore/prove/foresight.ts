/**
 * Where steps lead to that need not be taken: a step that is known to lead to a known state, and
 * that no judge has to see, is only counted.
 *
 * Of two states in a row most tasks would do the same: whose step depends on nothing that the step
 * between them changed need not be looked up again. And if neither depends on the other, both lead
 * to one state in either order:
 *
 *     s --b--> y          s is the state before, y the one that has just been entered.
 *     |        |          If everything behind x is known, so is z, and the table of
 *     a        a          states need not be asked. What a judge has found is part of
 *     v        v          a state: x and y must be what the steps made of s, and no
 *     x --b--> z          more.
 */
import type { Execution } from '../../cell/execution.js'
import type { Judges } from '../../cell/judges.js'
import { LEVEL, type Path } from '../../cell/path.js'
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
   * to a known one. `met` hears of each: whether the state is complete is left to it, while `known`
   * has that state, unless it is known to be. The table is asked about all of them at once: it lies
   * in memory that is far away, and the answers arrive together.
   */
  foresee(run: Execution, ready: number, met: (complete: boolean) => boolean): number {
    const { path } = run
    const asked = this.#glance(run, ready)
    let complete = path.get(KEPT.COMPLETE)
    let seen = complete
    for (let rest = complete; rest !== 0; rest &= rest - 1) met(true)
    for (let rest = asked; rest !== 0; rest &= rest - 1) {
      const task = firstOf(rest, -1)
      const lo = this.#ends[task * 2] as number
      const hi = this.#ends[task * 2 + 1] as number
      if (!this.#known.has(lo, hi, 0, 0)) continue
      this.#known.lo = lo
      this.#known.hi = hi
      if (met(false)) complete |= 1 << task
      seen |= 1 << task
    }
    path.set(KEPT.COMPLETE, complete)
    return seen
  }

  /**
   * Which of these tasks take a known step, and where it leads to; the table is only glanced at.
   * Those that lead to a state known to be complete are in `KEPT.COMPLETE`.
   */
  #glance({ path, running, deed: led }: Execution, ready: number): number {
    const memo = this.#memo
    const { words, top, width } = path
    const here = top + KEPT.DEEDS
    const above = here - width
    const fromLo = words[top + LEVEL.LO] as number
    const fromHi = words[top + LEVEL.HI] as number
    for (let task = taskCount() - 1; task >= 0; task--) words[here + task] = 0
    const completeAbove = this.#ledBy(led, path)
      ? (words[top - width + KEPT.COMPLETE] as number)
      : 0
    let complete = 0
    let foreseen = 0
    for (let rest = ready; rest !== 0; rest &= rest - 1) {
      const task = firstOf(rest, -1)
      if (alternatives(task) !== 1) continue
      const before = task === running || led === 0 ? 0 : (words[above + task] as number)
      const stands = before !== 0 && !memo.touches(led, before)
      const deed = stands ? before : memo.recall(task, 0)
      words[here + task] = deed
      if (deed === 0 || this.#mustBeSeen(deed)) continue
      if (stands && ((completeAbove >> task) & 1) !== 0 && !memo.touches(deed, led)) {
        complete |= 1 << task
        continue
      }
      const lo = fromLo ^ memo.changeLo(deed)
      this.#ends[task * 2] = lo
      this.#ends[task * 2 + 1] = fromHi ^ memo.changeHi(deed)
      this.#glimpse ^= this.#known.glance(lo)
      foreseen |= 1 << task
    }
    words[top + KEPT.COMPLETE] = complete
    return foreseen
  }

  /**
   * Is the topmost state what this deed made of the one before it, and no more? It has to be so
   * wherever the deed is done: a judge that must see each step may find something elsewhere.
   */
  #ledBy(deed: number, { words, top, width }: Path): boolean {
    if (deed === 0 || this.#mustBeSeen(deed)) return false
    const lo = (words[top + LEVEL.LO] as number) ^ (words[top - width + LEVEL.LO] as number)
    const hi = (words[top + LEVEL.HI] as number) ^ (words[top - width + LEVEL.HI] as number)
    return lo === this.#memo.changeLo(deed) && hi === this.#memo.changeHi(deed)
  }

  /** By a judge that reads more than what wakes it. */
  #mustBeSeen(deed: number): boolean {
    return (this.#memo.dirty(deed) & this.#judges.ofSteps) !== 0
  }

  /** A task leads from the topmost state to the one with this fingerprint, which is complete. */
  complete({ words, top }: Path, task: number, lo: number, hi: number): void {
    const deed = words[top + KEPT.DEEDS + task] as number
    if (deed === 0) return
    if (lo !== ((words[top + LEVEL.LO] as number) ^ this.#memo.changeLo(deed))) return
    if (hi !== ((words[top + LEVEL.HI] as number) ^ this.#memo.changeHi(deed))) return
    words[top + KEPT.COMPLETE] = (words[top + KEPT.COMPLETE] as number) | (1 << task)
  }
}

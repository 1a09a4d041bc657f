/**
 * Ways to pick an execution at random, for scenarios too large to exhaust. None is best for all
 * bugs, so a sample uses several. A sampler decides who steps; all randomness comes from outside.
 */
import { EFFECT, effectAddr, effectKind } from '../../machine/effects.js'
import { taskCount } from '../../machine/machine.js'
import { taskNumber } from '../../machine/task.js'

/** A whole number from 0 to n - 1, all equally likely. */
export type Draw = (n: number) => number

/** What is known of a scenario's executions from some that were run before. */
export interface Shape {
  /** Steps of the longest execution seen. */
  readonly steps: number
  /** Shared words, each with the most announced accesses that each task was seen to make. */
  readonly accesses: ReadonlyMap<number, readonly number[]>
}

export interface Sampler {
  readonly name: string
  /** What is known of the chance that one run shows a bug. */
  readonly guarantee: string
  /** A new execution begins. */
  begin(shape: Shape, draw: Draw): void
  /** Who steps next, one of those that can. */
  pick(ready: readonly number[], draw: Draw): number
  /** That task's step has been taken; `announced` is what it had announced. */
  stepped(task: number, announced: number, draw: Draw): void
}

/** Every task that can step is equally likely, at every step. */
export class RandomWalk implements Sampler {
  readonly name = 'walk'
  readonly guarantee = 'an execution has the product of 1/(ways that it could have gone on)'

  begin(): void {}

  pick(ready: readonly number[], draw: Draw): number {
    return ready[draw(ready.length)] as number
  }

  stepped(): void {}
}

/**
 * PCT (Burckhardt and others, ASPLOS 2010): tasks have random priorities, the highest that can
 * step does; at depth - 1 random steps the running task falls below all others. Its bound, 1/(n
 * k^(depth - 1)) for n tasks, holds for a k that no execution is longer than, and where nothing but
 * the order of steps decides. Here a longer one may come up with any run, and choices and faults
 * decide as well: no bound is claimed.
 */
export class Pct implements Sampler {
  readonly name: string
  readonly guarantee: string
  readonly #depth: number
  #priority: number[] = []
  #changes: number[] = []
  #step = 0

  /** `depth`: how many orders between steps the bug needs. */
  constructor(depth: number) {
    this.name = `pct${depth}`
    this.guarantee = `aims at bugs that need ${depth} orders of steps; no bound is claimed`
    this.#depth = depth
  }

  begin({ steps }: Shape, draw: Draw): void {
    const count = taskCount()
    this.#priority = shuffled(count, draw).map((p) => p + this.#depth)
    this.#changes = Array.from({ length: this.#depth - 1 }, () => draw(steps))
    this.#step = 0
  }

  pick(ready: readonly number[]): number {
    return best(ready, this.#priority)
  }

  stepped(task: number): void {
    this.#changes.forEach((at, i) => {
      if (at === this.#step) this.#priority[task] = this.#depth - 1 - i
    })
    this.#step++
  }
}

/**
 * Partial order sampling (Yuan, Yang and Gu, CAV 2018): every announced step has a random priority,
 * the highest is taken, and those that race with it get new ones.
 */
export class PartialOrder implements Sampler {
  readonly name = 'pos'
  readonly guarantee = 'every order of racing steps has a chance; no bound is claimed'
  #priority: number[] = []

  begin(_shape: Shape, draw: Draw): void {
    this.#priority = Array.from({ length: taskCount() }, () => draw(PRIORITIES))
  }

  pick(ready: readonly number[]): number {
    return best(ready, this.#priority)
  }

  stepped(task: number, announced: number, draw: Draw): void {
    this.#priority[task] = draw(PRIORITIES)
    for (let n = 0; n < taskCount(); n++) {
      if (n !== task && races(announced, taskNumber(n).pending))
        this.#priority[n] = draw(PRIORITIES)
    }
  }
}

/**
 * Selectively uniform random walk (Zhao and others, ASPLOS 2025): one shared word is selected;
 * whose access to it comes next is drawn by how many are left, everything else runs freely.
 */
export class SelectivelyUniform implements Sampler {
  readonly name = 'surw'
  readonly guarantee = 'every order of the accesses to the selected word is equally likely'
  #word = 0
  #left: number[] = []
  #intended = -1

  begin(shape: Shape, draw: Draw): void {
    const words = [...shape.accesses.keys()]
    this.#word = words.length === 0 ? 0 : (words[draw(words.length)] as number)
    this.#left = [...(shape.accesses.get(this.#word) ?? [])]
    this.#intend(
      this.#left.map((_, n) => n),
      draw,
    )
  }

  pick(ready: readonly number[], draw: Draw): number {
    const selects = (n: number): boolean => touches(taskNumber(n).pending, this.#word)
    const free = ready.filter((n) => !selects(n) || n === this.#intended)
    if (free.length > 0) return free[draw(free.length)] as number
    // The intended task cannot come to its access: somebody who stands at one goes first.
    this.#intend(ready, draw)
    return this.#intended
  }

  stepped(task: number, announced: number, draw: Draw): void {
    if (!touches(announced, this.#word)) return
    this.#left[task] = Math.max(0, (this.#left[task] ?? 0) - 1)
    const alive = this.#left.map((_, n) => n).filter((n) => taskNumber(n).state === 0)
    this.#intend(alive, draw)
  }

  /** Draw whose access comes next, each task with the weight of what it has left. */
  #intend(among: readonly number[], draw: Draw): void {
    const weights = among.map((n) => this.#left[n] ?? 0)
    const sum = weights.reduce((a, b) => a + b, 0)
    if (among.length === 0) this.#intended = -1
    else if (sum === 0) this.#intended = among[draw(among.length)] as number
    else {
      let at = draw(sum)
      let i = 0
      while (at >= (weights[i] as number)) at -= weights[i++] as number
      this.#intended = among[i] as number
    }
  }
}

const PRIORITIES = 1 << 30

/** The one with the highest priority; the first of equals. */
function best(ready: readonly number[], priority: readonly number[]): number {
  return ready.reduce((a, b) => ((priority[b] as number) > (priority[a] as number) ? b : a))
}

function shuffled(n: number, draw: Draw): number[] {
  const order = Array.from({ length: n }, (_, i) => i)
  for (let i = n - 1; i > 0; i--) {
    const j = draw(i + 1)
    const swap = order[i] as number
    order[i] = order[j] as number
    order[j] = swap
  }
  return order
}

/** Does an announced step touch this word? */
export function touches(announced: number, word: number): boolean {
  return word !== 0 && effectAddr(announced) === word
}

/** Two announced steps race if they touch one word and not both only look. */
function races(one: number, other: number): boolean {
  const word = effectAddr(one)
  if (word === 0 || word !== effectAddr(other)) return false
  return !(onlyLooks(one) && onlyLooks(other))
}

function onlyLooks(announced: number): boolean {
  const kind = effectKind(announced)
  return kind === EFFECT.READ || kind === EFFECT.UNTIL || kind === EFFECT.UNTIL_NOT
}

/**
 * The path of an execution: a level for each state from the initial one to the present one, as
 * numbers in one flat array, so that nothing is allocated for a step. The first words of a level
 * are the execution's; whoever explores can have some of its own behind them.
 */

/** Words of a level. */
export const LEVEL = {
  /** Where the undo log stood before the step that led here; the fingerprint behind it. */
  MARK: 0,
  LO: 1,
  HI: 2,
  /** That step; the task is -1 for the initial state. */
  TASK: 3,
  CHOICE: 4,
  WAYS: 5,
  /** On the way here: tasks put aside that could have gone on, choices other than 0. */
  PREEMPTIONS: 6,
  SURPRISES: 7,
  /** Tasks that can step, as bits; -1 before anybody has asked. */
  READY: 8,
  /** The explorer's first. */
  OWN: 9,
} as const

export class Path {
  /** Words of a level. */
  readonly width: number
  words: Int32Array
  /** First word of the topmost level; negative when the path is empty. */
  top: number
  /** How many levels there are. */
  depth = 0

  /** `own`: words of a level that the explorer asks for. */
  constructor(own: number) {
    this.width = LEVEL.OWN + own
    this.words = new Int32Array(this.width << 8)
    this.top = -this.width
  }

  get bytes(): number {
    return this.words.byteLength
  }

  get(word: number): number {
    return this.words[this.top + word] as number
  }

  set(word: number, value: number): void {
    this.words[this.top + word] = value
  }

  /** A word of the level at a depth, 0 for the initial state. */
  at(depth: number, word: number): number {
    return this.words[depth * this.width + word] as number
  }

  /** A new topmost level; its words are not yet defined. */
  push(): void {
    this.depth++
    this.top += this.width
    if (this.top + this.width <= this.words.length) return
    const grown = new Int32Array(this.words.length * 2)
    grown.set(this.words)
    this.words = grown
  }

  pop(): void {
    this.depth--
    this.top -= this.width
  }

  /** The explorer's first words of all levels, and back, into levels that are there. */
  saveOwn(count: number): Int32Array {
    const saved = new Int32Array(this.depth * count)
    for (let depth = 0; depth < this.depth; depth++) {
      const from = depth * this.width + LEVEL.OWN
      saved.set(this.words.subarray(from, from + count), depth * count)
    }
    return saved
  }

  /** The explorer's words behind those become 0. */
  loadOwn(saved: Int32Array): void {
    const count = saved.length / this.depth
    for (let depth = 0; depth < this.depth; depth++) {
      const at = depth * this.width + LEVEL.OWN
      this.words.fill(0, at, (depth + 1) * this.width)
      this.words.set(saved.subarray(depth * count, (depth + 1) * count), at)
    }
  }
}

/**
 * A stack of levels, one for each state on the path from the initial state, as numbers in one flat
 * array: nothing is allocated for a step. What the words of a level mean is its owner's business.
 */
export class Levels {
  readonly #width: number
  words: Int32Array
  /** First word of the topmost level; negative when the stack is empty. */
  top: number
  /** How many levels there are. */
  depth = 0

  /** `width`: words of a level. */
  constructor(width: number) {
    this.#width = width
    this.words = new Int32Array(width << 10)
    this.top = -width
  }

  get bytes(): number {
    return this.words.byteLength
  }

  get(field: number): number {
    return this.words[this.top + field] as number
  }

  set(field: number, value: number): void {
    this.words[this.top + field] = value
  }

  /** A word of the level at a depth, 0 for the initial state. */
  at(depth: number, field: number): number {
    return this.words[depth * this.#width + field] as number
  }

  /** A new topmost level; its words are not yet defined. */
  push(): void {
    this.depth++
    this.top += this.#width
    if (this.top + this.#width <= this.words.length) return
    const grown = new Int32Array(this.words.length * 2)
    grown.set(this.words)
    this.words = grown
  }

  pop(): void {
    this.depth--
    this.top -= this.#width
  }

  /** All levels as plain numbers, and back. */
  save(): Int32Array {
    return this.words.slice(0, this.top + this.#width)
  }

  load(saved: Int32Array): void {
    this.words = new Int32Array(Math.max(saved.length * 2, this.words.length))
    this.words.set(saved)
    this.top = saved.length - this.#width
    this.depth = saved.length / this.#width
  }
}

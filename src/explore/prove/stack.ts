/**
 * The depth-first stack of a search, one level for each state on the path, as numbers in one flat
 * array: nothing is allocated for a step.
 */
import type { Move } from '../../cell/schedule.js'

/** Words of a level. */
export const LEVEL = {
  /** Where the undo log stood, and the fingerprint. */
  MARK: 0,
  LO: 1,
  HI: 2,
  /** The step that led here; TASK is -1 for the initial state. */
  TASK: 3,
  CHOICE: 4,
  WAYS: 5,
  /** The task that ran last, or -1. */
  RUNNING: 6,
  PREEMPTIONS: 7,
  /** Choices other than the ordinary one, 0, on the way here. */
  SURPRISES: 8,
  /**
   * Tasks, as bits, with steps that have not been tried; and where the next one's choices go on.
   */
  UNTRIED: 9,
  NEXT_CHOICE: 10,
  /** Tarjan: place among the open states, and the lowest place that is reached from here. */
  PLACE: 11,
  LOW: 12,
  /** Bits of `FLAG`. */
  FLAGS: 13,
  /** With several workers: where the state lies in the table. */
  SLOT: 14,
} as const

export const FLAG = {
  /** Some step leads to a state outside this state's component, or the state is final. */
  EXITS: 1,
  /** Some step leads to this state itself or back to it. */
  CYCLE: 2,
  /** The task that ran last could go on: whoever else steps preempts it. */
  GOES_ON: 4,
} as const

const WORDS = 15

export class LevelStack {
  words = new Int32Array(WORDS << 10)
  /** First word of the topmost level; -WORDS when the stack is empty. */
  top = -WORDS

  get depth(): number {
    return this.top / WORDS + 1
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

  /** A new topmost level; its words are not yet defined. */
  push(): void {
    this.top += WORDS
    if (this.top + WORDS <= this.words.length) return
    const grown = new Int32Array(this.words.length * 2)
    grown.set(this.words)
    this.words = grown
  }

  pop(): void {
    this.top -= WORDS
  }

  /** All levels as plain numbers, and back. */
  save(): Int32Array {
    return this.words.slice(0, this.top + WORDS)
  }

  load(saved: Int32Array): void {
    this.words = new Int32Array(Math.max(saved.length * 2, this.words.length))
    this.words.set(saved)
    this.top = saved.length - WORDS
  }

  /** Where the undo log stood at each level, from the bottom. */
  setMarks(marks: readonly number[]): void {
    marks.forEach((mark, i) => {
      this.words[i * WORDS + LEVEL.MARK] = mark
    })
  }

  /** The moves that led to the topmost level. */
  schedule(): Move[] {
    const moves: Move[] = []
    for (let at = WORDS; at <= this.top; at += WORDS) {
      moves.push({
        task: this.words[at + LEVEL.TASK] as number,
        choice: this.words[at + LEVEL.CHOICE] as number,
        alternatives: this.words[at + LEVEL.WAYS] as number,
      })
    }
    return moves
  }
}

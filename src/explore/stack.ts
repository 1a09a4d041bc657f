/**
 * The depth-first stack of a search, one level for each state on the path, as numbers in one flat
 * array: nothing is allocated for a step.
 */
import type { Move } from './search.js'

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
  /** Where the enumeration of moves goes on. */
  NEXT_TASK: 8,
  NEXT_CHOICE: 9,
  /** Tarjan: place among the open states, and the lowest place that is reached from here. */
  PLACE: 10,
  LOW: 11,
  /** Bits of `FLAG`. */
  FLAGS: 12,
} as const

export const FLAG = {
  /** Some step leads to a state outside this state's component, or the state is final. */
  EXITS: 1,
  /** Some step leads to this state itself or back to it. */
  CYCLE: 2,
  /** The task that ran last could go on: whoever else steps preempts it. */
  GOES_ON: 4,
} as const

const WORDS = 13

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

  /** A word of the level `below` the topmost one. */
  getBelow(below: number, field: number): number {
    return this.words[this.top - below * WORDS + field] as number
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

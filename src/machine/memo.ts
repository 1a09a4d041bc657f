/**
 * What steps did, to be done again without running their code. A step is a function of the words
 * that it reads or writes over: where they have the values that they had, it makes the same
 * changes. Kernel code therefore runs once for each set of inputs, and a search, which meets the
 * same step in thousands of states, mostly looks up what it leads to.
 *
 * The inputs of all steps of a task from one place form a decision tree (`inputs.ts`). A step that
 * reported something is not kept: it runs each time, and so does everything when there is no room.
 */
import { changesSince, fingerprintHi, fingerprintLo, redo } from './arena.js'
import { placeHash } from './frames.js'
import { grown, InputTrees } from './inputs.js'
import { noteAccesses, notedAccesses } from './struct.js'
import { MAX_TASKS, Task } from './task.js'

/**
 * What a step did: change of the fingerprint, sanitizers concerned, which words it depends on and
 * which it changes (sets, see `ALL_READ`), end of the changes behind.
 */
const DEED = {
  ...{ LO: 0, HI: 1, DIRTY: 2 },
  ...{ READS: 3, WRITES: 5 },
  ...{ END: 7, CHANGES: 8 },
} as const

/**
 * A set of words in 64 bits, so that two sets without a bit in common have no word in common. Left
 * out are the words of the task itself, which are most: as a rule nobody else looks at them. Who
 * does has bits for that.
 */
const ALL_READ = 1
const ALL_WRITE = 2
const KINDS = 62

/** Choices beyond these are not kept; places of one task share so many roots. */
const CHOICES = 4
const PLACES = 256

/** Most bytes, with what is allocated ahead of use. */
const MOST_BYTES = 2 ** 26
/** As much is allocated ahead as is in use. */
const BYTES_PER_WORD = 8

export class Memo {
  /** By task, choice and place; the answers are deeds. */
  readonly #trees = new InputTrees(MAX_TASKS * CHOICES * PLACES)
  #deeds = new Int32Array(1 << 12)
  /** Deed 0 is none. */
  #deedsEnd = 1
  /** Most words in use. */
  #most: number
  /** The step under way. */
  #task = 0
  #root = 0
  #lo = 0
  #hi = 0

  constructor(mostBytes = MOST_BYTES) {
    this.#most = mostBytes / BYTES_PER_WORD
  }

  /** Learn no more than has room in so many bytes. */
  limit(bytes: number): void {
    this.#most = bytes / BYTES_PER_WORD
  }

  get bytes(): number {
    return this.#trees.bytes + this.#deeds.byteLength
  }

  /** The deed of task `n` if it steps now, or 0 if it is not known. */
  recall(n: number, choice: number): number {
    if (choice >= CHOICES) return 0
    return this.#trees.recall(rootOf(n, choice))
  }

  /** By what a deed changes the lanes of the fingerprint. */
  changeLo(deed: number): number {
    return this.#deeds[deed + DEED.LO] as number
  }

  changeHi(deed: number): number {
    return this.#deeds[deed + DEED.HI] as number
  }

  /** Sanitizer bits whose watched fields it writes. */
  dirty(deed: number): number {
    return this.#deeds[deed + DEED.DIRTY] as number
  }

  /** Does deed `by` of one task change anything that deed `of` of another depends on? */
  touches(by: number, of: number): boolean {
    const { READS, WRITES } = DEED
    const deeds = this.#deeds
    if (((deeds[by + WRITES] as number) & (deeds[of + READS] as number)) !== 0) return true
    return ((deeds[by + WRITES + 1] as number) & (deeds[of + READS + 1] as number)) !== 0
  }

  /** Do the deed; the fingerprint becomes this one. */
  perform(deed: number, lo: number, hi: number): void {
    redo(this.#deeds, deed + DEED.CHANGES, this.#deeds[deed + DEED.END] as number, lo, hi)
  }

  /** Listen to the step that task `n` is about to take. */
  listen(n: number, choice: number): void {
    this.#task = n
    this.#root = choice < CHOICES ? rootOf(n, choice) : -1
    this.#lo = fingerprintLo()
    this.#hi = fingerprintHi()
    noteAccesses()
  }

  /** The step has been taken, but not judged. Its inputs, for `keep`; judges are heard next. */
  heard(): Int32Array {
    return notedAccesses().slice()
  }

  /** Keep the step: it went as expected, and `mark` is where the undo log stood before it. */
  keep(inputs: Int32Array, mark: number, dirty: number): void {
    if (this.#root < 0 || this.#trees.words + this.#deedsEnd > this.#most) return
    const deed = this.#record(mark, dirty)
    this.#describe(deed + DEED.READS, inputs, ALL_READ, ALL_WRITE)
    this.#trees.keep(this.#root, inputs, deed)
  }

  #record(mark: number, dirty: number): number {
    const changes = changesSince(mark)
    const deed = this.#deedsEnd
    const end = deed + DEED.CHANGES + changes.length
    if (end > this.#deeds.length) this.#deeds = grown(this.#deeds, end)
    this.#deeds[deed + DEED.LO] = fingerprintLo() ^ this.#lo
    this.#deeds[deed + DEED.HI] = fingerprintHi() ^ this.#hi
    this.#deeds[deed + DEED.DIRTY] = dirty
    this.#deeds[deed + DEED.END] = end
    this.#deeds.set(changes, deed + DEED.CHANGES)
    this.#describe(deed + DEED.WRITES, changes, ALL_WRITE, ALL_READ)
    this.#deedsEnd = end
    return deed
  }

  /**
   * Write down which words these are (address, value), of what the task under way has read or
   * written. `always` meets a word of this task with which another one did the opposite; `foreign`
   * is set if this task did so with one of another's.
   */
  #describe(at: number, words: ArrayLike<number>, always: number, foreign: number): void {
    let low = always
    let high = 0
    for (let i = 0; i < words.length; i += 2) {
      const word = words[i] as number
      const owner = Math.floor((word - Task.base) / Task.words)
      if (owner === this.#task) continue
      if (owner >= 0 && owner < MAX_TASKS) low |= foreign
      const bit = 2 + (word % KINDS)
      if (bit < 32) low |= 1 << bit
      else high |= 1 << (bit - 32)
    }
    this.#deeds[at] = low
    this.#deeds[at + 1] = high
  }
}

function rootOf(n: number, choice: number): number {
  return (n * CHOICES + choice) * PLACES + (placeHash(n) & (PLACES - 1))
}

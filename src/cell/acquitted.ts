/**
 * What the judges need not look at again. A judge of states reads the machine and writes nothing,
 * so it says the same of the same words; where it has said nothing, it is not asked again. What was
 * reported is reported each time.
 */
import { InputTrees } from '../machine/inputs.js'
import { noteAccesses, notedAccesses } from '../machine/struct.js'

/** What a judge can be asked, of a state alone. */
const CHECKS = ['state', 'atRest', 'atEnd'] as const
export type Check = (typeof CHECKS)[number]

/** Most bytes, with what is allocated ahead: as much as is in use. */
const MOST_BYTES = 2 ** 26
const BYTES_PER_WORD = 8
const NOTHING_TO_SAY = 1

export class Acquitted {
  readonly #trees: InputTrees
  readonly #judges: number
  /** Most words in use. */
  #most = MOST_BYTES / BYTES_PER_WORD

  constructor(judges: number) {
    this.#judges = judges
    this.#trees = new InputTrees(judges * CHECKS.length)
  }

  get bytes(): number {
    return this.#trees.bytes
  }

  /** Keep no more than has room in so many bytes. */
  limit(bytes: number): void {
    this.#most = bytes / BYTES_PER_WORD
  }

  get isFull(): boolean {
    return this.#trees.words > this.#most
  }

  /** Is a judge, by its number, known to say nothing of the present state? */
  has(judge: number, check: Check): boolean {
    return this.#trees.recall(this.#rootOf(judge, check)) !== 0
  }

  /** A judge that is not known to is about to be asked. */
  listen(): void {
    noteAccesses()
  }

  /** It has been. */
  heard(judge: number, check: Check, saidNothing: boolean): void {
    const inputs = notedAccesses()
    if (!saidNothing) return
    this.#trees.keep(this.#rootOf(judge, check), inputs, NOTHING_TO_SAY)
  }

  #rootOf(judge: number, check: Check): number {
    return CHECKS.indexOf(check) * this.#judges + judge
  }
}

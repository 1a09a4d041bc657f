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

/** Most words that are in use; with what is allocated ahead, 32 MiB. */
const MOST_WORDS = 1 << 22
const NOTHING_TO_SAY = 1

export class Acquitted {
  readonly #trees: InputTrees
  readonly #judges: number

  constructor(judges: number) {
    this.#judges = judges
    this.#trees = new InputTrees(judges * CHECKS.length)
  }

  get bytes(): number {
    return this.#trees.bytes
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
    if (!saidNothing || this.#trees.words > MOST_WORDS) return
    this.#trees.keep(this.#rootOf(judge, check), inputs, NOTHING_TO_SAY)
  }

  #rootOf(judge: number, check: Check): number {
    return CHECKS.indexOf(check) * this.#judges + judge
  }
}

/**
 * A mutant: one seeded bug on top of a design, and the sanitizer that must catch it, alone. Each
 * is checked on a scenario of its own or on a built-in one.
 */
import type { Design } from '../src/designs/design.js'

export interface Mutant {
  readonly name: string
  readonly design: Design
  /** Name of a built-in scenario, or the text of one. */
  readonly scenario: string
  /** Name of the sanitizer, and the finding that it reports. */
  readonly caughtBy: string
  readonly finding: string
}

/** A scenario on a design, booted and judged: what a search and a replay have in common. */
import type { Design } from '../designs/design.js'
import { blame } from '../litmus/blame.js'
import type { Scenario } from '../litmus/scenario.js'
import { type Mode, variable } from '../machine/machine.js'
import { SANITIZERS } from '../sanitizers/index.js'
import { bootScenario } from './boot.js'
import { Judges, type Observed } from './judges.js'
import type { Move } from './schedule.js'

/** One set-up of machine and judges for a cell. */
export class Cell {
  readonly #scenario: Scenario
  readonly #design: Design
  readonly judges = new Judges(SANITIZERS)
  readonly outcomes = new Map<string, readonly Move[]>()

  constructor(scenario: Scenario, design: Design) {
    this.#scenario = scenario
    this.#design = design
  }

  boot(mode: Mode): void {
    bootScenario(this.#scenario, this.#design, mode, () => this.judges.attach())
  }

  /** The scenario's tasks have ended: note the outcome, judge conditions and the ledger. */
  atRest(schedule: () => readonly Move[]): readonly Observed[] {
    const observed = [...this.judges.atRest()]
    for (const c of this.#scenario.conditions) {
      if (c.kind === 'sometimes' || c.holds(variable) === (c.kind === 'always')) continue
      const why = blame(c, this.#scenario.variables, variable)
      const text = `${c.kind} ${c.text}: ${why}`
      observed.push(...this.judges.bySearch('condition-violated', text))
    }
    const key = JSON.stringify(this.values())
    if (!this.outcomes.has(key)) this.outcomes.set(key, schedule())
    return observed
  }

  /** The scenario's variables by name. */
  values(): Record<string, number> {
    const values: Record<string, number> = {}
    for (const v of this.#scenario.variables) values[v.name] = variable(v.index)
    return values
  }

  /** What a search has noted here, and back. */
  save(): { outcomes: ReadonlyMap<string, readonly Move[]>; marks: readonly string[] } {
    return { outcomes: new Map(this.outcomes), marks: [...this.judges.marks] }
  }

  restore(outcomes: ReadonlyMap<string, readonly Move[]>, marks: readonly string[]): void {
    for (const [key, schedule] of outcomes) this.outcomes.set(key, schedule)
    this.judges.addMarks(marks)
  }
}

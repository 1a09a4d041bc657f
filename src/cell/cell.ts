/** A scenario on a design, booted and judged: what a search and a replay have in common. */
import type { Design } from '../designs/design.js'
import { blame } from '../litmus/blame.js'
import type { Scenario } from '../litmus/scenario.js'
import { type Mode, variable } from '../machine/machine.js'
import { Memo } from '../machine/memo.js'
import { sanitizersOn } from '../sanitizers/index.js'
import { bootScenario } from './boot.js'
import { Execution, type Listener } from './execution.js'
import { Judges } from './judges.js'
import type { Move } from './schedule.js'

/** What has come up during a search of a cell, besides what was found. Plain data. */
export interface Noted {
  readonly outcomes: ReadonlyMap<string, readonly Move[]>
  readonly marks: readonly string[]
}

/** One set-up of machine and judges for a cell. */
export class Cell {
  readonly #scenario: Scenario
  readonly #design: Design
  readonly judges: Judges
  readonly outcomes: Outcomes
  /** What steps do, for all searches from the initial state. */
  memo = new Memo()

  constructor(scenario: Scenario, design: Design) {
    this.#scenario = scenario
    this.#design = design
    this.judges = new Judges(sanitizersOn(design.host?.machine), () => violatedBy(scenario))
    this.outcomes = new Outcomes(scenario)
  }

  boot(mode: Mode): void {
    const { judges } = this
    this.memo = new Memo()
    bootScenario(this.#scenario, this.#design, mode, {
      booted: () => judges.attach(),
      stepped: (result) => judges.afterStepOfSetUp(result),
    })
    judges.begin()
  }

  /** Boot, and an execution from the initial state. */
  begin(mode: Mode, listeners: readonly Listener[] = []): Execution {
    this.boot(mode)
    return new Execution(this.judges, listeners)
  }

  /** What a search has noted here, and back. */
  save(): Noted {
    return { outcomes: new Map(this.outcomes.all), marks: [...this.judges.marks] }
  }

  restore({ outcomes, marks }: Noted): void {
    for (const [key, schedule] of outcomes) this.outcomes.all.set(key, schedule)
    this.judges.addMarks(marks)
  }
}

function violatedBy(scenario: Scenario): readonly string[] {
  return scenario.conditions
    .filter((c) => c.kind !== 'sometimes' && c.holds(variable) !== (c.kind === 'always'))
    .map((c) => `${c.kind} ${c.text}: ${blame(c, scenario.variables, variable)}`)
}

/** Notes the values that the scenario's variables have at rest, each with a schedule. */
export class Outcomes implements Listener {
  readonly #scenario: Scenario
  /** By the values of the variables, as JSON. */
  readonly all = new Map<string, readonly Move[]>()

  constructor(scenario: Scenario) {
    this.#scenario = scenario
  }

  atRest(run: Execution): void {
    const values: Record<string, number> = {}
    for (const v of this.#scenario.variables) values[v.name] = variable(v.index)
    const key = JSON.stringify(values)
    if (!this.all.has(key)) this.all.set(key, run.schedule())
  }
}

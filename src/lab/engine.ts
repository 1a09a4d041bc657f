/** What a worker of the page can be asked: the library, without files and threads. */
import { checkScenario } from '../app/check.js'
import { UserError } from '../app/error.js'
import { knownNames } from '../app/known.js'
import type { CellResult, LoadedDesign } from '../app/results.js'
import { cellHash, decodeToken, isNamedBy, type Token, TokenError } from '../app/token.js'
import { SetupFailure } from '../cell/boot.js'
import type { Design } from '../designs/design.js'
import { DESIGNS } from '../designs/index.js'
import { type Hindsight, LOOK_BACK, lookBack } from '../explore/tell/hindsight.js'
import { replayPictured, type Shown } from '../explore/tell/pictured.js'
import { designNamed } from '../hosts/index.js'
import { LitmusError } from '../litmus/error.js'
import { type Known, readScenario, type Scenario } from '../litmus/scenario.js'
import { LimitError } from '../machine/fault.js'
import { PLAIN_LOOK } from '../report/format.js'
import { format as json } from '../report/formats/json.js'
import type {
  Answers,
  CellVerdict,
  Mistake,
  Request,
  ScenarioText,
  Start,
  StoryAnswer,
  StoryRequest,
  Told,
} from './protocol.js'

/** What a search is given besides its question. */
export interface Surroundings {
  readonly now: () => number
  readonly onProgress: (states: number, depth: number) => void
}

interface Own {
  readonly design: Design
  /** Its text, as tokens are bound to it. */
  readonly identity: string
}

export class Engine {
  readonly #start: Start
  readonly #parsed = new Map<string, Scenario>()
  /** Designs that the user brought, by id. */
  readonly #own = new Map<string, Own>()

  constructor(start: Start) {
    this.#start = start
  }

  /** Know a design of the user's; one with the same id takes the place of the one before. */
  bring(design: Design, identity: string): void {
    if (this.#own.get(design.id)?.identity !== identity) this.#parsed.clear()
    this.#own.set(design.id, { design, identity })
  }

  /** @throws UserError */
  answer(request: Request, around: Surroundings): Answers[Request['kind']] {
    try {
      switch (request.kind) {
        case 'story':
          return this.#story(request)
        case 'hindsight':
          return this.#hindsight(request.token, request.text)
        case 'compile':
        case 'patch':
          throw new Error('there is no compiler here')
        case 'parse':
          return this.#mistakeIn(request.text)
        case 'check':
          return this.#check(request.text, request.design, around)
      }
    } catch (error) {
      const told =
        error instanceof TokenError || error instanceof SetupFailure || error instanceof LimitError
      if (told) throw new UserError(error.message)
      if (error instanceof LitmusError) {
        throw new UserError(`line ${error.line}, column ${error.column}: ${error.message}`)
      }
      throw error
    }
  }

  #known(): Known {
    return knownNames([...this.#start.designs, ...this.#own.keys()])
  }

  #scenario(text: string): Scenario {
    const known = this.#parsed.get(text) ?? readScenario(text, this.#known())
    this.#parsed.set(text, known)
    return known
  }

  #mistakeIn(text: string): Mistake | undefined {
    try {
      readScenario(text, this.#known())
      return undefined
    } catch (error) {
      if (!(error instanceof LitmusError)) throw error
      const { line, column, message } = error
      return { line, column, message: message.split('\n')[0] ?? message }
    }
  }

  /** The scenario that a token names: the text that came with it, or one of the project's. */
  #textOf(token: Token, own: string | undefined): ScenarioText {
    const { scenarios } = this.#start
    const named = scenarios.filter((s) => isNamedBy(token, s.name))
    const builtIn = named.find((s) => this.#fits(token, s.text)) ?? named[0]
    if (own !== undefined && (builtIn === undefined || !this.#fits(token, builtIn.text))) {
      const { name, question } = this.#scenario(own)
      if (!isNamedBy(token, name)) {
        throw new UserError(`the token is of "${token.scenario}", the scenario here is "${name}"`)
      }
      return { name, question, text: own }
    }
    if (builtIn !== undefined) return builtIn
    throw new UserError(
      `the token is of a scenario "${token.scenario}" that is not built in: its text must come with the link`,
    )
  }

  #fits(token: Token, text: string): boolean {
    return cellHash(this.#start.code, text, this.#identity(token.design)) === token.hash
  }

  #design(id: string): Design {
    const design = this.#own.get(id)?.design ?? designNamed(id)
    if (design !== undefined) return design
    throw new UserError(`there is no design "${id}" here: ${DESIGNS.map((d) => d.id).join(', ')}`)
  }

  /** What tokens of a design are bound to. */
  #identity(id: string): string {
    return this.#own.get(id)?.identity ?? id
  }

  #story({ token: packed, text: own, on }: StoryRequest): StoryAnswer {
    const token = decodeToken(packed)
    const text = this.#textOf(token, own)
    const scenario = this.#scenario(text.text)
    const show = (design: string, onward: boolean): Told => {
      const found = this.#design(design)
      const shown = replayPictured(scenario, found, token.schedule, 'lowered', onward)
      return toldOf(design, shown)
    }
    return {
      scenario: text,
      own: show(token.design, false),
      other: on === undefined || on === token.design ? undefined : show(on, true),
      stale: !this.#fits(token, text.text),
    }
  }

  #hindsight(packed: string, own: string | undefined): Hindsight | undefined {
    const token = decodeToken(packed)
    const scenario = this.#scenario(this.#textOf(token, own).text)
    const design = this.#design(token.design)
    const { trace, divergence } = replayPictured(scenario, design, token.schedule, 'lowered', false)
    const id =
      trace.steps.at(-1)?.findings[0]?.id ?? (trace.stuck.length > 0 ? 'deadlock' : undefined)
    if (id === undefined || divergence !== undefined) return undefined
    return lookBack(scenario, design, token.schedule, id, LOOK_BACK)
  }

  #check(text: string, id: string, { now, onProgress }: Surroundings): CellVerdict {
    const scenario = this.#scenario(text)
    const design = this.#design(id)
    const { stop } = this.#start
    const verdict = checkScenario(scenario, design, {
      gather: true,
      now,
      keepGoing: (states, depth) => {
        onProgress(states, depth)
        return stop === undefined || Atomics.load(stop, 0) === 0
      },
    })
    const builtIn = this.#start.scenarios.some((s) => s.text === text)
    const identity = this.#identity(id)
    const loaded: LoadedDesign = { id, design, module: undefined, identity, path: undefined }
    const cell: CellResult = {
      file: { path: scenario.name, builtIn, text, scenario },
      design: loaded,
      verdict,
      hash: cellHash(this.#start.code, text, identity),
    }
    const { version } = this.#start
    const results = { version, cells: [cell], asked: 1, interrupted: false, seconds: 0 }
    return (JSON.parse(json.render(results, new Map(), PLAIN_LOOK)) as { results: [CellVerdict] })
      .results[0]
  }
}

function toldOf(design: string, { trace, pictured, divergence, followed }: Shown): Told {
  const text = divergence && `${divergence.expected} was to step, but ${divergence.why}`
  const at = divergence && { step: divergence.step, text: text as string }
  return { design, trace, pictured, followed, divergence: at }
}

/** The worker in which designs of the user are compiled, and run. */
import { UserError } from '../../app/error.js'
import { DESIGNS } from '../../designs/index.js'
import { Engine, type Surroundings } from '../engine.js'
import { type Answering, listen } from '../listen.js'
import type { Answers, FromPatch, Mistake, Request, Start } from '../protocol.js'
import { type Compiled, Compiler, type Declarations, Mistaken, type Modules } from './compile.js'
import { designOf, type PatchParts } from './patch.js'

/** The name of a design's file, which has none. */
const NAME = 'design.ts'

class Workshop implements Answering {
  readonly #engine: Engine
  readonly #compiler: Compiler
  readonly #compiled = new Map<string, Compiled>()

  constructor(start: Start, modules: Modules) {
    this.#engine = new Engine(start)
    this.#compiler = new Compiler(start.declarations as Declarations, modules)
  }

  answer(request: Request, around: Surroundings): Promise<FromPatch> | Answers[Request['kind']] {
    if (request.kind === 'patch') {
      return designOf(request.mail, request.parts as PatchParts, (code) => this.#mistakesIn(code))
    }
    if (request.kind === 'compile') return this.#look(request.code)
    const { code } = request
    if (code !== undefined) {
      const { design, identity } = this.#compile(code)
      this.#engine.bring(design, identity)
    }
    return this.#engine.answer(request, around)
  }

  /** What a design's text is: the design's id, or mistakes. */
  #look(code: string): Answers['compile'] {
    try {
      return { id: this.#compile(code).design.id, mistakes: [] }
    } catch (error) {
      if (error instanceof Mistaken) return { id: undefined, mistakes: error.mistakes }
      throw error
    }
  }

  #mistakesIn(code: string): readonly Mistake[] {
    return this.#look(code).mistakes
  }

  #compile(code: string): Compiled {
    const known = this.#compiled.get(code)
    if (known !== undefined) return known
    const compiled = this.#compiler.compile(NAME, code)
    const { id } = compiled.design
    if (DESIGNS.some((d) => d.id === id)) {
      throw new UserError(`the id "${id}" belongs to a built-in design`)
    }
    this.#compiled.set(code, compiled)
    return compiled
  }
}

/** Begin, with every module that a design may import. */
export function startWorkshop(modules: Modules): void {
  listen((start) => new Workshop(start, modules))
}

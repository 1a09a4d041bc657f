/**
 * From the text of a design to the design, in a browser: checked and lowered as the command does it,
 * against the declarations of the project, and linked with the modules that are loaded already.
 */
import ts from 'typescript'
import type { Design } from '../../designs/design.js'
import { lowerDesign } from '../../lower/project.js'
import { numberDeclared } from '../../machine/machine.js'
import type { Mistake } from '../protocol.js'

/** Modules of the project by their path below `src/`, without extension. */
export type Modules = Readonly<Record<string, object>>

/** What the compiler reads. */
export interface Declarations {
  /** The project's tsconfig.json. */
  readonly tsconfig: string
  /** Texts by path: the project's below `/src/`, the language's below `/lib/`. */
  readonly files: Readonly<Record<string, string>>
}

export interface Compiled {
  readonly design: Design
  /** The design's text as tokens are bound to it. */
  readonly identity: string
}

/** The design's text does not compile. */
export class Mistaken extends Error {
  readonly mistakes: readonly Mistake[]
  constructor(mistakes: readonly Mistake[]) {
    super(mistakes.map((m) => `line ${m.line}, column ${m.column}: ${m.message}`).join('\n'))
    this.mistakes = mistakes
  }
}

const LIBRARY = '/lib/lib.es2023.d.ts'

export class Compiler {
  readonly #files: Readonly<Record<string, string>>
  readonly #options: ts.CompilerOptions
  readonly #modules: Modules
  /** What does not change from one design to the next. */
  readonly #parsed = new Map<string, ts.SourceFile>()

  constructor({ tsconfig, files }: Declarations, modules: Modules) {
    this.#files = files
    this.#modules = modules
    const { config } = ts.parseConfigFileTextToJson('/tsconfig.json', tsconfig)
    this.#options = ts.convertCompilerOptionsFromJson(config.compilerOptions, '/').options
  }

  /** @throws Mistaken */
  compile(name: string, text: string): Compiled {
    const fileName = `/${name}`
    const host = this.#hostWith(fileName, text)
    const lowered = lowerDesign(fileName, { root: '' }, host, this.#options, (path) => path)
    if (lowered.problems.length > 0) throw new Mistaken(lowered.problems)
    const { design } = this.#link(lowered.text)
    if (design?.replaces === undefined) {
      const message = 'the file exports no `design` made by defineDesign()'
      throw new Mistaken([{ line: 1, column: 1, message }])
    }
    return { design, identity: lowered.identity }
  }

  #hostWith(own: string, text: string): ts.CompilerHost {
    const read = (name: string): string | undefined => (name === own ? text : this.#files[name])
    return {
      fileExists: (name) => read(name) !== undefined,
      readFile: read,
      getSourceFile: (name, options) => {
        const known = name === own ? undefined : this.#parsed.get(name)
        const found = read(name)
        if (known !== undefined || found === undefined) return known
        const file = ts.createSourceFile(name, found, options)
        if (name !== own) this.#parsed.set(name, file)
        return file
      },
      getDefaultLibFileName: () => LIBRARY,
      getDefaultLibLocation: () => '/lib',
      getCurrentDirectory: () => '/',
      getCanonicalFileName: (name) => name,
      useCaseSensitiveFileNames: () => true,
      getNewLine: () => '\n',
      writeFile: () => {},
    }
  }

  /** Run a module whose imports are modules of the project. */
  #link(text: string): { readonly design?: Design } {
    const compilerOptions = { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 }
    const { outputText } = ts.transpileModule(importsFirst(text), { compilerOptions })
    const exported: { design?: Design } = {}
    const take = (path: string): object => {
      const found = this.#modules[path]
      if (found === undefined) throw new Error(`there is no module ${path}`)
      return found
    }
    numberDeclared()
    new Function('require', 'exports', outputText)(take, exported)
    return exported
  }
}

/** Modules are there before anything of the text runs, wherever it imports them. */
function importsFirst(text: string): string {
  const file = ts.createSourceFile('design.js', text, ts.ScriptTarget.ES2022)
  const isImport = (s: ts.Statement): boolean => ts.isImportDeclaration(s)
  const parts = [
    ...file.statements.filter(isImport),
    ...file.statements.filter((s) => !isImport(s)),
  ]
  return parts.map((s) => s.getFullText(file)).join('\n')
}

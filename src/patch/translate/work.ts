/**
 * One function under translation: its locals, the lines written so far, and what could not be
 * translated. Lines are statements; braces at their ends give the nesting.
 */
import type { CFunction } from '../c/functions.js'
import { type CNode, squash } from '../c/parse.js'
import type { ModelFunction } from '../model/dictionary.js'
import type { Scope } from '../model/scope.js'
import { declared, type Type } from './types.js'

/** Something of a C function that the model has no words for. */
export class Hole extends Error {
  readonly node: CNode

  constructor(reason: string, node: CNode) {
    super(reason)
    this.node = node
  }
}

export interface HoleNote {
  readonly reason: string
  readonly line: number
  /** The statement, shortened. */
  readonly c: string
}

export interface Local {
  readonly ts: string
  type: Type
  /** A parameter, or otherwise declared already. */
  readonly given: boolean
  /** Somebody reads or writes it. */
  used: boolean
  /** The C parameter through which the result goes, where the model returns it. */
  readonly result?: boolean
  /** An out parameter that the model does without: what is stored there is dropped. */
  readonly dropped?: boolean
  /** A parameter that the model's function does not have. */
  readonly missing?: boolean
}

/** An expression of the model. */
export interface Value {
  readonly code: string
  readonly type: Type
  /** How tightly its outermost operator binds; see `BIND`. */
  readonly bind: number
  readonly literal?: boolean
  /** Of a sum of numbers without a sign: the same before it is known not to wrap. */
  readonly unchecked?: string
}

export const BIND = {
  atom: 20,
  unary: 15,
  times: 13,
  plus: 12,
  shift: 11,
  as: 10,
  equal: 9,
  and: 8,
  xor: 7,
  or: 6,
  andAnd: 5,
  orOr: 4,
  choice: 3,
  yield: 2,
} as const

export function atom(code: string, type: Type): Value {
  return { code, type, bind: BIND.atom }
}

/** Its text, in parentheses if something binds tighter than it does. */
export function within(v: Value, bind: number): string {
  return v.bind < bind ? `(${v.code})` : v.code
}

/** A function that the model does not have, and how to call it. */
export interface NewCallee {
  readonly model: ModelFunction
  /** Which arguments of C it takes: those that it does something with. */
  readonly args: readonly string[]
  readonly holes: readonly HoleNote[]
  readonly assumptions: readonly string[]
}

/** A way out of a loop, or none that there is. */
export interface Jump {
  readonly code: string | undefined
  /** How many scopes are open where it goes. */
  readonly depth: number
}

/** A table of operations that is new in the design. */
export interface NewTable {
  /** Its name in the model, and its type. */
  readonly ts: string
  readonly of: string
  /** What it has that cannot be judged: who runs it meets a trap. */
  readonly holes: readonly string[]
  /** An operation that nobody in the model asks for: who takes the table cannot be judged. */
  readonly lacks: string | undefined
}

/** What a translation takes from around the function. */
export interface Surroundings {
  readonly scope: Scope
  /** A function of this patch, or one that has been translated on demand. */
  newFunction(name: string): NewCallee | undefined
  /** Does the patch bring or change it? Then no row of the crosswalk says what it is. */
  isTouched(name: string): boolean
  /** A table of operations that the patch brings. */
  newTable(name: string): NewTable | undefined
  /** What an unknown callee is assumed to return: `--assume 'f: 0'`. */
  assumed(name: string): readonly string[] | undefined
}

export class Work {
  readonly around: Surroundings
  readonly scope: Scope
  readonly source: CFunction
  /** Lines (of the C file) whose statements are noted when they run. */
  readonly watched: ReadonlySet<number>
  out: string[] = []
  readonly locals = new Map<string, Local>()
  holes: HoleNote[] = []
  /** Calls that were left out, since they change nothing the model has. */
  dropped: string[] = []
  /** Callees whose result was assumed. */
  assumptions: string[] = []
  /** A local's type has become known; everything must be translated again. */
  changed = false
  /** What the model's function returns; whether the C one returns it through a pointer. */
  returns: Type
  resultByPointer = false
  /** May the function yield? One that runs to completion announces nothing. */
  announces = true
  target: ModelFunction | undefined
  /** Labels behind the jumps to them: they are loops. */
  readonly loops = new Set<string>()
  /** C list variables that stand for a list's head. */
  readonly heads = new Map<string, CNode>()
  /** What ends with the scopes that are open, the innermost last. */
  readonly cleanups: (() => void)[] = []
  /** The loops and switches around, innermost last: what a jump to them is, and what it leaves. */
  readonly continues: Jump[] = []
  readonly breaks: Jump[] = []
  /** Names that are declared in the blocks around, innermost last; before them the parameters. */
  readonly declared: Set<string>[] = []
  /** How many scopes are open at a label. */
  readonly labels = new Map<string, number>()
  readonly #taken = new Set<string>()
  #temps = 0

  constructor(
    around: Surroundings,
    source: CFunction,
    returns: Type,
    watched: ReadonlySet<number> = new Set(),
  ) {
    this.around = around
    this.scope = around.scope
    this.source = source
    this.returns = returns
    this.watched = watched
  }

  /** Begin again, with the types that the last pass has found. */
  restart(): void {
    this.out = []
    this.holes = []
    this.dropped = []
    this.assumptions = []
    this.changed = false
    this.loops.clear()
    this.labels.clear()
    const { cleanups, continues, breaks, declared } = this
    for (const open of [cleanups, continues, breaks, declared]) open.length = 0
    this.#temps = 0
    for (const local of this.locals.values()) if (!local.given) local.used = false
  }

  emit(...lines: readonly string[]): void {
    this.out.push(...lines)
  }

  /** Run `f` with lines of its own, and return both. */
  aside<T>(f: () => T): readonly [T, string[]] {
    const saved = this.out
    this.out = []
    try {
      const value = f()
      return [value, this.out]
    } finally {
      this.out = saved
    }
  }

  /** A free name for a local: that of C, if it is free. */
  name(wanted: string): string {
    let name = wanted
    while (this.#taken.has(name) || RESERVED.has(name) || this.scope.fileOf(name)) name += '_'
    this.#taken.add(name)
    return name
  }

  #temp(): string {
    this.#temps++
    return `t${this.#temps}`
  }

  /** A constant that has the value from here on. */
  keep(code: string): string {
    const name = this.#temp()
    this.emit(`const ${name} = ${code}`)
    return name
  }

  /** A variable that branches assign. */
  variable(type: Type): string {
    const name = this.#temp()
    this.emit(`let ${name}: ${declared(type)}`)
    return name
  }

  label(stem: string): string {
    return `${stem}${this.#temp().slice(1)}`
  }

  hole(error: Hole, statement: CNode): void {
    const c = squash(statement.text).slice(0, 100)
    const { line } = error.node
    this.holes.push({ reason: error.message, line, c })
    this.emit(`hole(${JSON.stringify(`${this.source.name}:${line}: ${error.message}`)})`)
  }
}

const RESERVED: ReadonlySet<string> = new Set(
  (
    'new default delete function in var class this with enum export import super case switch void ' +
    'read write rmw mark hole noWrap fn yield typeof instanceof let static await async of'
  ).split(' '),
)

/**
 * The functions and tables that one design takes from C: translated when somebody needs them, each
 * once. Helpers of the same sources that the model does not have come along on demand.
 */
import type { CFunction, CTable } from '../c/functions.js'
import { camelCase, type ModelFunction, type ModelOps } from '../model/dictionary.js'
import type { Scope } from '../model/scope.js'
import { PLAIN_SLOTS, SLOTS } from './crosswalk.js'
import { type Shape, type Translated, translateInPlace, translateNew } from './function.js'
import type { Piece } from './module.js'
import { Hole, type NewCallee, type NewTable, type Surroundings } from './work.js'

/** What C there is to translate. */
export interface Sources {
  /** A function's definition, and the file it is in. */
  functionNamed(name: string): { readonly f: CFunction; readonly file: string } | undefined
  tableNamed(name: string): CTable | undefined
}

/** A function that is new in the design. */
export interface NewFunction {
  readonly file: string
  readonly model: ModelFunction
  readonly translated: Translated
}

export class Session implements Surroundings {
  readonly scope: Scope
  readonly #sources: Sources
  /** Functions that the patch brings: never the model's of the same name. */
  readonly #brought: ReadonlySet<string>
  readonly #assumed: ReadonlyMap<string, readonly string[]>
  readonly #touched: ReadonlySet<string>
  readonly #watched: (name: string) => ReadonlySet<number>
  readonly #functions = new Map<string, NewFunction | undefined>()
  readonly #tables = new Map<string, NewTable | undefined>()
  readonly #pieces: Piece[] = []

  constructor(
    scope: Scope,
    sources: Sources,
    options: {
      readonly brought?: ReadonlySet<string>
      /** Those, and what it changes. */
      readonly touched?: ReadonlySet<string>
      readonly assumed?: ReadonlyMap<string, readonly string[]>
      readonly watched?: (name: string) => ReadonlySet<number>
    } = {},
  ) {
    this.scope = scope
    this.#sources = sources
    this.#brought = options.brought ?? new Set()
    this.#touched = options.touched ?? this.#brought
    this.#assumed = options.assumed ?? new Map()
    this.#watched = options.watched ?? (() => new Set())
  }

  /** New functions and tables, those that others use first. */
  get pieces(): readonly Piece[] {
    return this.#pieces
  }

  /** What the new tables hold that cannot be judged. */
  get tableHoles(): readonly string[] {
    return [...this.#tables.values()].flatMap((t) => t?.holes ?? [])
  }

  /** The new functions that were translated, by C name. */
  get newFunctions(): ReadonlyMap<string, NewFunction> {
    const made = [...this.#functions].flatMap(([name, f]) =>
      f === undefined ? [] : [[name, f] as const],
    )
    return new Map(made)
  }

  isTouched(name: string): boolean {
    return this.#touched.has(name)
  }

  assumed(name: string): readonly string[] | undefined {
    return this.#assumed.get(name)
  }

  /** A function in the place of the model's. */
  inPlace(f: CFunction, target: ModelFunction): Translated {
    return translateInPlace(this, f, target, this.#watched(f.name))
  }

  newFunction(name: string): NewCallee | undefined {
    if (this.#functions.has(name)) return calleeOf(this.#functions.get(name))
    if (!this.#brought.has(name) && this.scope.callee(name) !== undefined) return undefined
    const found = this.#sources.functionNamed(name)
    if (found === undefined || this.#assumed.has(name)) return undefined
    // While it is under way nobody else can call it: a recursion is a hole.
    this.#functions.set(name, undefined)
    try {
      const translated = translateNew(this, found.f, this.#slotOf(name), this.#watched(name))
      const made = newModelFunction(name, found.file, translated)
      this.#functions.set(name, { file: found.file, model: made, translated })
      this.#pieces.push({
        name: made.ts,
        text: `fn(${translated.text})`,
        comment: `${found.file} ${name}.`,
      })
      return calleeOf(this.#functions.get(name))
    } catch (error) {
      if (!(error instanceof Hole)) throw error
      return undefined
    }
  }

  newTable(name: string): NewTable | undefined {
    if (this.#tables.has(name)) return this.#tables.get(name)
    const table = this.#sources.tableNamed(name)
    const type = table === undefined ? undefined : this.scope.opsOfStruct(table.struct)
    if (table === undefined || type === undefined || this.scope.tableNamed(name) !== undefined) {
      return undefined
    }
    const filled = table.slots.flatMap(([slot, value]) => this.#filled(name, type, slot, value))
    const made: NewTable = {
      ts: `${camelCase(name)}$`,
      of: type.ts,
      holes: filled.flatMap((f) => f.holes),
      lacks: filled.find((f) => f.text === undefined)?.holes[0],
    }
    this.#tables.set(name, made)
    const lines = filled.map((f) => `  ${f.text},`).join('\n')
    this.#pieces.push({
      name: made.ts,
      type: type.ts,
      text: `opsTable({\n  name: '${name}',\n${lines}\n})`,
      comment: `${name}.`,
    })
    return made
  }

  /** A slot of a new table: what fills it, or a trap, or nothing if nobody in the model asks for it. */
  #filled(
    table: string,
    type: ModelOps,
    slot: string,
    value: string,
  ): { readonly text?: string; readonly holes: readonly string[] }[] {
    // The module that it belongs to, whom a reference keeps: the model unloads none.
    if (slot === 'owner' || value === 'NULL') return []
    const plain = PLAIN_SLOTS[`${slot} = ${value}`]
    if (plain !== undefined) return [{ text: plain, holes: [] }]
    const ts = SLOTS[slot] ?? camelCase(slot)
    const shape = type.slots[ts]
    if (shape === undefined) {
      return [{ holes: [`the model has no operation ${slot}, which ${table} has`] }]
    }
    const fresh = this.newFunction(value)
    const f = fresh?.model ?? this.scope.callee(value) ?? this.#elsewhere(value)
    const holes = (fresh?.holes ?? []).map((h) => h.reason)
    if (f !== undefined) return [{ text: `${ts}: ${f.ts}`, holes }]
    const reason = `.${slot} of ${table} is ${value}(), which is not in the model`
    const body = `(): Kernel<${shape.returns}> {\n  hole(${JSON.stringify(reason)})\n}`
    const trap = `${camelCase(table)}_${ts}$`
    this.#pieces.push({ name: trap, text: `fn(function* ${value}${body})`, comment: `${reason}.` })
    return [{ text: `${ts}: ${trap}`, holes: [reason] }]
  }

  /** A helper of the kernel's that so far only another design has written down. */
  #elsewhere(name: string): ModelFunction | undefined {
    if (!name.startsWith('noop_')) return undefined
    return this.scope.dictionary.functions.find((f) => f.c === name)
  }

  /** How a new function is called, if a table of the sources has it. */
  #slotOf(name: string): Shape | undefined {
    for (const type of this.scope.dictionary.ops) {
      const slot = this.#slotIn(type.ts, name)
      if (slot !== undefined) return slot
    }
    return undefined
  }

  #slotIn(ops: string, name: string): Shape | undefined {
    for (const table of this.tablesWith(name)) {
      const type = this.scope.opsOfStruct(table.struct)
      if (type?.ts !== ops) continue
      const entry = table.slots.find(([, value]) => value === name)
      const slot = entry && type.slots[SLOTS[entry[0]] ?? camelCase(entry[0])]
      if (slot !== undefined) return slot
    }
    return undefined
  }

  /** The tables of the sources that name a function. */
  tablesWith: (name: string) => readonly CTable[] = () => []
}

function calleeOf(f: NewFunction | undefined): NewCallee | undefined {
  if (f === undefined) return undefined
  const { taken, holes, assumptions } = f.translated
  return { model: f.model, args: taken.map((i) => `$${i}`), holes, assumptions }
}

function newModelFunction(c: string, file: string, translated: Translated): ModelFunction {
  return {
    c,
    ts: `${camelCase(c)}$`,
    file,
    place: '',
    kind: 'generator',
    params: translated.params,
    returns: translated.returns,
    models: undefined,
    simplifies: undefined,
    source: '',
  }
}

/**
 * The dictionary as one design sees it: which bodies run, through which slot each is called, and
 * which structs, constants and tables there are.
 */
import type { Dictionary, ModelFunction, ModelOps, ModelStruct, ModelValue } from './dictionary.js'

/** What runs where another function was called: the places of both. */
export interface Substitution {
  readonly of: string
  readonly by: string
}

/** A design, as far as the dictionary needs to know it. */
export interface DesignFacts {
  readonly id: string
  readonly profile: string
  /** File below src/ that declares the design, without extension. */
  readonly file: string
  /** All replacements in order, its bases' first. */
  readonly substitutions: readonly Substitution[]
}

export class Scope {
  readonly dictionary: Dictionary
  readonly design: DesignFacts
  readonly #byC = new Map<string, ModelFunction[]>()
  readonly #byTs = new Map<string, ModelFunction>()
  readonly #structs = new Map<string, ModelStruct>()
  readonly #structByC = new Map<string, ModelStruct>()
  readonly #ops = new Map<string, ModelOps>()
  readonly #values = new Map<string, ModelValue>()
  readonly #byPlace = new Map<string, ModelFunction>()
  /** The slot to the body that runs when it is called, by place. */
  readonly #active = new Map<string, string>()
  readonly #announced: ReadonlySet<string>
  readonly #files: ReadonlySet<string>

  constructor(dictionary: Dictionary, design: DesignFacts) {
    this.dictionary = dictionary
    this.design = design
    this.#announced = new Set(dictionary.announced)
    this.#files = reachable(dictionary, design.file)
    const here = <T extends { file: string }>(list: readonly T[]): T[] =>
      list.filter((x) => this.isHere(x.file))
    for (const f of here(dictionary.functions)) {
      this.#byC.set(f.c, [...(this.#byC.get(f.c) ?? []), f])
      this.#byTs.set(f.ts, f)
      if (f.place === '') continue
      this.#byPlace.set(f.place, f)
      this.#active.set(f.place, f.place)
    }
    for (const s of here(dictionary.structs)) {
      this.#structs.set(s.ts, s)
      this.#structByC.set(s.c, s)
    }
    for (const o of here(dictionary.ops)) this.#ops.set(o.ts, o)
    for (const v of here(dictionary.values)) this.#values.set(v.ts, v)
    for (const { of, by } of design.substitutions) this.#active.set(of, by)
  }

  /** Does code of this file run in the design? */
  isHere(file: string): boolean {
    if (file.startsWith('designs/') || file.includes('/v7_4/')) return this.#files.has(file)
    return !file.includes('/v6_18/') || this.design.profile === '6.18'
  }

  struct(ts: string): ModelStruct | undefined {
    return this.#structs.get(ts)
  }

  structNamed(c: string): ModelStruct | undefined {
    return this.#structByC.get(c)
  }

  structs(): Iterable<ModelStruct> {
    return this.#structs.values()
  }

  ops(ts: string): ModelOps | undefined {
    return this.#ops.get(ts)
  }

  /** The interface whose C name this is: `address_space_operations` is `AddressSpaceOps`. */
  opsOfStruct(c: string): ModelOps | undefined {
    const plain = (name: string): string =>
      name
        .toLowerCase()
        .replaceAll('_', '')
        .replace(/struct$/, '')
        .replace(/operations$|ops$/, '')
    return [...this.#ops.values()].find((o) => plain(o.ts) === plain(c))
  }

  value(ts: string): ModelValue | undefined {
    return this.#values.get(ts)
  }

  /** A table of operations by its name in C. */
  tableNamed(c: string): ModelValue | undefined {
    return [...this.#values.values()].find((v) => v.c === c)
  }

  functionTs(ts: string): ModelFunction | undefined {
    return this.#byTs.get(ts)
  }

  /** The file that declares a name. */
  fileOf(name: string): string | undefined {
    return (
      this.#byTs.get(name)?.file ??
      this.#structs.get(name)?.file ??
      this.#values.get(name)?.file ??
      this.#ops.get(name)?.file ??
      this.dictionary.types[name] ??
      // A helper that only another design has written down.
      this.dictionary.functions.find((f) => f.ts === name)?.file
    )
  }

  isAnnounced(struct: string, field: string): boolean {
    return this.#announced.has(`${struct}.${field}`)
  }

  /** The bodies that run for a C name: what a patch of the function replaces. */
  bodies(c: string): ModelFunction[] {
    const all = (this.#byC.get(c) ?? []).filter((f) => f.place !== '')
    const running = all.filter((f) => this.slotOf(f) !== undefined)
    const newest = running.filter((f) => f.file.includes('/v6_18/'))
    if (newest.length > 0) return newest
    const own = running.filter((f) => f.file.startsWith('designs/'))
    return own.length > 0 ? own : running
  }

  /** What C code calls by this name: a slot of the kernel's table, or a helper. */
  callee(c: string): ModelFunction | undefined {
    const [body] = this.bodies(c)
    if (body !== undefined) return this.slotOf(body)
    return (this.#byC.get(c) ?? []).find((f) => f.kind === 'helper')
  }

  /** The function in whose place a body runs; undefined if nobody can call it. */
  slotOf(body: ModelFunction): ModelFunction | undefined {
    let own: ModelFunction | undefined
    for (const [of, by] of this.#active) {
      if (by !== body.place) continue
      const slot = this.#byPlace.get(of)
      if (slot !== undefined && slot !== body) return slot
      own = slot ?? own
    }
    return own
  }

  /** Running functions that say that they model this one, whatever their name. */
  modelling(c: string): ModelFunction[] {
    const word = new RegExp(`\\b${c}\\b`)
    return [...this.#byTs.values()].filter(
      (f) => f.place !== '' && word.test(f.models ?? '') && this.slotOf(f) !== undefined,
    )
  }

  /** All functions that the design's code can name, helpers too. */
  all(): Iterable<ModelFunction> {
    return this.#byTs.values()
  }

  /** All running functions. */
  running(): ModelFunction[] {
    return [...this.#byTs.values()].filter((f) => f.place !== '' && this.slotOf(f) !== undefined)
  }
}

/** The files that a design's file imports, through the files of other designs. */
function reachable(dictionary: Dictionary, file: string): ReadonlySet<string> {
  const found = new Set([file])
  for (const f of found) for (const to of dictionary.imports[f] ?? []) found.add(to)
  return found
}

/**
 * What the project's own sources declare, as data: the words into which C is translated. The build
 * harvests it (`harvest.ts`); nobody writes it by hand.
 */

export interface Param {
  readonly name: string
  /** As written: `Folio | null`. */
  readonly type: string
}

export interface ModelFunction {
  /** C's spelling, and the project's. */
  readonly c: string
  readonly ts: string
  /** Below src/, without extension. */
  readonly file: string
  /** Where the body is written, as the kernel's table has it; '' for a helper. */
  readonly place: string
  /** Preemptible; runs to completion and can be replaced; an ordinary function. */
  readonly kind: 'generator' | 'plain' | 'helper'
  readonly params: readonly Param[]
  readonly returns: string
  /** What follows `Models:` and `Simplifies:` in its comment. */
  readonly models: string | undefined
  readonly simplifies: string | undefined
  /** The function expression, or a helper's declaration, as written. */
  readonly source: string
  /** What it declares in its body, and of which type. */
  readonly locals?: Readonly<Record<string, string>>
}

export interface ModelStruct {
  readonly ts: string
  readonly c: string
  readonly file: string
  /** Field to type, as written. */
  readonly fields: Readonly<Record<string, string>>
}

/** A table of operations: an interface whose members are slots. */
export interface ModelOps {
  readonly ts: string
  readonly file: string
  readonly slots: Readonly<
    Record<string, { readonly params: readonly Param[]; readonly returns: string }>
  >
}

/** A constant or a table: its name, where it is, and its type. */
export interface ModelValue {
  readonly ts: string
  readonly file: string
  readonly type: string
  /** Of a table of operations: its name in C, and the functions in its slots. */
  readonly c?: string
  readonly slots?: Readonly<Record<string, string>>
}

export interface Dictionary {
  readonly functions: readonly ModelFunction[]
  readonly structs: readonly ModelStruct[]
  readonly ops: readonly ModelOps[]
  readonly values: readonly ModelValue[]
  /** Exported types that are neither: file by name. */
  readonly types: Readonly<Record<string, string>>
  /** `Struct.field` that somebody announces an access to. */
  readonly announced: readonly string[]
  /** What each file of the designs imports of the project. */
  readonly imports: Readonly<Record<string, readonly string[]>>
  /** Design id to the file and the name that export it. */
  readonly designs: Readonly<Record<string, { readonly file: string; readonly name: string }>>
}

/** The dictionary as the build wrote it. */
export function readDictionary(text: string): Dictionary {
  return JSON.parse(text, withoutPrototype) as Dictionary
}

/** A C name may be that of something every object has, and is no word for that. */
function withoutPrototype(_key: string, value: unknown): unknown {
  const isRecord = Object.prototype.toString.call(value) === '[object Object]'
  return isRecord ? Object.setPrototypeOf(value, null) : value
}

/** `shmemGetFolio` → `shmem_get_folio`. */
export function snakeCase(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/([A-Z]+)([A-Z][a-z])/g, '$1_$2')
    .toLowerCase()
}

/** `__shmem_get_folio` → `__shmemGetFolio`. */
export function camelCase(name: string): string {
  return name.replace(/(?<=[A-Za-z0-9])_+([A-Za-z0-9])/g, (_, c: string) => c.toUpperCase())
}

/**
 * `6.18 mm/shmem.c shmem_fallocate`: what the comment of a kernel function names first, by its C
 * name; of the file of a version where several versions have one.
 */
export function modelsOf(
  { functions }: Dictionary,
  cName: string,
  version: string,
): string | undefined {
  const named = functions.flatMap(({ c, models }) => (c === cName && models ? [models] : []))
  const best = named.find((models) => models.startsWith(`${version} `)) ?? named[0]
  return best?.split(/[.,;](?: |$)/)[0]
}

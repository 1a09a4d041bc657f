/**
 * Whether the C of a function is what it was in another version: its words and signs in order, after
 * comments, attributes and what is not compiled are gone. Only hashes of that are kept.
 */
import type { CFunction } from './c/functions.js'
import type { TreeFile } from './calibrate.js'
import type { Dictionary, ModelFunction } from './model/dictionary.js'
import { isOfPart } from './targets.js'

/** What is hashed. */
export function tokensOf({ node }: CFunction): string {
  return (node.text.match(/"(?:\\.|[^"\\])*"|\w+|[^\s\w]/g) ?? []).join(' ')
}

export interface Found {
  readonly c: string
  readonly file: string
  readonly tokens: string
  readonly model: ModelFunction
}

/** The functions of a tree that the model has, each once: where the model says, or in any file. */
export function modelledIn(files: readonly TreeFile[], { functions }: Dictionary): Found[] {
  const found = new Map<string, Found>()
  for (const model of functions.filter((f) => f.place !== '')) {
    if (found.has(model.c)) continue
    const some = files.filter((f) => f.functions.has(model.c) && isOfPart(model, f.path))
    const file = some.find((f) => model.models?.includes(f.path)) ?? some[0]
    const f = file?.functions.get(model.c)
    if (file === undefined || f === undefined) continue
    found.set(model.c, { c: model.c, file: file.path, tokens: tokensOf(f), model })
  }
  return [...found.values()].sort((a, b) => (a.c < b.c ? -1 : 1))
}

/** Hashes by function and version, as they come with the project. */
export interface Hashes {
  readonly schema: 1
  /** Version to what it was taken from. */
  readonly versions: Readonly<Record<string, string>>
  /** C name to version to the hash. */
  readonly functions: Readonly<Record<string, Readonly<Record<string, string>>>>
}

/** The version that a function says it models; of several the first. */
export function citedVersion({ models }: ModelFunction): string | undefined {
  return /(?<![\d.])(\d+\.\d+)(?!\d)/.exec(models ?? '')?.[1]
}

/**
 * The order in which things that modules declare are numbered. It is that of what is written, never
 * that in which the modules were loaded, which is the choice of a bundler and, in a circle of
 * imports, of who began; and no two may be alike, or their order is the choice of an engine.
 */
export function inOrder<T>(declared: readonly T[], nameOf: (thing: T) => string): T[] {
  const byName = new Map<string, T>()
  for (const thing of declared) {
    const name = nameOf(thing)
    if (byName.has(name)) throw new Error(`${name} is declared twice: which of them comes first?`)
    byName.set(name, thing)
  }
  return [...byName.keys()].sort().map((name) => byName.get(name) as T)
}

/** What the dictionary must know of a design: which body runs in which place. */
import { type Design, replacementsOf } from '../designs/design.js'
import { allBodies, type FnTag } from '../machine/fn.js'
import type { Dictionary } from './model/dictionary.js'
import { Scope } from './model/scope.js'

/** The scope of a built-in design. */
export function scopeOf(design: Design, dictionary: Dictionary): Scope {
  const home = dictionary.designs[design.id]
  if (home === undefined) throw new Error(`the dictionary has no design ${design.id}`)
  return new Scope(dictionary, {
    id: design.id,
    profile: design.profile,
    file: home.file,
    substitutions: replacementsOf(design).map(({ of, by }) => ({
      of: placeOf(of),
      by: placeOf(by),
    })),
  })
}

/** Where a function is written. */
function placeOf(f: FnTag): string {
  return allBodies()[f.id]?.place ?? ''
}

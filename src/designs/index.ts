/**
 * The designs that come with the project, in the order of the matrix: by Linux version, each before
 * those that build on it, small families first. Which there are the build finds out: a file here
 * that exports what `defineDesign` returns is a design.
 */
import { BUILT_IN } from './built-in.js'
import { type Design, PROFILES } from './design.js'

/** The built-in design that another one is a diff of; undefined if there is none. */
function baseOf({ base }: Design): Design | undefined {
  return base !== undefined && BUILT_IN.includes(base) ? base : undefined
}

function family(base: Design | undefined): Design[] {
  return BUILT_IN.filter((d) => baseOf(d) === base)
    .map((d) => [d, ...family(d)] as const)
    .sort(
      ([a, ...mine], [b, ...yours]) =>
        PROFILES.indexOf(a.profile) - PROFILES.indexOf(b.profile) ||
        mine.length - yours.length ||
        (a.id < b.id ? -1 : 1),
    )
    .flat()
}

const ALL = family(undefined)

export const DESIGNS: readonly Design[] = ALL.filter((d) => !d.onlyNamed)

/** Those that are in no matrix of all scenarios, since only some are about what they do. */
export const NAMED_DESIGNS: readonly Design[] = ALL.filter((d) => d.onlyNamed)

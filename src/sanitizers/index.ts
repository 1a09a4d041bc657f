/**
 * All sanitizers, in the order in which findings of one step are told. Which there are the build
 * finds out: a file here that exports a `Sanitizer` is one.
 */
import { BUILT_IN } from './built-in.js'
import { demanded, groundText } from './ground.js'
import type { FindingKind, Judgement, Sanitizer } from './sanitizer.js'

/** What says most of a fault comes first: an access that went wrong, then what it led to. */
const ORDER: readonly Judgement[] = ['access', 'assertion', 'call', 'state', 'end', 'progress']

function rank({ kinds }: Sanitizer): number {
  return Math.min(...kinds.map((k) => ORDER.indexOf(k.judgement)))
}

const ORDERED = [...BUILT_IN].sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1))

export const SANITIZERS: readonly Sanitizer[] = ORDERED.filter((s) => s.host === undefined)

/** Those of one host each. */
export const HOST_SANITIZERS: readonly Sanitizer[] = ORDERED.filter((s) => s.host !== undefined)

/** The judges of a machine: of every one, or of one with this host. */
export function sanitizersOn(machine: string | undefined): readonly Sanitizer[] {
  return [...SANITIZERS, ...HOST_SANITIZERS.filter((s) => s.host === machine)]
}

/** What a scenario itself can demand of an execution. */
const OF_SCENARIOS: readonly FindingKind[] = [
  {
    id: 'condition-violated',
    judgement: 'demand',
    sentence: "A condition that the scenario says holds always, or never, doesn't.",
    why: [demanded()],
  },
  {
    id: 'unexpected-result',
    judgement: 'demand',
    sentence: 'A call returned something else than the scenario says in place.',
    why: [demanded()],
  },
]

/** A kind of finding, and in one line why it is a rule. */
export interface ListedKind extends FindingKind {
  readonly source: string
}

/** Every finding that can be reported. */
export const FINDING_KINDS: readonly ListedKind[] = [
  ...[...SANITIZERS, ...HOST_SANITIZERS].flatMap((s) => s.kinds),
  ...OF_SCENARIOS,
].map((k) => ({ ...k, source: k.why.map(groundText).join('; ') }))

const byId = new Map(FINDING_KINDS.map((k) => [k.id, k]))

/** What kind of finding an id names; undefined for one that no sanitizer has. */
export function findingKind(id: string): ListedKind | undefined {
  return byId.get(id)
}

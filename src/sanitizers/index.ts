/** All sanitizers, in the order in which findings of one step are told. */
import { assertions } from './assertions.js'
import { bindings } from './bindings.js'
import { demanded, groundText } from './ground.js'
import { invalidation } from './invalidation.js'
import { leaks } from './leaks.js'
import { lockOrder } from './lock-order.js'
import { memory } from './memory.js'
import { nullDereference } from './null-dereference.js'
import { pageContent } from './page-content.js'
import { pkvm } from './pkvm.js'
import { poison } from './poison.js'
import { progress } from './progress.js'
import { references } from './references.js'
import { rmp } from './rmp.js'
import type { FindingKind, Sanitizer } from './sanitizer.js'
import { secondaryMmu } from './secondary-mmu.js'
import { sleepInAtomic } from './sleep-in-atomic.js'
import { tdx } from './tdx.js'

export const SANITIZERS: readonly Sanitizer[] = [
  memory,
  nullDereference,
  assertions,
  references,
  leaks,
  lockOrder,
  sleepInAtomic,
  progress,
  secondaryMmu,
  invalidation,
  poison,
  pageContent,
  bindings,
]

/** Those of one host each. */
export const HOST_SANITIZERS: readonly Sanitizer[] = [rmp, tdx, pkvm]

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

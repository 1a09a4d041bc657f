/**
 * A design is what a patch series changes: a base and a few replaced kernel functions. It is run
 * by activating its replacements; the kernel never asks which design is running.
 */
import type { Pfn } from '../kernel/include/types.js'
import { LINUX_6_18 } from '../kernel/v6_18/index.js'
import type { FnTag, Replacement, SlotReplacement } from '../machine/fn.js'

/** The Linux versions that a design can be a diff of, the oldest first. */
export const PROFILES = ['6.2', '6.18'] as const
export type Profile = (typeof PROFILES)[number]

const CHANGES: Readonly<Record<Profile, readonly Replacement[]>> = {
  '6.2': [],
  '6.18': LINUX_6_18,
}

/** The machine under a kernel, in the version that goes with a design; see `hosts/host.ts`. */
export interface Platform {
  readonly id: string
  /** Which of the machines it is; several hosts may be versions of one. */
  readonly machine: string
  /** Linux's side of it, and the guests and VMMs that live on it. */
  readonly replaces: readonly Replacement[]
  /** Runs before the kernel boots: what the machine has at power-on. */
  readonly init: FnTag | undefined
  /** Classes of the locks that its side of Linux brings. */
  readonly locks: readonly string[]
  /** Whose a frame is for the hardware, in its own words; for who looks at a state. */
  readonly ownerOf: ((pfn: Pfn) => string) | undefined
}

export interface Design {
  /** Stable id, lower case. */
  readonly id: string
  /** One sentence: what it changes. */
  readonly summary: string
  /** The design that it is a diff of; undefined for a diff of the kernel itself. */
  readonly base: Design | undefined
  /** Linux version whose behaviour the kernel has. */
  readonly profile: Profile
  /** Message-ids or commits that it was written from. */
  readonly cite: readonly string[]
  /** Replaced functions of this design alone. */
  readonly replaces: readonly Replacement[]
  /** Slots of tables of operations that it fills otherwise, behind those of its bases. */
  readonly slots: readonly SlotReplacement[]
  /** Runs once when the kernel boots, like an initcall; takes no arguments. */
  readonly init: FnTag | undefined
  /** Classes of the locks that it brings, as they are named where they are initialised. */
  readonly locks: readonly string[]
  /** The host that it runs on; undefined for a machine that protects no memory. */
  readonly host: Platform | undefined
  /** What a scenario expects of its base it expects of this one, where it does not name it. */
  readonly asBase: boolean
  /** Runs only in scenarios that name it: what others ask of a VMM it has no call for. */
  readonly onlyNamed: boolean
}

interface Definition {
  readonly id: string
  readonly summary: string
  readonly base?: Design
  /** Of a design without a base; 6.2 if not said. */
  readonly profile?: Profile
  readonly cite: readonly string[]
  readonly replaces: readonly Replacement[]
  readonly slots?: readonly SlotReplacement[]
  readonly init?: FnTag
  readonly locks?: readonly string[]
  /** For a design that is younger than scenarios which speak of all others. */
  readonly asBase?: true
  /** For a design whose calls are not those of the others. */
  readonly onlyNamed?: true
}

/** Declare a design. What it does not name it inherits from its base. */
export function defineDesign(definition: Definition): Design {
  const { id, summary, base, cite, replaces, slots = [], init, locks = [] } = definition
  if (!/^[a-z0-9][a-z0-9.-]*$/.test(id)) throw new Error(`"${id}" is no id for a design`)
  const profile = base?.profile ?? definition.profile ?? '6.2'
  const inherited = {
    slots: [...(base?.slots ?? []), ...slots],
    init: init ?? base?.init,
    locks: [...(base?.locks ?? []), ...locks],
    host: base?.host,
  }
  const asBase = definition.asBase === true
  const onlyNamed = definition.onlyNamed === true || base?.onlyNamed === true
  return { id, summary, base, profile, cite, replaces, ...inherited, asBase, onlyNamed }
}

/** The replacements of a design and its bases. */
function ownReplacements(design: Design): readonly Replacement[] {
  const before = design.base === undefined ? [] : ownReplacements(design.base)
  return [...before, ...design.replaces]
}

/** Classes of locks beside the kernel's: of the host, of the design's bases, its own. */
export function locksOf({ host, locks }: Design): readonly string[] {
  return [...(host?.locks ?? []), ...locks]
}

/** All replacements: those of the Linux version, of the host, of the design's bases, its own. */
export function replacementsOf(design: Design): readonly Replacement[] {
  const host = design.host?.replaces ?? []
  return [...CHANGES[design.profile], ...host, ...ownReplacements(design)]
}

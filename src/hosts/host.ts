/**
 * A host is the machine under the kernel: what the hardware and its firmware do with guest memory,
 * and the half of KVM that drives them. It is chosen like a design, and has versions: which one
 * goes with a design is decided by the design's Linux profile. A host that is not chosen has no
 * object in the state and no function in the kernel.
 */
import type { Design, Platform, Profile } from '../designs/design.js'
import type { Pfn } from '../kernel/include/types.js'
import type { FnTag, Replacement } from '../machine/fn.js'

/**
 * Hosts by id, and which machine each is. A machine has several where it, or what Linux does with
 * it, has come in versions. The plain name, if there is one, goes by the design's own Linux. `sw`
 * is a machine that protects nothing: private memory is what comes from the file.
 */
export const MACHINE_OF = {
  sw: 'sw',
  snp: 'snp',
  'snp-7.0': 'snp',
  'snp-7.3': 'snp',
  'tdx-6.18': 'tdx',
  'tdx-6.19': 'tdx',
  'pkvm-7.0': 'pkvm',
  'pkvm-7.1': 'pkvm',
} as const
export type HostId = keyof typeof MACHINE_OF
export type Machine = (typeof MACHINE_OF)[HostId]

export const HOST_IDS = Object.keys(MACHINE_OF) as readonly HostId[]
export const MACHINES: readonly Machine[] = [...new Set(Object.values(MACHINE_OF))]

/** The kernel's side of a host in one version, and where it was read. */
export interface HostVersion {
  /** Only this design and what builds on it; undefined for every design of the profile. */
  readonly over?: Design
  readonly replaces: readonly Replacement[]
  readonly cite: readonly string[]
}

/** A state of a page, or a code with which hardware or firmware answers, in its own spelling. */
export interface HostWord {
  readonly name: string
  /** Of a code: its number. */
  readonly value?: number
  readonly text: string
  readonly source: string
}

export interface Host {
  readonly id: HostId
  /** One sentence: who owns a guest's page, and who sees to it. */
  readonly summary: string
  /** The words of its tables. */
  readonly words: readonly HostWord[]
  /** Designs that make sense on this host alone. */
  readonly own?: readonly Design[]
  /** Makes what the machine has at power-on. */
  readonly init: FnTag | undefined
  /** Classes of the locks that its side of Linux brings, if any. */
  readonly locks?: readonly string[]
  /** Whose a frame is for the hardware, in its own words; for who looks at a state. */
  readonly ownerOf?: (pfn: Pfn) => string
  /** By the design's profile. A profile that is missing has no support for this host. */
  readonly versions: Readonly<Partial<Record<Profile, HostVersion>>>
}

/** Is this the design, or one that it is a diff of? */
function buildsOn(design: Design | undefined, base: Design): boolean {
  return design !== undefined && (design === base || buildsOn(design.base, base))
}

/** Does a design run on this host? */
export function supports(host: Host, design: Design): boolean {
  const version = host.versions[design.profile]
  if (version === undefined) return false
  return version.over === undefined || buildsOn(design, version.over)
}

/** The design on a host: the same series on another machine, with the id `design@host`. */
export function onHost(design: Design, host: Host): Design {
  const version = host.versions[design.profile]
  if (version === undefined || !supports(host, design)) {
    throw new Error(`${host.id} has no version that goes with ${design.id}`)
  }
  const { id, init, locks = [], ownerOf } = host
  const { replaces } = version
  const platform: Platform = { id, machine: MACHINE_OF[id], replaces, init, locks, ownerOf }
  return { ...design, id: `${design.id}@${host.id}`, host: platform }
}

/** The hosts that can be chosen, in the order of the tables; `sw` is the machine without one. */
import type { Design } from '../designs/design.js'
import { DESIGNS, NAMED_DESIGNS } from '../designs/index.js'
import { type Host, type HostWord, MACHINE_OF, type Machine, onHost, supports } from './host.js'
import { pkvm70, pkvm71 } from './pkvm/index.js'
import { snp, snp70, snp73 } from './snp/index.js'
import { tdx618, tdx619 } from './tdx/index.js'

export const HOSTS: readonly Host[] = [snp, snp70, snp73, tdx618, tdx619, pkvm70, pkvm71]

/** The hosts that are this machine, in their order; none for `sw`. */
export function hostsOf(machine: Machine): readonly Host[] {
  return HOSTS.filter((h) => MACHINE_OF[h.id] === machine)
}

/** The designs that run on a machine, each with the id `design@host`; on `sw` as they are. */
export function designsOn(machine: Machine): readonly Design[] {
  const everywhere = [...DESIGNS, ...NAMED_DESIGNS]
  if (machine === 'sw') return everywhere
  return hostsOf(machine).flatMap((h) =>
    [...everywhere.filter((d) => supports(h, d)), ...(h.own ?? [])].map((d) => onHost(d, h)),
  )
}

/** Ids of the designs that come with the project, those that one host alone has included. */
export function designIds(): readonly string[] {
  return [...designsOn('sw'), ...HOSTS.flatMap((h) => h.own ?? [])].map((d) => d.id)
}

/** Every design on every host. */
export const DESIGNS_ON_HOSTS: readonly Design[] = HOSTS.flatMap((h) =>
  designsOn(MACHINE_OF[h.id]).filter((d) => d.host?.id === h.id),
)

/** The built-in design of this name, `upm` or `upm@snp`. */
export function designNamed(name: string): Design | undefined {
  return [...designsOn('sw'), ...DESIGNS_ON_HOSTS].find((d) => d.id === name)
}

/** The words of all hosts, each once. */
export function hostWords(): readonly HostWord[] {
  const words = HOSTS.flatMap((h) => h.words)
  return words.filter((w, i) => words.findIndex((v) => v.name === w.name) === i)
}

/** The hosts that can be chosen, in the order of the tables; `sw` is the machine without one. */
import type { Design } from '../designs/design.js'
import { DESIGNS } from '../designs/index.js'
import { type Host, type HostId, onHost, supports } from './host.js'
import { snp } from './snp/index.js'

export const HOSTS: readonly Host[] = [snp]

/** The designs that run on a host, each with the id `design@host`; on `sw` the designs themselves. */
export function designsOn(id: HostId): readonly Design[] {
  if (id === 'sw') return DESIGNS
  const host = HOSTS.find((h) => h.id === id)
  if (host === undefined) return []
  return DESIGNS.filter((d) => supports(host, d)).map((d) => onHost(d, host))
}

/** Every design on every host. */
export const DESIGNS_ON_HOSTS: readonly Design[] = HOSTS.flatMap((h) => designsOn(h.id))

/** The built-in design of this name, `upm` or `upm@snp`. */
export function designNamed(name: string): Design | undefined {
  return [...DESIGNS, ...DESIGNS_ON_HOSTS].find((d) => d.id === name)
}

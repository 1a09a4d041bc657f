/** Names that a scenario may use. */
import { designIds } from '../hosts/index.js'
import type { Known } from '../litmus/scenario.js'
import { FINDING_KINDS } from '../sanitizers/index.js'

/** What a scenario may name: built-in designs, those in addition, and findings. */
export function knownNames(designs: readonly string[] = []): Known {
  return {
    designs: [...new Set([...designIds(), ...designs])],
    findings: FINDING_KINDS.map((k) => k.id),
  }
}

/** What the parent and the oracle worker say to each other. */
import type { Op, Result } from '../conform/program.js'
import type { Capabilities } from './probe.js'
import type { Race } from './race.js'

export type Request =
  | { readonly kind: 'probe' }
  | { readonly kind: 'race'; readonly ms: number }
  | { readonly kind: 'run'; readonly programs: readonly (readonly Op[])[] }

export type Reply =
  | { readonly kind: 'ready' }
  | { readonly kind: 'none'; readonly reason: string }
  | { readonly kind: 'probed'; readonly capabilities: Capabilities }
  | { readonly kind: 'raced'; readonly race: Race }
  | { readonly kind: 'ran'; readonly results: readonly (readonly Result[])[] }
  | { readonly kind: 'bug'; readonly text: string }

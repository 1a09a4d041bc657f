/**
 * The host and a TD's memory. Nobody stops it: what it loads is ciphertext, and what it stores takes
 * away the integrity of the line, so that the TD dies of a machine check when it reads it.
 */
import type { Folio } from '../../kernel/include/mm.js'
import { alsoReads } from '../../machine/effects.js'
import { tracepoint } from '../../machine/fault.js'
import { fn } from '../../machine/fn.js'
import { isCovered, PT_NDA, pamtOf } from './module.js'

/** A store goes through, whoever's the page is. */
export const tdxHostMayStore = fn(function host_may_store(folio: Folio): boolean {
  if (!isCovered(folio.pfn)) return true
  const pamt = pamtOf(folio.pfn)
  alsoReads(pamt, 'type')
  if (pamt.type !== PT_NDA) tracepoint('tdx_host_store', folio)
  return true
})

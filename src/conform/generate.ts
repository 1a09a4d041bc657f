/** Random programs, by family. The same family and seed give the same program. */
import { guestProgram } from './generate-guest.js'
import { guestMemfdProgram } from './generate-guest-memfd.js'
import { guestMemoryProgram } from './generate-guest-memory.js'
import { memfdProgram } from './generate-memfd.js'
import { memoryProgram } from './generate-memory.js'
import { guestPageProgram, pageProgram } from './generate-page.js'
import { secretmemProgram } from './generate-secretmem.js'
import type { Op } from './program.js'
import { Random } from './random.js'

export const FAMILIES = [
  'memfd',
  'guest_memfd',
  'guest',
  'secretmem',
  'memory',
  'page',
  'guest_page',
  'guest_memory',
] as const
export type Family = (typeof FAMILIES)[number]

/** Calls in a program, those that open its first files included. */
export const CALLS = 20

const GENERATORS: Readonly<Record<Family, (random: Random, calls: number) => Op[]>> = {
  memfd: memfdProgram,
  guest_memfd: guestMemfdProgram,
  guest: guestProgram,
  secretmem: secretmemProgram,
  memory: memoryProgram,
  page: pageProgram,
  guest_page: guestPageProgram,
  guest_memory: guestMemoryProgram,
}

export function generate(family: Family, seed: number): Op[] {
  return GENERATORS[family](new Random(seed), CALLS)
}

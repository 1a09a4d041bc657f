/**
 * Pages that the kernel has given up: they could not be taken back from a guest or from firmware, so
 * nobody may use them again. They are kept on a list, whose spinlock guards it, and nothing else
 * keeps them: no reference is taken, and who has one yet may free the page all the same.
 */
import type { Folio } from '../../kernel/include/mm.js'
import type { Pfn } from '../../kernel/include/types.js'
import { LimitError } from '../../machine/fault.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { type Spinlock, spinLock, spinLockInit, spinUnlock } from '../../machine/locks.js'
import {
  constructAt,
  embed,
  num,
  type Obj,
  type Struct,
  struct,
  type Vec,
  vec,
} from '../../machine/struct.js'

/** More are never lost in one execution. */
const MAX_LEAKED = 8

/** snp_leaked_pages_list. */
export interface SnpLeakedPages extends Obj {
  lock: Spinlock
  length: number
  /** Frames in the order in which they were given up. */
  pfns: Vec
}

export const SnpLeakedPages: Struct<SnpLeakedPages> = struct<SnpLeakedPages>(
  'SnpLeakedPages',
  { lock: embed('Spinlock'), length: num(), pfns: vec(MAX_LEAKED) },
  { capacity: 1 },
)

export function snpLeakedPages(): SnpLeakedPages {
  return SnpLeakedPages.at(SnpLeakedPages.base) as SnpLeakedPages
}

export function snpLeakedInit(): void {
  constructAt(SnpLeakedPages as unknown as Struct<Obj>, SnpLeakedPages.base, 0)
  spinLockInit(snpLeakedPages().lock, 'snp_leaked_pages_list_lock')
}

/** How often a frame is on the list. */
export function timesLeaked(pfn: Pfn): number {
  const { length, pfns } = snpLeakedPages()
  let times = 0
  for (let i = 0; i < length; i++) if (pfns.get(i) === pfn) times++
  return times
}

export const isOnLeakedList = fn(function is_given_up(folio: Folio): boolean {
  return timesLeaked(folio.pfn) > 0
})

/**
 * Put a page on the list.
 *
 * Models: 6.17 arch/x86/virt/svm/sev.c snp_leak_pages. Simplifies: order 0. Compared: 7.0 source.
 */
export const snpLeakPages = fn(function* snp_leak_pages(folio: Folio): Kernel<void> {
  const leaked = snpLeakedPages()
  yield* spinLock(leaked.lock)
  if (leaked.length === MAX_LEAKED) throw new LimitError(`more than ${MAX_LEAKED} pages are lost`)
  leaked.pfns.set(leaked.length, folio.pfn)
  leaked.length += 1
  spinUnlock(leaked.lock)
})

/**
 * Pages of memory that is locked. PG_mlocked is set at once; which list a page is on, and how many
 * locked VMAs map it, is seen to later, when a per-CPU batch of such pages is worked off. An entry
 * of a batch holds a reference meanwhile. What has not been on a list yet gets there that way.
 *
 * The count is kept only while the page is on the unevictable list, and is lost when somebody
 * isolates it: so it may be too low, and a page that one VMA unlocks loses PG_mlocked though
 * another has it locked. It also does if it is unmapped, mapped again, and then met by the drain:
 * seen on 6.18.44. Reclaim, which meets such a page, locks it again.
 *
 * lru_lock, and the lock of the batch, are one step each.
 */
import { alsoReads, alsoWrites, rmw } from '../../machine/effects.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { currentTaskNumber } from '../../machine/task.js'
import { type Folio, mmState } from '../include/mm.js'
import { VM_IO, VM_LOCKED, type VmArea } from '../include/mm_types.js'
import { forEachFolio } from './page_alloc.js'
import { __folioPut, folioPutRefs, pagevecSize } from './swap.js'

/** What is to be done: LRU_FOLIO, NEW_FOLIO, or neither. */
const MLOCK = 1
const MLOCK_NEW = 2
const MUNLOCK = 3
/** An entry in `mlockBatch`: what, and above it whose batch; the oldest is the lowest. */
const WHAT = 3
const WHOSE_SHIFT = 2
const ENTRY_BITS = 6
const ENTRY = (1 << ENTRY_BITS) - 1
const MAX_ENTRIES = 5

/**
 * What a page that is on a list, or will be, has as unevictable.
 *
 * Models: 6.2 mm/internal.h folio_evictable. Compared: 6.17 and 7.0 source.
 */
export function folioEvictable(folio: Folio): boolean {
  if (folio.mlocked) return false
  return folio.mapping === null || !folio.mapping.unevictable
}

/** How many entries of batches a page has, each with a reference. */
export function mlockEntries(folio: Folio): number {
  let count = 0
  for (let rest = folio.mlockBatch; rest !== 0; rest >>= ENTRY_BITS) count++
  return count
}

/**
 * Models: 6.2 mm/mlock.c __mlock_page, later __mlock_folio. Compared: 6.17 and 7.0 source.
 */
function __mlockFolio(folio: Folio): void {
  if (!folio.lru) return
  if (folioEvictable(folio)) {
    // Somebody has cleared PG_mlocked meanwhile.
    folio.unevictable = false
  } else if (folio.unevictable) {
    if (folio.mlocked) folio.mlockCount++
  } else {
    folio.active = false
    folio.unevictable = true
    folio.mlockCount = folio.mlocked ? 1 : 0
  }
}

/**
 * Models: 6.2 mm/mlock.c __mlock_new_page, later __mlock_new_folio. Compared: 6.17 and 7.0 source.
 */
function __mlockNewFolio(folio: Folio): void {
  if (!folioEvictable(folio)) {
    folio.unevictable = true
    folio.mlockCount = folio.mlocked ? 1 : 0
  }
  folio.lru = true
}

/**
 * Models: 6.2 mm/mlock.c __munlock_page, later __munlock_folio. Compared: 6.17 and 7.0 source.
 */
function __munlockFolio(folio: Folio): void {
  if (folio.lru && folio.unevictable) {
    if (folio.mlockCount > 0) folio.mlockCount--
    if (folio.mlockCount > 0) return
  }
  folio.mlocked = false
  if (folio.lru && folio.unevictable && folioEvictable(folio)) folio.unevictable = false
}

/**
 * Do what the entries of a folio in a batch (of one CPU, or of any if 0) ask for, in their order.
 * Returns how many there were: as many references are the caller's now.
 */
function workOff(folio: Folio, batch: number): number {
  alsoWrites(folio, 'mlockBatch')
  alsoReads(folio, 'mapping')
  alsoWrites(folio, 'lru')
  alsoWrites(folio, 'unevictable')
  alsoWrites(folio, 'active')
  alsoWrites(folio, 'mlocked')
  alsoWrites(folio, 'mlockCount')
  let kept = 0
  let keptBits = 0
  let count = 0
  for (let rest = folio.mlockBatch; rest !== 0; rest >>= ENTRY_BITS) {
    const entry = rest & ENTRY
    if (batch !== 0 && entry >> WHOSE_SHIFT !== batch) {
      kept |= entry << keptBits
      keptBits += ENTRY_BITS
      continue
    }
    count++
    const what = entry & WHAT
    if (what === MLOCK) __mlockFolio(folio)
    else if (what === MLOCK_NEW) __mlockNewFolio(folio)
    else __munlockFolio(folio)
  }
  folio.mlockBatch = kept
  alsoWrites(mmState(), 'mlockEntries')
  mmState().mlockEntries -= count
  return count
}

/** The same within a step, references and all. */
function workOffAtOnce(folio: Folio, batch: number): void {
  alsoWrites(folio, 'refcount')
  folio.refcount -= workOff(folio, batch)
  if (folio.refcount === 0) __folioPut(folio)
}

/** How many entries a CPU's batch has. */
function batchCount(batch: number): number {
  let count = 0
  forEachFolio((folio) => {
    alsoReads(folio, 'mlockBatch')
    for (let rest = folio.mlockBatch; rest !== 0; rest >>= ENTRY_BITS) {
      if ((rest & ENTRY) >> WHOSE_SHIFT === batch) count++
    }
  })
  return count
}

/**
 * A new entry in this CPU's batch. One that is full is worked off; so are, as may happen at any
 * moment, the entries of a page that has five.
 */
function batchAdd(folio: Folio, what: number): void {
  const batch = currentTaskNumber() + 1
  alsoReads(folio, 'mlockBatch')
  if (mlockEntries(folio) === MAX_ENTRIES) workOffAtOnce(folio, 0)
  alsoWrites(folio, 'refcount')
  folio.refcount++
  alsoWrites(folio, 'mlockBatch')
  folio.mlockBatch |= ((batch << WHOSE_SHIFT) | what) << (mlockEntries(folio) * ENTRY_BITS)
  alsoWrites(mmState(), 'mlockEntries')
  mmState().mlockEntries++
  if (batchCount(batch) < pagevecSize()) return
  forEachFolio((other) => {
    if (other.mlockBatch !== 0) workOffAtOnce(other, batch)
  })
}

/**
 * A locked VMA maps a folio that is on a list, or will be.
 *
 * Models: 6.2 mm/mlock.c mlock_folio. Simplifies: a batch that is full is worked off within the
 * step, and at most five entries of a page wait.
 *
 * Compared: 6.17 and 7.0 source.
 */
export function mlockFolio(folio: Folio): void {
  alsoWrites(folio, 'mlocked')
  folio.mlocked = true
  batchAdd(folio, MLOCK)
}

/**
 * A locked VMA maps a new folio, whose way to its list this is.
 *
 * Models: 6.2 mm/mlock.c mlock_new_page, later mlock_new_folio. Compared: 6.17 and 7.0 source.
 */
export function mlockNewFolio(folio: Folio): void {
  folio.mlocked = true
  batchAdd(folio, MLOCK_NEW)
}

/**
 * A locked VMA no longer maps a folio, or is no longer locked.
 *
 * Models: 6.2 mm/mlock.c munlock_page, later munlock_folio. Compared: 6.17 and 7.0 source.
 */
export function munlockFolio(folio: Folio): void {
  batchAdd(folio, MUNLOCK)
}

/**
 * A VMA maps a folio from now on. Part of the step that sets the PTE.
 *
 * Models: 6.2 mm/internal.h mlock_vma_folio.
 *
 * Compared: 6.17 and 7.0 source.
 */
export function mlockVmaFolio(folio: Folio, vma: VmArea): void {
  // Who comes by way of the page holds no mmap_lock.
  alsoReads(vma, 'vmFlags')
  if ((vma.vmFlags & (VM_LOCKED | VM_IO)) === VM_LOCKED) mlockFolio(folio)
}

/**
 * A VMA no longer maps a folio. Part of the step that clears the PTE.
 *
 * Models: 6.2 mm/internal.h munlock_vma_page, later munlock_vma_folio.
 *
 * Compared: 6.17 and 7.0 source.
 */
export function munlockVmaFolio(folio: Folio, vma: VmArea): void {
  alsoReads(vma, 'vmFlags')
  if (vma.vmFlags & VM_LOCKED) munlockFolio(folio)
}

/**
 * Work off what a folio has in a batch, of one CPU, or of any if 0.
 *
 * Models: 6.2 mm/mlock.c mlock_pagevec, later mlock_folio_batch. Simplifies: one folio at a time.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const mlockFolioBatch = fn(function* mlock_folio_batch(
  folio: Folio,
  batch: number,
): Kernel<void> {
  yield rmw(folio, 'mlockBatch')
  const refs = workOff(folio, batch)
  if (refs > 0) yield* folioPutRefs(folio, refs)
})

/** The folio of lowest frame in a batch (of one CPU, or of any if 0), or null. */
function nextInBatch(batch: number): Folio | null {
  alsoReads(mmState(), 'mlockEntries')
  if (mmState().mlockEntries === 0) return null
  let found: Folio | null = null
  forEachFolio((folio) => {
    alsoReads(folio, 'mlockBatch')
    if (found !== null && found.pfn < folio.pfn) return
    for (let rest = folio.mlockBatch; rest !== 0; rest >>= ENTRY_BITS) {
      if (batch === 0 || (rest & ENTRY) >> WHOSE_SHIFT === batch) found = folio
    }
  })
  return found
}

/**
 * Work off a whole batch: of one CPU, or those of all if 0.
 *
 * Models: 6.2 mm/mlock.c mlock_page_drain_local, later mlock_drain_local, and of other CPUs what
 * their workers do. Compared: 6.17 and 7.0 source.
 */
export const mlockDrain = fn(function* mlock_drain(batch: number): Kernel<void> {
  let folio = nextInBatch(batch)
  while (folio !== null) {
    yield* mlockFolioBatch(folio, batch)
    folio = nextInBatch(batch)
  }
})

/**
 * This CPU's batch.
 *
 * Models: 6.2 mm/mlock.c mlock_page_drain_local. Compared: 6.17 and 7.0 source.
 */
export const mlockDrainLocal = fn(function* mlock_drain_local(): Kernel<void> {
  yield* mlockDrain(currentTaskNumber() + 1)
})

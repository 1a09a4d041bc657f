/**
 * ASIDs. One that a VM gives back is not free at once: caches may hold what was written under its
 * key, so all that were given back become free together, by one flush, when none is left.
 */
import { EBUSY } from '../../kernel/include/errno.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { type Mutex, mutexInit, mutexLock, mutexUnlock } from '../../machine/locks.js'
import {
  constructAt,
  embed,
  type Obj,
  type Struct,
  struct,
  type Vec,
  vec,
} from '../../machine/struct.js'
import { sevDfFlush } from './psp.js'
import { ASIDS } from './rmp.js'

/** What the two bitmaps say of an ASID: neither bit, that of sev_asid_bitmap, both. */
export const ASID_FREE = 0
export const ASID_IN_USE = 1
export const ASID_TO_RECLAIM = 2

/** The bitmaps of arch/x86/kvm/svm/sev.c. */
export interface SevAsids extends Obj {
  /** sev_bitmap_lock. */
  lock: Mutex
  /** By ASID: ASID_*. */
  state: Vec
}

export const SevAsids: Struct<SevAsids> = struct<SevAsids>(
  'SevAsids',
  { lock: embed('Mutex'), state: vec(ASIDS) },
  { capacity: 1 },
)

export function sevAsids(): SevAsids {
  return SevAsids.at(SevAsids.base) as SevAsids
}

export function sevAsidsInit(): void {
  constructAt(SevAsids as unknown as Struct<Obj>, SevAsids.base, 0)
  mutexInit(sevAsids().lock, 'sev_bitmap_lock')
}

/** The first ASID in a state, or ASIDS. */
function firstIn(state: number): number {
  let asid = 1
  while (asid < ASIDS && sevAsids().state.get(asid) !== state) asid++
  return asid
}

/**
 * Have those that were given back become free: false if there are none, or the flush fails.
 *
 * Models: 6.17 arch/x86/kvm/svm/sev.c __sev_recycle_asids and sev_flush_asids. Compared: 7.0 source.
 */
export const sevRecycleAsids = fn(function* __sev_recycle_asids(): Kernel<boolean> {
  if (firstIn(ASID_TO_RECLAIM) === ASIDS) return false
  if ((yield* sevDfFlush()) !== 0) return false
  const state = sevAsids().state
  for (let asid = 1; asid < ASIDS; asid++) {
    if (state.get(asid) === ASID_TO_RECLAIM) state.set(asid, ASID_FREE)
  }
  return true
})

/**
 * An ASID, or -EBUSY.
 *
 * Models: 6.17 arch/x86/kvm/svm/sev.c sev_asid_new. Simplifies: no cgroup that counts them, and all
 * are for guests with SNP. Compared: 7.0 source.
 */
export const sevAsidNew = fn(function* sev_asid_new(): Kernel<number> {
  yield* mutexLock(sevAsids().lock)
  let asid = firstIn(ASID_FREE)
  if (asid === ASIDS && (yield* sevRecycleAsids())) asid = firstIn(ASID_FREE)
  if (asid < ASIDS) sevAsids().state.set(asid, ASID_IN_USE)
  mutexUnlock(sevAsids().lock)
  return asid < ASIDS ? asid : -EBUSY
})

/** Models: 6.17 arch/x86/kvm/svm/sev.c sev_asid_free. Compared: 7.0 source. */
export const sevAsidFree = fn(function* sev_asid_free(asid: number): Kernel<void> {
  yield* mutexLock(sevAsids().lock)
  sevAsids().state.set(asid, ASID_TO_RECLAIM)
  mutexUnlock(sevAsids().lock)
})

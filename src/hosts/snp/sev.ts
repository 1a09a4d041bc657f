/**
 * The host kernel's side of the reverse map table, as of 6.11: look up an entry, give a page to a
 * guest, take it back. An update of 4 KiB splits the direct map's entry for the region first,
 * because a store to a neighbour through the large one would be refused from then on. No lock guards
 * the table: each instruction is indivisible, and who meets another at a region tries again.
 */
import { EFAULT, ENOMEM } from '../../kernel/include/errno.js'
import type { Folio } from '../../kernel/include/mm.js'
import type { Gfn, Pfn } from '../../kernel/include/types.js'
import { alsoReads, choose, inject, read, rmw } from '../../machine/effects.js'
import { mark, tracepoint } from '../../machine/fault.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { constructAt, flag, type Obj, type Struct, struct } from '../../machine/struct.js'
import { hostStoreAllowed } from './access.js'
import { FAIL_OVERLAP, rmpupdate as issueRmpupdate, RMP_OK } from './instructions.js'
import { RMPUPDATE_REFUSALS } from './refusals.js'
import { REGION, REGIONS, regionFrame, regionNumber, rmpEntry, snpPowerOn } from './rmp.js'

/** The direct map of one region. A split is never taken back. */
export interface DirectMapRegion extends Obj {
  /** It is mapped by 4 KiB entries. */
  split: boolean
  /** Some CPU may still have the large entry in its TLB: the split came without a flush. */
  staleTlb: boolean
}

export const DirectMapRegion: Struct<DirectMapRegion> = struct<DirectMapRegion>(
  'DirectMapRegion',
  { split: flag(), staleTlb: flag() },
  { capacity: REGIONS },
)

/** The direct map's region of a frame. */
export function directMapOf(pfn: Pfn): DirectMapRegion {
  const at = DirectMapRegion.base + regionNumber(pfn) * DirectMapRegion.words
  return DirectMapRegion.at(at) as DirectMapRegion
}

/** Power-on: the table, and a direct map of large entries. */
export const sevPowerOn = fn(function* sev_power_on(): Kernel<void> {
  yield* snpPowerOn()
  const regions = DirectMapRegion as unknown as Struct<Obj>
  for (let i = 0; i < REGIONS; i++) {
    constructAt(regions, DirectMapRegion.base + i * DirectMapRegion.words, 0)
  }
})

/** The processor's check of a store by the host, through the direct map or a process's mapping. */
export const snpHostMayStore = fn(function host_may_store(folio: Folio): boolean {
  const region = directMapOf(folio.pfn)
  alsoReads(region, 'split')
  for (let i = 0; i < REGION; i++) alsoReads(rmpEntry(regionFrame(folio.pfn, i)), 'assigned')
  return hostStoreAllowed(folio.pfn, !region.split || region.staleTlb)
})

/**
 * Split the direct map of the region, and flush: 0, or -ENOMEM, and it is as it was. A region that is
 * split already costs nothing.
 *
 * Models: 6.17 arch/x86/virt/svm/sev.c adjust_direct_map. Simplifies: pages are never absent; of what
 * set_memory_4k() can fail for, the memory of a page table. Compared: 7.0 source.
 */
export const adjustDirectMap = fn(function* adjust_direct_map(folio: Folio): Kernel<number> {
  const region = directMapOf(folio.pfn)
  yield rmw(region, 'split')
  if (region.split) return 0
  if ((yield inject()) !== 0) return -ENOMEM
  yield rmw(region, 'split')
  region.split = true
  return 0
})

function refusal(i: number): number {
  return RMPUPDATE_REFUSALS[i]!
}

/**
 * The instruction refuses, if a fault of the scenario's strikes here, with each of the codes that the
 * table has. RMP_OK: it does what it should.
 */
export const rmpupdateRefuses = fn(function* rmpupdate_refuses(): Kernel<number> {
  if ((yield inject()) === 0) return RMP_OK
  return refusal(yield choose(RMPUPDATE_REFUSALS.length))
})

/**
 * RMPUPDATE until it meets nobody else at the region: 0, or -EFAULT, and then the entry is as it was.
 * Only FAIL_OVERLAP is tried again, FAIL_INUSE is not.
 *
 * Models: 6.17 arch/x86/virt/svm/sev.c rmpupdate. Compared: 7.0 source.
 */
export const sevRmpupdate = fn(function* rmpupdate(
  folio: Folio,
  assigned: boolean,
  gfn: Gfn,
  asid: number,
  immutable: boolean,
): Kernel<number> {
  if ((yield* adjustDirectMap(folio)) !== 0) return -EFAULT
  let ret = FAIL_OVERLAP
  while (ret === FAIL_OVERLAP) {
    ret = yield* rmpupdateRefuses()
    if (ret === RMP_OK) {
      yield rmw(rmpEntry(folio.pfn), 'assigned')
      if (!assigned) tracepoint('rmp_released', folio.pfn)
      ret = issueRmpupdate(folio.pfn, { assigned, gfn, asid, immutable, large: false })
    }
  }
  mark(assigned ? 'rmp-assigned' : 'rmp-released')
  return ret === RMP_OK ? 0 : -EFAULT
})

/**
 * Is the page some guest's, or firmware's?
 *
 * Models: 6.17 arch/x86/virt/svm/sev.c snp_lookup_rmpentry. Simplifies: it never fails, as it only
 * does for a frame that has no entry; the level is always 4 KiB, as that of every page that
 * guest_memfd gives to a guest, which has no larger ones. Compared: 7.0 source.
 */
export const snpLookupAssigned = fn(function* snp_lookup_rmpentry(folio: Folio): Kernel<boolean> {
  const entry = rmpEntry(folio.pfn)
  yield read(entry, 'assigned')
  return entry.assigned
})

/** 0 or -EFAULT. Models: 6.17 arch/x86/virt/svm/sev.c rmp_make_private. Compared: 7.0 source. */
export const rmpMakePrivate = fn(function* rmp_make_private(
  folio: Folio,
  gfn: Gfn,
  asid: number,
  immutable: boolean,
): Kernel<number> {
  return yield* sevRmpupdate(folio, true, gfn, asid, immutable)
})

/** 0 or -EFAULT. Models: 6.17 arch/x86/virt/svm/sev.c rmp_make_shared. Compared: 7.0 source. */
export const rmpMakeShared = fn(function* rmp_make_shared(folio: Folio): Kernel<number> {
  return yield* sevRmpupdate(folio, false, 0 as Gfn, 0, false)
})

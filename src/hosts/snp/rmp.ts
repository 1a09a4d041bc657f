/**
 * The reverse map table: for each frame, who owns it. The hardware looks here on each access of a
 * guest and on each store of anybody; software changes an entry by RMPUPDATE, PSMASH, PVALIDATE
 * and RMPADJUST, firmware by its commands.
 *
 * Tables: the entry's fields and the states are those of AMD's firmware for the fourth generation
 * of EPYC and of VeriSMo. A 2 MiB region has `REGION` frames here instead of 512, one head and
 * others: what an instruction on one of them does to the head shows with four as with 512.
 *
 * Left out: the lock bit, which firmware keeps equal to `immutable`; permissions of VMPL 1 to 3
 * are one number for each entry, since all that is asked of them is whether they are there.
 */
import { Folio } from '../../kernel/include/mm.js'
import type { Gfn, Pfn } from '../../kernel/include/types.js'
import { LimitError } from '../../machine/fault.js'
import { fn, type Kernel } from '../../machine/fn.js'
import {
  constructAt,
  flag,
  num,
  numberIn,
  type Obj,
  type Struct,
  struct,
  type Vec,
  vec,
  wide,
} from '../../machine/struct.js'
import { MAX_TASKS } from '../../machine/task.js'

export interface RmpEntry extends Obj {
  /** 0: the hypervisor's. */
  assigned: boolean
  /** Of a region's head alone: the entry stands for the whole region. */
  large: boolean
  /** Only firmware may change the entry. Firmware's lock bit has the same value. */
  immutable: boolean
  /** Of a region's head alone: how many of the other frames are assigned. */
  subpageCount: number
  /** Guest frame; of a firmware page it is 0. */
  gfn: Gfn
  /** 0 of an assigned page: firmware's. */
  asid: number
  vmsa: boolean
  validated: boolean
  /** Permissions of VMPL 1 to 3, set by the guest or, at launch, by firmware. */
  vmplPerms: number
}

/** Frames that the table covers; a frame behind it can never be assigned. */
const COVERED = 512

export const RmpEntry: Struct<RmpEntry> = struct<RmpEntry>(
  'RmpEntry',
  {
    assigned: flag(),
    large: flag(),
    immutable: flag(),
    subpageCount: num(),
    gfn: wide(),
    asid: num(),
    vmsa: flag(),
    validated: flag(),
    vmplPerms: num(),
  },
  { capacity: COVERED, quiet: ['gfn'] },
)

/** ASIDs of the machine: 1 to this, less one. */
export const ASIDS = 5

/** What the hardware counts, and what firmware knows of each ASID. */
export interface AsidTable extends Obj {
  /** By ASID: how many frames are assigned to it. The first 16 KiB of the table. */
  pages: Vec
  /** By ASID: the frame of the guest context that is bound to it, + 1. */
  owner: Vec
}

export const AsidTable: Struct<AsidTable> = struct<AsidTable>(
  'AsidTable',
  { pages: vec(ASIDS), owner: vec(ASIDS) },
  { capacity: 1, quiet: ['owner'] },
)

export function asidTable(): AsidTable {
  return AsidTable.at(AsidTable.base) as AsidTable
}

/** Frames of a region. */
export const REGION = 4

/**
 * A frame's place in physical memory. Each task allocates from a run of frames of its own, so that
 * pages which one task allocates one after the other are neighbours.
 */
export function spaOf(pfn: Pfn): number {
  return (pfn % MAX_TASKS) * (Folio.capacity / MAX_TASKS) + Math.floor(pfn / MAX_TASKS)
}

/** The frame at a place. */
export function pfnAt(spa: number): Pfn {
  const run = Folio.capacity / MAX_TASKS
  return ((spa % run) * MAX_TASKS + Math.floor(spa / run)) as Pfn
}

/** The head of the region that a frame lies in. */
export function headOf(pfn: Pfn): Pfn {
  return pfnAt(Math.floor(spaOf(pfn) / REGION) * REGION)
}

/** Is this frame the first of its region? */
export function isHead(pfn: Pfn): boolean {
  return spaOf(pfn) % REGION === 0
}

/** Frame number `i`, from 0, of the region of a frame. */
export function regionFrame(pfn: Pfn, i: number): Pfn {
  return pfnAt(Math.floor(spaOf(pfn) / REGION) * REGION + i)
}

/** Regions that the table covers. */
export const REGIONS = COVERED / REGION

/** Which region a covered frame lies in, from 0. */
export function regionNumber(pfn: Pfn): number {
  const ofTask = COVERED / MAX_TASKS / REGION
  return (pfn % MAX_TASKS) * ofTask + Math.floor(Math.floor(pfn / MAX_TASKS) / REGION)
}

/** Is there an entry for the frame? */
export function isCovered(pfn: Pfn): boolean {
  return pfn < COVERED
}

/** The entry of a frame. */
export function rmpEntry(pfn: Pfn): RmpEntry {
  if (!isCovered(pfn)) throw new LimitError(`the reverse map table has pfns below ${COVERED}`)
  return RmpEntry.at(RmpEntry.base + pfn * RmpEntry.words) as RmpEntry
}

/** The frame of an entry. */
export function frameOf(entry: RmpEntry): Pfn {
  return numberIn(RmpEntry, entry) as Pfn
}

/** The state of a page, in the firmware's words. */
export type PageState =
  | 'Default'
  | 'Hypervisor'
  | 'HV-Fixed'
  | 'Firmware'
  | 'Firmware-IOMMU'
  | 'Reclaim'
  | 'Context'
  | 'Metadata'
  | 'Pre-Guest'
  | 'Pre-Swap'
  | 'Guest-Invalid'
  | 'Guest-Valid'

/**
 * Firmware hides in the top bits of a page's gpa what it uses it for: this one is a metadata page,
 * and the rest of the gpa names the guest's context page.
 */
export const METADATA_MARK = 2 ** 40
/** And this one is a log of the IOMMU's. */
export const IOMMU_MARK = 2 ** 41

/** Table 3.2: the state that an entry's bits mean. */
export function stateOf(entry: RmpEntry): PageState {
  if (!entry.assigned) return entry.immutable ? 'HV-Fixed' : 'Hypervisor'
  if (entry.asid === 0) {
    if (!entry.immutable) return 'Reclaim'
    if (entry.gfn >= IOMMU_MARK) return 'Firmware-IOMMU'
    if (entry.gfn >= METADATA_MARK) return 'Metadata'
    return entry.vmsa ? 'Context' : 'Firmware'
  }
  if (entry.immutable) return entry.validated ? 'Pre-Swap' : 'Pre-Guest'
  return entry.validated ? 'Guest-Valid' : 'Guest-Invalid'
}

/** The state of a frame. */
export function pageState(pfn: Pfn): PageState {
  return isCovered(pfn) ? stateOf(rmpEntry(pfn)) : 'Default'
}

/** Whose a frame is: the state of its page and, of a guest's, which guest's and where. */
export function ownerOf(pfn: Pfn): string {
  const state = pageState(pfn)
  if (!isCovered(pfn) || rmpEntry(pfn).asid === 0) return state
  return `${state}, ASID ${rmpEntry(pfn).asid}, gfn 0x${effectiveGfn(pfn).toString(16)}`
}

/** The entry that is authoritative for a frame: the head's, if it stands for the whole region. */
export function effectiveEntry(pfn: Pfn): RmpEntry {
  const head = rmpEntry(headOf(pfn))
  return head.assigned && head.large ? head : rmpEntry(pfn)
}

/** The guest frame that a frame is assigned for. */
export function effectiveGfn(pfn: Pfn): Gfn {
  const entry = effectiveEntry(pfn)
  return (entry.gfn + (spaOf(pfn) - spaOf(frameOf(entry)))) as Gfn
}

/** A page of this owner, or a whole region, has come to (1) or goes from (-1) those that are assigned. */
export function countAssigned(entry: RmpEntry, change: 1 | -1): void {
  const pfn = frameOf(entry)
  const { pages } = asidTable()
  pages.set(entry.asid, pages.get(entry.asid) + change * (entry.large ? REGION : 1))
  if (!isHead(pfn)) rmpEntry(headOf(pfn)).subpageCount += change
}

/** Power-on: every frame is the hypervisor's. */
export const snpPowerOn = fn(function* snp_power_on(): Kernel<void> {
  const table = RmpEntry as unknown as Struct<Obj>
  for (let pfn = 0; pfn < COVERED; pfn++)
    constructAt(table, RmpEntry.base + pfn * RmpEntry.words, 0)
  constructAt(AsidTable as unknown as Struct<Obj>, AsidTable.base, 0)
})

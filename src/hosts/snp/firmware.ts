/**
 * The commands of the security processor that a hypervisor calls: each checks in the table's order
 * and either does all of its work or nothing. Between them a page is immutable, so that nobody else
 * can change its owner.
 *
 * Tables: 3.3, from AMD's firmware for the fourth generation of EPYC; status numbers are those of
 * Linux's uapi. Left out: SWAP_OUT, SWAP_IN, MD_INIT, guest requests, which Linux does not use;
 * DF_FLUSH, the reserved bits, the state of the platform, which is always initialised; measuring.
 */

import type { Gfn, Pfn } from '../../kernel/include/types.js'
import { pfnToFolio } from '../../kernel/mm/page_alloc.js'
import { kfree, kzalloc } from '../../machine/alloc.js'
import { type Blob, byteAt, rekey, withBytes, ZERO_PAGE } from '../../machine/blob.js'
import { alsoReads, alsoWrites } from '../../machine/effects.js'
import { forEachAlive, num, type Obj, type Struct, struct, wide } from '../../machine/struct.js'
import {
  ASIDS,
  asidTable,
  countAssigned,
  type PageState,
  pageState,
  REGION,
  type RmpEntry,
  regionFrame,
  rmpEntry,
} from './rmp.js'

/** Status codes, in the spelling of Linux's uapi without the prefix. */
export const SEV_OK = 0
export const INVALID_PLATFORM_STATE = 0x1
export const INVALID_GUEST_STATE = 0x2
export const INVALID_CONFIG = 0x3
export const INACTIVE = 0x8
export const ASID_OWNED = 0xc
export const INVALID_ASID = 0xd
export const INVALID_GUEST = 0x10
export const ALREADY_ACTIVE = 0x12
export const INVALID_PARAM = 0x16
export const INVALID_PAGE_SIZE = 0x19
export const INVALID_PAGE_STATE = 0x1a
export const INVALID_PAGE_OWNER = 0x1c

/** Commands that Linux issues, or `gmem-move` does, by their numbers. */
export const SNP_DECOMMISSION = 0x90
export const SNP_ACTIVATE = 0x91
export const SNP_GCTX_CREATE = 0x93
export const SNP_LAUNCH_START = 0xa0
export const SNP_LAUNCH_UPDATE = 0xa1
export const SNP_LAUNCH_FINISH = 0xa2
export const SNP_PAGE_MOVE = 0xc2
export const SNP_PAGE_RECLAIM = 0xc7
export const SNP_DF_FLUSH = 0x84
export type SevCommand =
  | typeof SNP_DECOMMISSION
  | typeof SNP_ACTIVATE
  | typeof SNP_GCTX_CREATE
  | typeof SNP_LAUNCH_START
  | typeof SNP_LAUNCH_UPDATE
  | typeof SNP_LAUNCH_FINISH
  | typeof SNP_PAGE_MOVE
  | typeof SNP_PAGE_RECLAIM
  | typeof SNP_DF_FLUSH

/** Phases of a guest. */
export const PHASE_INIT = 0
export const PHASE_LAUNCH = 1
export const PHASE_RUNNING = 2

/** Types of LAUNCH_UPDATE. */
export const PAGE_TYPE_NORMAL = 1
export const PAGE_TYPE_VMSA = 2
export const PAGE_TYPE_ZERO = 3
export const PAGE_TYPE_UNMEASURED = 4
export const PAGE_TYPE_SECRETS = 5
export const PAGE_TYPE_CPUID = 6

/** What firmware keeps in a guest's context page. Nobody else can write there. */
export interface GuestContext extends Obj {
  /** The context page. */
  pfn: Pfn
  phase: number
  /** 0 as long as no ASID is bound. */
  asid: number
}

export const GuestContext: Struct<GuestContext> = struct<GuestContext>(
  'GuestContext',
  { pfn: wide(), phase: num(), asid: num() },
  { capacity: 32, quiet: ['pfn'] },
)

function contextAt(pfn: Pfn): GuestContext | null {
  let found: GuestContext | null = null
  if (pageState(pfn) !== 'Context') return null
  forEachAlive(GuestContext, (c) => {
    if (c.pfn === pfn) found = c
  })
  return found
}

/** The key of an ASID at a frame: the same bytes are other ciphertext elsewhere. */
export function keyOf(asid: number, pfn: Pfn): number {
  return asid * 4096 + pfn
}

/** The entry is about to be read and changed, as part of the caller's step. */
function take(pfn: Pfn): RmpEntry {
  const entry = rmpEntry(pfn)
  alsoWrites(entry, 'assigned')
  return entry
}

/** SNP_GCTX_CREATE. */
export function gctxCreate(pfn: Pfn): number {
  if (pageState(pfn) !== 'Firmware') return INVALID_PAGE_STATE
  const entry = take(pfn)
  if (entry.large) return INVALID_PAGE_SIZE
  entry.vmsa = true
  const context = kzalloc(GuestContext)
  context.pfn = pfn
  context.phase = PHASE_INIT
  pfnToFolio(pfn)!.data = ZERO_PAGE
  return SEV_OK
}

/** SNP_LAUNCH_START. */
export function launchStart(contextPfn: Pfn): number {
  const context = contextAt(contextPfn)
  if (context === null) return INVALID_GUEST
  if (context.phase !== PHASE_INIT) return INVALID_GUEST_STATE
  context.phase = PHASE_LAUNCH
  return SEV_OK
}

/** SNP_ACTIVATE: bind an ASID. One that has pages of somebody else yet is refused. */
export function activate(contextPfn: Pfn, asid: number): number {
  const context = contextAt(contextPfn)
  if (context === null) return INVALID_GUEST
  if (context.phase === PHASE_INIT) return INVALID_GUEST_STATE
  const inRange = asid > 0 && asid < ASIDS
  const table = asidTable()
  alsoWrites(table, 'pages')
  if (inRange && table.pages.get(asid) > 0) return INVALID_CONFIG
  if (!inRange) return INVALID_ASID
  if (table.owner.get(asid) !== 0) return ASID_OWNED
  if (context.asid !== 0) return ALREADY_ACTIVE
  table.owner.set(asid, contextPfn + 1)
  context.asid = asid
  return SEV_OK
}

/** Is there a page of a launch of this type? */
export function isLaunchType(type: number): boolean {
  return type >= PAGE_TYPE_NORMAL && type <= PAGE_TYPE_CPUID
}

function needs4K(type: number): boolean {
  return type === PAGE_TYPE_VMSA || type === PAGE_TYPE_SECRETS || type === PAGE_TYPE_CPUID
}

/** Encrypt what is in a frame, or zeroes, for its owner. */
function encrypt(pfn: Pfn, asid: number, zero: boolean): void {
  const folio = pfnToFolio(pfn)!
  alsoWrites(folio, 'data')
  folio.data = rekey((zero ? ZERO_PAGE : folio.data) as Blob, 0, keyOf(asid, pfn))
}

/**
 * A table of CPUID that claims what the processor has not is put right, in clear. What stands in such
 * a table is not in the model: its first byte is 0 in one that is right.
 */
function correctCpuid(pfn: Pfn): boolean {
  const folio = pfnToFolio(pfn)!
  alsoWrites(folio, 'data')
  if (byteAt(folio.data as Blob, 0) === 0) return false
  folio.data = withBytes(folio.data as Blob, 0, 1, 0)
  return true
}

/**
 * SNP_LAUNCH_UPDATE: a page of the guest as it is at its start, encrypted where it lies. A page of
 * CPUID that is wrong is left as it should be, not encrypted.
 */
export function launchUpdate(contextPfn: Pfn, pfn: Pfn, large: boolean, type: number): number {
  const context = contextAt(contextPfn)
  if (context === null) return INVALID_GUEST
  if (pageState(pfn) !== 'Pre-Guest') return INVALID_PAGE_STATE
  const entry = take(pfn)
  if (entry.large !== large || (large && needs4K(type))) return INVALID_PAGE_SIZE
  if (!isLaunchType(type)) return INVALID_PARAM
  if (context.phase !== PHASE_LAUNCH) return INVALID_GUEST_STATE
  if (context.asid === 0) return INACTIVE
  if (entry.asid !== context.asid) return INVALID_PAGE_OWNER
  if (type === PAGE_TYPE_CPUID && correctCpuid(pfn)) return INVALID_PARAM
  for (let i = 0; i < (large ? REGION : 1); i++) {
    encrypt(large ? regionFrame(pfn, i) : pfn, context.asid, type === PAGE_TYPE_ZERO)
  }
  entry.vmsa = type === PAGE_TYPE_VMSA
  entry.vmplPerms = 1
  entry.validated = true
  entry.immutable = false
  return SEV_OK
}

/** SNP_LAUNCH_FINISH. */
export function launchFinish(contextPfn: Pfn): number {
  const context = contextAt(contextPfn)
  if (context === null) return INVALID_GUEST
  if (context.phase !== PHASE_LAUNCH) return INVALID_GUEST_STATE
  context.phase = PHASE_RUNNING
  return SEV_OK
}

/** Immutable pages that firmware lets go by other ways, or never. */
const KEPT: readonly PageState[] = ['Context', 'HV-Fixed', 'Firmware-IOMMU']

/** SNP_PAGE_RECLAIM: make a page changeable by the hypervisor. */
export function pageReclaim(pfn: Pfn, large: boolean): number {
  const state = pageState(pfn)
  if (state === 'Default') return INVALID_PAGE_STATE
  const entry = take(pfn)
  if (entry.large !== large) return INVALID_PAGE_SIZE
  if (!entry.immutable) return SEV_OK
  if (KEPT.includes(state)) return INVALID_PAGE_STATE
  if (state === 'Metadata') entry.gfn = 0 as Gfn
  entry.immutable = false
  return SEV_OK
}

/** The states between which PAGE_MOVE moves a guest's page. */
const MOVABLE: readonly PageState[] = ['Pre-Guest', 'Pre-Swap']

/**
 * SNP_PAGE_MOVE of a guest's page: the content is written again for its new place, the guest frame
 * and the permissions go with it. What the destination was assigned for before is of no matter.
 */
export function pageMove(contextPfn: Pfn, src: Pfn, dst: Pfn): number {
  const context = contextAt(contextPfn)
  if (context === null) return INVALID_GUEST
  if (context.phase === PHASE_INIT) return INVALID_GUEST_STATE
  if (context.asid === 0) return INACTIVE
  const from = take(src)
  const to = take(dst)
  if (from.large || to.large) return INVALID_PAGE_SIZE
  if (!MOVABLE.includes(pageState(src)) || pageState(dst) !== 'Pre-Guest') return INVALID_PAGE_STATE
  if (from.asid !== context.asid || to.asid !== context.asid) return INVALID_PAGE_OWNER
  const source = pfnToFolio(src)!
  const target = pfnToFolio(dst)!
  alsoReads(source, 'data')
  alsoWrites(target, 'data')
  target.data = rekey(source.data as Blob, keyOf(context.asid, src), keyOf(context.asid, dst))
  to.gfn = from.gfn
  to.vmsa = from.vmsa
  to.vmplPerms = from.vmplPerms
  to.validated = from.validated
  to.immutable = false
  from.validated = false
  from.vmsa = false
  from.vmplPerms = 0
  from.immutable = false
  return SEV_OK
}

/** SNP_PAGE_SET_STATE: firmware pages become the hypervisor's for good. All or none. */
export function pageSetState(pfns: readonly Pfn[]): number {
  if (pfns.some((pfn) => pageState(pfn) !== 'Firmware')) return INVALID_PAGE_STATE
  for (const pfn of pfns) {
    const entry = take(pfn)
    alsoWrites(asidTable(), 'pages')
    countAssigned(entry, -1)
    entry.assigned = false
  }
  return SEV_OK
}

function fitsUnsmash(head: RmpEntry, entry: RmpEntry, i: number): boolean {
  return (
    entry.immutable &&
    !entry.vmsa &&
    !entry.large &&
    entry.asid > 0 &&
    entry.asid === head.asid &&
    entry.validated === head.validated &&
    entry.vmplPerms === head.vmplPerms &&
    entry.gfn === head.gfn + i
  )
}

/** SNP_PAGE_UNSMASH: the inverse of PSMASH, for a region whose pages are all alike. */
export function pageUnsmash(pfn: Pfn): number {
  const head = take(pfn)
  if (head.gfn % REGION !== 0) return INVALID_PAGE_STATE
  for (let i = 0; i < REGION; i++) {
    if (!fitsUnsmash(head, take(regionFrame(pfn, i)), i)) return INVALID_PAGE_STATE
  }
  for (let i = 1; i < REGION; i++) {
    const entry = rmpEntry(regionFrame(pfn, i))
    entry.asid = 0
    entry.gfn = 0 as Gfn
    entry.immutable = false
    entry.validated = false
    entry.vmplPerms = 0
  }
  head.large = true
  head.subpageCount = 0
  return SEV_OK
}

/**
 * SNP_DECOMMISSION: the guest's context is a plain firmware page again, its ASID nobody's. Whether
 * the guest has pages yet is not looked at.
 */
export function decommission(contextPfn: Pfn): number {
  const context = contextAt(contextPfn)
  if (context === null) return INVALID_GUEST
  take(contextPfn).vmsa = false
  const table = asidTable()
  alsoWrites(table, 'pages')
  if (context.asid !== 0) table.owner.set(context.asid, 0)
  kfree(context)
  return SEV_OK
}

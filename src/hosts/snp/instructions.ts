/**
 * The instructions that change the reverse map table, each one indivisible step. The order of the
 * checks is the order here, first hit wins.
 *
 * Tables: 3.3, with the codes of VeriSMo and Linux; the order of RMPUPDATE's first checks is not
 * public. Rows that are open are switches in `OPEN_ROWS`.
 */
import type { Gfn, Pfn } from '../../kernel/include/types.js'
import { alsoReads, alsoWrites } from '../../machine/effects.js'
import {
  asidTable,
  countAssigned,
  effectiveEntry,
  effectiveGfn,
  headOf,
  isCovered,
  isHead,
  REGION,
  type RmpEntry,
  regionFrame,
  rmpEntry,
} from './rmp.js'

/** Result codes; one numbering for all four. */
export const RMP_OK = 0
export const FAIL_INPUT = 1
export const FAIL_PERMISSION = 2
export const FAIL_INUSE = 3
export const FAIL_OVERLAP = 4
export const FAIL_SIZEMISMATCH = 6
/** PVALIDATE with the carry flag set: nothing has changed. Linux's number for it. */
export const PVALIDATE_FAIL_NOUPDATE = 255
/** The walk of a guest's instruction ends in a nested page fault with the RMP bit. */
export const NESTED_FAULT = -1
/** The same, because the entry is larger than what was asked for (PFERR_GUEST_SIZEM). */
export const NESTED_FAULT_SIZE = -2
/** #GP: the instruction is not for this level. */
export const GENERAL_PROTECTION = -3
/** #VC with code 0x404: the page is the guest's, and not validated. */
export const VC_NOT_VALIDATED = 0x404

/** What RMPUPDATE checks, beside whether another agent holds the entry. */
export const RMPUPDATE_CHECKS = ['input', 'immutable', 'overlap', 'region'] as const
export type RmpupdateCheck = (typeof RMPUPDATE_CHECKS)[number]

/** What nobody has written down. All ways are tried; `OPEN_ROWS` is the one that runs. */
export interface OpenRows {
  /** RMPUPDATE's checks, the first that fails first. */
  readonly rmpupdateOrder: readonly RmpupdateCheck[]
  /** RMPUPDATE of an inconsistent new state: FAIL_INPUT, or FAIL_PERMISSION. */
  readonly inconsistent: typeof FAIL_INPUT | typeof FAIL_PERMISSION
  /** PSMASH of what is no assigned, changeable 2 MiB entry. */
  readonly notToSmash: typeof FAIL_INPUT | typeof FAIL_PERMISSION
  /** PVALIDATE by a guest's VMPL above 0: refused with 2, or #GP. */
  readonly validateAboveVmpl0: typeof FAIL_PERMISSION | typeof GENERAL_PROTECTION
}

export const OPEN_ROWS: OpenRows = {
  rmpupdateOrder: RMPUPDATE_CHECKS,
  inconsistent: FAIL_INPUT,
  notToSmash: FAIL_INPUT,
  validateAboveVmpl0: FAIL_PERMISSION,
}

/** What RMPUPDATE is to make of an entry. */
export interface NewState {
  readonly assigned: boolean
  readonly asid: number
  readonly gfn: Gfn
  readonly large: boolean
  readonly immutable: boolean
}

/** The announced field of an entry stands for all of it, and for what one instruction touches. */
function touch(pfn: Pfn): void {
  for (let i = 0; i < REGION; i++) {
    const frame = regionFrame(pfn, i)
    if (isCovered(frame)) alsoWrites(rmpEntry(frame), 'assigned')
  }
  alsoWrites(asidTable(), 'pages')
}

function isConsistent(s: NewState, isFirst: boolean): boolean {
  if (s.large && !isFirst) return false
  return s.assigned || (s.asid === 0 && !s.immutable)
}

function clear(entry: RmpEntry): void {
  entry.validated = false
  entry.vmsa = false
  entry.vmplPerms = 0
}

/** Give a page its new owner; the entry's old one is out of the counters already. */
function assign(pfn: Pfn, s: NewState): void {
  const entry = rmpEntry(pfn)
  entry.assigned = s.assigned
  entry.immutable = s.immutable
  entry.asid = s.asid
  entry.gfn = (s.assigned ? s.gfn : 0) as Gfn
  entry.large = s.assigned && s.large
  if (s.assigned) countAssigned(entry, 1)
  if (!s.large) return
  // The others of the region look like pages under reclaim; what is true of them is in the head.
  for (let i = 1; i < REGION; i++) {
    const other = rmpEntry(regionFrame(pfn, i))
    other.assigned = s.assigned
    other.asid = 0
    other.gfn = 0 as Gfn
    clear(other)
  }
}

/** Is it only the immutable bit that becomes another one? */
function sameButImmutable(entry: RmpEntry, s: NewState): boolean {
  return (
    entry.assigned &&
    s.assigned &&
    entry.asid === s.asid &&
    entry.gfn === s.gfn &&
    entry.large === s.large &&
    entry.asid > 0
  )
}

/** What one check of RMPUPDATE says: RMP_OK, or why it refuses. */
function refusalOf(check: RmpupdateCheck, pfn: Pfn, s: NewState, open: OpenRows): number {
  const entry = rmpEntry(pfn)
  const head = rmpEntry(headOf(pfn))
  switch (check) {
    case 'input':
      return isConsistent(s, isHead(pfn)) ? RMP_OK : open.inconsistent
    case 'immutable':
      return entry.immutable ? FAIL_PERMISSION : RMP_OK
    case 'overlap': {
      const overlaps = s.large ? head.subpageCount > 0 : head.assigned && head.large
      return overlaps ? FAIL_OVERLAP : RMP_OK
    }
    case 'region':
      return head !== entry && head.assigned && head.immutable ? FAIL_PERMISSION : RMP_OK
  }
}

/**
 * RMPUPDATE by the host. Translations of the guest address go with it: the model tests the entry on
 * each access instead. The guest is never asked.
 */
export function rmpupdate(pfn: Pfn, s: NewState, open: OpenRows = OPEN_ROWS): number {
  if (!isCovered(pfn)) return FAIL_INPUT
  touch(pfn)
  for (const check of open.rmpupdateOrder) {
    const refusal = refusalOf(check, pfn, s, open)
    if (refusal !== RMP_OK) return refusal
  }
  const entry = rmpEntry(pfn)
  if (sameButImmutable(entry, s)) {
    entry.immutable = s.immutable
    return RMP_OK
  }
  if (entry.assigned) countAssigned(entry, -1)
  clear(entry)
  assign(pfn, s)
  return RMP_OK
}

/**
 * PSMASH by the host: one entry for the region becomes one for each frame, and nothing else about
 * them changes.
 */
export function psmash(pfn: Pfn, open: OpenRows = OPEN_ROWS): number {
  if (!isCovered(pfn) || !isHead(pfn)) return FAIL_INPUT
  touch(pfn)
  const head = rmpEntry(pfn)
  if (!head.assigned || !head.large || head.immutable) return open.notToSmash
  for (let i = 1; i < REGION; i++) {
    const entry = rmpEntry(regionFrame(pfn, i))
    entry.assigned = true
    entry.asid = head.asid
    entry.gfn = (head.gfn + i) as Gfn
    entry.validated = head.validated
    entry.vmplPerms = head.vmplPerms
  }
  head.large = false
  head.subpageCount = REGION - 1
  return RMP_OK
}

/** What a guest's instruction on a page names. */
export interface GuestPage {
  readonly asid: number
  readonly gfn: Gfn
  readonly vmpl: number
  /** The 2 MiB region that begins at the page. */
  readonly large: boolean
}

/** The checks of the walk that PVALIDATE and RMPADJUST share. */
function walkFails(pfn: Pfn, page: GuestPage): number {
  const entry = effectiveEntry(pfn)
  alsoReads(entry, 'assigned')
  if (entry.immutable || !entry.assigned || entry.asid !== page.asid) return NESTED_FAULT
  if (effectiveGfn(pfn) !== page.gfn) return NESTED_FAULT
  return entry.large && !page.large ? NESTED_FAULT_SIZE : RMP_OK
}

/** PVALIDATE by a guest, on the frame that its nested page table has for the page. */
export function pvalidate(
  pfn: Pfn,
  page: GuestPage,
  want: boolean,
  open: OpenRows = OPEN_ROWS,
): number {
  if (page.vmpl > 0) return open.validateAboveVmpl0
  if (page.large && page.gfn % REGION !== 0) return FAIL_INPUT
  const fault = walkFails(pfn, page)
  if (fault !== RMP_OK) return fault
  const entry = effectiveEntry(pfn)
  if (page.large && !entry.large) return FAIL_SIZEMISMATCH
  if (entry.validated === want) return PVALIDATE_FAIL_NOUPDATE
  alsoWrites(entry, 'validated')
  entry.validated = want
  return RMP_OK
}

/** RMPADJUST by a guest: what a less privileged VMPL may do with a page, and whether it is a VMSA. */
export function rmpadjust(
  pfn: Pfn,
  page: GuestPage,
  target: number,
  perms: number,
  vmsa: boolean,
): number {
  if (page.large && page.gfn % REGION !== 0) return FAIL_INPUT
  if (target <= page.vmpl) return FAIL_PERMISSION
  const fault = walkFails(pfn, page)
  if (fault !== RMP_OK) return fault
  const entry = effectiveEntry(pfn)
  if (!entry.validated) return VC_NOT_VALIDATED
  if (page.large && !entry.large) return FAIL_SIZEMISMATCH
  if (page.vmpl > 0 && (perms & ~entry.vmplPerms) !== 0) return FAIL_PERMISSION
  alsoWrites(entry, 'validated')
  entry.vmplPerms = perms
  entry.vmsa = vmsa
  return RMP_OK
}

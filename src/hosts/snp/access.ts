/**
 * Who may touch what: the checks against the reverse map table that the processor makes on an
 * access to memory, for each accessor, in the table's order. The first that fails decides.
 *
 * Tables: 3.4. Reads by the host and by guests without SNP are not checked; what they get is the
 * ciphertext. Of devices nothing is public: two switches, and nobody here has one. Left out: page
 * walks' own stores.
 */
import type { Gfn, Pfn } from '../../kernel/include/types.js'
import { effectiveEntry, effectiveGfn, isCovered, REGION, regionFrame, rmpEntry } from './rmp.js'

/** What nobody has written down. Both ways are tried; `OPEN_ROWS` is the one that runs. */
export interface OpenRows {
  /** A guest reads without its C bit what is assigned: a fault, or ciphertext. */
  readonly sharedReadOfAssigned: 'fault' | 'ciphertext'
  /** The host stores to an HV-Fixed page. */
  readonly hostStoresToFixed: boolean
  /** VMRUN looks whether the page that is to be loaded from is a save area of the guest's. */
  readonly vmrunChecksSaveArea: boolean
  /** A device loads from what is assigned: it gets ciphertext, or the IOMMU stops it. */
  readonly deviceLoadsAssigned: boolean
  /** A device stores to what is assigned. */
  readonly deviceStoresToAssigned: boolean
}

export const OPEN_ROWS: OpenRows = {
  sharedReadOfAssigned: 'fault',
  hostStoresToFixed: true,
  vmrunChecksSaveArea: true,
  deviceLoadsAssigned: true,
  deviceStoresToAssigned: false,
}

/** The access goes through. */
export const ACCESS_OK = 0
/** Nested page fault: the entry doesn't allow it. PFERR_GUEST_RMP, bit 31. */
export const NPF_RMP = 1
/** The same on a page of the hypervisor, with the guest's C bit: bits 31 and 34. */
export const NPF_RMP_ENC = 2
/** The same because of VMPL permissions: bits 31 and 36. */
export const NPF_RMP_VMPL = 3
/** #VC, which the guest's own kernel gets: its page, but not validated. */
export const ACCESS_VC = 4

/** One access of a guest. */
export interface GuestAccess {
  readonly asid: number
  readonly gfn: Gfn
  /** The guest's page table has the C bit set: the page is private to it. */
  readonly encrypted: boolean
  readonly write: boolean
  readonly vmpl: number
  /** The nested page table maps the region by one entry. */
  readonly largeMapping: boolean
}

/** Rows 8 to 17: a guest with SNP accesses a frame. */
export function checkGuestAccess(pfn: Pfn, a: GuestAccess, open: OpenRows = OPEN_ROWS): number {
  if (!isCovered(pfn)) return a.encrypted ? NPF_RMP_ENC : ACCESS_OK
  if (!a.encrypted) {
    if (!rmpEntry(pfn).assigned) return ACCESS_OK
    return !a.write && open.sharedReadOfAssigned === 'ciphertext' ? ACCESS_OK : NPF_RMP
  }
  const entry = effectiveEntry(pfn)
  if (!entry.assigned) return NPF_RMP_ENC
  if (effectiveGfn(pfn) !== a.gfn || entry.immutable || entry.asid !== a.asid) return NPF_RMP
  if (entry.large !== a.largeMapping) return NPF_RMP
  if (!entry.validated) return ACCESS_VC
  return a.vmpl > 0 && entry.vmplPerms === 0 ? NPF_RMP_VMPL : ACCESS_OK
}

/** VMRUN of a guest's vCPU whose save area is a page of guest memory: may the processor enter? */
export function saveAreaFits(pfn: Pfn, asid: number, open: OpenRows = OPEN_ROWS): boolean {
  if (!open.vmrunChecksSaveArea) return true
  const entry = effectiveEntry(pfn)
  const isGuests = entry.assigned && !entry.immutable && entry.asid === asid
  return isGuests && !entry.large && entry.validated && entry.vmsa
}

/**
 * Rows 1 to 5: may the host store to a frame, through a mapping of its 4 KiB or of its region?
 */
export function hostStoreAllowed(pfn: Pfn, largeMapping: boolean, open = OPEN_ROWS): boolean {
  if (!isCovered(pfn)) return true
  const entry = rmpEntry(pfn)
  if (entry.assigned || (entry.immutable && !open.hostStoresToFixed)) return false
  if (!largeMapping) return true
  for (let i = 0; i < REGION; i++) {
    const frame = regionFrame(pfn, i)
    if (isCovered(frame) && rmpEntry(frame).assigned) return false
  }
  return true
}

/** Row 18: a guest without SNP stores to a frame. */
export function plainGuestStoreAllowed(pfn: Pfn): boolean {
  return !isCovered(pfn) || !rmpEntry(pfn).assigned
}

/** Row 7: a device that may use all of the host's memory accesses a frame. */
export function deviceMayAccess(pfn: Pfn, write: boolean, open: OpenRows = OPEN_ROWS): boolean {
  if (!isCovered(pfn) || !rmpEntry(pfn).assigned) return true
  return write ? open.deviceStoresToAssigned : open.deviceLoadsAssigned
}

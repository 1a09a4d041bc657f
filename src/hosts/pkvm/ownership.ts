/**
 * Who owns which page, as the hypervisor of pKVM at EL2 keeps it: for each frame what the host and
 * the hypervisor have of it, and for each guest a stage-2 table from guest frame to frame.
 *
 * The hypercalls below are one step each: the hypervisor holds the locks of the VM table, of host,
 * hyp and guest, in this order, from the first check to the last update, and no CPU keeps a
 * translation that it has taken away. Nothing is ever undone, so everything is checked first.
 *
 * Tables: 5.1, from mem_protect.c of 6.16 and its ownership selftest; those of protected guests from
 * 7.1. Left out: parameters that make no sense (ranges, sizes, protections), since a call here is
 * about one page of RAM; blocks; the host's own table, which is filled when the host faults.
 */
import {
  EAGAIN,
  EBUSY,
  EHWPOISON,
  EINVAL,
  ENOENT,
  ENOMEM,
  EPERM,
} from '../../kernel/include/errno.js'
import { Kvm } from '../../kernel/include/kvm.js'
import type { Gfn, Pfn } from '../../kernel/include/types.js'
import { pfnToFolio } from '../../kernel/mm/page_alloc.js'
import { ZERO_PAGE } from '../../machine/blob.js'
import { alsoReads, alsoWrites } from '../../machine/effects.js'
import { tracepoint, warnOn } from '../../machine/fault.js'
import { fn } from '../../machine/fn.js'
import {
  constructAt,
  flag,
  headerAt,
  num,
  type Obj,
  type Struct,
  struct,
  type Vec,
  vec,
  wide,
} from '../../machine/struct.js'

/** PKVM_PAGE_*: what somebody has of a page. */
export const OWNED = 0
export const SHARED_OWNED = 1
export const SHARED_BORROWED = 2
export const NOPAGE = 3
/** Of a guest's entry alone: the page was taken from it by force. */
export const POISONED = 4

/** Whose a page is that the host has nothing of: nobody's in particular, the hypervisor's, a guest's. */
export const OWNER_HOST = 0
export const OWNER_HYP = 1
export const OWNER_GUEST = 2

export interface PkvmPage extends Obj {
  host: number
  hyp: number
  /** Guests' entries that borrow it. */
  shareCount: number
  /** Of a page that the hypervisor borrows: how often it has pinned it. */
  hypPins: number
  /** The annotation in the host's table, of a page that is not its own. */
  owner: number
  ownerVm: number
  ownerGfn: Gfn
}

/** Frames that there is a table for. */
const COVERED = 512

export const PkvmPage: Struct<PkvmPage> = struct<PkvmPage>(
  'PkvmPage',
  {
    host: num(),
    hyp: num(),
    shareCount: num(),
    hypPins: num(),
    owner: num(),
    ownerVm: num(),
    ownerGfn: wide(),
  },
  { capacity: COVERED },
)

/** Guest frames whose entries are kept. */
export const GUEST_FRAMES = 16

/** struct pkvm_hyp_vm, as far as memory goes. */
export interface PkvmVm extends Obj {
  /** The guest is protected: the host gives it pages, and has nothing of them then. */
  protected: boolean
  /** The host has begun to take it down, and may take its pages back. */
  dying: boolean
  /** Pages in the vCPU's cache that the hypervisor may use for tables; one is all that is needed. */
  memcache: number
  /** By gfn: what the guest has of the page; NOPAGE for none. */
  state: Vec
  /** By gfn: the frame, while the guest has one. */
  pfn: Vec
}

export const PkvmVm: Struct<PkvmVm> = struct<PkvmVm>(
  'PkvmVm',
  {
    protected: flag(),
    dying: flag(),
    memcache: num(),
    state: vec(GUEST_FRAMES),
    pfn: vec(GUEST_FRAMES),
  },
  { capacity: Kvm.capacity },
)

const PAGES = PkvmPage as unknown as Struct<Obj>

/** Power-on: every frame is the host's. */
export function pkvmPowerOn(): void {
  for (let pfn = 0; pfn < COVERED; pfn++) {
    constructAt(PAGES, PkvmPage.base + pfn * PkvmPage.words, 0)
    pkvmPage(pfn as Pfn).hyp = NOPAGE
  }
}

/** Is there an entry for the frame? */
export function isCovered(pfn: Pfn): boolean {
  return pfn < COVERED
}

export function pkvmPage(pfn: Pfn): PkvmPage {
  if (!isCovered(pfn)) throw new Error(`the hypervisor keeps no state of pfn ${pfn}`)
  return PkvmPage.at(PkvmPage.base + pfn * PkvmPage.words) as PkvmPage
}

/** By number, as the kernel spells them without their prefix. */
const STATE_NAMES = ['OWNED', 'SHARED_OWNED', 'SHARED_BORROWED', 'NOPAGE', 'POISON'] as const

/** Whose a frame is: what the host has of it and, where the host's table says so, who owns it. */
export function ownerOf(pfn: Pfn): string {
  if (!isCovered(pfn)) return 'host OWNED'
  const { host, owner, ownerVm, ownerGfn } = pkvmPage(pfn)
  const state = `host ${STATE_NAMES[host]}`
  if (owner === OWNER_HYP) return `${state}, owner EL2`
  return owner === OWNER_GUEST ? `${state}, VM ${ownerVm} gfn 0x${ownerGfn.toString(16)}` : state
}

/** The frame of an entry. */
export function frameOf(page: PkvmPage): Pfn {
  return ((page.at - PkvmPage.base) / PkvmPage.words) as Pfn
}

export function checkedGfn(gfn: Gfn): number {
  if (gfn < GUEST_FRAMES) return gfn
  throw new Error(`a guest of pKVM has entries for gfns below ${GUEST_FRAMES}`)
}

/** The announced field of a page, or a VM, stands for all of it. */
function touch(page: PkvmPage, vm: PkvmVm | undefined = undefined): void {
  alsoWrites(page, 'host')
  if (vm !== undefined) alsoWrites(vm, 'state')
}

function guestState(vm: PkvmVm, gfn: Gfn): number {
  alsoReads(vm, 'state')
  return vm.state.get(checkedGfn(gfn))
}

function setGuest(vm: PkvmVm, gfn: Gfn, state: number, pfn: number): void {
  vm.state.set(checkedGfn(gfn), state)
  vm.pfn.set(checkedGfn(gfn), pfn)
}

/** Has the host all of the page, and nobody else anything? */
function isHostsAlone(page: PkvmPage): boolean {
  return page.host === OWNED && page.hyp === NOPAGE
}

/** __pkvm_host_share_hyp. */
export function hostShareHyp(pfn: Pfn): number {
  const page = pkvmPage(pfn)
  if (!isHostsAlone(page)) return -EPERM
  touch(page)
  page.host = SHARED_OWNED
  page.hyp = SHARED_BORROWED
  return 0
}

/** __pkvm_host_unshare_hyp: -EBUSY while the hypervisor has it pinned. */
export function hostUnshareHyp(pfn: Pfn): number {
  const page = pkvmPage(pfn)
  if (page.host !== SHARED_OWNED || page.hyp !== SHARED_BORROWED) return -EPERM
  if (page.hypPins > 0) return -EBUSY
  touch(page)
  page.host = OWNED
  page.hyp = NOPAGE
  return 0
}

/** __pkvm_host_donate_hyp. */
export function hostDonateHyp(pfn: Pfn): number {
  const page = pkvmPage(pfn)
  if (!isHostsAlone(page)) return -EPERM
  touch(page)
  page.host = NOPAGE
  page.hyp = OWNED
  page.owner = OWNER_HYP
  return 0
}

/** __pkvm_hyp_donate_host. */
export function hypDonateHost(pfn: Pfn): number {
  const page = pkvmPage(pfn)
  if (page.hyp !== OWNED || page.host !== NOPAGE) return -EPERM
  touch(page)
  page.host = OWNED
  page.hyp = NOPAGE
  page.owner = OWNER_HOST
  return 0
}

/** __pkvm_host_share_ffa: with the secure world, of which no table here knows. */
export function hostShareFfa(pfn: Pfn): number {
  const page = pkvmPage(pfn)
  if (page.host !== OWNED) return -EPERM
  touch(page)
  page.host = SHARED_OWNED
  return 0
}

/** __pkvm_host_unshare_ffa. With whom the page is shared is not asked. */
export function hostUnshareFfa(pfn: Pfn): number {
  const page = pkvmPage(pfn)
  if (page.host !== SHARED_OWNED) return -EPERM
  touch(page)
  page.host = OWNED
  return 0
}

/** hyp_pin_shared_mem. */
export function hypPinSharedMem(pfn: Pfn): number {
  const page = pkvmPage(pfn)
  if (page.host !== SHARED_OWNED || page.hyp !== SHARED_BORROWED) return -EPERM
  touch(page)
  page.hypPins += 1
  return 0
}

/** hyp_unpin_shared_mem. */
export function hypUnpinSharedMem(pfn: Pfn): void {
  const page = pkvmPage(pfn)
  touch(page)
  page.hypPins -= 1
}

/** Most entries that a page can be shared with: U32_MAX in Linux. */
export const MOST_SHARES = 63

/**
 * __pkvm_host_share_guest, for a guest that is not protected. The guest's side is looked at first;
 * then the host's, where only a page that is shared with guests alone may be shared once more.
 */
export function hostShareGuest(vm: PkvmVm, gfn: Gfn, pfn: Pfn): number {
  const page = pkvmPage(pfn)
  if (guestState(vm, gfn) !== NOPAGE) return -EPERM
  if (page.host === SHARED_OWNED) {
    if (page.shareCount === MOST_SHARES) return -EBUSY
    if (page.shareCount === 0) return -EPERM
  } else if (page.host !== OWNED) return -EPERM
  touch(page, vm)
  page.host = SHARED_OWNED
  page.shareCount += 1
  setGuest(vm, gfn, SHARED_BORROWED, pfn)
  return 0
}

/** __pkvm_host_unshare_guest. */
export function hostUnshareGuest(vm: PkvmVm, gfn: Gfn): number {
  const state = guestState(vm, gfn)
  if (state === NOPAGE) return -ENOENT
  if (state !== SHARED_BORROWED) return -EPERM
  const page = pkvmPage(vm.pfn.get(checkedGfn(gfn)) as Pfn)
  if (warnOn(page.shareCount === 0, '__pkvm_host_unshare_guest: nothing is shared')) return -EINVAL
  touch(page, vm)
  page.shareCount -= 1
  if (page.shareCount === 0) page.host = OWNED
  setGuest(vm, gfn, NOPAGE, 0)
  return 0
}

/**
 * __pkvm_host_donate_guest, to a protected guest. Room for the tables is looked at before anything
 * changes: behind the first update there is no way back.
 */
export function hostDonateGuest(vm: PkvmVm, handle: number, gfn: Gfn, pfn: Pfn): number {
  const page = pkvmPage(pfn)
  alsoReads(vm, 'memcache')
  if (vm.memcache < 1) return -ENOMEM
  if (!isHostsAlone(page)) return -EPERM
  if (guestState(vm, gfn) !== NOPAGE) return -EPERM
  touch(page, vm)
  alsoWrites(vm, 'memcache')
  vm.memcache -= 1
  page.host = NOPAGE
  page.owner = OWNER_GUEST
  page.ownerVm = handle
  page.ownerGfn = gfn
  setGuest(vm, gfn, OWNED, pfn)
  return 0
}

/** The guest's page at a gfn if it is in a state; an error if not. */
function guestPage(vm: PkvmVm, gfn: Gfn, wanted: number): number {
  const state = guestState(vm, gfn)
  if (state === NOPAGE) return -ENOENT
  if (state === POISONED) return -EHWPOISON
  return state === wanted ? 0 : -EPERM
}

/** __pkvm_guest_share_host: a protected guest lets the host at one of its pages. */
export function guestShareHost(vm: PkvmVm, gfn: Gfn): number {
  const error = guestPage(vm, gfn, OWNED)
  if (error !== 0) return error
  const pfn = vm.pfn.get(checkedGfn(gfn)) as Pfn
  const page = pkvmPage(pfn)
  if (page.host !== NOPAGE) return -EPERM
  touch(page, vm)
  page.host = SHARED_BORROWED
  setGuest(vm, gfn, SHARED_OWNED, pfn)
  return 0
}

/** __pkvm_guest_unshare_host. */
export function guestUnshareHost(vm: PkvmVm, gfn: Gfn): number {
  const error = guestPage(vm, gfn, SHARED_OWNED)
  if (error !== 0) return error
  const pfn = vm.pfn.get(checkedGfn(gfn)) as Pfn
  const page = pkvmPage(pfn)
  if (page.host !== SHARED_BORROWED) return -EPERM
  touch(page, vm)
  page.host = NOPAGE
  setGuest(vm, gfn, OWNED, pfn)
  return 0
}

/** Zero a page and give it to the host; in this order, so that the host never sees what was there. */
export const giveBack = fn(function hyp_give_back(page: PkvmPage): void {
  const pfn = frameOf(page)
  const folio = pfnToFolio(pfn)!
  alsoWrites(folio, 'data')
  folio.data = ZERO_PAGE
  tracepoint('pkvm_page_returned', folio)
  page.host = OWNED
  page.owner = OWNER_HOST
  page.ownerVm = 0
  page.ownerGfn = 0 as Gfn
})

/** __pkvm_host_reclaim_page_guest: only from a VM that is taken down. */
export function hostReclaimPageGuest(vm: PkvmVm, gfn: Gfn): number {
  const state = guestState(vm, gfn)
  if (!vm.dying) return -EPERM
  if (state === NOPAGE) return -ENOENT
  if (state === POISONED) {
    alsoWrites(vm, 'state')
    setGuest(vm, gfn, NOPAGE, 0)
    return 0
  }
  if (state === SHARED_BORROWED) return -EPERM
  const page = pkvmPage(vm.pfn.get(checkedGfn(gfn)) as Pfn)
  touch(page, vm)
  giveBack(page)
  setGuest(vm, gfn, NOPAGE, 0)
  return 0
}

/** The VM of a handle, while the hypervisor knows it. */
export function vmOfHandle(handle: number): PkvmVm | null {
  const at = PkvmVm.base + (handle - 1) * PkvmVm.words
  return headerAt(PkvmVm as unknown as Struct<Obj>, at) === PkvmVm.id ? PkvmVm.at(at) : null
}

/**
 * __pkvm_host_force_reclaim_page_guest: the host has touched a page of a guest, and may have it, but
 * zeroed, and the guest will find its entry poisoned.
 */
export function hostForceReclaimPageGuest(pfn: Pfn): number {
  const page = pkvmPage(pfn)
  alsoReads(page, 'host')
  if (page.host !== NOPAGE) return -EAGAIN
  if (page.owner !== OWNER_GUEST) return -EPERM
  const vm = vmOfHandle(page.ownerVm)
  if (vm === null) return -EAGAIN
  const gfn = page.ownerGfn
  if (guestState(vm, gfn) !== OWNED) return -EPERM
  touch(page, vm)
  giveBack(page)
  setGuest(vm, gfn, POISONED, 0)
  return 0
}

/** MEM_RELINQUISH of Android's hypervisor: a guest gives a page away for good. */
export function guestRelinquish(vm: PkvmVm, gfn: Gfn): number {
  const state = guestState(vm, gfn)
  if (state === NOPAGE) return -ENOENT
  if (state !== OWNED) return -EPERM
  const page = pkvmPage(vm.pfn.get(checkedGfn(gfn)) as Pfn)
  touch(page, vm)
  giveBack(page)
  setGuest(vm, gfn, NOPAGE, 0)
  return 0
}

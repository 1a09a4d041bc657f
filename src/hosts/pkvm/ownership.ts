/**
 * Who owns which page, as the hypervisor of pKVM at EL2 keeps it: for each frame what the host and
 * the hypervisor have of it, and for each guest a stage-2 table from guest frame to frame.
 *
 * The hypercalls below are one step each: the hypervisor holds the locks of the VM table, of host,
 * hyp and guest, in this order, from the first check to the last update, and no CPU keeps a
 * translation that it has taken away. Nothing is ever undone, so everything is checked first; what
 * fails behind that is a WARN(), and one at EL2 stops the machine.
 *
 * Left out: parameters that make no sense (ranges, sizes, protections: -EINVAL; what is not RAM:
 * -EPERM), since a call here is about one page of RAM; blocks (-E2BIG); the host's own table, which
 * is filled when the host faults; the pages in which all this is kept.
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
import { KernelFault, tracepoint } from '../../machine/fault.js'
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
import { MAX_TASKS } from '../../machine/task.js'

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
  /** The hypervisor has its own of the VM; before that the handle is only reserved. */
  created: boolean
  /** The host has begun to take it down, and may take its pages back. */
  dying: boolean
  /** The stage-2 table has the one table page that all its entries need. */
  table: boolean
  /** By vCPU: pages in its cache that the hypervisor may use for tables; one is the worst case. */
  memcache: Vec
  /** By gfn: what the guest has of the page; NOPAGE for none. */
  state: Vec
  /** By gfn: the frame, while the guest has one. */
  pfn: Vec
}

export const PkvmVm: Struct<PkvmVm> = struct<PkvmVm>(
  'PkvmVm',
  {
    protected: flag(),
    created: flag(),
    dying: flag(),
    table: flag(),
    memcache: vec(MAX_TASKS),
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

/** WARN_ON() and BUG_ON() at EL2: both are a BRK, of which the hypervisor knows no way back. */
export function hypPanicOn(condition: boolean, why: string): void {
  if (condition) throw new KernelFault('hypervisor-panic', 'undefined', `${why}: EL2 panics`)
}

/** Has the host all of the page, and nobody else anything? */
function isHostsAlone(page: PkvmPage): boolean {
  return page.host === OWNED && page.hyp === NOPAGE
}

/**
 * Models: 7.1 arch/arm64/kvm/hyp/nvhe/mem_protect.c __pkvm_host_share_hyp. Compared: 7.0 source.
 */
export function hostShareHyp(pfn: Pfn): number {
  const page = pkvmPage(pfn)
  if (!isHostsAlone(page)) return -EPERM
  touch(page)
  page.hyp = SHARED_BORROWED
  page.host = SHARED_OWNED
  return 0
}

/**
 * -EBUSY while the hypervisor has it pinned.
 *
 * Models: 7.1 arch/arm64/kvm/hyp/nvhe/mem_protect.c __pkvm_host_unshare_hyp. Compared: 7.0 source.
 */
export function hostUnshareHyp(pfn: Pfn): number {
  const page = pkvmPage(pfn)
  if (page.host !== SHARED_OWNED || page.hyp !== SHARED_BORROWED) return -EPERM
  if (page.hypPins > 0) return -EBUSY
  touch(page)
  page.hyp = NOPAGE
  page.host = OWNED
  return 0
}

/**
 * Models: 7.1 arch/arm64/kvm/hyp/nvhe/mem_protect.c __pkvm_host_donate_hyp. Compared: 7.0 source.
 */
export function hostDonateHyp(pfn: Pfn): number {
  const page = pkvmPage(pfn)
  if (!isHostsAlone(page)) return -EPERM
  touch(page)
  page.hyp = OWNED
  page.host = NOPAGE
  page.owner = OWNER_HYP
  return 0
}

/**
 * Models: 7.1 arch/arm64/kvm/hyp/nvhe/mem_protect.c __pkvm_hyp_donate_host. Compared: 7.0 source.
 */
export function hypDonateHost(pfn: Pfn): number {
  const page = pkvmPage(pfn)
  if (page.hyp !== OWNED || page.host !== NOPAGE) return -EPERM
  touch(page)
  page.hyp = NOPAGE
  setOwnerHost(page)
  return 0
}

/**
 * With the secure world, of which no table here knows.
 *
 * Models: 7.1 arch/arm64/kvm/hyp/nvhe/mem_protect.c __pkvm_host_share_ffa. Compared: 7.0 source.
 */
export function hostShareFfa(pfn: Pfn): number {
  const page = pkvmPage(pfn)
  if (page.host !== OWNED) return -EPERM
  touch(page)
  page.host = SHARED_OWNED
  return 0
}

/**
 * With whom the page is shared is not asked; that the host has shared it there, the secure world
 * must say first.
 *
 * Models: 7.1 arch/arm64/kvm/hyp/nvhe/mem_protect.c __pkvm_host_unshare_ffa. Compared: 7.0 source.
 */
export function hostUnshareFfa(pfn: Pfn): number {
  const page = pkvmPage(pfn)
  if (page.host !== SHARED_OWNED) return -EPERM
  touch(page)
  page.host = OWNED
  return 0
}

/**
 * Models: 7.1 arch/arm64/kvm/hyp/nvhe/mem_protect.c hyp_pin_shared_mem. Compared: 7.0 source.
 */
export function hypPinSharedMem(pfn: Pfn): number {
  const page = pkvmPage(pfn)
  if (page.host !== SHARED_OWNED || page.hyp !== SHARED_BORROWED) return -EPERM
  touch(page)
  page.hypPins += 1
  return 0
}

/**
 * Nobody asks whether there is a pin.
 *
 * Models: 7.1 arch/arm64/kvm/hyp/nvhe/mem_protect.c hyp_unpin_shared_mem. Compared: 7.0 source.
 */
export function hypUnpinSharedMem(pfn: Pfn): void {
  const page = pkvmPage(pfn)
  touch(page)
  page.hypPins -= 1
}

/** Most entries that a page can be shared with: U32_MAX in Linux. */
export const MOST_SHARES = 63

/**
 * Is there room for the tables that the entry may need? 0 or -ENOMEM.
 *
 * Models: 7.1 arch/arm64/kvm/hyp/nvhe/mem_protect.c __guest_check_pgtable_memcache. Simplifies: the
 * worst case is one page. Compared: 7.0 source, which has none.
 */
export const guestCheckMemcache = fn(function __guest_check_pgtable_memcache(
  vm: PkvmVm,
  vcpu: number,
): number {
  return vm.memcache.get(vcpu) < 1 ? -ENOMEM : 0
})

/**
 * Up to 7.0 nobody asks.
 *
 * Models: 7.0 arch/arm64/kvm/hyp/nvhe/mem_protect.c __pkvm_host_share_guest. Compared: 7.1 source,
 * which asks.
 */
export const memcacheUnchecked = fn(function __guest_check_pgtable_memcache(
  _vm: PkvmVm,
  _vcpu: number,
): number {
  return 0
})

/**
 * An entry of a guest's. A table that is missing is taken from the vCPU's cache; behind the first
 * update nobody can do without it.
 *
 * Models: 7.1 arch/arm64/kvm/hyp/nvhe/mem_protect.c guest_s2_zalloc_page, in kvm_pgtable_stage2_map.
 * Simplifies: all entries are in one table, which is never freed. Compared: 7.0 source.
 */
function guestMap(vm: PkvmVm, vcpu: number, gfn: Gfn, state: number, pfn: Pfn): void {
  if (!vm.table) {
    hypPanicOn(vm.memcache.get(vcpu) < 1, 'kvm_pgtable_stage2_map: no page for a table')
    vm.memcache.set(vcpu, vm.memcache.get(vcpu) - 1)
    vm.table = true
  }
  setGuest(vm, gfn, state, pfn)
}

/**
 * The guest's side is looked at first; then the host's, where only a page that is shared with guests
 * alone may be shared once more; then the room for tables.
 *
 * Models: 7.1 arch/arm64/kvm/hyp/nvhe/mem_protect.c __pkvm_host_share_guest. Simplifies: that the
 * guest is not protected, the handler of the call has seen to. Compared: 7.0 source, which does not
 * look for room.
 */
export function hostShareGuest(vm: PkvmVm, vcpu: number, gfn: Gfn, pfn: Pfn): number {
  const page = pkvmPage(pfn)
  if (guestState(vm, gfn) !== NOPAGE) return -EPERM
  if (page.host === SHARED_OWNED) {
    if (page.shareCount === MOST_SHARES) return -EBUSY
    if (page.shareCount === 0) return -EPERM
  } else if (page.host !== OWNED) return -EPERM
  const room = guestCheckMemcache(vm, vcpu)
  if (room !== 0) return room
  touch(page, vm)
  page.host = SHARED_OWNED
  page.shareCount += 1
  guestMap(vm, vcpu, gfn, SHARED_BORROWED, pfn)
  return 0
}

/**
 * Models: 7.1 arch/arm64/kvm/hyp/nvhe/mem_protect.c __pkvm_host_unshare_guest. Simplifies: as above.
 * Compared: 7.0 source.
 */
export function hostUnshareGuest(vm: PkvmVm, gfn: Gfn): number {
  const state = guestState(vm, gfn)
  if (state === NOPAGE || state === POISONED) return -ENOENT
  if (state !== SHARED_BORROWED) return -EPERM
  const page = pkvmPage(vm.pfn.get(checkedGfn(gfn)) as Pfn)
  if (page.host !== SHARED_OWNED) return -EPERM
  hypPanicOn(page.shareCount === 0, '__pkvm_host_unshare_guest: nothing is shared')
  touch(page, vm)
  setGuest(vm, gfn, NOPAGE, 0)
  page.shareCount -= 1
  if (page.shareCount === 0) page.host = OWNED
  return 0
}

/**
 * To a protected guest: -EPERM unless the page is the host's alone and the guest's entry empty, then
 * -ENOMEM for want of room. The host's side says no for a page that the hypervisor has anything of,
 * since the host has it in full in no such state.
 *
 * Models: 7.1 arch/arm64/kvm/hyp/nvhe/mem_protect.c __pkvm_host_donate_guest. Compared: 7.0 source,
 * which has no such call.
 */
export function hostDonateGuest(vm: PkvmVm, vcpu: number, gfn: Gfn, pfn: Pfn): number {
  const page = pkvmPage(pfn)
  if (page.host !== OWNED) return -EPERM
  if (guestState(vm, gfn) !== NOPAGE) return -EPERM
  const room = guestCheckMemcache(vm, vcpu)
  if (room !== 0) return room
  touch(page, vm)
  setOwnerGuest(page, vm, gfn)
  guestMap(vm, vcpu, gfn, OWNED, pfn)
  return 0
}

/**
 * The host's entry says whose the page is, and where.
 *
 * Models: 7.1 arch/arm64/kvm/hyp/nvhe/mem_protect.c host_stage2_set_owner_metadata_locked and
 * host_stage2_encode_gfn_meta. Compared: 7.0 source, whose entry says only that it is a guest's.
 */
function setOwnerGuest(page: PkvmPage, vm: PkvmVm, gfn: Gfn): void {
  page.host = NOPAGE
  page.owner = OWNER_GUEST
  page.ownerVm = handleOfVm(vm)
  page.ownerGfn = gfn
}

/**
 * Models: 7.1 arch/arm64/kvm/hyp/nvhe/mem_protect.c host_stage2_set_owner_locked, for the host.
 * Compared: 7.0 source.
 */
function setOwnerHost(page: PkvmPage): void {
  page.host = OWNED
  page.owner = OWNER_HOST
  page.ownerVm = 0
  page.ownerGfn = 0 as Gfn
}

/**
 * Has the guest a page at a gfn? 0, or -EHWPOISON, or -ENOENT.
 *
 * Models: 7.1 arch/arm64/kvm/hyp/nvhe/mem_protect.c get_valid_guest_pte. Compared: 7.0 source, which
 * has no such call.
 */
function validGuestPte(vm: PkvmVm, gfn: Gfn): number {
  const state = guestState(vm, gfn)
  if (state === POISONED) return -EHWPOISON
  return state === NOPAGE ? -ENOENT : 0
}

/**
 * A protected guest lets the host at one of its pages.
 *
 * Models: 7.1 arch/arm64/kvm/hyp/nvhe/mem_protect.c __pkvm_guest_share_host. Compared: 7.0 source,
 * which has no such call.
 */
export function guestShareHost(vm: PkvmVm, gfn: Gfn): number {
  const error = validGuestPte(vm, gfn)
  if (error !== 0) return error
  if (guestState(vm, gfn) !== OWNED) return -EPERM
  const pfn = vm.pfn.get(checkedGfn(gfn)) as Pfn
  const page = pkvmPage(pfn)
  if (page.host !== NOPAGE) return -EPERM
  touch(page, vm)
  setGuest(vm, gfn, SHARED_OWNED, pfn)
  page.host = SHARED_BORROWED
  return 0
}

/**
 * And stops that.
 *
 * Models: 7.1 arch/arm64/kvm/hyp/nvhe/mem_protect.c __pkvm_guest_unshare_host. Compared: 7.0 source,
 * which has no such call.
 */
export function guestUnshareHost(vm: PkvmVm, gfn: Gfn): number {
  const error = validGuestPte(vm, gfn)
  if (error !== 0) return error
  if (guestState(vm, gfn) !== SHARED_OWNED) return -EPERM
  const pfn = vm.pfn.get(checkedGfn(gfn)) as Pfn
  const page = pkvmPage(pfn)
  if (page.host !== SHARED_BORROWED) return -EPERM
  touch(page, vm)
  setOwnerGuest(page, vm, gfn)
  setGuest(vm, gfn, OWNED, pfn)
  return 0
}

/**
 * A page of the guest's alone is zeroed and given to the host; in this order, so that the host never
 * sees what was there.
 *
 * Models: 7.1 arch/arm64/kvm/hyp/nvhe/mem_protect.c hyp_poison_page, with
 * host_stage2_set_owner_locked. Compared: 7.0 source, which has no such call.
 */
export const giveBack = fn(function hyp_poison_page(page: PkvmPage): void {
  const folio = pfnToFolio(frameOf(page))!
  alsoWrites(folio, 'data')
  folio.data = ZERO_PAGE
  tracepoint('pkvm_page_returned', folio)
  setOwnerHost(page)
})

/**
 * Only from a VM that is taken down. What the host could read it gets as it is. A poisoned entry is
 * left alone, and 0, since the host has that page already and waits to drop its pin.
 *
 * Models: 7.1 arch/arm64/kvm/hyp/nvhe/mem_protect.c __pkvm_host_reclaim_page_guest, behind
 * hyp/nvhe/pkvm.c __pkvm_reclaim_dying_guest_page. Compared: 7.0 source, which has no such call.
 */
export function hostReclaimPageGuest(vm: PkvmVm, gfn: Gfn): number {
  if (!vm.created || !vm.dying) return -EINVAL
  const error = validGuestPte(vm, gfn)
  if (error !== 0) return error === -EHWPOISON ? 0 : error
  const state = guestState(vm, gfn)
  const page = pkvmPage(vm.pfn.get(checkedGfn(gfn)) as Pfn)
  if (state !== OWNED && state !== SHARED_OWNED) return -EPERM
  const expected = state === OWNED ? NOPAGE : SHARED_BORROWED
  hypPanicOn(page.host !== expected, '__pkvm_host_reclaim_page_guest: the host has it already')
  touch(page, vm)
  if (state === OWNED) giveBack(page)
  else setOwnerHost(page)
  setGuest(vm, gfn, NOPAGE, 0)
  return 0
}

/** The handle of a VM, from 1. */
function handleOfVm(vm: PkvmVm): number {
  return (vm.at - PkvmVm.base) / PkvmVm.words + 1
}

/** The handle that the host has of it. */
export function handleOf(kvm: Kvm): number {
  return (kvm.at - Kvm.base) / Kvm.words + 1
}

/**
 * The VM of a handle, or NULL; also if the handle is only reserved.
 *
 * Models: 7.1 arch/arm64/kvm/hyp/nvhe/pkvm.c get_vm_by_handle. Compared: 7.0 source.
 */
export function vmOfHandle(handle: number): PkvmVm | null {
  const at = PkvmVm.base + (handle - 1) * PkvmVm.words
  if (headerAt(PkvmVm as unknown as Struct<Obj>, at) !== PkvmVm.id) return null
  const vm = PkvmVm.at(at) as PkvmVm
  return vm.created ? vm : null
}

/**
 * The host has touched a page of a guest, and may have it, but zeroed, and the guest will find its
 * entry poisoned. -EAGAIN: it can touch it now, or the VM is about to go; -EPERM: it is no guest's.
 *
 * Models: 7.1 arch/arm64/kvm/hyp/nvhe/mem_protect.c __pkvm_host_force_reclaim_page_guest, with
 * host_stage2_get_guest_info. Compared: 7.0 source, which has no such call.
 */
export function hostForceReclaimPageGuest(pfn: Pfn): number {
  const page = pkvmPage(pfn)
  alsoReads(page, 'host')
  if (page.host !== NOPAGE) return -EAGAIN
  if (page.owner !== OWNER_GUEST) return -EPERM
  const vm = vmOfHandle(page.ownerVm)
  if (vm === null) return -EAGAIN
  const gfn = page.ownerGfn
  const error = validGuestPte(vm, gfn)
  if (error !== 0) return error
  hypPanicOn(vm.pfn.get(gfn) !== pfn, "__pkvm_host_force_reclaim_page_guest: another's page")
  if (guestState(vm, gfn) !== OWNED) return -EPERM
  touch(page, vm)
  setGuest(vm, gfn, POISONED, 0)
  giveBack(page)
  return 0
}

/**
 * Has the vCPU faulted on poison? The hypervisor takes the address from its own registers.
 *
 * Models: 7.1 arch/arm64/kvm/hyp/nvhe/mem_protect.c __pkvm_vcpu_in_poison_fault. Simplifies: the
 * fault is a translation fault at the last level, else -EINVAL. Compared: 7.0 source, which has no
 * such call.
 */
export function vcpuInPoisonFault(vm: PkvmVm, gfn: Gfn): boolean {
  return guestState(vm, gfn) === POISONED
}

/**
 * A guest gives a page away for good: zeroed, and the host's.
 *
 * Derived: MEM_RELINQUISH of Android's hypervisor, from notes; no Linux up to 7.1 has it.
 */
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

/** Whose a frame is, in a few words: what the host has of it, and who else has something. */
export function ownerOf(pfn: Pfn): string {
  if (!isCovered(pfn)) return ''
  const { host, hyp, owner, ownerVm, ownerGfn, shareCount } = pkvmPage(pfn)
  if (host === NOPAGE) return owner === OWNER_HYP ? 'hyp' : `guest ${ownerVm} gfn ${ownerGfn}`
  if (host === OWNED) return 'host'
  if (host === SHARED_BORROWED) return `guest ${ownerVm} gfn ${ownerGfn}, shared with the host`
  if (hyp === SHARED_BORROWED) return 'host, shared with hyp'
  return shareCount > 0 ? `host, shared with guests (${shareCount})` : 'host, shared'
}

/**
 * Who owns which page, as the hypervisor of pKVM at EL2 keeps it: for each frame what the host and
 * the hypervisor have of it, and for each guest a stage-2 table from guest frame to frame. What the
 * host can ask of it for itself is in `host-calls.ts`, what moves pages between it and guests in
 * `guest-calls.ts`.
 *
 * The hypercalls are one step each: the hypervisor holds the locks of the VM table, of host, hyp
 * and guest, in this order, from the first check to the last update, and no CPU keeps a translation
 * that it has taken away. Nothing is ever undone, so everything is checked first; what fails behind
 * that is a WARN(), and one at EL2 stops the machine.
 *
 * Left out: parameters that make no sense (ranges, sizes, protections: -EINVAL; what is not RAM:
 * -EPERM), since a call here is about one page of RAM; blocks (-E2BIG); the host's own table, which
 * is filled when the host faults; the pages in which all this is kept.
 */
import { Kvm } from '../../kernel/include/kvm.js'
import type { Gfn, Pfn } from '../../kernel/include/types.js'
import { KVM_VM_TYPE_ARM_PROTECTED } from '../../kernel/include/uapi.js'
import { alsoReads, alsoWrites } from '../../machine/effects.js'
import { hypervisorPanic, LimitError } from '../../machine/fault.js'
import { fn } from '../../machine/fn.js'
import {
  constructAt,
  flag,
  headerAt,
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
  if (!isCovered(pfn)) throw new LimitError(`pKVM keeps the state of pfns below ${COVERED}`)
  return PkvmPage.at(PkvmPage.base + pfn * PkvmPage.words) as PkvmPage
}

/** The frame of an entry. */
export function frameOf(page: PkvmPage): Pfn {
  return numberIn(PkvmPage, page) as Pfn
}

export function checkedGfn(gfn: Gfn): number {
  if (gfn < GUEST_FRAMES) return gfn
  throw new LimitError(`a guest of pKVM has entries for gfns below ${GUEST_FRAMES}`)
}

/** The announced field of a page, or a VM, stands for all of it. */
export function touch(page: PkvmPage, vm: PkvmVm | undefined = undefined): void {
  alsoWrites(page, 'host')
  if (vm !== undefined) alsoWrites(vm, 'state')
}

export function guestState(vm: PkvmVm, gfn: Gfn): number {
  alsoReads(vm, 'state')
  return vm.state.get(checkedGfn(gfn))
}

export function setGuest(vm: PkvmVm, gfn: Gfn, state: number, pfn: number): void {
  vm.state.set(checkedGfn(gfn), state)
  vm.pfn.set(checkedGfn(gfn), pfn)
}

/** WARN_ON() and BUG_ON() at EL2: both are a BRK, of which the hypervisor knows no way back. */
export function hypPanicOn(condition: boolean, why: string): void {
  if (condition) hypervisorPanic(`${why}: EL2 panics`)
}

/** Has the host all of the page, and nobody else anything? */
export function isHostsAlone(page: PkvmPage): boolean {
  return page.host === OWNED && page.hyp === NOPAGE
}

/**
 * The host's entry says whose the page is, and where.
 *
 * Models: 7.1 arch/arm64/kvm/hyp/nvhe/mem_protect.c host_stage2_set_owner_metadata_locked and
 * host_stage2_encode_gfn_meta. Compared: 7.0 source, whose entry says only that it is a guest's.
 */
export function setOwnerGuest(page: PkvmPage, vm: PkvmVm, gfn: Gfn): void {
  page.host = NOPAGE
  page.owner = OWNER_GUEST
  page.ownerVm = handleOfVm(vm)
  page.ownerGfn = gfn
}

/**
 * Models: 7.1 arch/arm64/kvm/hyp/nvhe/mem_protect.c host_stage2_set_owner_locked, for the host.
 * Compared: 7.0 source.
 */
export function setOwnerHost(page: PkvmPage): void {
  page.host = OWNED
  page.owner = OWNER_HOST
  page.ownerVm = 0
  page.ownerGfn = 0 as Gfn
}

/** The handle of a VM, from 1. */
function handleOfVm(vm: PkvmVm): number {
  return numberIn(PkvmVm, vm) + 1
}

/** The handle that the host has of it. */
export function handleOf(kvm: Kvm): number {
  return numberIn(Kvm, kvm) + 1
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

/** The guest has nothing behind the leaf any more: the hypervisor has taken the page by force. */
export const isPoisoned = fn(function is_taken(kvm: Kvm, gfn: Gfn): boolean {
  if (kvm.vmType !== KVM_VM_TYPE_ARM_PROTECTED) return false
  return vmOfHandle(handleOf(kvm))?.state.get(gfn) === POISONED
})

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

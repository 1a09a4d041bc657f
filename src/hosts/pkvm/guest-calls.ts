/**
 * Hypercalls that move pages between the host and its guests: shared with one that is not protected,
 * given to one that is, lent back by it, and taken back. Each is one step: see `ownership.ts`.
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
import type { Gfn, Pfn } from '../../kernel/include/types.js'
import { pfnToFolio } from '../../kernel/mm/page_alloc.js'
import { ZERO_PAGE } from '../../machine/blob.js'
import { alsoReads, alsoWrites } from '../../machine/effects.js'
import { tracepoint } from '../../machine/fault.js'
import { fn } from '../../machine/fn.js'
import {
  checkedGfn,
  frameOf,
  guestState,
  hypPanicOn,
  NOPAGE,
  OWNED,
  OWNER_GUEST,
  type PkvmPage,
  type PkvmVm,
  POISONED,
  pkvmPage,
  SHARED_BORROWED,
  SHARED_OWNED,
  setGuest,
  setOwnerGuest,
  setOwnerHost,
  touch,
  vmOfHandle,
} from './ownership.js'

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

/**
 * Hypercalls by which the host shares pages with the hypervisor or the secure world, or gives them
 * to the hypervisor for good. Each is one step: see `ownership.ts`.
 */
import { EBUSY, EPERM } from '../../kernel/include/errno.js'
import type { Pfn } from '../../kernel/include/types.js'
import {
  isHostsAlone,
  NOPAGE,
  OWNED,
  OWNER_HYP,
  pkvmPage,
  SHARED_BORROWED,
  SHARED_OWNED,
  setOwnerHost,
  touch,
} from './ownership.js'

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

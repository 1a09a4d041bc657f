/** Seeded bugs on a host with pKVM: one for each finding of its sanitizer. */
import { defineDesign } from '../src/designs/design.js'
import { gmem618 } from '../src/designs/gmem.js'
import { onHost } from '../src/hosts/host.js'
import { pkvm70, pkvm71 } from '../src/hosts/pkvm/index.js'
import {
  frameOf,
  giveBack,
  hostDonateHyp,
  hostShareHyp,
  hostUnshareFfa,
  OWNED,
  OWNER_HOST,
  type PkvmPage,
  pkvmPage,
} from '../src/hosts/pkvm/ownership.js'
import { unpin } from '../src/hosts/pkvm/vm.js'
import { kvmTdpMmuZap } from '../src/kernel/arch/x86/kvm/tdp_mmu.js'
import { directMapLoad } from '../src/kernel/arch/x86/mm/direct_map.js'
import { Kvm, type Spte } from '../src/kernel/include/kvm.js'
import type { Folio } from '../src/kernel/include/mm.js'
import type { Gfn, Pgoff } from '../src/kernel/include/types.js'
import { xaErase, xaFindIndex, xaLoad } from '../src/kernel/lib/xarray.js'
import { sysFcntlGetSeals } from '../src/kernel/mm/memfd.js'
import { clearFolio, pfnToFolio } from '../src/kernel/mm/page_alloc.js'
import { write } from '../src/machine/effects.js'
import { tracepoint } from '../src/machine/fault.js'
import { fn, type Kernel, type Replacement, replace } from '../src/machine/fn.js'
import { fileMapping } from '../src/user/harness.js'
import type { Mutant } from './mutant.js'

const GUEST = `
setup
  vm = confidential_vm()
  fd = private_memory(vm, 2P)
  bind(vm, slot=0, gpa=0, size=2P, fd=fd, offset=0)
  set_attributes(vm, gpa=0, size=1P, PRIVATE)
  launch(vm)
  guest_write(vm, gpa=0, 0x5a) == 0
`

function mutant(
  name: string,
  by: Replacement,
  calls: string,
  finding: string,
  host = pkvm71,
): Mutant {
  const own = { id: name, summary: name, base: gmem618, cite: ['seeded'], replaces: [by] }
  const scenario = `litmus mutants/own\n"A seeded bug."\nhost pkvm\n${GUEST}\ntask t\n${calls}`
  return { name, design: onHost(defineDesign(own), host), scenario, caughtBy: 'pkvm', finding }
}

/** Page `index` of a file. */
function pageOf(fd: number, index: number): Folio {
  return xaLoad(fileMapping(fd)!.iPages, index as Pgoff) as Folio
}

const SECOND = '  fallocate(fd, KEEP_SIZE, offset=1P, size=1P)\n  fcntl_get_seals(fd)\n'

const clearsDonated = fn(function* memfd_get_seals(fd: number): Kernel<number> {
  const folio = pageOf(fd, 0)
  yield write(folio, 'data')
  clearFolio(folio)
  return 0
})

/** Whom a page is shared with is asked in neither of the two. */
const unsharesWrongly = fn(function* memfd_get_seals(fd: number): Kernel<number> {
  const pfn = pageOf(fd, 1).pfn
  yield write(pkvmPage(pfn), 'host')
  hostShareHyp(pfn)
  return hostUnshareFfa(pfn)
})

const countsTwice = fn(function* memfd_get_seals(fd: number): Kernel<number> {
  const page = pkvmPage(pageOf(fd, 1).pfn)
  yield write(page, 'shareCount')
  page.shareCount += 1
  return 0
})

/** A page that the hypervisor keeps for itself cannot be had by force. */
const loadsFromHyp = fn(function* memfd_get_seals(fd: number): Kernel<number> {
  const folio = pageOf(fd, 1)
  yield write(pkvmPage(folio.pfn), 'host')
  hostDonateHyp(folio.pfn)
  directMapLoad(folio)
  return 0
})

const forgetsGuest = fn(function* tdp_mmu_zap_leafs(
  kvm: Kvm,
  start: Gfn,
  end: Gfn,
): Kernel<boolean> {
  const gfn = xaFindIndex(kvm.tdpMmu, start, end - 1)
  yield write(kvm.tdpMmu, 'xaHead')
  if (gfn >= 0) xaErase(kvm.tdpMmu, gfn)
  return false
})

const givesBackAsIs = fn(function hyp_give_back(page: PkvmPage): void {
  tracepoint('pkvm_page_returned', pfnToFolio(frameOf(page)))
  page.host = OWNED
  page.owner = OWNER_HOST
})

const unpinsFirst = fn(function* memfd_get_seals(_fd: number): Kernel<number> {
  const kvm = Kvm.at(Kvm.base) as Kvm
  yield* unpin(xaLoad(kvm.tdpMmu, 1 as Gfn) as Spte)
  return 0
})

const PUNCH = '  fallocate(fd, PUNCH_HOLE|KEEP_SIZE, offset=0, size=1P)\n  drain_lru()\n'
const inGetSeals = (by: typeof sysFcntlGetSeals): Replacement => replace(sysFcntlGetSeals, by)

export const PKVM_MUTANTS: readonly Mutant[] = [
  mutant(
    'donated-page-cleared',
    inGetSeals(clearsDonated),
    '  fcntl_get_seals(fd)\n',
    'hypervisor-panic',
    pkvm70,
  ),
  mutant('unshared-with-the-wrong-one', inGetSeals(unsharesWrongly), SECOND, 'ownership-conflict'),
  mutant('loads-from-the-hypervisor', inGetSeals(loadsFromHyp), SECOND, 'host-read-fault'),
  mutant('share-counted-twice', inGetSeals(countsTwice), SECOND, 'share-miscount'),
  mutant('guest-forgotten', replace(kvmTdpMmuZap, forgetsGuest), PUNCH, 'freed-while-donated'),
  mutant(
    'page-given-back-as-it-is',
    replace(giveBack, givesBackAsIs),
    PUNCH,
    'guest-page-not-zeroed',
  ),
  mutant(
    'pin-dropped-first',
    inGetSeals(unpinsFirst),
    '  guest_write(vm, gpa=1P, 0x33) == 0\n  fcntl_get_seals(fd)\n',
    'pin-dropped-early',
  ),
]

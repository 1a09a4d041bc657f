/** Seeded bugs on a host with pKVM: one for each finding of its sanitizer. */
import { defineDesign } from '../src/designs/design.js'
import { gmem618 } from '../src/designs/gmem.js'
import { onHost } from '../src/hosts/host.js'
import { mapGuest, pkvmMemAbort, topupMemcache } from '../src/hosts/pkvm/guest.js'
import { giveBack, guestCheckMemcache, memcacheUnchecked } from '../src/hosts/pkvm/guest-calls.js'
import { hostDonateHyp, hostShareHyp, hostUnshareFfa } from '../src/hosts/pkvm/host-calls.js'
import { pkvm70, pkvm71 } from '../src/hosts/pkvm/index.js'
import { frameOf, OWNED, OWNER_HOST, type PkvmPage, pkvmPage } from '../src/hosts/pkvm/ownership.js'
import { unpin } from '../src/hosts/pkvm/vm.js'
import { kvmTdpMmuZap } from '../src/kernel/arch/x86/kvm/tdp_mmu.js'
import { directMapLoad, hostUserFault } from '../src/kernel/arch/x86/mm/direct_map.js'
import { Kvm, type KvmPageFault, type KvmVcpu, type Spte } from '../src/kernel/include/kvm.js'
import type { Folio } from '../src/kernel/include/mm.js'
import { type Gfn, type Pgoff, pgoffToBytes } from '../src/kernel/include/types.js'
import { xaErase, xaFindIndex, xaLoad } from '../src/kernel/lib/xarray.js'
import { getUserPagesUnlocked } from '../src/kernel/mm/gup.js'
import { sysFcntlGetSeals } from '../src/kernel/mm/memfd.js'
import { clearFolio, pfnToFolio } from '../src/kernel/mm/page_alloc.js'
import { folioPut } from '../src/kernel/mm/swap.js'
import { write } from '../src/machine/effects.js'
import { tracepoint } from '../src/machine/fault.js'
import { fn, type Kernel, type Replacement, replace } from '../src/machine/fn.js'
import { writeLock, writeUnlock } from '../src/machine/locks.js'
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

/** A guest with a page of the process. */
const PROCESS = `
setup
  vm = confidential_vm()
  at = mmap(-1, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS)
  slot_over(vm, slot=0, gpa=0, size=1P, address=at) == 0
`

function mutant(
  name: string,
  by: Replacement | readonly Replacement[],
  calls: string,
  finding: string,
  host = pkvm71,
  setup = GUEST,
): Mutant {
  const replaces = Array.isArray(by) ? by : [by as Replacement]
  const own = { id: name, summary: name, base: gmem618, cite: ['seeded'], replaces }
  const scenario = `litmus mutants/own\n"A seeded bug."\nhost pkvm\n${setup}\ntask t\n${calls}`
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

/** The processor lets a process at what the host does not own. */
const letsProcess = fn(function host_user_fault(_folio: Folio, _write: boolean): number {
  return 0
})

const forgetsPin = fn(function* pkvm_mem_abort(vcpu: KvmVcpu, fault: KvmPageFault): Kernel<number> {
  const folio = yield* getUserPagesUnlocked(pgoffToBytes(fault.slot!.userspaceAddr), true)
  fault.mapWritable = true
  yield* writeLock(vcpu.kvm!.mmuLock)
  const error = yield* mapGuest(vcpu, fault, folio, false)
  writeUnlock(vcpu.kvm!.mmuLock)
  yield* folioPut(folio)
  return error
})

const noTopup = fn(function* topup_hyp_memcache(_vcpu: KvmVcpu): Kernel<number> {
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
  mutant(
    'page-not-pinned',
    replace(pkvmMemAbort, forgetsPin),
    '  guest_write(vm, gpa=0, 0x5a) == 0\n',
    'pin-missing',
    pkvm71,
    PROCESS,
  ),
  mutant(
    'process-let-at-a-guests-page',
    replace(hostUserFault, letsProcess),
    '  guest_write(vm, gpa=0, 0x5a) == 0\n  load(at)\n',
    'guest-page-exposed',
    pkvm71,
    PROCESS,
  ),
  mutant(
    'file-page-of-a-guest-cleared',
    inGetSeals(clearsDonated),
    '  fcntl_get_seals(fd)\n',
    'guest-page-taken',
  ),
  mutant(
    'room-for-tables-not-looked-at',
    [replace(topupMemcache, noTopup), replace(guestCheckMemcache, memcacheUnchecked)],
    '  guest_write(vm, gpa=0, 0x5a) == 0\n',
    'hypervisor-panic',
    pkvm71,
    PROCESS,
  ),
]

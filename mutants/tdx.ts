/** Seeded bugs on a host with TDX: one for each finding of its sanitizer. */
import { defineDesign } from '../src/designs/design.js'
import { gmem618 } from '../src/designs/gmem.js'
import { onHost } from '../src/hosts/host.js'
import { enterGate } from '../src/hosts/tdx/guest.js'
import { tdx619 } from '../src/hosts/tdx/index.js'
import { lockTdr, PT_REG, pamtOf, Td, unlockTdr } from '../src/hosts/tdx/module.js'
import { removePrivateSpte, seamcall, seamcallRetried, tdxTrack } from '../src/hosts/tdx/zap.js'
import type { Kvm, Spte } from '../src/kernel/include/kvm.js'
import type { Folio } from '../src/kernel/include/mm.js'
import type { Gfn, Pgoff } from '../src/kernel/include/types.js'
import { xaErase, xaLoad } from '../src/kernel/lib/xarray.js'
import { sysFcntlGetSeals } from '../src/kernel/mm/memfd.js'
import { clearFolio } from '../src/kernel/mm/page_alloc.js'
import { offStack } from '../src/machine/alloc.js'
import { rmw, write } from '../src/machine/effects.js'
import { fn, type Kernel, type Replacement, replace } from '../src/machine/fn.js'
import { fileMapping } from '../src/user/harness.js'
import type { Mutant } from './mutant.js'

const GUEST = `
setup
  vm = confidential_vm()
  fd = private_memory(vm, 2P)
  bind(vm, slot=0, gpa=0, size=2P, fd=fd, offset=0)
  set_attributes(vm, gpa=0, size=2P, PRIVATE)
  launch(vm)
  guest_accept(vm, gpa=0) == 0
  guest_write(vm, gpa=0, 0x5a) == 0
`

function mutant(name: string, by: readonly Replacement[], tasks: string, finding: string): Mutant {
  const own = { id: name, summary: name, base: gmem618, cite: ['seeded'], replaces: by }
  const scenario = `litmus mutants/own\n"A seeded bug."\nhost tdx\n${GUEST}\n${tasks}`
  return { name, design: onHost(defineDesign(own), tdx619), scenario, caughtBy: 'tdx', finding }
}

/** Page `index` of a file. */
function pageOf(fd: number, index: number): Folio {
  return xaLoad(fileMapping(fd)!.iPages, index as Pgoff) as Folio
}

const clearsAgain = fn(function* memfd_get_seals(fd: number): Kernel<number> {
  const folio = pageOf(fd, 0)
  yield write(folio, 'data')
  clearFolio(folio)
  return 0
})

const countsOther = fn(function* memfd_get_seals(fd: number): Kernel<number> {
  const pamt = pamtOf(pageOf(fd, 1).pfn)
  yield write(pamt, 'type')
  pamt.type = PT_REG
  pamt.owner = 1
  return 0
})

/** KVM's own leaf goes, and the TD keeps the page. */
const keepsPage = fn(function* tdx_sept_remove_private_spte(kvm: Kvm, spte: Spte): Kernel<void> {
  yield rmw(kvm.tdpMmu, 'xaHead')
  xaErase(kvm.tdpMmu, spte.gfn)
  offStack(spte)
})

const tracksNothing = fn(function* tdx_track(_kvm: Kvm, _gfn: Gfn): Kernel<void> {})

/** What the module answers is not looked at. */
const asksOnce = fn(function* tdh_do_no_vcpus(kvm: Kvm, call: number, gfn: Gfn): Kernel<number> {
  yield* seamcall(kvm, call, gfn)
  return 0
})

/** The host has lost an entry to the guest, and will not be back. */
const losesEntry = fn(function* memfd_get_seals(_fd: number): Kernel<number> {
  const td = Td.at(Td.base) as Td
  yield write(td, 'state')
  td.hostPriority.set(1, 1)
  return 0
})

/** A call that has the TDR to itself, whatever else is under way. */
const hasTdrAlone = fn(function* memfd_get_seals(_fd: number): Kernel<number> {
  const td = Td.at(Td.base) as Td
  yield write(td, 'tdrExclusive')
  lockTdr(td)
  yield write(td, 'tdrExclusive')
  unlockTdr(td)
  return 0
})

/** A call that shares the tree, whatever else is under way. */
const hasTree = fn(function* memfd_get_seals(_fd: number): Kernel<number> {
  const td = Td.at(Td.base) as Td
  yield write(td, 'state')
  td.treeShared += 1
  yield write(td, 'state')
  td.treeShared -= 1
  return 0
})

const entersBarred = fn(function* tdx_vcpu_run_gate(_kvm: Kvm): Kernel<void> {
  yield rmw(Td.at(Td.base), 'state')
})

const PUNCH = 'task t\n  fallocate(fd, PUNCH_HOLE|KEEP_SIZE, offset=0, size=1P)\n  drain_lru()\n'
const inGetSeals = (by: typeof sysFcntlGetSeals): readonly Replacement[] => [
  replace(sysFcntlGetSeals, by),
]

export const TDX_MUTANTS: readonly Mutant[] = [
  mutant('page-left-in-the-td', [replace(removePrivateSpte, keepsPage)], PUNCH, 'td-page-freed'),
  mutant(
    'td-page-cleared',
    inGetSeals(clearsAgain),
    'task t\n  fcntl_get_seals(fd)\n',
    'td-memory-written',
  ),
  mutant(
    'removal-without-track',
    [replace(tdxTrack, tracksNothing), replace(seamcallRetried, asksOnce)],
    PUNCH,
    'missing-track',
  ),
  mutant(
    'tree-taken-during-a-zap',
    inGetSeals(hasTree),
    `${PUNCH}task vmm\n  fcntl_get_seals(fd)\n`,
    'removal-busy-twice',
  ),
  mutant(
    'tdr-taken-for-a-moment',
    inGetSeals(hasTdrAlone),
    `${PUNCH}task vmm\n  fcntl_get_seals(fd)\n`,
    'tdr-contended',
  ),
  mutant(
    'entry-reserved-and-forgotten',
    inGetSeals(losesEntry),
    'task t\n  kvm_pre_fault_memory(vm, gpa=1P, size=1P)\n  fcntl_get_seals(fd)\n',
    'host-priority-stuck',
  ),
  mutant(
    'barred-vcpu-enters',
    [replace(enterGate, entersBarred)],
    `task vcpu\n  guest_accept(vm, gpa=1P)\n  guest_read(vm, gpa=1P)\n${PUNCH}`,
    'vcpu-not-barred',
  ),
  mutant(
    'frame-of-nobody',
    inGetSeals(countsOther),
    'task t\n  fallocate(fd, KEEP_SIZE, offset=1P, size=1P)\n  fcntl_get_seals(fd)\n',
    'pamt-mismatch',
  ),
]

/** Seeded bugs on a host with SEV-SNP: one for each finding of its sanitizer. */
import { defineDesign } from '../src/designs/design.js'
import { gmem618 } from '../src/designs/gmem.js'
import { onHost } from '../src/hosts/host.js'
import { gmemMove, tryInvalidateLock } from '../src/hosts/snp/gmem-move.js'
import { snp } from '../src/hosts/snp/index.js'
import { rmpupdate } from '../src/hosts/snp/instructions.js'
import { snpLeakPages } from '../src/hosts/snp/leaked.js'
import { headOf, rmpEntry } from '../src/hosts/snp/rmp.js'
import { rmpMakePrivate } from '../src/hosts/snp/sev.js'
import { sevInfo } from '../src/hosts/snp/vm.js'
import { kvmTdpMmuZap } from '../src/kernel/arch/x86/kvm/tdp_mmu.js'
import { kvmX86GmemInvalidate, kvmX86GmemPrepare } from '../src/kernel/arch/x86/kvm/x86_ops.js'
import type { AddressSpace } from '../src/kernel/include/fs.js'
import type { Kvm } from '../src/kernel/include/kvm.js'
import type { Folio } from '../src/kernel/include/mm.js'
import type { Gfn, Pfn, Pgoff } from '../src/kernel/include/types.js'
import { xaLoad } from '../src/kernel/lib/xarray.js'
import { sysFcntlGetSeals } from '../src/kernel/mm/memfd.js'
import { clearFolio } from '../src/kernel/mm/page_alloc.js'
import { write } from '../src/machine/effects.js'
import { fn, type Kernel, type Replacement, replace } from '../src/machine/fn.js'
import { downRead } from '../src/machine/locks.js'
import { fileMapping } from '../src/user/harness.js'
import type { Mutant } from './mutant.js'

const GUEST = `
setup
  vm = confidential_vm()
  fd = private_memory(vm, 2P)
  bind(vm, slot=0, gpa=0, size=2P, fd=fd, offset=0)
  set_attributes(vm, gpa=0, size=2P, PRIVATE)
  launch(vm)
`
const USED = `${GUEST}  guest_accept(vm, gpa=0) == 0
  guest_accept(vm, gpa=1P) == 0
  guest_write(vm, gpa=0, 0x5a) == 0
  guest_write(vm, gpa=1P, 0x33) == 0
`

function mutant(
  name: string,
  by: Replacement,
  setup: string,
  calls: string,
  finding: string,
): Mutant {
  const own = { id: name, summary: name, base: gmem618, cite: ['seeded'], replaces: [by] }
  const scenario = `litmus mutants/own\n"A seeded bug."\nhost snp\n${setup}\ntask t\n${calls}`
  return { name, design: onHost(defineDesign(own), snp), scenario, caughtBy: 'rmp', finding }
}

/** Page `index` of a file. */
function pageOf(fd: number, index: number): Folio {
  return xaLoad(fileMapping(fd)!.iPages, index as Pgoff) as Folio
}

/** A mutant that shows when a file's seals are asked for: a call that nothing else is made of. */
const inGetSeals = (name: string, by: typeof sysFcntlGetSeals, finding: string): Mutant => {
  const calls = '  fcntl_get_seals(fd)\n  guest_read(vm, gpa=0)\n'
  return mutant(name, replace(sysFcntlGetSeals, by), USED, calls, finding)
}

const keepsPage = fn(function* kvm_x86_gmem_invalidate(_folio: Folio): Kernel<void> {})

const wrongGfn = fn(function* kvm_x86_gmem_prepare(
  kvm: Kvm,
  gfn: Gfn,
  folio: Folio,
): Kernel<number> {
  return yield* rmpMakePrivate(folio, (gfn + 1) as Gfn, sevInfo(kvm).asid, false)
})

const foreverImmutable = fn(function* kvm_x86_gmem_prepare(
  kvm: Kvm,
  gfn: Gfn,
  folio: Folio,
): Kernel<number> {
  return yield* rmpMakePrivate(folio, gfn, sevInfo(kvm).asid, true)
})

const zapsNothing = fn(function* tdp_mmu_zap_leafs(
  _kvm: Kvm,
  _start: Gfn,
  _end: Gfn,
): Kernel<boolean> {
  return false
})

const copiesCiphertext = fn(function* memfd_get_seals(fd: number): Kernel<number> {
  const folio = pageOf(fd, 0)
  yield write(folio, 'data')
  folio.data = pageOf(fd, 1).data
  return 0
})

const clearsAgain = fn(function* memfd_get_seals(fd: number): Kernel<number> {
  const folio = pageOf(fd, 0)
  yield write(folio, 'data')
  clearFolio(folio)
  return 0
})

const countsTwice = fn(function* memfd_get_seals(fd: number): Kernel<number> {
  const head = rmpEntry(headOf(pageOf(fd, 0).pfn))
  yield write(head, 'subpageCount')
  head.subpageCount += 1
  return 0
})

/** A frame that nobody has ever allocated is given to the guest, and forgotten. */
const assignsForeign = fn(function* memfd_get_seals(fd: number): Kernel<number> {
  const asid = rmpEntry(pageOf(fd, 0).pfn).asid
  const frame = 400 as Pfn
  yield write(rmpEntry(frame), 'assigned')
  rmpupdate(frame, { assigned: true, gfn: 9 as Gfn, asid, immutable: false, large: false })
  return 0
})

/** A page that a guest has is given up, and freed when the file lets it go. */
const givesUp = fn(function* memfd_get_seals(fd: number): Kernel<number> {
  yield* snpLeakPages(pageOf(fd, 0))
  return 0
})

/** A page of the process, which is the file behind the guest's, is given to the guest. */
const assignsProcessPage = fn(function* memfd_get_seals(fd: number): Kernel<number> {
  const asid = rmpEntry(pageOf(fd, 0).pfn).asid
  const pfn = pageOf(fd + 1, 0).pfn
  yield write(rmpEntry(pfn), 'assigned')
  rmpupdate(pfn, { assigned: true, gfn: 9 as Gfn, asid, immutable: false, large: false })
  return 0
})
const MAPPED = `${USED}  mem = memfd_create()
  ftruncate(mem, 1P)
  at = mmap(mem, PROT_READ|PROT_WRITE, MAP_SHARED, 1P)
  store(at, 0, 0x11) == 0
`

/** A vCPU whose save area is a page of the guest's, which goes. Nobody has told KVM until 2026. */
const RUNS_ON_ITS_PAGE = `  guest_ap_create(vm, gpa=1P)
  guest_read(vm, gpa=0)
  fallocate(fd, PUNCH_HOLE|KEEP_SIZE, offset=1P, size=1P)
  guest_read(vm, gpa=0)
`

/** Both want the lock of the other: the one that migrates waits for invalidate_lock. */
const waitsForInvalidateLock = fn(function* filemap_invalidate_lock_shared(
  mapping: AddressSpace,
): Kernel<boolean> {
  yield* downRead(mapping.invalidateLock)
  return true
})

/** No bug of one judge alone: the order of the locks is told, and the deadlock that comes of it. */
export const WAITS_FOR_INVALIDATE_LOCK = onHost(
  defineDesign({
    id: 'migration-waits-for-invalidate-lock',
    summary: 'gmem-move that does not try invalidate_lock but waits',
    base: gmemMove,
    cite: ['seeded'],
    replaces: [replace(tryInvalidateLock, waitsForInvalidateLock)],
  }),
  snp,
)

/** A page of the process, in which the guest asks for page state changes; one entry has room. */
const GHCB = '  guest_convert(vm, gpa=1P, 0) == 0\n  guest_write(vm, gpa=0x1fe2, 3) == 0\n'
const SHORT_BUFFER = '  guest_psc(vm, ghcb=1P, scratch=0x1fe0)\n'

const PUNCH = '  fallocate(fd, PUNCH_HOLE|KEEP_SIZE, offset=0, size=1P)\n  drain_lru()\n'
const PREFAULT = '  kvm_pre_fault_memory(vm, gpa=0, size=1P)\n'

export const SNP_MUTANTS: readonly Mutant[] = [
  mutant(
    'page-freed-without-release',
    replace(kvmX86GmemInvalidate, keepsPage),
    USED,
    PUNCH,
    'rmp-leak',
  ),
  mutant(
    'assigned-elsewhere',
    replace(kvmX86GmemPrepare, wrongGfn),
    GUEST,
    PREFAULT,
    'rmp-mismatch',
  ),
  mutant(
    'immutable-for-ever',
    replace(kvmX86GmemPrepare, foreverImmutable),
    GUEST,
    PREFAULT,
    'rmp-stranded-page',
  ),
  mutant('punch-without-zap', replace(kvmTdpMmuZap, zapsNothing), USED, PUNCH, 'live-page-taken'),
  inGetSeals('ciphertext-copied', copiesCiphertext, 'ciphertext-moved'),
  inGetSeals('private-page-cleared', clearsAgain, 'host-write-fault'),
  inGetSeals('subpage-counted-twice', countsTwice, 'rmp-miscount'),
  inGetSeals('page-assigned-and-forgotten', assignsForeign, 'asid-in-use'),
  mutant(
    'process-page-assigned',
    replace(sysFcntlGetSeals, assignsProcessPage),
    MAPPED,
    '  fcntl_get_seals(fd)\n',
    'guest-page-mapped-by-process',
  ),
  {
    name: 'save-area-with-no-notifier',
    design: onHost(gmem618, snp),
    scenario: `litmus mutants/own\n"As of 6.18."\nhost snp\n${USED}\ntask t\n${RUNS_ON_ITS_PAGE}`,
    caughtBy: 'rmp',
    finding: 'vmsa-use-after-free',
  },
  inGetSeals('page-given-up-and-freed', givesUp, 'leaked-page-freed'),
  {
    name: 'length-of-a-scratch-area-not-looked-at',
    design: onHost(gmem618, snp),
    scenario: `litmus mutants/own\n"As of 6.18."\nhost snp\n${USED}${GHCB}\ntask t\n${SHORT_BUFFER}`,
    caughtBy: 'memory',
    finding: 'out-of-bounds',
  },
]

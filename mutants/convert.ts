/** Seeded bugs where pages of guest_memfd convert in place, and where private ones are pinned. */
import { defineDesign } from '../src/designs/design.js'
import { gmemConvert } from '../src/designs/gmem-convert.js'
import { onHost } from '../src/hosts/host.js'
import { snp } from '../src/hosts/snp/index.js'
import type { AddressSpace } from '../src/kernel/include/fs.js'
import type { Folio } from '../src/kernel/include/mm.js'
import { currentMm } from '../src/kernel/include/mm_types.js'
import { addPages, type Pgoff } from '../src/kernel/include/types.js'
import { findGetEntry } from '../src/kernel/mm/filemap.js'
import { folioMaybeDmaPinned, gupFast, pteAllows } from '../src/kernel/mm/gup.js'
import { pteAt, pteFolio } from '../src/kernel/mm/pgtable.js'
import { folioPut, folioTryGet } from '../src/kernel/mm/swap.js'
import {
  kvmGmemHasOutstandingReferences,
  kvmGmemMakeShared,
} from '../src/kernel/v7_4/virt/kvm/guest_memfd_convert.js'
import { read } from '../src/machine/effects.js'
import { fn, type Kernel, type Replacement, replace } from '../src/machine/fn.js'
import type { Mutant } from './mutant.js'

/** Whoever has the page, it is converted. */
const looksAtNothing = fn(function* kvm_gmem_has_outstanding_references(
  _mapping: AddressSpace,
  _start: Pgoff,
  _end: Pgoff,
): Kernel<number> {
  return -1
})

/** Page tables and pins are looked at, and not who is about to map the page. */
const countsNoReferences = fn(function* kvm_gmem_has_outstanding_references(
  mapping: AddressSpace,
  start: Pgoff,
  end: Pgoff,
): Kernel<number> {
  let next = start
  while (next < end) {
    const folio = yield* findGetEntry(mapping, next, addPages(end, -1))
    if (folio === null) return -1
    const index = folio.index
    next = addPages(index, 1)
    yield read(folio, 'mapcount')
    const busy = folio.mapcount > 0 || folioMaybeDmaPinned(folio)
    yield* folioPut(folio)
    if (busy) return index
  }
  return -1
})

/** The page is got by a PTE that may be gone by now. */
const looksOnce = fn(function* gup_pte_range(
  address: bigint,
  write: boolean,
): Kernel<Folio | null> {
  const mm = currentMm()
  yield read(mm.pageTable, 'xaHead')
  const pte = pteAt(mm, address)
  if (!pteAllows(pte, write)) return null
  const folio = pteFolio(pte)
  return (yield* folioTryGet(folio)) ? folio : null
})

/** What was the guest's by the reverse map table stays so. */
const givesNothingBack = fn(function* kvm_gmem_make_shared(
  _mapping: AddressSpace,
  _start: Pgoff,
  _end: Pgoff,
): Kernel<void> {})

function mutated(name: string, by: Replacement) {
  const own = { id: name, summary: name, base: gmemConvert, cite: ['seeded'], replaces: [by] }
  return defineDesign(own)
}

const SHARED = `
setup
  vm = confidential_vm()
  fd = kvm_create_guest_memfd(vm, 1P, GUEST_MEMFD_FLAG_MMAP|GUEST_MEMFD_FLAG_INIT_SHARED)
  at = mmap(fd, PROT_READ|PROT_WRITE, MAP_SHARED, 1P)
`
const PINS = `${SHARED}  store(at, 0, 0x11) == 0

task driver
  pin_longterm(at, flags=PIN_LONGTERM_TEST_FLAG_USE_FAST)
`
const CONVERTS = `
task vmm
  set_attributes2(fd, 0, 1P, PRIVATE)
`
const GUEST = `
setup
  vm = confidential_vm()
  fd = kvm_create_guest_memfd(vm, 1P)
  bind(vm, slot=0, gpa=0, size=1P, fd=fd, offset=0)
  launch(vm)
  guest_accept(vm, gpa=0)

task vmm
  set_attributes2(fd, 0, 1P, 0)
`

const scenario = (body: string): string => `litmus mutants/own\n"A seeded bug."\n${body}`

export const CONVERT_MUTANTS: readonly Mutant[] = [
  {
    name: 'conversion-without-a-look',
    design: mutated(
      'conversion-without-a-look',
      replace(kvmGmemHasOutstandingReferences, looksAtNothing),
    ),
    scenario: scenario(`${PINS}${CONVERTS}`),
    caughtBy: 'private-memory',
    finding: 'conversion-in-use',
  },
  {
    name: 'references-not-counted',
    design: mutated(
      'references-not-counted',
      replace(kvmGmemHasOutstandingReferences, countsNoReferences),
    ),
    scenario: scenario(`${SHARED}\ntask user\n  store(at, 0, 0x22)\n${CONVERTS}`),
    caughtBy: 'private-memory',
    finding: 'private-page-mapped',
  },
  {
    name: 'pte-looked-at-once',
    design: mutated('pte-looked-at-once', replace(gupFast, looksOnce)),
    scenario: scenario(`${PINS}${CONVERTS}`),
    caughtBy: 'private-memory',
    finding: 'private-page-held',
  },
  {
    name: 'page-in-a-pipe-overlooked',
    design: mutated(
      'page-in-a-pipe-overlooked',
      replace(kvmGmemHasOutstandingReferences, countsNoReferences),
    ),
    scenario: scenario(`${SHARED}\ntask user\n  vmsplice(at)\n${CONVERTS}`),
    caughtBy: 'private-memory',
    finding: 'conversion-in-use',
  },
  {
    name: 'page-not-given-back',
    design: onHost(
      mutated('page-not-given-back', replace(kvmGmemMakeShared, givesNothingBack)),
      snp,
    ),
    scenario: scenario(`host snp\n${GUEST}`),
    caughtBy: 'rmp',
    finding: 'shared-page-assigned',
  },
]

/** Bugs that Linux has had, seeded again where these designs share the code. */
import { defineDesign } from '../src/designs/design.js'
import { gmem618 } from '../src/designs/gmem.js'
import { upm } from '../src/designs/upm.js'
import { faultinPfn } from '../src/kernel/arch/x86/kvm/mmu.js'
import type { Inode } from '../src/kernel/include/fs.js'
import type { KvmPageFault } from '../src/kernel/include/kvm.js'
import type { Folio } from '../src/kernel/include/mm.js'
import { currentMm } from '../src/kernel/include/mm_types.js'
import { type Pgoff, pgoffToBytes } from '../src/kernel/include/types.js'
import { gupFast, pteAllows } from '../src/kernel/mm/gup.js'
import { pteAt, pteFolio } from '../src/kernel/mm/pgtable.js'
import { secretmemAops } from '../src/kernel/mm/secretmem.js'
import { shmemUndoRange } from '../src/kernel/mm/shmem.js'
import { allocateRange } from '../src/kernel/mm/shmem_file.js'
import { folioPut, folioTryGet } from '../src/kernel/mm/swap.js'
import { alsoReads, alsoWrites, read } from '../src/machine/effects.js'
import { fn, type Kernel, original, replace } from '../src/machine/fn.js'
import { currentTaskNumber } from '../src/machine/task.js'
import type { Mutant } from './mutant.js'

/** The sequence of invalidations is noted behind the lookup of the page, as once on arm64. */
const lookedUp = original(faultinPfn)
const notedLate = fn(function* kvm_faultin_pfn(
  fault: KvmPageFault,
  isPrivate: boolean,
): Kernel<Folio> {
  const folio = yield* lookedUp(fault, isPrivate)
  const kvm = fault.slot!.kvm!
  const vcpu = kvm.vcpus.get(currentTaskNumber())!
  yield read(kvm, 'mmuInvalidateSeq')
  alsoWrites(vcpu, 'mmuSeq')
  vcpu.mmuSeq = kvm.mmuInvalidateSeq
  return folio
})

/** A failed fallocate() takes back what it has made, even if that is nothing: all of the file. */
const allocated = original(allocateRange)
const takesNothingBack = fn(function* shmem_allocate_range(
  inode: Inode,
  start: Pgoff,
  end: Pgoff,
): Kernel<number> {
  const error = yield* allocated(inode, start, end)
  if (error !== 0) {
    yield* shmemUndoRange(inode, pgoffToBytes(start), pgoffToBytes(start) - 1n, true)
  }
  return error
})

/** page_is_secretmem() trusts that a page which a PTE names has a mapping. */
const trustsMapping = fn(function* gup_pte_range(
  address: bigint,
  write: boolean,
): Kernel<Folio | null> {
  const mm = currentMm()
  yield read(mm.pageTable, 'xaHead')
  const pte = pteAt(mm, address)
  if (!pteAllows(pte, write)) return null
  const folio = pteFolio(pte)
  if (!(yield* folioTryGet(folio))) return null
  yield read(folio, 'mapping')
  const isSecret = !folio.anon && folio.mapping!.aOps === secretmemAops
  alsoReads(mm.pageTable, 'xaHead')
  if (!isSecret && pteAt(mm, address) === pte) return folio
  yield* folioPut(folio)
  return null
})

function mutant(
  name: string,
  base: typeof upm,
  replacement: ReturnType<typeof replace>,
  scenario: string,
  caughtBy: string,
  finding: string,
): Mutant {
  const design = defineDesign({
    id: name,
    summary: 'A bug that Linux has had.',
    base,
    cite: ['seeded'],
    replaces: [replacement],
  })
  return { name, design, scenario, caughtBy, finding }
}

export const FIELD_MUTANTS: readonly Mutant[] = [
  mutant(
    'sequence-noted-late',
    upm,
    replace(faultinPfn, notedLate),
    'field/memory-given-back-during-a-guest-read',
    'secondary-mmu',
    'stale-secondary-mapping',
  ),
  mutant(
    'nothing-taken-back',
    gmem618,
    replace(allocateRange, takesNothingBack),
    'field/fallocate-without-memory',
    'progress',
    'livelock',
  ),
  mutant(
    'mapping-trusted',
    gmem618,
    replace(gupFast, trustsMapping),
    'field/guest-read-beside-a-punch',
    'null-dereference',
    'null-dereference',
  ),
]

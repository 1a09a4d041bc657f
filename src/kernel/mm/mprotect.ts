/** mprotect(2): what a mapping allows from now on, as far as the file and the seals let it. */
import { alsoWrites, rmw } from '../../machine/effects.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { downWrite, upWrite } from '../../machine/locks.js'
import { EACCES, EINVAL, ENOMEM } from '../include/errno.js'
import {
  currentMm,
  type MmStruct,
  VM_EXEC,
  VM_LOCKED,
  VM_READ,
  VM_SHARED,
  VM_WRITE,
  type VmArea,
} from '../include/mm_types.js'
import { isPageAligned, PAGE_SIZE, roundUpToPage } from '../include/types.js'
import { splitAt, vmFlagsOf } from './mmap.js'
import { mmuNotifierInvalidateRangeEnd, mmuNotifierInvalidateRangeStart } from './mmu_notifier.js'
import { nextPte, PTE_PROTNONE, PTE_SWAP, PTE_WRITE, type Pte, pteAt, setPteAt } from './pgtable.js'
import { populateVmaPageRange } from './populate.js'
import { findVma } from './vma.js'

const ACCESS = VM_READ | VM_WRITE | VM_EXEC
const PROT_GROWSDOWN = 0x01000000
const PROT_GROWSUP = 0x02000000
const GROWS = PROT_GROWSDOWN | PROT_GROWSUP
/** All rights that there are, PROT_SEM among them. */
const PROT_KNOWN = 0xf
/** From a right to the permission to take it: VM_MAYREAD is VM_READ << 4. */
const MAY_SHIFT = 4

/**
 * An entry, present or of a migration, under new rights; one of swap has none. A private one is
 * made writable by a fault.
 */
function pteModify(pte: Pte, vma: VmArea): Pte {
  if (pte & PTE_SWAP) return pte
  const write = (vma.vmFlags & VM_WRITE) !== 0 && (vma.vmFlags & VM_SHARED) !== 0
  const none = (vma.vmFlags & ACCESS) === 0
  return (pte & ~(PTE_WRITE | PTE_PROTNONE)) | (write ? PTE_WRITE : 0) | (none ? PTE_PROTNONE : 0)
}

/**
 * Models: 6.2 mm/mprotect.c change_protection. Simplifies: the notifiers also hear of a range that
 * has no page table yet; anonymous pages are made writable by a fault, not at once.
 */
export const changeProtection = fn(function* change_protection(vma: VmArea): Kernel<void> {
  const mm = vma.vmMm!
  yield* mmuNotifierInvalidateRangeStart(mm, vma.vmStart, vma.vmEnd)
  let at = vma.vmStart
  for (;;) {
    yield rmw(mm.pageTable, 'xaHead')
    at = nextPte(mm, at, vma.vmEnd)
    if (at < 0n) break
    setPteAt(mm, at, pteModify(pteAt(mm, at), vma))
    at += PAGE_SIZE
  }
  yield* mmuNotifierInvalidateRangeEnd(mm, vma.vmStart, vma.vmEnd)
})

/**
 * Models: 6.2 mm/mprotect.c do_mprotect_pkey, from the lock on, with mprotect_fixup. Simplifies: no
 * mapping here grows, so PROT_GROWSDOWN and _GROWSUP are always refused.
 */
export const mprotectRange = fn(function* do_mprotect_pkey(
  mm: MmStruct,
  start: bigint,
  end: bigint,
  prot: number,
): Kernel<number> {
  const first = findVma(mm, start)
  // Memory that grows downwards is looked for in all of the range, other memory at its begin.
  const within = prot & PROT_GROWSDOWN ? end - 1n : start
  if (first === null || first.vmStart > within) return -ENOMEM
  if (prot & GROWS) return -EINVAL
  let at = start
  while (at < end) {
    const found = findVma(mm, at)
    if (found === null || found.vmStart > at) return -ENOMEM
    const rights = vmFlagsOf(prot, 0)
    if (rights & ~(found.vmFlags >> MAY_SHIFT)) return -EACCES
    const stop = found.vmEnd < end ? found.vmEnd : end
    if ((found.vmFlags & ACCESS) === rights) {
      at = stop
      continue
    }
    let error = yield* splitAt(mm, at)
    if (error === 0) error = yield* splitAt(mm, stop)
    if (error !== 0) return error
    const vma = findVma(mm, at) as VmArea
    const before = vma.vmFlags
    alsoWrites(vma, 'vmFlags')
    vma.vmFlags = (before & ~ACCESS) | rights
    yield* changeProtection(vma)
    // Locked memory that becomes writable and private is copied now, not in a major fault.
    if ((before & (VM_WRITE | VM_SHARED | VM_LOCKED)) === VM_LOCKED && rights & VM_WRITE) {
      yield* populateVmaPageRange(vma)
    }
    at = stop
  }
  return 0
})

/**
 * mprotect(2), bytes: 0; -EINVAL for an address that is not page aligned, unknown rights, or a part
 * of a huge page; -ENOMEM where something is not mapped; -EACCES for a right that the mapping may
 * not have.
 *
 * Models: 6.2 mm/mprotect.c mprotect.
 */
export const sysMprotect = fn(function* mprotect(
  start: bigint,
  length: bigint,
  prot: number,
): Kernel<number> {
  if ((prot & GROWS) === GROWS || !isPageAligned(start)) return -EINVAL
  if (length === 0n) return 0
  const end = start + roundUpToPage(length)
  if (end <= start) return -ENOMEM
  if (prot & ~(GROWS | PROT_KNOWN)) return -EINVAL
  const mm = currentMm()
  yield* downWrite(mm.mmapLock)
  const ret = yield* mprotectRange(mm, start, end, prot)
  yield* upWrite(mm.mmapLock)
  return ret
})

/**
 * What a guest begins with in the tree of February 2023, on restrictedmem. All pages of one request
 * are got first, and put at its end; the array that they stand in has its own way to be forgotten.
 */
import { EFAULT, EINVAL } from '../../kernel/include/errno.js'
import type { Kvm } from '../../kernel/include/kvm.js'
import type { Folio } from '../../kernel/include/mm.js'
import { bytesToPgoff, type Gfn, isPageAligned, PAGE_SIZE } from '../../kernel/include/types.js'
import { KVM_MEM_PRIVATE, KVM_MEMORY_ATTRIBUTE_PRIVATE } from '../../kernel/include/uapi.js'
import { folioPut } from '../../kernel/mm/swap.js'
import { copyPageFromUser } from '../../kernel/v6_18/virt/kvm/populate.js'
import { storeAttributes } from '../../kernel/virt/kvm/memory_attributes.js'
import { searchMemslots } from '../../kernel/virt/kvm/memslots.js'
import { kvmRestrictedMemGetPfn } from '../../kernel/virt/kvm/restrictedmem.js'
import { kfree, kzalloc } from '../../machine/alloc.js'
import { write } from '../../machine/effects.js'
import { LimitError } from '../../machine/fault.js'
import { fn, type Kernel } from '../../machine/fn.js'
import {
  isErr,
  num,
  type Obj,
  type PtrVec,
  ptrErr,
  ptrs,
  type Struct,
  struct,
} from '../../machine/struct.js'
import { isLaunchType, PAGE_TYPE_VMSA, SNP_LAUNCH_UPDATE, SNP_PAGE_RECLAIM } from './firmware.js'
import { sevDoCmd } from './psp.js'
import { rmpMakePrivate, rmpMakeShared, snpLookupAssigned } from './sev.js'
import { sevInfo } from './vm.js'

/** Pages of one request. */
const MAX_PAGES = 4

/** The array of the pages that a request has got. */
export interface SnpLaunchPages extends Obj {
  n: number
  pages: PtrVec<Folio>
}

export const SnpLaunchPages: Struct<SnpLaunchPages> = struct<SnpLaunchPages>(
  'SnpLaunchPages',
  { n: num(), pages: ptrs('Folio', MAX_PAGES) },
  { capacity: 8 },
)

/** One page, which is nobody's: 0 or an error. */
export const launchPage = fn(function* snp_launch_update_page(
  kvm: Kvm,
  gfn: Gfn,
  folio: Folio,
  src: bigint,
  type: number,
): Kernel<number> {
  const info = sevInfo(kvm)
  let ret = src === 0n ? 0 : yield* copyPageFromUser(folio, src)
  if (ret === 0) ret = yield* rmpMakePrivate(folio, gfn, info.asid, true)
  if (ret !== 0) return ret
  ret = yield* sevDoCmd(SNP_LAUNCH_UPDATE, info.context!, folio, type)
  if (ret !== 0) {
    yield* sevDoCmd(SNP_PAGE_RECLAIM, folio, folio, 0)
    return ret
  }
  // In the array alone: nothing is invalidated.
  yield* storeAttributes(kvm, gfn, (gfn + 1) as Gfn, KVM_MEMORY_ATTRIBUTE_PRIVATE)
  return 0
})

/** The end of a request: what it has got is put and, after an error, made shared before. */
export const putPages = fn(function* snp_launch_update_unpin(
  got: SnpLaunchPages,
  failed: boolean,
): Kernel<void> {
  let i = 0
  while (i < got.n) {
    const folio = got.pages.get(i)!
    if (failed) yield* rmpMakeShared(folio)
    else {
      yield write(folio, 'dirty')
      folio.dirty = true
    }
    yield* folioPut(folio)
    i += 1
  }
  kfree(got)
})

/**
 * KVM_SEV_SNP_LAUNCH_UPDATE, under kvm->lock. A page that somebody has already is -EFAULT, and then
 * the array is lost with all the references in it.
 *
 * Models: 20230220183847.59159 arch/x86/kvm/svm/sev.c snp_launch_update, as far as is told of it.
 */
export const snpLaunchUpdate2023 = fn(function* snp_launch_update(
  kvm: Kvm,
  gpa: bigint,
  size: bigint,
  uaddr: bigint,
  type: number,
): Kernel<number> {
  if (sevInfo(kvm).context === null) return -EINVAL
  if (!isPageAligned(size) || type === PAGE_TYPE_VMSA || !isLaunchType(type)) return -EINVAL
  const first = bytesToPgoff(gpa) as number as Gfn
  const npages = Number(size / PAGE_SIZE)
  const slot = searchMemslots(kvm.memslots!, first)
  if (slot === null || !(slot.flags & KVM_MEM_PRIVATE)) return -EINVAL
  if (npages > MAX_PAGES) throw new LimitError(`a request of more than ${MAX_PAGES} pages`)
  const got = kzalloc(SnpLaunchPages)
  let ret = 0
  while (got.n < npages && ret === 0) {
    const gfn = (first + got.n) as Gfn
    const folio = yield* kvmRestrictedMemGetPfn(slot, gfn)
    if (isErr(folio)) ret = ptrErr(folio)
    else {
      const src = uaddr === 0n ? 0n : uaddr + BigInt(got.n) * PAGE_SIZE
      got.pages.set(got.n, folio)
      got.n += 1
      if (yield* snpLookupAssigned(folio)) return -EFAULT
      ret = yield* launchPage(kvm, gfn, folio, src, type)
    }
  }
  yield* putPages(got, ret !== 0)
  return ret
})

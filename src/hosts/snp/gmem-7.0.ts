/**
 * guest_memfd and the launch of a guest with SNP as of 7.0: the source of a page is got before any
 * lock is taken, and pages are filled one by one. That a page has its content and that it is
 * prepared are two things: only who prepares it looks whether it is.
 */
import { kvmX86GmemPrepare } from '../../kernel/arch/x86/kvm/x86_ops.js'
import { fput } from '../../kernel/fs/file_table.js'
import { EEXIST, EFAULT, EINVAL, EIO } from '../../kernel/include/errno.js'
import type { File } from '../../kernel/include/fs.js'
import type { Kvm, KvmMemorySlot } from '../../kernel/include/kvm.js'
import { Folio } from '../../kernel/include/mm.js'
import { addPages, type Gfn, isPageAligned, PAGE_SIZE } from '../../kernel/include/types.js'
import { KVM_MEM_GUEST_MEMFD } from '../../kernel/include/uapi.js'
import { folioUnlock } from '../../kernel/mm/filemap.js'
import { getUserPages } from '../../kernel/mm/gup.js'
import { clearFolio } from '../../kernel/mm/page_alloc.js'
import { folioPut } from '../../kernel/mm/swap.js'
import { __kvmGmemGetPfn, kvmGmemGetFile } from '../../kernel/v6_18/virt/kvm/guest_memfd_slot.js'
import { copyPage } from '../../kernel/v6_18/virt/kvm/populate.js'
import { attrPrivate } from '../../kernel/virt/kvm/memory_attributes.js'
import { searchMemslots } from '../../kernel/virt/kvm/memslots.js'
import { alsoReads, write } from '../../machine/effects.js'
import { mark, warnOn } from '../../machine/fault.js'
import { fn, type Kernel, original } from '../../machine/fn.js'
import { downWrite, upWrite } from '../../machine/locks.js'
import { errPtr, isErr, ptrErr } from '../../machine/struct.js'
import { PAGE_TYPE_CPUID, PAGE_TYPE_ZERO, SEV_OK, SNP_LAUNCH_UPDATE } from './firmware.js'
import { isCpuidRefused, snpLaunchUpdate } from './launch.js'
import { sevCmdStatus } from './psp.js'
import { rmpMakePrivate, snpLookupAssigned } from './sev.js'
import { sevInfo, snpPageReclaim } from './vm.js'

/**
 * One page of what the guest begins with, as `launch.ts` has it, but from a page of the process's,
 * NULL for none. What is right in a page of CPUID goes back there, whether or not the process may
 * write.
 *
 * Models: 7.0 arch/x86/kvm/svm/sev.c sev_gmem_post_populate. Compared: 7.1 source.
 */
export const sevGmemPostPopulatePage = fn(function* sev_gmem_post_populate(
  kvm: Kvm,
  gfn: Gfn,
  folio: Folio,
  source: Folio | null,
  type: number,
): Kernel<number> {
  if (warnOn(type !== PAGE_TYPE_ZERO && source === null, 'SEV: no source for a page of a launch')) {
    return -EINVAL
  }
  const info = sevInfo(kvm)
  if (yield* snpLookupAssigned(folio)) return -EEXIST
  if (source !== null) yield* copyPage(folio, source)
  const error = yield* rmpMakePrivate(folio, gfn, info.asid, true)
  if (error !== 0) return error
  const status = yield* sevCmdStatus(SNP_LAUNCH_UPDATE, info.context!, folio, type)
  if (status === SEV_OK) {
    mark('page-launched')
    return 0
  }
  const reclaimed = yield* snpPageReclaim(kvm, folio)
  if (reclaimed === 0 && isCpuidRefused(type, status)) yield* copyPage(source!, folio)
  return -EIO
})

/** Only a page of CPUID is written back. Models: 7.1.8 arch/x86/kvm/svm/sev.c snp_launch_update. */
export const writesBackCpuid = fn(function may_writeback_src(type: number): boolean {
  return type === PAGE_TYPE_CPUID
})

/** Will a page of this type be stored into the process's page? In 7.0 nobody asks. */
export const mayWritebackSrc = fn(function may_writeback_src(_type: number): boolean {
  return false
})

/**
 * One page: 0; -EINVAL if its gfn is shared; or the error of the look-up or of the callback. Whether
 * the page is in use already only the callback asks. Takes invalidate_lock.
 *
 * Models: 7.0 virt/kvm/guest_memfd.c __kvm_gmem_populate. Compared: 7.1 source.
 */
export const populateOnePage = fn(function* __kvm_gmem_populate(
  kvm: Kvm,
  slot: KvmMemorySlot,
  file: File,
  gfn: Gfn,
  source: Folio | null,
  type: number,
): Kernel<number> {
  const index = addPages(slot.gmemPgoff, gfn - slot.baseGfn)
  yield* downWrite(file.fMapping!.invalidateLock)
  const folio = yield* __kvmGmemGetPfn(file, slot, index)
  let ret = 0
  if (isErr(folio)) ret = ptrErr(folio)
  else {
    yield* folioUnlock(folio)
    ret = -EINVAL
    if (attrPrivate(kvm, gfn)) ret = yield* sevGmemPostPopulatePage(kvm, gfn, folio, source, type)
    if (ret === 0) {
      yield write(folio, 'uptodate')
      folio.uptodate = true
    }
    yield* folioPut(folio)
  }
  yield* upWrite(file.fMapping!.invalidateLock)
  return ret
})

/**
 * Fill `npages` pages from a gfn on, as many as the slot has: how many were filled, or why the
 * first was not. The source of a page is got before invalidate_lock is taken, since to get it may
 * fault, and held while the page is filled; between two pages the lock is free, and a punch may
 * come. As of 7.1 it is got to be written if that is to be. -EINVAL without a slot with such a
 * file, for no pages at all, and for a source that is not page aligned, after which its callers
 * have asked before; -EFAULT if the file is closed. slots_lock is held.
 *
 * Models: 7.0 virt/kvm/guest_memfd.c kvm_gmem_populate. Simplifies: no signals. Compared: 7.1
 * source.
 */
export const kvmGmemPopulatePageByPage = fn(function* kvm_gmem_populate(
  kvm: Kvm,
  startGfn: Gfn,
  src: bigint,
  npages: number,
  type: number,
): Kernel<number> {
  if (
    warnOn(npages <= 0 || !isPageAligned(src), 'kvm_gmem_populate: no pages, or no source of pages')
  ) {
    return -EINVAL
  }
  const slot = searchMemslots(kvm.memslots!, startGfn)
  if (slot === null || !(slot.flags & KVM_MEM_GUEST_MEMFD)) return -EINVAL
  const file = yield* kvmGmemGetFile(slot)
  if (file === null) return -EFAULT
  const count = Math.min(slot.npages - (startGfn - slot.baseGfn), npages)
  let i = 0
  let ret = 0
  while (i < count && ret === 0) {
    let source: Folio | null = null
    if (src !== 0n) {
      source = yield* getUserPages(src + BigInt(i) * PAGE_SIZE, mayWritebackSrc(type))
    }
    if (source !== null && isErr(source)) ret = ptrErr(source)
    else {
      ret = yield* populateOnePage(kvm, slot, file, (startGfn + i) as Gfn, source, type)
      if (source !== null) yield* folioPut(source)
    }
    if (ret === 0) i += 1
  }
  yield* fput(file)
  return ret !== 0 && i === 0 ? ret : i
})

/**
 * The page behind a gfn of a slot, with a reference, or an ERR_PTR, as of 6.18; but one that has its
 * content is uptodate, prepared or not, and is prepared each time that somebody gets it.
 *
 * Models: 7.0 virt/kvm/guest_memfd.c kvm_gmem_get_pfn and kvm_gmem_prepare_folio. Simplifies: order
 * 0. Compared: 7.1 source.
 */
export const kvmGmemGetPfnPrepares = fn(function* kvm_gmem_get_pfn(
  slot: KvmMemorySlot,
  gfn: Gfn,
): Kernel<Folio> {
  const index = addPages(slot.gmemPgoff, gfn - slot.baseGfn)
  const file = yield* kvmGmemGetFile(slot)
  if (file === null) return errPtr(Folio, -EFAULT)
  const folio = yield* __kvmGmemGetPfn(file, slot, index)
  let r = 0
  if (!isErr(folio)) {
    // kvm_gmem_populate() sets it without the folio lock.
    alsoReads(folio, 'uptodate')
    if (!folio.uptodate) {
      clearFolio(folio)
      folio.uptodate = true
    }
    r = yield* kvmX86GmemPrepare(slot.kvm!, gfn, folio)
    yield* folioUnlock(folio)
    if (r !== 0) yield* folioPut(folio)
  }
  yield* fput(file)
  return r === 0 ? folio : errPtr(Folio, r)
})

const anyLaunchUpdate = original(snpLaunchUpdate)

/**
 * A size of 0 is -EINVAL too, and so is a source that is not page aligned.
 *
 * Models: 7.0 arch/x86/kvm/svm/sev.c snp_launch_update. Compared: 7.1 source.
 */
export const snpLaunchUpdateAligned = fn(function* snp_launch_update(
  kvm: Kvm,
  gpa: bigint,
  size: bigint,
  uaddr: bigint,
  type: number,
): Kernel<number> {
  if (size === 0n || (type !== PAGE_TYPE_ZERO && !isPageAligned(uaddr))) return -EINVAL
  return yield* anyLaunchUpdate(kvm, gpa, size, uaddr, type)
})

/**
 * A memslot and its guest_memfd file, as of 6.18: bind, unbind, and the page behind a gfn. The slot
 * has no reference to the file, so whoever uses it takes one, unless the file is on its way out.
 */
import { alsoReads, read, rmw, write } from '../../../../machine/effects.js'
import { warnOn } from '../../../../machine/fault.js'
import { fn, type Kernel } from '../../../../machine/fn.js'
import { downWrite, upWrite } from '../../../../machine/locks.js'
import { rcuReadLock, rcuReadUnlock } from '../../../../machine/rcu.js'
import { errPtr, isErr } from '../../../../machine/struct.js'
import { kvmX86GmemPrepare } from '../../../arch/x86/kvm/x86_ops.js'
import { fget, fput } from '../../../fs/file_table.js'
import { EBADF, EFAULT, EHWPOISON, EINVAL, EIO } from '../../../include/errno.js'
import type { File } from '../../../include/fs.js'
import { KVM_MEMSLOT_GMEM_ONLY, type Kvm, type KvmMemorySlot } from '../../../include/kvm.js'
import { Folio } from '../../../include/mm.js'
import {
  addPages,
  bytesToPgoff,
  type Gfn,
  isPageAligned,
  PAGE_SHIFT,
  type Pgoff,
} from '../../../include/types.js'
import { GUEST_MEMFD_FLAG_MMAP } from '../../../include/uapi.js'
import { xaFindIndex, xaLoad, xaStoreRange } from '../../../lib/xarray.js'
import { shouldFailslab } from '../../../mm/failslab.js'
import { filemapGrabFolio, folioUnlock } from '../../../mm/filemap.js'
import { clearFolio } from '../../../mm/page_alloc.js'
import { folioPut } from '../../../mm/swap.js'
import { type KvmGmem, kvmGmemOf } from '../../include/guest_memfd.js'
import { kvmGmemFops } from './guest_memfd.js'

/**
 * Does a range (bytes) not lie in a file of this size? The sum is signed and may wrap: a range that
 * ends at or behind 2^63 passes.
 */
function outside(offset: bigint, npages: number, size: bigint): boolean {
  const end = BigInt.asIntN(64, offset + (BigInt(npages) << PAGE_SHIFT))
  return offset < 0n || !isPageAligned(offset) || end > size
}

/** Publish the binding if nobody has one there: 0 or -EINVAL. */
export const publish = fn(function* kvm_gmem_publish(
  slot: KvmMemorySlot,
  file: File,
  start: Pgoff,
): Kernel<number> {
  const gmem = kvmGmemOf(file)
  const last = addPages(start, slot.npages - 1)
  yield* downWrite(file.fMapping!.invalidateLock)
  let r = -EINVAL
  if (xaFindIndex(gmem.bindings, start, last) < 0) {
    slot.gmemFile = file
    slot.gmemPgoff = start
    if (gmem.flags & GUEST_MEMFD_FLAG_MMAP) slot.flags |= KVM_MEMSLOT_GMEM_ONLY
    // Whether that works, nobody asks: without memory the slot has a file to which it is not bound.
    if (!(yield* shouldFailslab())) {
      yield rmw(gmem.bindings, 'xaHead')
      xaStoreRange(gmem.bindings, start, last, slot)
    }
    r = 0
  }
  yield* upWrite(file.fMapping!.invalidateLock)
  return r
})

/**
 * Bind a new slot to `fd` at `offset` (bytes, as the unsigned word of the request). -EBADF; -EINVAL
 * for another kind of file, another VM's, a range outside of the file, or one that is bound. The
 * reference to the file is dropped in every case. slots_lock is held.
 *
 * Models: 6.18 virt/kvm/guest_memfd.c kvm_gmem_bind.
 */
export const kvmGmemBind = fn(function* kvm_gmem_bind(
  kvm: Kvm,
  slot: KvmMemorySlot,
  fd: number,
  offset: bigint,
): Kernel<number> {
  const loff = BigInt.asIntN(64, offset)
  const file = yield* fget(fd)
  if (file === null) return -EBADF
  let r = -EINVAL
  const ours = file.fOp === kvmGmemFops && kvmGmemOf(file).kvm === kvm
  if (ours && !outside(loff, slot.npages, file.fInode!.iSize)) {
    r = yield* publish(slot, file, bytesToPgoff(loff))
  }
  yield* fput(file)
  return r
})

/**
 * The file behind a pointer that others change, with a reference; NULL if there is none, or one that
 * is being closed. The pointer is a slot's.
 *
 * Models: 6.18 fs/file.c get_file_active. Simplifies: taking the reference and looking again are one
 * step, since a change between the two cannot be told from one right after.
 */
export const getFileActive = fn(function* get_file_active(
  slot: KvmMemorySlot,
): Kernel<File | null> {
  rcuReadLock()
  yield read(slot, 'gmemFile')
  let file = slot.gmemFile
  if (file !== null) {
    yield rmw(file, 'fCount')
    alsoReads(slot, 'gmemFile')
    if (file.fCount === 0 || slot.gmemFile !== file) file = null
    else file.fCount++
  }
  rcuReadUnlock()
  return file
})

/** The slot's file with a reference. Models: 6.18 virt/kvm/guest_memfd.c kvm_gmem_get_file. */
export const kvmGmemGetFile = fn(function* kvm_gmem_get_file(
  slot: KvmMemorySlot,
): Kernel<File | null> {
  return yield* getFileActive(slot)
})

/** Models: 6.18 virt/kvm/guest_memfd.c __kvm_gmem_unbind. No fault can be using the slot. */
export const __kvmGmemUnbind = fn(function* __kvm_gmem_unbind(
  slot: KvmMemorySlot,
  gmem: KvmGmem,
): Kernel<void> {
  const start = slot.gmemPgoff
  yield rmw(gmem.bindings, 'xaHead')
  xaStoreRange(gmem.bindings, start, addPages(start, slot.npages - 1), null)
  yield write(slot, 'gmemFile')
  slot.gmemFile = null
})

/**
 * Take the binding back. A file that is being closed cannot be referred to; its release has not
 * run, waits for slots_lock and would find the slot freed, so the binding goes here, without
 * invalidate_lock. slots_lock is held, or the VM has no users.
 *
 * Models: 6.18.2 virt/kvm/guest_memfd.c kvm_gmem_unbind.
 */
export const kvmGmemUnbind = fn(function* kvm_gmem_unbind(slot: KvmMemorySlot): Kernel<void> {
  const dying = slot.gmemFile
  if (dying === null) return
  const file = yield* kvmGmemGetFile(slot)
  if (file === null) {
    yield* __kvmGmemUnbind(slot, kvmGmemOf(dying))
    return
  }
  const mapping = file.fMapping!
  yield* downWrite(mapping.invalidateLock)
  yield* __kvmGmemUnbind(slot, kvmGmemOf(file))
  yield* upWrite(mapping.invalidateLock)
  yield* fput(file)
})

/**
 * The folio of an index, locked, or an ERR_PTR.
 *
 * Models: 6.18 virt/kvm/guest_memfd.c __kvm_gmem_get_pfn.
 */
export const __kvmGmemGetPfn = fn(function* __kvm_gmem_get_pfn(
  file: File,
  slot: KvmMemorySlot,
  index: Pgoff,
): Kernel<Folio> {
  const gmem = kvmGmemOf(file)
  yield read(slot, 'gmemFile')
  if (slot.gmemFile !== file) {
    warnOn(slot.gmemFile !== null, 'kvm_gmem_get_pfn: the slot has another file')
    return errPtr(Folio, -EFAULT)
  }
  yield read(gmem.bindings, 'xaHead')
  const bound = xaLoad(gmem.bindings, index)
  if (bound !== slot) {
    warnOn(bound !== null, 'kvm_gmem_get_pfn: another slot is bound there')
    return errPtr(Folio, -EIO)
  }
  const folio = yield* filemapGrabFolio(file.fMapping!, index)
  if (isErr(folio)) return folio
  // memory_failure() sets it before it has the lock.
  yield read(folio, 'hwpoison')
  if (!folio.hwpoison) return folio
  yield* folioUnlock(folio)
  yield* folioPut(folio)
  return errPtr(Folio, -EHWPOISON)
})

/**
 * The page behind a gfn of a slot, zeroed if it is new, with a reference; or an ERR_PTR: -EFAULT
 * without a file, -EIO if the slot is not bound there, -ENOMEM, -EHWPOISON. It may leave the file
 * at any moment: the caller looks at the invalidation sequence before it maps it. SRCU is held.
 *
 * Models: 6.18 virt/kvm/guest_memfd.c kvm_gmem_get_pfn and kvm_gmem_prepare_folio. Simplifies:
 * order 0.
 */
export const kvmGmemGetPfn = fn(function* kvm_gmem_get_pfn(
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
      r = yield* kvmX86GmemPrepare(slot.kvm!, gfn, folio)
      if (r === 0) folio.uptodate = true
    }
    yield* folioUnlock(folio)
    if (r !== 0) yield* folioPut(folio)
  }
  yield* fput(file)
  return r === 0 ? folio : errPtr(Folio, r)
})

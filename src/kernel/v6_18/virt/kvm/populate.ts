/**
 * What a confidential guest begins with: pages of guest_memfd that are filled before the guest runs.
 * slots_lock keeps memslots and attributes as they are, invalidate_lock the pages; a page is handed
 * to the vendor's half of KVM without its folio lock, so a fault can find it meanwhile.
 */
import { alsoReads, write } from '../../../../machine/effects.js'
import { fn, type Kernel } from '../../../../machine/fn.js'
import { downWrite, upWrite } from '../../../../machine/locks.js'
import { isErr, ptrErr } from '../../../../machine/struct.js'
import { directMapLoad, directMapStore } from '../../../arch/x86/mm/direct_map.js'
import { fput } from '../../../fs/file_table.js'
import { EEXIST, EFAULT, EINVAL, EOPNOTSUPP } from '../../../include/errno.js'
import type { File } from '../../../include/fs.js'
import type { Kvm, KvmMemorySlot } from '../../../include/kvm.js'
import type { Folio } from '../../../include/mm.js'
import { addPages, type Gfn, PAGE_SIZE } from '../../../include/types.js'
import { KVM_MEM_GUEST_MEMFD } from '../../../include/uapi.js'
import { folioUnlock } from '../../../mm/filemap.js'
import { getUserPages } from '../../../mm/gup.js'
import { folioPut } from '../../../mm/swap.js'
import { attrPrivate } from '../../../virt/kvm/memory_attributes.js'
import { searchMemslots } from '../../../virt/kvm/memslots.js'
import { __kvmGmemGetPfn, kvmGmemGetFile } from './guest_memfd_slot.js'

/** memcpy() of a page. The caller has a reference to both. */
export const copyPage = fn(function* copy_page(to: Folio, from: Folio): Kernel<void> {
  yield write(to, 'data')
  alsoReads(from, 'data')
  directMapLoad(from)
  directMapStore(to)
  to.data = from.data
})

/**
 * copy_from_user() of a page, through the direct map: 0 or -EFAULT.
 *
 * Simplifies: the process's page is got and put instead of being loaded from byte by byte, so it
 * does not change while it is copied.
 */
export const copyPageFromUser = fn(function* copy_from_user(
  folio: Folio,
  address: bigint,
): Kernel<number> {
  const source = yield* getUserPages(address, false)
  if (isErr(source)) return -EFAULT
  yield* copyPage(folio, source)
  yield* folioPut(source)
  return 0
})

/** copy_to_user() of a page, through the direct map, whose error nobody looks at. */
export const copyPageToUser = fn(function* copy_to_user(
  address: bigint,
  folio: Folio,
): Kernel<void> {
  const target = yield* getUserPages(address, true)
  if (isErr(target)) return
  yield* copyPage(target, folio)
  yield* folioPut(target)
})

/**
 * kvm_gmem_populate_cb: put into the page of a gfn what is at `src`, an address in bytes or 0 for
 * nothing, and give it to the guest. 0 or an error. Hosts replace it.
 */
export const gmemPostPopulate = fn(function* kvm_gmem_populate_cb(
  _kvm: Kvm,
  _gfn: Gfn,
  _folio: Folio,
  _src: bigint,
  _opaque: number,
): Kernel<number> {
  return -EOPNOTSUPP
})

/**
 * One page: 0; -EEXIST if it is prepared, so a fault or an earlier call was here; -EINVAL if its gfn
 * is shared; or the error of the look-up or of the callback. Whatever the callback has done with the
 * page before it failed, the page stays in the file. invalidate_lock is held for writing.
 *
 * Models: 6.17 virt/kvm/guest_memfd.c kvm_gmem_populate, the body of its loop. Simplifies: order 0,
 * as of every folio there. Compared: 7.0 source.
 */
export const populatePage = fn(function* __kvm_gmem_populate(
  kvm: Kvm,
  slot: KvmMemorySlot,
  file: File,
  gfn: Gfn,
  src: bigint,
  opaque: number,
): Kernel<number> {
  const folio = yield* __kvmGmemGetPfn(file, slot, addPages(slot.gmemPgoff, gfn - slot.baseGfn))
  if (isErr(folio)) return ptrErr(folio)
  const prepared = folio.uptodate
  yield* folioUnlock(folio)
  let ret = -EEXIST
  if (!prepared) {
    ret = -EINVAL
    if (attrPrivate(kvm, gfn)) ret = yield* gmemPostPopulate(kvm, gfn, folio, src, opaque)
    if (ret === 0) {
      yield write(folio, 'uptodate')
      folio.uptodate = true
    }
  }
  yield* folioPut(folio)
  return ret
})

/**
 * Fill `npages` pages from a gfn on, as many as the slot has: how many were filled, or why the
 * first was not. -EINVAL without a slot with such a file, -EFAULT if the file is closed. slots_lock
 * is held.
 *
 * Models: 6.17 virt/kvm/guest_memfd.c kvm_gmem_populate. Simplifies: no signals. Compared: 7.0
 * source.
 */
export const kvmGmemPopulate = fn(function* kvm_gmem_populate(
  kvm: Kvm,
  startGfn: Gfn,
  src: bigint,
  npages: number,
  opaque: number,
): Kernel<number> {
  const slot = searchMemslots(kvm.memslots!, startGfn)
  if (slot === null || !(slot.flags & KVM_MEM_GUEST_MEMFD)) return -EINVAL
  const file = yield* kvmGmemGetFile(slot)
  if (file === null) return -EFAULT
  yield* downWrite(file.fMapping!.invalidateLock)
  const count = Math.min(slot.npages - (startGfn - slot.baseGfn), npages)
  let i = 0
  let ret = 0
  while (i < count && ret === 0) {
    const from = src === 0n ? 0n : src + BigInt(i) * PAGE_SIZE
    ret = yield* populatePage(kvm, slot, file, (startGfn + i) as Gfn, from, opaque)
    if (ret === 0) i += 1
  }
  yield* upWrite(file.fMapping!.invalidateLock)
  yield* fput(file)
  return ret !== 0 && i === 0 ? ret : i
})

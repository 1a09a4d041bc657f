/**
 * gmem-move: what nobody has built. SNP's firmware can move a page of a guest that runs: it reads the
 * page with the guest's key at the old place and writes it at the new one, and guest frame,
 * permissions and validation go with it. So a page of guest_memfd can migrate, and the guest notices
 * nothing. The kernel never sees the content.
 *
 * The order is what makes it safe. The invalidation begins, and nothing maps the page; the file gets
 * the new one, locked, so that nobody uses it yet; source and destination become firmware's to
 * change; the page is moved; the invalidation ends. Whatever fails before the move is taken back, and
 * the file gets its old page again, with the data where it was.
 *
 * Left out: compaction, which isolates no page of such a file; who migrates by frame does.
 */
import { defineDesign } from '../../designs/design.js'
import { gmem618 } from '../../designs/gmem.js'
import { EAGAIN } from '../../kernel/include/errno.js'
import type { AddressSpace } from '../../kernel/include/fs.js'
import type { Kvm } from '../../kernel/include/kvm.js'
import { type Folio, nrPages } from '../../kernel/include/mm.js'
import { addPages, type Gfn } from '../../kernel/include/types.js'
import { xaStore } from '../../kernel/lib/xarray.js'
import { folioMigrateFlags, folioMigrateMapping, moveToNewFolio } from '../../kernel/mm/migrate.js'
import { folioGet } from '../../kernel/mm/swap.js'
import { folioMapping } from '../../kernel/mm/swap_state.js'
import type { KvmGmem } from '../../kernel/v6_18/include/guest_memfd.js'
import {
  kvmGmemInvalidateBegin,
  kvmGmemInvalidateEnd,
} from '../../kernel/v6_18/virt/kvm/guest_memfd.js'
import { GFP_ATOMIC } from '../../machine/alloc.js'
import { alsoWrites, read, rmw, write } from '../../machine/effects.js'
import { mark } from '../../machine/fault.js'
import { fn, type Kernel, original, replace } from '../../machine/fn.js'
import { downReadTrylock, upRead } from '../../machine/locks.js'
import { SNP_PAGE_RECLAIM } from './firmware.js'
import { sevDoCmd, sevMovePage } from './psp.js'
import { rmpEntry } from './rmp.js'
import { rmpMakePrivate, rmpMakeShared, snpLookupAssigned } from './sev.js'
import { isSnpGuest, sevInfo } from './vm.js'

/**
 * What was to be firmware's is as it was before. If firmware does not give it back either, nobody can
 * do anything about it.
 */
export const takeBack = fn(function* snp_take_back(folio: Folio): Kernel<void> {
  yield* sevDoCmd(SNP_PAGE_RECLAIM, folio, folio, 0)
})

/** The page has been moved, and its old frame is the guest's for good. */
export const SOURCE_LOST = 1

/**
 * Move what a guest has in `src` to `dst`: 0, or -EAGAIN with everything as it was. Nobody maps the
 * page, and nobody can get it. SOURCE_LOST: moved, but the source does not come back to the host and
 * must never be freed.
 *
 * Derived: from SNP's firmware, SNP_PAGE_MOVE; no kernel calls it.
 */
export const moveGuestPage = fn(function* snp_move_guest_page(
  kvm: Kvm,
  src: Folio,
  dst: Folio,
): Kernel<number> {
  if (!(yield* snpLookupAssigned(src))) {
    yield read(src, 'data')
    dst.data = src.data
    return 0
  }
  const asid = sevInfo(kvm).asid
  const gfn = rmpEntry(src.pfn).gfn
  if ((yield* rmpMakePrivate(src, gfn, asid, true)) !== 0) return -EAGAIN
  if ((yield* rmpMakePrivate(dst, 0 as Gfn, asid, true)) !== 0) {
    yield* takeBack(src)
    return -EAGAIN
  }
  if ((yield* sevMovePage(sevInfo(kvm).context!, src, dst)) !== 0) {
    yield* takeBack(src)
    yield* takeBack(dst)
    if ((yield* rmpMakeShared(dst)) !== 0) yield* folioGet(dst)
    return -EAGAIN
  }
  mark('page-moved-by-firmware')
  return (yield* rmpMakeShared(src)) === 0 ? 0 : SOURCE_LOST
})

/**
 * The file gets its old page back. Whoever has found the new one meanwhile waits for its lock, and
 * will see that it is in no file.
 */
export const putBack = fn(function* put_back(
  mapping: AddressSpace,
  dst: Folio,
  src: Folio,
): Kernel<void> {
  yield rmw(src, 'refcount')
  src.refcount += nrPages(src)
  src.dirty = dst.dirty
  alsoWrites(dst, 'mapping')
  dst.dirty = false
  dst.mapping = null
  dst.refcount -= nrPages(src)
  alsoWrites(mapping.iPages, 'xaHead')
  xaStore(mapping.iPages, src.index, src, GFP_ATOMIC)
})

/** invalidate_lock, which a punch takes before the folio lock: only tried. */
export const tryInvalidateLock = fn(function* filemap_invalidate_trylock_shared(
  mapping: AddressSpace,
): Kernel<boolean> {
  return yield* downReadTrylock(mapping.invalidateLock)
})

/**
 * The mapping's migrate_folio: 0; -EAGAIN if somebody else has a reference, or a punch is under way,
 * or the firmware does not. Both folios are locked, and invalidate_lock is only tried, since a punch
 * takes it first.
 *
 * Derived: 6.18 mm/migrate.c __migrate_folio, between the two halves of an invalidation.
 */
export const gmemMoveFolio = fn(function* kvm_gmem_migrate_folio(
  mapping: AddressSpace,
  dst: Folio,
  src: Folio,
): Kernel<number> {
  const kvm = (mapping.privateData as KvmGmem).kvm!
  if (!isSnpGuest(kvm)) return -EAGAIN
  if (!(yield* tryInvalidateLock(mapping))) return -EAGAIN
  const start = src.index
  const end = addPages(start, nrPages(src))
  yield* kvmGmemInvalidateBegin(mapping, start, end)
  let rc = yield* folioMigrateMapping(mapping, dst, src, 0)
  if (rc === 0) {
    rc = yield* moveGuestPage(kvm, src, dst)
    if (rc < 0) yield* putBack(mapping, dst, src)
    else {
      yield write(dst, 'uptodate')
      folioMigrateFlags(dst, src)
    }
  }
  if (rc === SOURCE_LOST) yield* folioGet(src)
  yield* kvmGmemInvalidateEnd(mapping, start, end)
  yield* upRead(mapping.invalidateLock)
  return Math.min(rc, 0)
})

const moveAccessible = original(moveToNewFolio)

/**
 * A page that the host must not touch, and that its own file can move.
 *
 * Derived: 6.18 mm/migrate.c move_to_new_folio, which refuses such pages.
 */
export const moveInaccessible = fn(function* move_to_new_folio(
  dst: Folio,
  src: Folio,
  mode: number,
): Kernel<number> {
  const mapping = folioMapping(src)
  if (mapping === null || !mapping.inaccessible) return yield* moveAccessible(dst, src, mode)
  const rc = yield* gmemMoveFolio(mapping, dst, src)
  if (rc === 0) {
    yield write(src, 'mapping')
    src.mapping = null
  }
  return rc
})

export const gmemMove = defineDesign({
  id: 'gmem-move',
  summary: "guest_memfd whose pages migrate: SNP's firmware moves them under the guest.",
  base: gmem618,
  cite: ['AMD-ASPFW sev_mcmd.c: SNP_PAGE_MOVE'],
  replaces: [replace(moveToNewFolio, moveInaccessible)],
})

/**
 * upm-aops: the patch of the thread. The inner file's mapping gets operations of its own, so that
 * core mm asks the file: migration is refused, a memory failure walks to the bindings, dirtying
 * does nothing. memory-failure.c loses its hook, and shmem_mapping() tests the superblock's magic.
 */

import { EBUSY } from '../kernel/include/errno.js'
import type { AddressSpace, AddressSpaceOps, File } from '../kernel/include/fs.js'
import type { Folio } from '../kernel/include/mm.js'
import { TMPFS_MAGIC } from '../kernel/include/uapi.js'
import { mePagecacheClean } from '../kernel/mm/memory_failure.js'
import { shmemMapping } from '../kernel/mm/shmem.js'
import { fn, type Kernel, replace } from '../machine/fn.js'
import { opsTable } from '../machine/struct.js'
import { defineDesign } from './design.js'
import { upm } from './upm.js'
import { restrictedmemErrorWalk } from './upm-mm.js'
import { restrictedmemPrepareMapping } from './wrapper.js'

/** Models: 20230123154334 mm/restrictedmem.c restricted_folio. Permanent: -EBUSY. */
export const restrictedFolioMigrate = fn(function* restricted_folio_migrate(
  _mapping: AddressSpace,
  _dst: Folio,
  _src: Folio,
  _mode: number,
): Kernel<number> {
  return -EBUSY
})

/** Models: 20230123154334 mm/restrictedmem.c restricted_error_remove_page. Always 0. */
export const restrictedErrorRemovePage = fn(function* restricted_error_remove_page(
  mapping: AddressSpace,
  folio: Folio,
): Kernel<number> {
  yield* restrictedmemErrorWalk(folio, mapping)
  return 0
})

/** noop_dirty_folio(): the folio's dirty bit is all there is. */
export const noopDirtyFolio = fn(function* noop_dirty_folio(
  _mapping: AddressSpace,
  folio: Folio,
): Kernel<boolean> {
  if (folio.dirty) return false
  folio.dirty = true
  return true
})

/** No writepage: reclaim would activate such a page rather than swap it out. */
const restrictedAops: AddressSpaceOps = opsTable({
  name: 'restricted_aops',
  dirtyFolio: noopDirtyFolio,
  errorRemovePage: restrictedErrorRemovePage,
  migrateFolio: restrictedFolioMigrate,
})

export const aopsPrepareMapping = fn(function restrictedmem_set_aops(memfd: File): void {
  memfd.fMapping!.aOps = restrictedAops
})

/** Models: 20230123154334 include/linux/shmem_fs.h shmem_mapping. The swap cache has no host. */
export const magicShmemMapping = fn(function shmem_mapping(mapping: AddressSpace): boolean {
  return mapping.host!.iSb!.sMagic === TMPFS_MAGIC
})

export const upmAops = defineDesign({
  id: 'upm-aops',
  summary: 'upm, and the inner mapping has its own a_ops; shmem_mapping() tests s_magic.',
  base: upm,
  cite: ['20230123154334.mmbdpniy76zsec5m@box', '20230213131011.uoabwhapj2ukdmwx@amd.com'],
  replaces: [
    replace(restrictedmemPrepareMapping, aopsPrepareMapping),
    replace(shmemMapping, magicShmemMapping),
    // The hook is gone from memory-failure.c.
    replace(mePagecacheClean, mePagecacheClean),
  ],
})

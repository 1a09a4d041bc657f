/**
 * move_pages(2): a process has a page of its own moved to another NUMA node. Of the migrations that
 * anybody asks for by name it is the only one that starts from an address: the page table is
 * asked for the page, not the file.
 *
 * Left out: pages of other processes, and the question where pages are.
 */
import { read } from '../../machine/effects.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { downRead, upRead } from '../../machine/locks.js'
import { errPtr, isErr, ptrErr } from '../../machine/struct.js'
import { EACCES, EBUSY, EFAULT, EINVAL, ENODEV, ENOENT } from '../include/errno.js'
import { Folio, MIGRATE_SYNC, MR_SYSCALL } from '../include/mm.js'
import { currentMm, type MmStruct } from '../include/mm_types.js'
import { MPOL_MF_MOVE, MPOL_MF_MOVE_ALL } from '../include/uapi.js'
import { followPage } from './gup.js'
import { migratePages, putbackMovablePages } from './migrate.js'
import { folioIsolateLru, folioPut, lruAddDrainAll } from './swap.js'
import { vmaLookup } from './vma.js'

/** Nodes that have memory: 0 and 1. */
const NODES = 2

/** What the caller of move_pages() had in its status word. */
const STATUS_UNTOUCHED = -1

/**
 * Isolate a page that was found. NULL if it is on the node already; ERR_PTRs: -EACCES if somebody
 * else maps it too, -EBUSY if it is on no LRU list. The caller's reference is put in any case.
 *
 * Models: 6.2 mm/migrate.c add_page_for_migration, behind follow_page; the name is of 6.18.
 */
export const __addFolioForMigration = fn(function* __add_folio_for_migration(
  folio: Folio,
  node: number,
  migrateAll: boolean,
): Kernel<Folio | null> {
  yield read(folio, 'mapcount')
  const isThere = folio.nid === node
  let error = 0
  if (!isThere && folio.mapcount > 1 && !migrateAll) error = -EACCES
  else if (!isThere && !(yield* folioIsolateLru(folio))) error = -EBUSY
  yield* folioPut(folio)
  if (error !== 0) return errPtr(Folio, error)
  return isThere ? null : folio
})

/**
 * The page behind an address, isolated; NULL if it is on the node already. ERR_PTRs: -EFAULT where
 * nothing is mapped, or nothing of anonymous memory; -ENOENT where the page table has no page, or
 * has one that nobody gets (see `followPage`); -EACCES, -EBUSY.
 *
 * Models: 6.2 mm/migrate.c add_page_for_migration. Simplifies: no VMA here is unfit for migration
 * as such.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const addPageForMigration = fn(function* add_page_for_migration(
  mm: MmStruct,
  address: bigint,
  node: number,
  migrateAll: boolean,
): Kernel<Folio | null> {
  yield* downRead(mm.mmapLock)
  const vma = vmaLookup(mm, address)
  let folio: Folio | null = errPtr(Folio, -EFAULT)
  if (vma !== null) folio = yield* followPage(vma, address)
  if (folio === null) folio = errPtr(Folio, -ENOENT)
  if (!isErr(folio)) folio = yield* __addFolioForMigration(folio, node, migrateAll)
  yield* upRead(mm.mmapLock)
  return folio
})

/**
 * Move an isolated page. 0, -ENOMEM, or 1 for one page that was not moved and is back on its list.
 *
 * Models: 6.2 mm/migrate.c do_move_pages_to_node.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const doMovePagesToNode = fn(function* do_move_pages_to_node(
  folio: Folio,
  node: number,
): Kernel<number> {
  const error = yield* migratePages(folio, node, MIGRATE_SYNC, MR_SYSCALL)
  if (error !== 0) yield* putbackMovablePages(folio)
  return error
})

/**
 * Models: 6.2 mm/migrate.c do_pages_move, for one page. Simplifies: lru_cache_disable() is a drain,
 * so a page that another task puts into a batch right afterwards is -EBUSY here; the process may
 * use both nodes.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const doPagesMove = fn(function* do_pages_move(
  address: bigint,
  node: number,
  migrateAll: boolean,
): Kernel<number> {
  yield* lruAddDrainAll()
  if (node < 0 || node >= NODES) return -ENODEV
  const folio = yield* addPageForMigration(currentMm(), address, node, migrateAll)
  if (folio === null) return node
  if (isErr(folio)) return ptrErr(folio)
  const error = yield* doMovePagesToNode(folio, node)
  if (error < 0) return error
  return error > 0 ? STATUS_UNTOUCHED : node
})

/**
 * move_pages(2) of the page at one address (bytes) of the process. What is returned is the page's
 * status word, the node or an error, if the call gets to write it; else the call's error, -EINVAL
 * for other flags, -ENODEV for a node that there is not, -ENOMEM; and -1, which the word held
 * before, if migration failed, of which the call itself returns only how often.
 *
 * Models: 6.2 mm/migrate.c kernel_move_pages. Simplifies: the process may move what others map too.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const sysMovePages = fn(function* move_pages(
  address: bigint,
  node: number,
  flags: number,
): Kernel<number> {
  if (flags & ~(MPOL_MF_MOVE | MPOL_MF_MOVE_ALL)) return -EINVAL
  return yield* doPagesMove(address, node, (flags & MPOL_MF_MOVE_ALL) !== 0)
})

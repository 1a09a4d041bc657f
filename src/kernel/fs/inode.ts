/**
 * Inodes: life from inode_init_always() to RCU, and the super block's list of them. What
 * new_inode() makes is on that list; what alloc_anon_inode() makes is not.
 *
 * i_lock is a leaf here: each of its sections is the step that announces what it guards.
 */
import { kzalloc } from '../../machine/alloc.js'
import { alsoWrites, rmw, write } from '../../machine/effects.js'
import { bugOn } from '../../machine/fault.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { initRwsem, spinLock, spinLockInit, spinUnlock } from '../../machine/locks.js'
import { kfreeRcu } from '../../machine/rcu.js'
import type { Obj } from '../../machine/struct.js'
import { I_CLEAR, I_FREEING, Inode, type SuperBlock } from '../include/fs.js'
import { xaInit } from '../lib/xarray.js'
import { truncateInodePagesFinal } from '../mm/truncate.js'

/**
 * Set up a fresh inode with one reference. Nothing else knows it yet.
 *
 * Models: 6.2 fs/inode.c inode_init_always.
 *
 * Compared: 6.17 and 7.0 source.
 */
export function inodeInit(inode: Inode, sb: SuperBlock, mode: number): void {
  inode.iSb = sb
  inode.iMode = mode
  inode.iCount = 1
  inode.iNlink = 1
  inode.iMapping = inode.iData
  initRwsem(inode.iRwsem, 'i_rwsem')
  spinLockInit(inode.iLock, 'i_lock')
  const mapping = inode.iData
  mapping.host = inode
  mapping.gfpMovable = true
  xaInit(mapping.iPages)
  initRwsem(mapping.invalidateLock, 'invalidate_lock')
  initRwsem(mapping.iMmapRwsem, 'i_mmap_rwsem')
}

/** Models: 6.2 fs/inode.c inode_sb_list_add. */
export const inodeSbListAdd = fn(function* inode_sb_list_add(inode: Inode): Kernel<void> {
  const sb = inode.iSb!
  yield* spinLock(sb.sInodeListLock)
  inode.iSbNext = sb.sInodes
  inode.iSbListed = true
  sb.sInodes = inode
  spinUnlock(sb.sInodeListLock)
})

/** Models: 6.2 fs/inode.c inode_sb_list_del. */
export const inodeSbListDel = fn(function* inode_sb_list_del(inode: Inode): Kernel<void> {
  if (!inode.iSbListed) return
  const sb = inode.iSb!
  yield* spinLock(sb.sInodeListLock)
  if (sb.sInodes === inode) sb.sInodes = inode.iSbNext
  else {
    let before = sb.sInodes!
    while (before.iSbNext !== inode) before = before.iSbNext!
    before.iSbNext = inode.iSbNext
  }
  inode.iSbNext = null
  inode.iSbListed = false
  spinUnlock(sb.sInodeListLock)
})

/** Models: 6.2 fs/inode.c new_inode. Simplifies: never fails. Compared: 6.17 and 7.0 source. */
export const newInode = fn(function* new_inode(sb: SuperBlock, mode: number): Kernel<Inode> {
  const inode = kzalloc(Inode)
  inodeInit(inode, sb, mode)
  yield* inodeSbListAdd(inode)
  return inode
})

/**
 * An inode that no list knows.
 *
 * Models: 6.2 fs/libfs.c alloc_anon_inode, which uses new_inode_pseudo. Simplifies: never fails.
 */
export const allocAnonInode = fn(function* alloc_anon_inode(sb: SuperBlock): Kernel<Inode> {
  const inode = kzalloc(Inode)
  inodeInit(inode, sb, 0o600)
  return inode
})

/**
 * Take a reference on an inode that is in use.
 *
 * Models: 6.2 fs/inode.c ihold.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const ihold = fn(function* ihold(inode: Inode): Kernel<void> {
  yield rmw(inode, 'iCount')
  inode.iCount++
})

/**
 * Drop a reference; the last one evicts the inode. That it is the last, and the inode therefore on
 * its way out, is said under i_lock: who tests the state under that lock may take a reference.
 *
 * Models: 6.2 fs/inode.c iput and iput_final, for inodes that are dropped when unused.
 */
export const iput = fn(function* iput(inode: Inode): Kernel<void> {
  yield rmw(inode, 'iCount')
  bugOn((inode.iState & I_CLEAR) !== 0, 'iput: the inode has been cleared')
  inode.iCount--
  if (inode.iCount > 0) return
  alsoWrites(inode, 'iState')
  inode.iState |= I_FREEING
  yield* evict(inode)
})

/** Models: 6.2 fs/inode.c evict. */
export const evict = fn(function* evict(inode: Inode): Kernel<void> {
  yield* inodeSbListDel(inode)
  const op = inode.iSb!.sOp
  if (op !== null && op.evictInode !== undefined) yield* op.evictInode!(inode)
  else {
    yield* truncateInodePagesFinal(inode.iData)
    clearInode(inode)
  }
  yield write(inode, 'iState')
  if (op !== null && op.freeInode !== undefined) yield* op.freeInode!(inode)
  else kfreeRcu(inode)
})

/**
 * The inode has no pages any more; if it has, that is a bug.
 *
 * Models: 6.2 fs/inode.c clear_inode.
 *
 * Compared: 6.17 and 7.0 source.
 */
export function clearInode(inode: Inode): void {
  bugOn(inode.iData.nrpages > 0, 'clear_inode: the inode still has pages')
  inode.iState = I_FREEING | I_CLEAR
}

/** Free the object that an inode is part of, after a grace period. */
export function freeInodeRcu(container: Obj): void {
  kfreeRcu(container)
}
